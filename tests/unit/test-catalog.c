#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chunkcache/catalog.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MUST(call) ck_assert_int_eq(call, 0)

static const struct io waiting = { .may_wait = true };

struct memory_sink {
	struct sink sink;
	struct buffer bytes;
	size_t writes_left; /* before it is full */
};

static int write_memory(struct sink *sink, const void *bytes, size_t n, struct error *err)
{
	struct memory_sink *to = (struct memory_sink *)sink;

	if (!to->writes_left)
		return error_set(err, ENOSPC, "full");
	to->writes_left--;
	buffer_add(&to->bytes, bytes, n);
	return buffer_finish(&to->bytes, err);
}

static struct memory_sink empty_sink(void)
{
	return (struct memory_sink){ .sink = { write_memory }, .writes_left = SIZE_MAX };
}

/* Each part of it begins a line: magic, sub, the archive's root, the root, its offset. */
static const char example[] =
	"\x91\xfd\x60\xf9\xc4\x67\x58\xd5"
	"\x0d\x02\x66\x01\x78\x05\xd8\xff\x8d\xaa\x05\x6c\x01\x79"
	"\x0a\x02\x64\x03\x73\x75\x62\x0e\x68\x01\x7a"
	"\x12\x01\x64\x0e\x72\x6f\x6f\x74\x2e\x70\x78\x61\x72\x2e\x64\x69\x64\x78\x0b"
	"\x21\x00\x00\x00\x00\x00\x00\x00";
enum { EXAMPLE = sizeof(example) - 1, SUB = 8, ROOT = 33 };

static int write_example(struct sink *sink)
{
	CLEANUP(catalog_writer_freep) struct catalog_writer *w = NULL;
	int r = catalog_writer_new(&w, sink, NULL);

	if (r == 0)
		r = catalog_writer_begin_archive(w, "root.pxar.didx", NULL);
	if (r == 0)
		r = catalog_writer_begin_dir(w, "sub", NULL);
	if (r == 0)
		r = catalog_writer_file(w, "x", 5, 1430487000, NULL);
	if (r == 0)
		r = catalog_writer_other(w, CATALOG_SYMLINK, "y", NULL);
	if (r == 0)
		r = catalog_writer_end_dir(w, NULL);
	if (r == 0)
		r = catalog_writer_other(w, CATALOG_HARDLINK, "z", NULL);
	if (r == 0)
		r = catalog_writer_end_dir(w, NULL);
	return r < 0 ? r : catalog_writer_finish(w, NULL);
}

START_TEST(the_example_is_written_byte_for_byte)
{
	struct memory_sink to = empty_sink();

	MUST(write_example(&to.sink));
	ck_assert_uint_eq(to.bytes.len, EXAMPLE);
	ck_assert_mem_eq(to.bytes.bytes, example, EXAMPLE);
	buffer_release(&to.bytes);
}
END_TEST

START_TEST(a_full_sink_is_told)
{
	for (size_t writes = 0; writes < 5; writes++) {
		struct memory_sink to = empty_sink();

		to.writes_left = writes;
		ck_assert_int_eq(write_example(&to.sink), -ENOSPC);
		buffer_release(&to.bytes);
	}
}
END_TEST

/* A catalog in a block of its own size. */
struct opened {
	uint8_t *bytes;
	struct source *source;
	struct catalog *catalog;
};

static int open_catalog(struct opened *o, const void *bytes, size_t n, struct error *err)
{
	*o = (struct opened){ .bytes = malloc(n ? n : 1) };
	memcpy(o->bytes, bytes, n);
	MUST(source_new_memory(&o->source, o->bytes, n, NULL));
	return catalog_open(&o->catalog, o->source, &waiting, err);
}

static void close_catalog(struct opened *o)
{
	catalog_free(o->catalog);
	source_free(o->source);
	free(o->bytes);
}

