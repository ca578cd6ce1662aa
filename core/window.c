#include "core/window.h"

#include <stdlib.h>
#include <string.h>

struct window window_init(struct source *source, const struct io *io, size_t fill)
{
	return (struct window){ .source = source, .io = io, .fill = fill };
}

void window_release(struct window *w)
{
	free(w->bytes);
	*w = (struct window){ 0 };
}

static bool holds(const struct window *w, uint64_t offset, size_t n)
{
	return w->len && range_holds((struct range){ w->start, w->start + w->len }, offset, n);
}

static int fetch(struct window *w, uint64_t offset, size_t n, struct error *err)
{
	uint64_t left = offset <= w->source->size ? w->source->size - offset : 0;
	size_t want = n > w->fill ? n : w->fill;
	struct error ahead = { 0 };
	uint8_t *bytes;
	int r;

	if (want > left && n <= left)
		want = (size_t)left;
	if (want > w->room) {
		bytes = realloc(w->bytes, want);
		if (!bytes)
			return error_set(err, ENOMEM, "out of memory");
		w->bytes = bytes;
		w->room = want;
	}
	w->len = 0;
	r = source_read(w->source, w->io, offset, w->bytes, want, want > n ? &ahead : err);
	if (r < 0 && want > n) { /* maybe only what was not asked for is unreadable */
		want = n;
		r = source_read(w->source, w->io, offset, w->bytes, want, err);
	}
	if (r)
		return r;
	w->start = offset;
	w->len = want;
	return 0;
}

int window_get(struct window *w, uint64_t offset, size_t n, const uint8_t **bytes,
	       struct error *err)
{
	int r = holds(w, offset, n) ? 0 : fetch(w, offset, n, err);

	if (r)
		return r;
	*bytes = w->bytes + (offset - w->start);
	return 0;
}

int window_peek(struct window *w, uint64_t offset, void *buf, size_t n, struct error *err)
{
	if (!holds(w, offset, n))
		return source_read(w->source, w->io, offset, buf, n, err);
	memcpy(buf, w->bytes + (offset - w->start), n);
	return 0;
}
