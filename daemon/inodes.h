/*
 * inodes.h - from inode numbers to entries
 *
 * A number is an offset (core/entry.h), so any number is resolved by decoding the archive there:
 * nothing has to be remembered for the kernel, and forgetting owes nothing. What was resolved
 * lately is kept in a small table of fixed size, for a file that is read is asked for again and
 * again.
 *
 * A hardlink shows the number and the attributes of its target. The archive only says how far
 * back the target is; that place could be made to lie in a file's content. So a target counts only
 * when the tree itself leads there, by the path that the link stores: the search goes down from
 * the root to the directory that holds the offset.
 *
 * Functions return 0; 1 when io does not allow to wait and it would; or < 0.
 *
 * Threads: every function may be called from any thread.
 */
#ifndef DAEMON_INODES_H
#define DAEMON_INODES_H

#include "daemon/dircache.h"

struct inodes;

/* Borrows accessor and cache. */
int inodes_new(struct inodes **out, struct accessor *a, struct dircache *dirs, struct error *err);
void inodes_free(struct inodes *inodes);
DEFINE_CLEANUP(struct inodes, inodes_free);

/* The entry with this number; -ESTALE when there is none. */
int inodes_entry(struct inodes *inodes, const struct io *io, uint64_t number, struct entry *e,
		 struct error *err);

/* The same for a file that is going to be read: its place in the payload file has been checked. */
int inodes_content(struct inodes *inodes, const struct io *io, uint64_t number, struct entry *e,
		   struct error *err);

/* Puts a hardlink's target in its place; any other entry is left as it is. */
int inodes_follow(struct inodes *inodes, const struct io *io, struct entry *e, struct error *err);

/* Notes an entry that is about to be shown, so that questions about it cost no decoding. */
void inodes_note(struct inodes *inodes, const struct entry *e);

/* The directory above the one with this number. -ELOOP when that lies too deep in the tree. */
int inodes_parent(struct inodes *inodes, const struct io *io, uint64_t number, uint64_t *parent,
		  struct error *err);

#endif
