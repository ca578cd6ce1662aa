/*
 * test-reference-chunks.c - what the original client cut and listed, cut and listed again
 */
#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "chunkcache/catalog.h"
#include "chunkcache/chunker.h"
#include "chunkcache/index.h"
#include "chunkcache/store.h"
#include "core/decoder.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MUST(call) ck_assert_int_eq(call, 0)

enum { SMALL = 64 << 10, USUAL = CHUNKER_AVG_ARCHIVE, CATALOG = CHUNKER_AVG_CATALOG };

static const struct {
	const char *store, *index;
	uint64_t avg;
	size_t chunks; /* so that cuts by hash are among what is compared */
} streams[] = {
	{ "store-plain", "host/web01/2024-06-01T02:00:00Z/root.pxar.didx", SMALL, 9 },
	{ "store-plain", "host/web01/2024-06-01T02:00:00Z/catalog.pcat1.didx", CATALOG, 1 },
	{ "store-plain", "host/web01/2024-06-02T02:00:07Z/root.mpxar.didx", SMALL, 1 },
	{ "store-plain", "host/web01/2024-06-02T02:00:07Z/root.ppxar.didx", SMALL, 10 },
	{ "store-plain", "ns/a/ns/b/host/nested/2024-06-03T02:00:14Z/root.pxar.didx", SMALL, 8 },
	{ "store-plain", "ns/a/ns/b/host/nested/2024-06-03T02:00:14Z/catalog.pcat1.didx", CATALOG,
	  1 },
	{ "store-plain", "ns/a/ct/105/2024-06-04T02:00:21Z/root.mpxar.didx", SMALL, 1 },
	{ "store-plain", "ns/a/ct/105/2024-06-04T02:00:21Z/root.ppxar.didx", SMALL, 2 },
	{ "store-plain", "host/tiny/2024-06-07T02:00:42Z/root.pxar.didx", SMALL, 1 },
	{ "store-4m", "host/web01/2024-06-09T02:00:56Z/root.pxar.didx", USUAL, 1 },
	{ "store-4m", "host/web01/2024-06-09T02:00:56Z/catalog.pcat1.didx", CATALOG, 1 },
	{ "store-4m", "host/web01/2024-06-10T02:00:03Z/root.mpxar.didx", USUAL, 1 },
	{ "store-4m", "host/web01/2024-06-10T02:00:03Z/root.ppxar.didx", USUAL, 1 },
};

static int open_base(const char *store)
{
	const char *reference = getenv("REFERENCE");
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/store", reference ? reference : "tests/reference",
		 store);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "%s: %m", path);
	return fd;
}

static struct index *open_index(const char *store, const char *path)
{
	CLEANUP(closep) int base = open_base(store);
	struct error err = { 0 };
	struct index *index;

	ck_assert_msg(index_open(&index, base, path, INDEX_DYNAMIC, &err) == 0, "%s", err.text);
	return index;
}

static void read_chunk(struct store *store, struct blob_context *blob, struct index_chunk chunk,
		       uint8_t *to)
{
	static const struct blob_terms terms = { .expect = BLOB_CLEAR };
	CLEANUP(buffer_release) struct buffer stored = { 0 };
	struct store_state state;
	struct error err = { 0 };
	bool bad_seen;

	MUST(store->ops->load(store, chunk.digest, &stored, &state, &bad_seen, &err));
	ck_assert_msg(blob_decode_chunk(blob, &terms, stored.bytes, stored.len, chunk.digest, to,
					chunk.len, &err) == 0,
		      "%s", err.text);
}

/* The whole stream, index_size() bytes. */
static uint8_t *read_stream(const char *store_name, const struct index *index)
{
	CLEANUP(closep) int base = open_base(store_name);
	CLEANUP(blob_context_freep) struct blob_context *blob = NULL;
	CLEANUP(store_freep) struct store *store = NULL;
	uint8_t *bytes = malloc((size_t)index_size(index));

	MUST(store_new_local(&store, base, store_name, NULL));
	MUST(blob_context_new(&blob, NULL));
	for (size_t i = 0; i < index_count(index); i++) {
		struct index_chunk chunk = index_chunk(index, i);

		read_chunk(store, blob, chunk, bytes + chunk.start);
	}
	return bytes;
}

START_TEST(streams_are_cut_where_the_original_cut_them)
{
	CLEANUP(index_freep)
	struct index *index = open_index(streams[_i].store, streams[_i].index);
	CLEANUP(freep) uint8_t *bytes = read_stream(streams[_i].store, index);
	CLEANUP(chunker_freep) struct chunker *c = NULL;
	uint64_t size = index_size(index), at = 0;
	bool cut;

	MUST(chunker_new(&c, streams[_i].avg, NULL));
	ck_assert_uint_eq(index_count(index), streams[_i].chunks);
	for (size_t i = 0; i < index_count(index); i++) {
		struct index_chunk chunk = index_chunk(index, i);

		ck_assert_uint_eq(chunk.start, at);
		at += chunker_scan(c, bytes + at, (size_t)(size - at), &cut);
		ck_assert_msg(at == chunk.start + chunk.len, "%s: chunk %zu", streams[_i].index, i);
	}
	ck_assert_uint_eq(at, size);
}
END_TEST

