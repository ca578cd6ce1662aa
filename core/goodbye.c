#include "core/goodbye.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/entry.h"

enum { READ_RECORDS = 2048 }; /* at once */

static int check_tail(const struct format_record *tail, uint64_t end, struct goodbye *g,
		      struct error *err)
{
	if (tail->hash != FORMAT_GOODBYE_TAIL)
		return error_set(err, EUCLEAN,
				 "goodbye table before %" PRIu64 ": no tail marker but %#" PRIx64,
				 end, tail->hash);
	if (tail->size < FORMAT_HEADER_SIZE + FORMAT_RECORD_SIZE ||
	    (tail->size - FORMAT_HEADER_SIZE) % FORMAT_RECORD_SIZE || tail->size > end)
		return error_set(err, EUCLEAN,
				 "goodbye table before %" PRIu64 ": a size of %" PRIu64, end,
				 tail->size);
	g->end = end;
	g->offset = end - tail->size;
	g->count = (tail->size - FORMAT_HEADER_SIZE) / FORMAT_RECORD_SIZE - 1;
	if (!checked_sub(g->offset, tail->offset, &g->entry) ||
	    tail->offset < FORMAT_ENTRY_SIZE - 8)
		return error_set(err, EUCLEAN,
				 "goodbye table at %" PRIu64 ": its directory is %" PRIu64
				 " bytes back",
				 g->offset, tail->offset);
	return 0;
}

int goodbye_peek(struct window *w, uint64_t end, struct goodbye *g, struct error *err)
{
	uint8_t bytes[FORMAT_RECORD_SIZE];
	struct format_record tail;
	struct cursor c;
	int r;

	if (end < FORMAT_RECORD_SIZE)
		return error_set(err, EUCLEAN, "no goodbye table fits before %" PRIu64, end);
	r = window_peek(w, end - FORMAT_RECORD_SIZE, bytes, sizeof(bytes), err);
	if (r)
		return r < 0 ? error_wrap(err, "goodbye table before %" PRIu64, end) : r;
	c = cursor_init(bytes, sizeof(bytes));
	format_decode_record(&c, &tail);
	return check_tail(&tail, end, g, err);
}

int goodbye_open(struct window *w, uint64_t end, struct goodbye *g, struct error *err)
{
	uint8_t bytes[FORMAT_HEADER_SIZE];
	struct format_header header;
	int r;

	r = goodbye_peek(w, end, g, err);
	if (r)
		return r;
	r = window_peek(w, g->offset, bytes, sizeof(bytes), err);
	if (r)
		return r < 0 ? error_wrap(err, "goodbye table at %" PRIu64, g->offset) : r;
	r = format_decode_header(bytes, &header, err);
	if (r < 0)
		return error_wrap(err, "goodbye table at %" PRIu64, g->offset);
	if (header.type != FORMAT_GOODBYE || header.size != g->end - g->offset)
		return error_set(err, EUCLEAN,
				 "%s of %" PRIu64 " bytes at %" PRIu64
				 " where the tail says that a GOODBYE of %" PRIu64 " is",
				 format_type_name(header.type), header.size, g->offset,
				 g->end - g->offset);
	/* Each record needs a child of its own, at least a FILENAME and a HARDLINK. */
	if (g->count > (g->offset - g->entry) / (FORMAT_HEADER_SIZE + 2 + FORMAT_HEADER_SIZE + 10))
		return error_set(err, EUCLEAN,
				 "goodbye table at %" PRIu64 ": %" PRIu64 " records for %" PRIu64
				 " bytes of children",
				 g->offset, g->count, g->offset - g->entry);
	return 0;
}

static struct goodbye_child decode_child(struct cursor *c, const struct goodbye *g)
{
	struct goodbye_child child = { 0 };
	struct format_record record;

	format_decode_record(c, &record);
	child.hash = record.hash;
	child.size = record.size;
	if (record.offset <= g->offset - g->entry)
		child.start = g->offset - record.offset;
	return child;
}

