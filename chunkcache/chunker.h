/*
 * chunker.h - where a stream is cut into chunks
 *
 * A chunk ends where a hash of the 64 bytes before says so: the same content is cut alike wherever
 * it stands, and whoever cuts by the same rule gets the same chunks. From the average size it
 * follows that a chunk has avg / 4 to avg * 4 bytes; only the last of a stream may have fewer.
 *
 * A payload file is cut where its files begin, if that is announced: the first suggestion that
 * makes a chunk of a legal size is where it ends, and no hash ends it before. What counts is at
 * which byte of the stream a suggestion was announced, never in which pieces the stream comes. A
 * caller that announces everything ahead and one that announces each file as it comes to it get
 * different chunks of the same archive, and both are right.
 *
 * Threads: a chunker is used by one at a time.
 */
#ifndef CHUNKCACHE_CHUNKER_H
#define CHUNKCACHE_CHUNKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cleanup.h"
#include "core/error.h"

enum {
	CHUNKER_AVG_MIN = 64 << 10,
	CHUNKER_AVG_MAX = 4 << 20,
	CHUNKER_AVG_ARCHIVE = 4 << 20,	 /* unless the user wants something else */
	CHUNKER_AVG_CATALOG = 512 << 10, /* always */
};

struct chunker;

/* -EINVAL unless avg is a power of two between the two bounds. */
int chunker_new(struct chunker **out, uint64_t avg, struct error *err);
void chunker_free(struct chunker *c);
DEFINE_CLEANUP(struct chunker, chunker_free);

/* Goes on through the stream: how many of the n bytes were taken. With *cut the chunk ends behind
   them, which may be none, and the next call begins a new one; without it they are all taken. */
size_t chunker_scan(struct chunker *c, const void *bytes, size_t n, bool *cut);

/* Where in the stream the next byte stands. */
uint64_t chunker_offset(const struct chunker *c);

/* Announces that it would be good to cut at this offset, each larger than the one before, before
   its byte is scanned; there must be bytes that far. -EINVAL, -ENOMEM. */
int chunker_suggest(struct chunker *c, uint64_t offset, struct error *err);

/* Ends the chunk here, whatever its size, which is returned; 0: there is none to end. The next
   begins n bytes further on, behind chunks that are put into the stream as they are. */
uint32_t chunker_inject(struct chunker *c, uint64_t n);

#endif
