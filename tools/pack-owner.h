/*
 * pack-owner.h - what is put into a datastore belongs to whom the datastore belongs
 *
 * Garbage collection marks chunks as used and prunes snapshots, as the server's user: it could do
 * neither with root's files. So root writes there as that user would; root's reading of what is
 * packed is not concerned. For other users than root all of this does nothing.
 *
 * Threads: concerns the calling one alone.
 */
#ifndef TOOLS_PACK_OWNER_H
#define TOOLS_PACK_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/error.h"

struct pack_owner {
	uid_t uid;
	gid_t gid;
	bool differs; /* from who we are */
};

/* The owner of an open directory. */
int pack_owner_of(struct pack_owner *owner, int fd, struct error *err);

/* Between the two, files are opened and made as the owner's. */
void pack_owner_begin(const struct pack_owner *owner);
void pack_owner_end(const struct pack_owner *owner);

#endif