struct memory_sink {
	struct sink sink;
	struct buffer bytes;
};

static int write_memory(struct sink *sink, const void *bytes, size_t n, struct error *err)
{
	buffer_add(&((struct memory_sink *)sink)->bytes, bytes, n);
	return buffer_finish(&((struct memory_sink *)sink)->bytes, err);
}

static enum catalog_type type_of(const struct entry *e)
{
	static const enum catalog_type types[] = {
		[ENTRY_SYMLINK] = CATALOG_SYMLINK,    [ENTRY_FIFO] = CATALOG_FIFO,
		[ENTRY_SOCKET] = CATALOG_SOCKET,      [ENTRY_HARDLINK] = CATALOG_HARDLINK,
		[ENTRY_DEVICE] = CATALOG_CHAR_DEVICE,
	};

	return S_ISBLK(e->mode) ? CATALOG_BLOCK_DEVICE : types[e->kind];
}

static int list_entry(struct catalog_writer *w, const struct decoder_item *item)
{
	char name[FORMAT_NAME_MAX + 1];
	const struct entry *e = &item->entry;

	memcpy(name, item->name.bytes, item->name.len);
	name[item->name.len] = '\0';
	if (e->kind == ENTRY_DIRECTORY)
		return catalog_writer_begin_dir(w, name, NULL);
	if (e->kind == ENTRY_FILE)
		return catalog_writer_file(w, name, e->size, e->mtime_sec, NULL);
	return catalog_writer_other(w, type_of(e), name, NULL);
}

/* The catalog of an archive in memory. */
static struct buffer list_archive(const uint8_t *bytes, uint64_t size)
{
	static const struct io io = { .may_wait = true };
	struct memory_sink to = { .sink = { write_memory } };
	CLEANUP(catalog_writer_freep) struct catalog_writer *w = NULL;
	CLEANUP(decoder_freep) struct decoder *d = NULL;
	CLEANUP(source_freep) struct source *source = NULL;
	struct decoder_item item;

	MUST(source_new_memory(&source, bytes, (size_t)size, NULL));
	MUST(decoder_open(&d, source, NULL, &io, NULL));
	MUST(catalog_writer_new(&w, &to.sink, NULL));
	MUST(catalog_writer_begin_archive(w, "root.pxar.didx", NULL));
	for (;;) {
		MUST(decoder_next(d, &item, NULL));
		if (item.event == DECODER_END)
			break;
		if (item.event == DECODER_LEAVE)
			MUST(catalog_writer_end_dir(w, NULL));
		else if (item.depth)
			MUST(list_entry(w, &item));
	}
	MUST(catalog_writer_finish(w, NULL));
	return to.bytes;
}

static const struct {
	const char *store, *archive, *catalog;
} catalogs[] = {
	{ "store-plain", "host/web01/2024-06-01T02:00:00Z/root.pxar.didx",
	  "host/web01/2024-06-01T02:00:00Z/catalog.pcat1.didx" },
	{ "store-plain", "ns/a/ns/b/host/nested/2024-06-03T02:00:14Z/root.pxar.didx",
	  "ns/a/ns/b/host/nested/2024-06-03T02:00:14Z/catalog.pcat1.didx" },
	{ "store-4m", "host/web01/2024-06-09T02:00:56Z/root.pxar.didx",
	  "host/web01/2024-06-09T02:00:56Z/catalog.pcat1.didx" },
};

START_TEST(catalogs_are_those_of_the_original)
{
	CLEANUP(index_freep)
	struct index *archive = open_index(catalogs[_i].store, catalogs[_i].archive);
	CLEANUP(index_freep)
	struct index *catalog = open_index(catalogs[_i].store, catalogs[_i].catalog);
	CLEANUP(freep) uint8_t *bytes = read_stream(catalogs[_i].store, archive);
	CLEANUP(freep) uint8_t *want = read_stream(catalogs[_i].store, catalog);
	CLEANUP(buffer_release) struct buffer found = list_archive(bytes, index_size(archive));

	ck_assert_uint_eq(found.len, index_size(catalog));
	ck_assert_msg(!memcmp(found.bytes, want, found.len), "%s", catalogs[_i].catalog);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("reference-chunks");
	TCase *tc = tcase_create("reference-chunks");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, streams_are_cut_where_the_original_cut_them, 0, COUNT(streams));
	tcase_add_loop_test(tc, catalogs_are_those_of_the_original, 0, COUNT(catalogs));
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