/* Appends a line for each entry below the block, in order, with its depth. */
static int print(struct catalog *c, uint64_t offset, int depth, struct buffer *out,
		 struct error *err)
{
	struct catalog_block block;
	struct catalog_entry e;
	char line[200];
	int r = catalog_read(c, &waiting, offset, &block, err);

	if (r)
		return r;
	while (r == 0 && catalog_next(&block, &e)) {
		snprintf(line, sizeof(line), "%d %c %.*s %" PRIu64 " %" PRId64 "\n", depth,
			 (char)e.type, (int)e.name.len, (const char *)e.name.bytes, e.size,
			 e.mtime);
		buffer_add(out, line, strlen(line));
		if (e.type == CATALOG_DIRECTORY)
			r = print(c, e.block, depth + 1, out, err);
	}
	catalog_block_release(&block);
	return r;
}

/* Reads all of it; the text is out's, with a NUL, unless out is NULL. */
static int read_all(const void *bytes, size_t n, struct buffer *out, struct error *err)
{
	struct buffer text = { 0 };
	struct opened o;
	int r = open_catalog(&o, bytes, n, err);

	if (r == 0)
		r = print(o.catalog, catalog_root(o.catalog), 0, &text, err);
	close_catalog(&o);
	buffer_add(&text, "", 1);
	if (out)
		*out = text;
	else
		buffer_release(&text);
	return r;
}

START_TEST(the_example_is_read_in_order)
{
	struct buffer text;

	MUST(read_all(example, EXAMPLE, &text, NULL));
	ck_assert_str_eq((char *)text.bytes, "0 d root.pxar.didx 0 0\n"
					     "1 d sub 0 0\n"
					     "2 f x 5 1430487000\n"
					     "2 l y 0 0\n"
					     "1 h z 0 0\n");
	buffer_release(&text);
}
END_TEST

static const struct {
	const char *path, *name;
	int want;
	enum catalog_type type;
} paths[] = {
	{ "", "", 0, CATALOG_DIRECTORY },
	{ "root.pxar.didx", "root.pxar.didx", 0, CATALOG_DIRECTORY },
	{ "root.pxar.didx/sub", "sub", 0, CATALOG_DIRECTORY },
	{ "root.pxar.didx/sub/x", "x", 0, CATALOG_FILE },
	{ "root.pxar.didx/z", "z", 0, CATALOG_HARDLINK },
	{ "root", NULL, CATALOG_NONE, 0 },
	{ "/", NULL, CATALOG_NONE, 0 },
	{ "root.pxar.didx//sub", NULL, CATALOG_NONE, 0 },
	{ "root.pxar.didx/x", NULL, CATALOG_NONE, 0 },
	{ "root.pxar.didx/z/x", NULL, CATALOG_NONE, 0 },
	{ "root.pxar.didx/sub/x/y", NULL, CATALOG_NONE, 0 },
};

START_TEST(an_entry_is_found_by_its_path)
{
	struct catalog_entry e = { 0 };
	struct opened o;

	MUST(open_catalog(&o, example, EXAMPLE, NULL));
	ck_assert_int_eq(catalog_find(o.catalog, &waiting, paths[_i].path, &e, NULL),
			 paths[_i].want);
	if (paths[_i].name) {
		ck_assert_uint_eq(e.type, paths[_i].type);
		ck_assert_uint_eq(e.name.len, strlen(paths[_i].name));
		ck_assert_mem_eq(e.name.bytes, paths[_i].name, e.name.len);
	}
	close_catalog(&o);
}
END_TEST

static const struct {
	int64_t value;
	size_t n;
	uint8_t bytes[11];
} times[] = {
	{ 0, 1, { 0 } },
	{ -1, 2, { 0x81, 0 } },
	{ 127, 1, { 0x7f } },
	{ 128, 2, { 0x80, 1 } },
	{ -127, 2, { 0xff, 0 } },
	{ -128, 3, { 0x80, 0x81, 0 } },
	{ 1430487000, 5, { 0xd8, 0xff, 0x8d, 0xaa, 5 } },
	{ -305112600, 6, { 0x98, 0xcc, 0xbe, 0x91, 0x81, 0 } },
	{ INT64_MIN, 11, { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x81, 0 } },
	{ INT64_MAX, 9, { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f } },
};

