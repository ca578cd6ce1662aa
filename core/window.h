/*
 * window.h - a small moving view over a source
 *
 * Parsers ask for a few bytes here and a few there, mostly forward. A window fetches `fill` bytes
 * at a time, so that a row of items costs one read, and lends them until the next window_get().
 * The terms of reading (struct io) are fixed for a window's life, which is one request.
 */
#ifndef CORE_WINDOW_H
#define CORE_WINDOW_H

#include "core/cursor.h"
#include "core/error.h"
#include "core/source.h"

struct window {
	struct source *source;
	const struct io *io;
	uint8_t *bytes;
	size_t room, len;
	uint64_t start; /* where in the source the bytes are from */
	size_t fill;	/* how much to fetch at once when something is missing */
};

struct window window_init(struct source *source, const struct io *io, size_t fill);
void window_release(struct window *w);

/* Lends n bytes from the offset on: 0; 1 would wait; < 0. Bounded by the source, not by fill, and
   only those n need be readable. */
int window_get(struct window *w, uint64_t offset, size_t n, const uint8_t **bytes,
	       struct error *err);

/* Copies n bytes; takes them from the window or else reads past it, leaving it where it is. For
   the odd look elsewhere. */
int window_peek(struct window *w, uint64_t offset, void *buf, size_t n, struct error *err);

#endif
