/*
 * memory.h - how much memory the cache of chunks may take
 */
#ifndef DAEMON_MEMORY_H
#define DAEMON_MEMORY_H

#include <stdint.h>

enum {
	MEMORY_CACHE_MIN = 64 << 20,
	MEMORY_CACHE_MAX = 1 << 30,
	MEMORY_CACHE_CHUNKS = 4, /* fewer would push each other out while they are read */
};

/* What this process may have: the lesser of what is available and the limits of the control groups
   it is in, of either version. UINT64_MAX when nothing is known. Files are looked for below root,
   which is "" but in tests. */
uint64_t memory_limit(const char *root);

/* A quarter of the limit within the bounds above, for chunks of at most this size. */
uint64_t memory_cache_size(uint64_t limit, uint32_t chunk_max);

#endif
