/*
 * snaplock.h - a shared lock, which keeps a snapshot from being pruned, and that of its writer
 *
 * Servers before version 4 lock the snapshot's directory, later ones a file
 * RUN/locks/STORE/[A:B/]NAME, where NAME is made of TYPE/ID/TIME as systemd makes unit names of
 * paths. Not knowing which server there is, if any, we take both. Nothing here ever waits.
 */
#ifndef CHUNKCACHE_SNAPLOCK_H
#define CHUNKCACHE_SNAPLOCK_H

#include "chunkcache/snapshot.h"

#define SNAPLOCK_RUN "/run/proxmox-backup"

struct snaplock {
	int directory, file; /* locked descriptors, or -1 */
};

enum {
	SNAPLOCK_TAKEN = 0,
	SNAPLOCK_BUSY = 1,     /* it is being written, removed or verified */
	SNAPLOCK_NOT_HERE = 2, /* not all of the locks could be taken part in */
};

/* snapshot_dir is what snapshot_open() gave; run is normally SNAPLOCK_RUN; store is the name that
   the server has given to the datastore, or NULL when that is not known. With SNAPLOCK_BUSY and
   SNAPLOCK_NOT_HERE err says why; with the latter, what could be locked is. -ENOENT when the
   snapshot went away meanwhile. */
int snaplock_take(struct snaplock *lock, int base, int snapshot_dir, const char *run,
		  const char *store, const struct snapshot *s, struct error *err);

/* The lock of who writes the snapshot: it is busy for all others. */
int snaplock_take_exclusive(struct snaplock *lock, int base, int snapshot_dir, const char *run,
			    const char *store, const struct snapshot *s, struct error *err);
void snaplock_release(struct snaplock *lock);

/* The path of the lock file below RUN/locks/STORE. */
void snaplock_path(const struct snapshot *s, char path[SNAPSHOT_PATH_SIZE]);

#endif
