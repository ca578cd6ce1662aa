/*
 * store.h - digest -> stored bytes
 *
 *     BASE/.chunks/abcd/abcd....      one blob for each chunk, named after its digest
 *
 * A store is whatever can load a chunk: a local directory, a server, a test. It gives what is
 * stored, unverified: whether that is the chunk only its decoder can tell. With several stores a
 * search goes through them in order until the caller is content.
 *
 * Threads: a store may be used from any thread; a search and a writer by one.
 */
#ifndef CHUNKCACHE_STORE_H
#define CHUNKCACHE_STORE_H

#include <time.h>

#include "chunkcache/blob.h"
#include "core/buffer.h"
#include "core/cleanup.h"

enum { STORE_CHUNK_MAX = BLOB_CHUNK_MAX + BLOB_CRYPT_HEADER_SIZE }; /* stored bytes of a chunk */

/* Which bytes were read: while it is the same, so are they. Only with known set is it worth
   comparing. */
struct store_state {
	bool known;
	uint64_t device, inode, size;
	struct timespec ctime;
};

bool store_state_equal(const struct store_state *a, const struct store_state *b);

struct store;

struct store_ops {
	/* 0 with the whole of what is stored in place of what the buffer held; 1 when there is no
	   such chunk, and *bad_seen when one was set aside as corrupt; -EUCLEAN, -EIO... */
	int (*load)(struct store *store, const struct digest *id, struct buffer *bytes,
		    struct store_state *state, bool *bad_seen, struct error *err);
	void (*free)(struct store *store);
};

struct store {
	const struct store_ops *ops;
	const char *name; /* for messages */
};

/* A datastore on this machine; base is its directory, which may be closed afterwards. */
int store_new_local(struct store **out, int base, const char *name, struct error *err);
void store_free(struct store *store);
DEFINE_CLEANUP(struct store, store_free);

/* The search for one chunk. */
struct store_search {
	struct store *const *stores;
	size_t n, next;
	const struct digest *id;
	bool bad_seen;	  /* somewhere it was set aside as corrupt */
	bool found;	  /* somewhere something was stored under its name */
	struct error why; /* what was wrong with the first that was found */
};

struct store_search store_search_init(struct store *const *stores, size_t n,
				      const struct digest *id);

/* What the next store has that has something. When there is none left, a negative code and the
   story of the whole search: -EIO if it is missing, otherwise that of the first failure. A
   failure to allocate memory ends the search at once. */
int store_search_next(struct store_search *search, struct buffer *bytes, struct store_state *state,
		      struct error *err);

/* What store_search_next() just gave is not the chunk, for this reason. */
void store_search_reject(struct store_search *search, const struct error *why);

/*
 * Putting chunks in. A writer holds the datastore's lock against garbage collection as long as it
 * lives. It is a POSIX lock, which ends when this process closes any descriptor of BASE/.lock.
 */
struct store_writer;

enum {
	STORE_WRITTEN = 0,
	STORE_KEPT = 1, /* it was there already */
};

/* base is borrowed. With sync each chunk is on the disk when it is in the store. -EBUSY when
   garbage is being collected. */
int store_writer_new(struct store_writer **out, int base, bool sync, struct error *err);

/* bytes is an encoded blob. -EUCLEAN when what is stored under its name contradicts it. */
int store_writer_insert(struct store_writer *w, const struct digest *id, const void *bytes,
			size_t n, struct error *err);

/* For a chunk that is not worth encoding if it is there: STORE_KEPT, and it is marked as used; 0
   when it is not there. -EUCLEAN when it is not a blob, or encrypted where it should not be or
   the other way round. */
int store_writer_keep(struct store_writer *w, const struct digest *id, bool encrypted,
		      struct error *err);
void store_writer_free(struct store_writer *w);
DEFINE_CLEANUP(struct store_writer, store_writer_free);

#endif
