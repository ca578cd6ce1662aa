/*
 * fuzz-goodbye.c - a table, as it is found and as it is built
 *
 * Input: bytes that end with a table, its directory somewhere before it. Of a table that is a
 * search tree, goodbye_find() finds just the records that looking at each of them does; of any
 * other, no more than those. The same bytes, taken as hashes, are built into a table in which
 * each must be found again; there are few different ones, so that equal hashes are common.
 */
#include <stdlib.h>
#include <string.h>

#include "core/goodbye.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HASHES = 16, CHILD = 44, ENTRY = 56 };

static const struct io io = { .may_wait = true };

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* In order, with everything to the left at most as large, everything to the right at least. */
static bool is_tree(const struct goodbye_child *all, uint64_t n, uint64_t i, uint64_t low,
		    uint64_t high)
{
	if (i >= n)
		return true;
	return all[i].hash >= low && all[i].hash <= high &&
	       is_tree(all, n, 2 * i + 1, low, all[i].hash) &&
	       is_tree(all, n, 2 * i + 2, all[i].hash, high);
}

static uint64_t count(const struct goodbye_child *all, uint64_t n, uint64_t hash)
{
	uint64_t found = 0;

	for (uint64_t i = 0; i < n; i++)
		found += all[i].hash == hash;
	return found;
}

static void check_find(struct window *w, const struct goodbye *g, const struct goodbye_child *all,
		       struct goodbye_child *found, uint64_t hash, bool tree)
{
	uint64_t want = count(all, g->count, hash);
	size_t n, few;

	require(!goodbye_find(w, g, hash, found, g->count, &n, NULL));
	require(tree ? n == want : n <= want);
	require(count(found, n, hash) == n);
	require(!goodbye_find(w, g, hash, found, 2, &few, NULL));
	require(few == (n < 2 ? n : 2));
}

static void check_table(struct window *w, uint64_t end, bool must_be_tree)
{
	struct goodbye_child *all, *found;
	struct goodbye g;
	bool tree;

	if (goodbye_open(w, end, &g, NULL)) {
		require(!must_be_tree);
		return;
	}
	require(g.entry <= g.offset && g.offset < g.end && g.end == end);
	require(g.count <= (g.offset - g.entry) / CHILD);
	all = calloc(g.count + 1, sizeof(*all));
	found = calloc(g.count + 2, sizeof(*found));
	require(all && found && !goodbye_read(w, &g, all, NULL));
	tree = is_tree(all, g.count, 0, 0, UINT64_MAX);
	require(tree || !must_be_tree);
	for (uint64_t i = 0; i < g.count; i++) {
		require(!all[i].start || (all[i].start >= g.entry && all[i].start <= g.offset));
		if (i < HASHES)
			check_find(w, &g, all, found, all[i].hash, tree);
	}
	check_find(w, &g, all, found, UINT64_C(0x0123456789abcdef), tree);
	free(found);
	free(all);
}

static void check_bytes(const void *bytes, size_t n, bool must_be_tree)
{
	struct source *source;
	struct window w;

	require(!source_new_memory(&source, bytes, n, NULL));
	w = window_init(source, &io, 512);
	check_table(&w, n, must_be_tree);
	window_release(&w);
	source_free(source);
}

static void build(const uint8_t *data, size_t n)
{
	struct format_record *records = calloc(n + 1, sizeof(*records));
	struct format_record tail = { FORMAT_GOODBYE_TAIL, ENTRY + n * CHILD,
				      FORMAT_HEADER_SIZE + (n + 1) * FORMAT_RECORD_SIZE };
	struct buffer b = { 0 };

	require(records);
	for (size_t i = 0; i < n; i++)
		records[i] = (struct format_record){ data[i], (n - i) * CHILD, CHILD };
	require(!goodbye_build(records, n, NULL));
	for (size_t i = 0; i < tail.offset / 4; i++)
		buffer_le32(&b, 0);
	format_encode_header(&b, FORMAT_GOODBYE, tail.size - FORMAT_HEADER_SIZE);
	for (size_t i = 0; i < n; i++)
		format_encode_record(&b, &records[i]);
	format_encode_record(&b, &tail);
	require(!buffer_finish(&b, NULL));
	check_bytes(b.bytes, b.len, true);
	buffer_release(&b);
	free(records);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_bytes(data, size, false);
	build(data, size < 256 ? size : 256);
	return 0;
}