static const struct {
	uint64_t value;
	size_t n;
	uint8_t bytes[10];
} sizes[] = {
	{ 0, 1, { 0 } },
	{ 127, 1, { 0x7f } },
	{ 128, 2, { 0x80, 1 } },
	{ 300, 2, { 0xac, 2 } },
	{ UINT64_MAX, 10, { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1 } },
};

/* A catalog of one archive with one file, whose size and time these bytes are. */
static struct buffer forge_file(const void *size, size_t size_n, const void *mtime, size_t mtime_n)
{
	static const uint8_t root[] = { 4 + 1, 1, 'd', 1, 'a' };
	struct buffer b = { 0 };
	uint8_t len = (uint8_t)(4 + size_n + mtime_n);

	buffer_add(&b, example, 8);
	buffer_add(&b, (uint8_t[]){ len, 1, 'f', 1, 'n' }, 5);
	buffer_add(&b, size, size_n);
	buffer_add(&b, mtime, mtime_n);
	buffer_add(&b, root, sizeof(root));
	buffer_add(&b, &(uint8_t){ (uint8_t)(len + 1) }, 1);
	buffer_le64(&b, 8 + (uint64_t)len + 1);
	return b;
}

START_TEST(numbers_of_all_sizes_are_stored_as_the_format_says)
{
	struct buffer want, text;
	struct memory_sink to = empty_sink();
	size_t s = (size_t)_i % COUNT(sizes), t = (size_t)_i / COUNT(sizes);
	struct catalog_writer *w;
	char line[120];

	MUST(catalog_writer_new(&w, &to.sink, NULL));
	MUST(catalog_writer_begin_archive(w, "a", NULL));
	MUST(catalog_writer_file(w, "n", sizes[s].value, times[t].value, NULL));
	MUST(catalog_writer_end_dir(w, NULL));
	MUST(catalog_writer_finish(w, NULL));
	catalog_writer_free(w);
	want = forge_file(sizes[s].bytes, sizes[s].n, times[t].bytes, times[t].n);
	ck_assert_uint_eq(to.bytes.len, want.len);
	ck_assert_mem_eq(to.bytes.bytes, want.bytes, want.len);

	MUST(read_all(want.bytes, want.len, &text, NULL));
	snprintf(line, sizeof(line), "0 d a 0 0\n1 f n %" PRIu64 " %" PRId64 "\n", sizes[s].value,
		 times[t].value);
	ck_assert_str_eq((char *)text.bytes, line);
	buffer_release(&text);
	buffer_release(&want);
	buffer_release(&to.bytes);
}
END_TEST

