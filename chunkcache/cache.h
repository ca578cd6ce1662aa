/*
 * cache.h - decoded chunks, shared by all who read
 *
 * Single flight: the first who needs a chunk loads it, in its own thread. Who comes meanwhile is
 * parked, or told that it would wait; a caller that is no job, such as a tool, sleeps. A failed
 * load is reported to all who waited; it is remembered for a moment, lest a thousand readers try a
 * bad chunk a thousand times, and then forgotten, so that a repaired chunk reads well again. A want
 * of memory is not remembered: who waited tries again.
 *
 * The budget is in bytes of memory. What is lent out stays and may exceed it. Two classes: chunks
 * with metadata are not pushed out by payload, unless they take more than half of the budget.
 * Memory of evicted chunks is used again, for fresh memory costs as much as decoding does.
 *
 * Threads: every function may be called from any thread.
 * Ownership: cache_get() lends a counted reference until cache_put().
 */
#ifndef CHUNKCACHE_CACHE_H
#define CHUNKCACHE_CACHE_H

#include <stdint.h>

#include "chunkcache/digest.h"
#include "chunkcache/pool.h"
#include "core/source.h"

struct cache;

enum cache_class { CACHE_METADATA, CACHE_PAYLOAD };

struct chunk {
	const uint8_t *bytes; /* immutable once lent */
	size_t len;
};

/* How to get a chunk: fills exactly len bytes, or < 0 with err set. May block, in its caller's
   thread; the cache is not locked meanwhile. */
struct cache_loader {
	int (*load)(void *arg, uint8_t *bytes, size_t len, struct error *err);
	void *arg;
};

int cache_new(struct cache **out, size_t budget_bytes, struct error *err);

/* Nothing may be lent out any more. */
void cache_free(struct cache *cache);
DEFINE_CLEANUP(struct cache, cache_free);

/* The chunk with this digest, of this length: 0 and a reference; 1 when io does not allow to wait
   and the chunk is not there, or io's job was parked; < 0 as the load had it. */
int cache_get(struct cache *cache, const struct digest *id, size_t len, enum cache_class class,
	      const struct io *io, const struct cache_loader *loader, struct chunk **out,
	      struct error *err);
void cache_put(struct cache *cache, struct chunk *chunk);

/* Whether it is there or being loaded, for who might load it ahead of time. */
bool cache_has(struct cache *cache, const struct digest *id);

struct cache_stats {
	size_t bytes, chunks; /* what there is now; bytes of memory, spare buffers included */
	uint64_t hits, loads, failures, evictions;
};
struct cache_stats cache_stats(struct cache *cache);

#endif
