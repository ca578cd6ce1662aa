/*
 * reader.h - an archive in a datastore, as a source
 *
 * An index says which chunks the archive is made of, stores have them, the cache keeps them
 * decoded. A chunk is checked whole before a byte of it is given out; if the first store's does
 * not pass, the next store's is tried.
 *
 * Reading ahead: who goes on from one chunk into the next gets those that follow loaded by workers
 * that have nothing else to do; who jumps about does not.
 *
 * Threads: as any source. It is freed when nothing is read ahead for it any more, that is when the
 * pool was closed and became idle. Everything that is borrowed lives longer.
 */
#ifndef CHUNKCACHE_READER_H
#define CHUNKCACHE_READER_H

#include "chunkcache/blob.h"
#include "chunkcache/cache.h"
#include "chunkcache/index.h"
#include "chunkcache/store.h"
#include "core/source.h"

/* When a chunk is held against its digest, the dearest of the checks. The others, checksum or tag
   and the length, are made at every load. */
enum reader_verify {
	READER_VERIFY_ONCE, /* at its first load, and again when the stored file has changed */
	READER_VERIFY_ALWAYS,
	READER_VERIFY_CRC, /* never */
};

struct reader_config {
	const struct index *index;
	struct store *const *stores; /* in the order in which they are asked */
	size_t n_stores;
	struct blob_terms terms;
	enum reader_verify verify;
	struct cache *cache;
	enum cache_class class;
	struct pool *pool;  /* for reading ahead; NULL: there is none */
	unsigned ahead_max; /* chunks that are read ahead at the same time */

	/* Told of what was wrong in a store although the chunk was found in another, and of chunks
	   that could not be had. Called in any thread. May be NULL. */
	void (*report)(void *arg, const struct error *err);
	void *arg;
};

int reader_new(struct source **out, const struct reader_config *config, struct error *err);

#endif