int goodbye_read(struct window *w, const struct goodbye *g, struct goodbye_child *children,
		 struct error *err)
{
	uint64_t at = g->offset + FORMAT_HEADER_SIZE;
	const uint8_t *bytes;
	struct cursor c;

	for (uint64_t i = 0; i < g->count;) {
		uint64_t left = g->count - i;
		size_t n = left < READ_RECORDS ? (size_t)left : READ_RECORDS;
		int r = window_get(w, at, n * FORMAT_RECORD_SIZE, &bytes, err);

		if (r)
			return r < 0 ? error_wrap(err, "goodbye table at %" PRIu64, g->offset) : r;
		c = cursor_init(bytes, n * FORMAT_RECORD_SIZE);
		at += n * FORMAT_RECORD_SIZE;
		while (n--)
			children[i++] = decode_child(&c, g);
	}
	return 0;
}

static int read_child(struct window *w, const struct goodbye *g, uint64_t i,
		      struct goodbye_child *child, struct error *err)
{
	uint8_t bytes[FORMAT_RECORD_SIZE];
	struct cursor c;
	int r;

	r = window_peek(w, g->offset + FORMAT_HEADER_SIZE + i * FORMAT_RECORD_SIZE, bytes,
			sizeof(bytes), err);
	if (r)
		return r < 0 ? error_wrap(err, "goodbye table at %" PRIu64, g->offset) : r;
	c = cursor_init(bytes, sizeof(bytes));
	*child = decode_child(&c, g);
	return 0;
}

int goodbye_find(struct window *w, const struct goodbye *g, uint64_t hash,
		 struct goodbye_child *found, size_t max, size_t *n, struct error *err)
{
	uint64_t pending[128]; /* one right turn for each level of a tree of up to 2^64 */
	size_t depth = 0;
	int r;

	*n = 0;
	pending[depth++] = 0;
	while (depth && *n < max) {
		uint64_t i = pending[--depth];
		struct goodbye_child child;

		if (i >= g->count)
			continue;
		r = read_child(w, g, i, &child, err);
		if (r)
			return r;
		if (child.hash == hash)
			found[(*n)++] = child;
		/* Equal hashes may stand on either side of one another. */
		if (hash >= child.hash)
			pending[depth++] = 2 * i + 2;
		if (hash <= child.hash)
			pending[depth++] = 2 * i + 1;
	}
	return 0;
}

struct sortable {
	struct format_record record;
	size_t order;
};

static int by_hash(const void *a, const void *b)
{
	const struct sortable *x = a, *y = b;

	if (x->record.hash != y->record.hash)
		return x->record.hash < y->record.hash ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

int goodbye_build(struct format_record *records, size_t n, struct error *err)
{
	CLEANUP(freep) struct sortable *sorted = NULL;
	size_t next = 0, node = 0;

	if (n < 2)
		return 0;
	sorted = calloc(n, sizeof(*sorted));
	if (!sorted)
		return error_set(err, ENOMEM, "out of memory for %zu records", n);
	for (size_t i = 0; i < n; i++)
		sorted[i] = (struct sortable){ records[i], i };
	qsort(sorted, n, sizeof(*sorted), by_hash);

	/* Walk the complete tree of n nodes in order, and hand out the sorted records one by one.
	   Node i has children 2i+1 and 2i+2; its successor is the leftmost node below its right
	   child, or else the first ancestor of which it is on the left. */
	while (2 * node + 1 < n)
		node = 2 * node + 1;
	for (;;) {
		records[node] = sorted[next++].record;
		if (next == n)
			return 0;
		if (2 * node + 2 < n) {
			node = 2 * node + 2;
			while (2 * node + 1 < n)
				node = 2 * node + 1;
			continue;
		}
		while (node % 2 == 0) /* a right child */
			node = (node - 1) / 2;
		node = (node - 1) / 2;
	}
}
