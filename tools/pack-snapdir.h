/*
 * pack-snapdir.h - the directory of a snapshot that is being made
 *
 * It is locked from the beginning. The manifest, which makes it a snapshot, comes last and at
 * once: until then no reader opens it. What an earlier attempt that was killed has left there is
 * removed; so is what this one has put there if it is given up.
 */
#ifndef TOOLS_PACK_SNAPDIR_H
#define TOOLS_PACK_SNAPDIR_H

#include "chunkcache/manifest.h"
#include "chunkcache/snaplock.h"
#include "tools/pack-owner.h"
#include "tools/pack-report.h"

struct pack_snapdir {
	int base, dir; /* the base is borrowed */
	struct snapshot id;
	struct pack_owner owner;
	struct snaplock lock;
	struct manifest *manifest;
	bool ours; /* locked, and not finished: to be removed */
};

/* What pack_snapdir_release() may be called with before pack_snapdir_open(). */
#define PACK_SNAPDIR_CLOSED                                                   \
	{                                                                     \
		.base = -1, .dir = -1, .lock = {.directory = -1, .file = -1 } \
	}

/* auth_id is whom a new group is to belong to, and an old one must; NULL: root@pam, and anyone.
   -EEXIST when there is such a snapshot; -EBUSY when somebody else is making it; -EACCES for
   another owner's group. */
int pack_snapdir_open(struct pack_snapdir *d, int base, const struct snapshot *id,
		      const char *auth_id, struct report *r, struct error *err);
void pack_snapdir_release(struct pack_snapdir *d);

/* Puts a blob that is encoded there, and into the manifest. */
int pack_snapdir_add_blob(struct pack_snapdir *d, const char *name, enum manifest_mode mode,
			  const void *bytes, size_t n, struct error *err);

/* The snapshot is complete. It is signed if there is a key. */
int pack_snapdir_publish(struct pack_snapdir *d, const struct crypt *crypt, struct blob_context *c,
			 struct error *err);

#endif
