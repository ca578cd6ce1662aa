/*
 * source.h - where bytes live
 *
 * The one seam between the format and storage: read n bytes at an offset, all of them or an
 * error. Files, memory, later chunk stores, and test doubles that fail on the n-th call are all
 * sources. A split archive is two of them.
 *
 * A read happens on the terms of a struct io: one that may not wait returns 1, "would wait",
 * instead of blocking, and the caller runs again from the start where it may. Waiting is what
 * costs a thread: a disk, a decoder.
 *
 * Threads: a source may be read from any thread; it is freed after the last read has ended.
 */
#ifndef CORE_SOURCE_H
#define CORE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cleanup.h"
#include "core/error.h"

struct job;

struct io {
	bool may_wait;
	struct job *
		job; /* who is reading, if it can be parked while somebody else gets the same bytes:
			a read then returns 1 although it may wait, and the job runs again */
};

struct source;

struct source_ops {
	/* The range lies within the source; n > 0. */
	int (*read)(struct source *source, const struct io *io, uint64_t offset, void *buf,
		    size_t n, struct error *err);
	/* Optional: these bytes will be read soon. */
	void (*expect)(struct source *source, uint64_t offset, uint64_t n);
	void (*free)(struct source *source);
};

struct source {
	const struct source_ops *ops;
	uint64_t size;
};

/* 0 with all n bytes in buf; 1 when it would wait and may not; -EIO past the end of the source,
   or what the storage said. */
int source_read(struct source *source, const struct io *io, uint64_t offset, void *buf, size_t n,
		struct error *err);

/* A hint, for a reader that may wait, that these bytes are about to be read. */
void source_expect(struct source *source, uint64_t offset, uint64_t n);

void source_free(struct source *source);
DEFINE_CLEANUP(struct source, source_free);

/* A regular file. The file stays open and is watched: once its size or mtime has changed, every
   read fails with -EIO rather than mix two states. Renaming or unlinking it changes nothing. */
int source_open_file(struct source **out, const char *path, struct error *err);

/* Bytes that the caller owns and keeps as long as the source lives. */
int source_new_memory(struct source **out, const void *bytes, size_t n, struct error *err);

#endif
