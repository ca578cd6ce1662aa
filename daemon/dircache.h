/*
 * dircache.h - decoded directories, shared by all requests
 *
 * A byte-budgeted LRU. Directories are immutable and counted: one that is evicted lives until its
 * last reader has put it back. The budget may be exceeded by the directory used last, for one
 * that did not stay would be decoded anew for every piece of its listing. Nothing is waited for
 * under the lock, and nobody waits for another's decoding: two that decode the same directory at
 * once cost time, but one that hangs holds nobody up.
 *
 * Threads: every function may be called from any thread.
 */
#ifndef DAEMON_DIRCACHE_H
#define DAEMON_DIRCACHE_H

#include "core/accessor.h"

struct dircache;

/* Lent by dircache_get() and dircache_find() until dircache_put(). */
struct cached_dir {
	const struct dir *dir;
};

/* Borrows the accessor. */
int dircache_new(struct dircache **out, struct accessor *a, size_t budget_bytes, struct error *err);
void dircache_free(struct dircache *c);
DEFINE_CLEANUP(struct dircache, dircache_free);

/* The directory, decoded if need be: 0; 1 would wait; < 0. */
int dircache_get(struct dircache *c, const struct io *io, uint64_t number, struct cached_dir **out,
		 struct error *err);

/* The directory if it is there, else NULL. */
struct cached_dir *dircache_find(struct dircache *c, uint64_t number);
void dircache_put(struct dircache *c, struct cached_dir *cached);

/* Notes that one name of a directory that is not there was looked up by itself, and says whether
   that has happened often enough for decoding the whole to be worth it. */
bool dircache_is_wanted(struct dircache *c, uint64_t number);

/* What is there now. */
struct dircache_stats {
	size_t bytes, dirs;
};
struct dircache_stats dircache_stats(struct dircache *c);

#endif