static const struct {
	const char *name;
	const char *size, *mtime;
	size_t size_n, mtime_n;
	const char *shown; /* NULL: it is refused */
} odd_numbers[] = {
	{ "as it should be", "\x01", "\x01", 1, 1, "1 f n 1 1\n" },
	{ "a size that ends in a 0", "\x81", "\x01", 1, 1, NULL },
	{ "a size that is longer than need be", "\x81\x00", "\x01", 2, 1, "1 f n 1 1\n" },
	{ "a size of 65 bits", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x03", "\x01", 10, 1, NULL },
	{ "a size in 11 groups", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", "\x01", 11, 1,
	  NULL },
	{ "a time of minus nothing", "\x01", "\x80\x00", 1, 2, "1 f n 1 0\n" },
	{ "a time of 2^63", "\x01", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 1, 10, NULL },
	{ "a time of -2^63 - 1", "\x01", "\x81\x80\x80\x80\x80\x80\x80\x80\x80\x81\x00", 1, 11,
	  NULL },
	{ "a time in 12 groups", "\x01", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 1, 12,
	  NULL },
	{ "a time that does not end", "\x01", "\x81", 1, 1, NULL },
};

START_TEST(numbers_that_do_not_fit_are_refused)
{
	struct buffer b, text;
	struct error err = { 0 };
	int r;

	b = forge_file(odd_numbers[_i].size, odd_numbers[_i].size_n, odd_numbers[_i].mtime,
		       odd_numbers[_i].mtime_n);
	r = read_all(b.bytes, b.len, &text, &err);
	ck_assert_msg(r == (odd_numbers[_i].shown ? 0 : -EUCLEAN), "%s: %s", odd_numbers[_i].name,
		      err.text);
	if (odd_numbers[_i].shown)
		ck_assert_str_eq((char *)text.bytes + strlen("0 d a 0 0\n"), odd_numbers[_i].shown);
	buffer_release(&b);
	buffer_release(&text);
}
END_TEST

START_TEST(every_prefix_is_refused)
{
	struct error err;

	for (size_t n = 0; n < EXAMPLE; n++) {
		err = (struct error){ 0 };
		ck_assert_msg(read_all(example, n, NULL, &err) == -EUCLEAN, "%zu bytes", n);
		ck_assert_str_ne(err.text, "");
	}
}
END_TEST

static const struct {
	const char *name;
	size_t at;
	uint8_t value;
	const char *why;
} changes[] = {
	{ "another magic", 0, 0, "not a catalog" },
	{ "a root in the magic", 52, 7, "its root is at 7" },
	{ "a root past the end", 52, 51, "its root is at 51" },
	{ "a root far away", 59, 0x80, "its root is at" },
	{ "a root that is no block", 52, 50, "directory at 50: 120 bytes, where 1 are left" },
	{ "a longer block", 8, 0x0e, "1 bytes too long" },
	{ "a shorter block", 8, 0x0c, "its entry 1 is malformed" },
	{ "more than there is", 33, 0x13, "directory at 33: 19 bytes, where 18 are left" },
	{ "more entries", 9, 3, "its entry 2 is malformed" },
	{ "fewer entries", 9, 1, "3 bytes too long" },
	{ "many entries", 9, 0x7f, "directory at 8: 127 entries in 13 bytes" },
	{ "an unknown type", 10, 'e', "its entry 0 is malformed" },
	{ "no type", 10, 0, "its entry 0 is malformed" },
	{ "no name", 11, 0, "its entry 0 is malformed" },
	{ "a name past the end", 11, 100, "its entry 0 is malformed" },
	{ "a slash", 12, '/', "its entry 0 is malformed" },
	{ "a NUL", 12, 0, "its entry 0 is malformed" },
	{ "a dot", 12, '.', "its entry 0 is malformed" },
	{ "a directory that is itself", 29, 0, "its entry 0 is malformed" },
	{ "a directory in the magic", 29, 15, "its entry 0 is malformed" },
	{ "a directory that is no block", 29, 5, "directory at 17: 682 bytes, where 33 are left" },
};

START_TEST(a_rule_that_is_broken_is_named)
{
	uint8_t bytes[EXAMPLE];
	struct error err = { 0 };

	memcpy(bytes, example, EXAMPLE);
	bytes[changes[_i].at] = changes[_i].value;
	ck_assert_int_eq(read_all(bytes, EXAMPLE, NULL, &err), -EUCLEAN);
	ck_assert_msg(strstr(err.text, changes[_i].why) != NULL, "%s: %s", changes[_i].name,
		      err.text);
}
END_TEST

START_TEST(no_flipped_bit_makes_it_hang_or_crash)
{
	uint8_t bytes[EXAMPLE];

	memcpy(bytes, example, EXAMPLE);
	for (size_t at = 0; at < EXAMPLE; at++) {
		for (int bit = 0; bit < 8; bit++) {
			int r;

			bytes[at] ^= (uint8_t)(1 << bit);
			r = read_all(bytes, EXAMPLE, NULL, NULL);
			ck_assert(r <= 0);
			bytes[at] ^= (uint8_t)(1 << bit);
		}
	}
}
END_TEST

/* Distances of all sizes, and memory that is used again. */
START_TEST(wide_and_deep_trees_come_back)
{
	enum { WIDTH = 100000, DEPTH = 300 };
	struct memory_sink to = empty_sink();
	struct catalog_writer *w;
	struct catalog_entry e;
	struct opened o;
	char path[2 * DEPTH + 20], name[20];

	MUST(catalog_writer_new(&w, &to.sink, NULL));
	MUST(catalog_writer_begin_archive(w, "a", NULL));
	strcpy(path, "a");
	for (int i = 0; i < DEPTH; i++) {
		MUST(catalog_writer_begin_dir(w, "d", NULL));
		strcat(path, "/d");
	}
	for (int i = 0; i < WIDTH; i++) {
		snprintf(name, sizeof(name), "%d", i);
		MUST(catalog_writer_begin_dir(w, name, NULL));
		MUST(catalog_writer_end_dir(w, NULL));
	}
	for (int i = 0; i <= DEPTH; i++) {
		MUST(catalog_writer_file(w, "after", (uint64_t)i, -i, NULL));
		MUST(catalog_writer_end_dir(w, NULL));
	}
	MUST(catalog_writer_finish(w, NULL));
	catalog_writer_free(w);

	MUST(open_catalog(&o, to.bytes.bytes, to.bytes.len, NULL));
	strcat(path, "/after");
	MUST(catalog_find(o.catalog, &waiting, path, &e, NULL));
	ck_assert_uint_eq(e.size, 0);
	strcpy(strrchr(path, '/'), "/99999");
	MUST(catalog_find(o.catalog, &waiting, path, &e, NULL));
	ck_assert_uint_eq(e.type, CATALOG_DIRECTORY);
	MUST(catalog_find(o.catalog, &waiting, "a/d/d/after", &e, NULL));
	ck_assert_int_eq(e.mtime, 2 - DEPTH);
	close_catalog(&o);
	buffer_release(&to.bytes);
}
END_TEST

START_TEST(an_empty_catalog_is_one)
{
	struct memory_sink to = empty_sink();
	struct catalog_writer *w;
	struct buffer text;

	MUST(catalog_writer_new(&w, &to.sink, NULL));
	MUST(catalog_writer_finish(w, NULL));
	catalog_writer_free(w);
	ck_assert_uint_eq(to.bytes.len, 18);
	MUST(read_all(to.bytes.bytes, to.bytes.len, &text, NULL));
	ck_assert_str_eq((char *)text.bytes, "");
	buffer_release(&text);
	buffer_release(&to.bytes);
}
END_TEST

START_TEST(a_writer_refuses_what_a_reader_would)
{
	static const char *const names[] = { "", ".", "..", "a/b", "/" };
	struct memory_sink to = empty_sink();
	char name[CATALOG_NAME_MAX + 2];
	struct catalog_writer *w;

	MUST(catalog_writer_new(&w, &to.sink, NULL));
	ck_assert_int_eq(catalog_writer_file(w, "x", 1, 1, NULL), -EINVAL);
	ck_assert_int_eq(catalog_writer_begin_dir(w, "x", NULL), -EINVAL);
	ck_assert_int_eq(catalog_writer_end_dir(w, NULL), -EINVAL);
	MUST(catalog_writer_begin_archive(w, "...", NULL));
	for (size_t i = 0; i < COUNT(names); i++)
		ck_assert_int_eq(catalog_writer_file(w, names[i], 1, 1, NULL), -EINVAL);
	memset(name, 'n', sizeof(name));
	name[CATALOG_NAME_MAX + 1] = '\0';
	ck_assert_int_eq(catalog_writer_begin_dir(w, name, NULL), -EINVAL);
	MUST(catalog_writer_other(w, CATALOG_FIFO, name + 1, NULL));
	ck_assert_int_eq(catalog_writer_other(w, CATALOG_FILE, "x", NULL), -EINVAL);
	ck_assert_int_eq(catalog_writer_other(w, CATALOG_DIRECTORY, "x", NULL), -EINVAL);
	ck_assert_int_eq(catalog_writer_other(w, 0, "x", NULL), -EINVAL);
	ck_assert_int_eq(catalog_writer_begin_archive(w, "b", NULL), -EINVAL);
	ck_assert_int_eq(catalog_writer_finish(w, NULL), -EINVAL);
	MUST(catalog_writer_end_dir(w, NULL));
	MUST(catalog_writer_finish(w, NULL));
	ck_assert_int_eq(catalog_writer_finish(w, NULL), -EINVAL);
	ck_assert_int_eq(catalog_writer_file(w, "x", 1, 1, NULL), -EINVAL);
	catalog_writer_free(w);
	MUST(read_all(to.bytes.bytes, to.bytes.len, NULL, NULL));
	buffer_release(&to.bytes);
}
END_TEST

static int would_wait(struct source *source, const struct io *io, uint64_t offset, void *buf,
		      size_t n, struct error *err)
{
	(void)source;
	(void)err;
	if (!io->may_wait)
		return 1;
	memcpy(buf, example + offset, n);
	return 0;
}

START_TEST(reading_waits_only_where_it_may)
{
	static const struct source_ops ops = { .read = would_wait };
	struct source source = { &ops, EXAMPLE };
	const struct io inline_io = { 0 };
	struct catalog_block block;
	struct catalog_entry e;
	struct catalog *c = NULL;

	ck_assert_int_eq(catalog_open(&c, &source, &inline_io, NULL), 1);
	MUST(catalog_open(&c, &source, &waiting, NULL));
	ck_assert_int_eq(catalog_read(c, &inline_io, ROOT, &block, NULL), 1);
	ck_assert_int_eq(catalog_find(c, &inline_io, "root.pxar.didx", &e, NULL), 1);
	MUST(catalog_read(c, &waiting, SUB, &block, NULL));
	ck_assert_uint_eq(block.count, 2);
	catalog_block_release(&block);
	ck_assert_int_eq(catalog_read(c, &waiting, SUB - 1, &block, NULL), -EIO);
	ck_assert_int_eq(catalog_read(c, &waiting, UINT64_MAX, &block, NULL), -EIO);
	catalog_free(c);
	catalog_free(NULL);
	catalog_writer_free(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("catalog");
	TCase *tc = tcase_create("catalog");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, the_example_is_written_byte_for_byte);
	tcase_add_test(tc, a_full_sink_is_told);
	tcase_add_test(tc, the_example_is_read_in_order);
	tcase_add_loop_test(tc, an_entry_is_found_by_its_path, 0, COUNT(paths));
	tcase_add_loop_test(tc, numbers_of_all_sizes_are_stored_as_the_format_says, 0,
			    COUNT(sizes) * COUNT(times));
	tcase_add_loop_test(tc, numbers_that_do_not_fit_are_refused, 0, COUNT(odd_numbers));
	tcase_add_test(tc, every_prefix_is_refused);
	tcase_add_loop_test(tc, a_rule_that_is_broken_is_named, 0, COUNT(changes));
	tcase_add_test(tc, no_flipped_bit_makes_it_hang_or_crash);
	tcase_add_test(tc, wide_and_deep_trees_come_back);
	tcase_add_test(tc, an_empty_catalog_is_one);
	tcase_add_test(tc, a_writer_refuses_what_a_reader_would);
	tcase_add_test(tc, reading_waits_only_where_it_may);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
