/*
 * place.h - where the indexes of an archive in a datastore are
 *
 * In a snapshot's directory, which the user names by TYPE/ID/TIME or by the path of an index in
 * it; or anywhere, for an index that somebody copied.
 */
#ifndef DAEMON_PLACE_H
#define DAEMON_PLACE_H

#include "chunkcache/snapshot.h"
#include "core/cleanup.h"

struct place {
	int dir;	   /* the directory that the indexes are in */
	int base;	   /* that of the datastore around it; -1 when there is none */
	bool is_snapshot;  /* the directory is named like one: this one */
	bool has_manifest; /* one is in it, whatever it is worth */
	bool by_path;
	struct snapshot snapshot;
	char *name; /* of the index; for a snapshot, as the user gave it */
};

#define PLACE_NOWHERE ((struct place){ .dir = -1, .base = -1 })

/* Of an index by its path. */
int place_of_index(struct place *place, const char *path, struct error *err);

/* Of TYPE/ID/TIME/ARCHIVE below a datastore; ns may be NULL. -EMEDIUMTYPE when store is none, else
   as snapshot_open(). */
int place_of_snapshot(struct place *place, const char *store, const char *ns, const char *text,
		      struct error *err);

#define PLACE_SERVER_CONFIG "/etc/proxmox-backup/datastore.cfg"

/* Whether a server's configuration has the datastore, under which name. */
bool place_find_store_name(const struct place *place, const char *config,
			   char name[SNAPSHOT_NAME_MAX + 1]);
void place_release(struct place *place);

#endif
