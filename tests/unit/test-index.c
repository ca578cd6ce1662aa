#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "chunkcache/index.h"
#include "core/buffer.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct index_label label = { .uuid = { 1, 2, 3, 255 }, .ctime = 1717898456 };
static char dir[] = "/tmp/test-index-XXXXXX";
static int dirfd_;

static void setup(void)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void teardown(void)
{
	static const char *const names[] = { "a.didx", "a.fidx", "a.tmp_didx", "a.tmp_fidx" };

	for (size_t i = 0; i < COUNT(names); i++)
		unlinkat(dirfd_, names[i], 0);
	close(dirfd_);
	ck_assert_msg(rmdir(dir) == 0, "%s was left with files in it", dir);
}

static struct digest numbered(uint32_t number)
{
	struct digest d = { .bytes = { 7 } };

	memcpy(d.bytes + 1, &number, sizeof(number));
	return d;
}

static struct digest from_text(const char *text)
{
	struct digest d;

	ck_assert_int_eq(digest_parse(&d, text), 0);
	return d;
}

/* Lengths from 1 to 16 MiB, all orders of magnitude of them. */
static uint32_t random_len(void)
{
	return 1 + (uint32_t)random() % (1u << (random() % 25));
}

static struct index *write_and_open(size_t n, uint32_t chunk_size, uint32_t *lens)
{
	const char *name = chunk_size ? "a.fidx" : "a.didx";
	struct index_writer *w;
	struct index *index;
	struct digest checksum;
	struct error err = { 0 };
	uint64_t size, sum = 0;

	ck_assert_int_eq(index_writer_new(&w, dirfd_, name, chunk_size, &label, NULL), 0);
	for (size_t i = 0; i < n; i++) {
		struct digest d = numbered((uint32_t)i);

		if (chunk_size)
			lens[i] = i + 1 < n ? chunk_size : 1 + (uint32_t)random() % chunk_size;
		else
			lens[i] = random_len();
		sum += lens[i];
		ck_assert_int_eq(index_writer_add(w, lens[i], &d, NULL), 0);
	}
	ck_assert_int_eq(index_writer_finish(w, &checksum, &size, NULL), 0);
	index_writer_free(w);
	ck_assert_uint_eq(size, sum);
	ck_assert_msg(index_open(&index, dirfd_, name, chunk_size ? INDEX_FIXED : INDEX_DYNAMIC,
				 &err) == 0,
		      "%s", err.text);
	ck_assert_uint_eq(index_size(index), sum);
	ck_assert_uint_eq(index_count(index), n);
	ck_assert(digest_equal(index_checksum(index), &checksum));
	return index;
}

static void check_chunk(const struct index *index, size_t i, uint64_t start, uint32_t len)
{
	struct index_chunk chunk = index_chunk(index, i);
	struct digest d = numbered((uint32_t)i);

	ck_assert_uint_eq(chunk.start, start);
	ck_assert_uint_eq(chunk.len, len);
	ck_assert(digest_equal(chunk.digest, &d));
	ck_assert_uint_eq(index_find(index, start), i);
	ck_assert_uint_eq(index_find(index, start + len / 2), i);
	ck_assert_uint_eq(index_find(index, start + len - 1), i);
}

static const struct {
	size_t n;
	uint32_t chunk_size;
} shapes[] = {
	{ 1, 0 },    { 2, 0 },	  { 3, 0 },	{ 511, 0 },	{ 512, 0 },	 { 513, 0 },
	{ 5000, 0 }, { 1, 4096 }, { 2, 65536 }, { 513, 65536 }, { 9, 16 << 20 },
};

START_TEST(what_was_written_is_found_by_offset_and_by_number)
{
	CLEANUP(freep) uint32_t *lens = calloc(shapes[_i].n, sizeof(*lens));
	CLEANUP(index_freep)
	struct index *index = write_and_open(shapes[_i].n, shapes[_i].chunk_size, lens);
	struct index_label read = index_label(index);
	uint64_t start = 0;

	ck_assert_mem_eq(read.uuid, label.uuid, sizeof(label.uuid));
	ck_assert_int_eq(read.ctime, label.ctime);
	for (size_t i = 0; i < shapes[_i].n; i++) {
		check_chunk(index, i, start, lens[i]);
		start += lens[i];
	}
}
END_TEST

static struct buffer slurp(const char *name)
{
	struct buffer b = { 0 };
	CLEANUP(closep) int fd = openat(dirfd_, name, O_RDONLY);
	uint8_t piece[4096];
	ssize_t n;

	ck_assert_int_ge(fd, 0);
	while ((n = read(fd, piece, sizeof(piece))) > 0)
		buffer_add(&b, piece, (size_t)n);
	return b;
}

/* The index of "hello" and "world", each a chunk. */
static struct buffer hello_world(uint32_t chunk_size, struct digest *checksum)
{
	static const char *const digests[] = {
		"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
		"486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7",
	};
	const char *name = chunk_size ? "a.fidx" : "a.didx";
	struct index_writer *w;
	uint64_t size;

	ck_assert_int_eq(index_writer_new(&w, dirfd_, name, chunk_size, &label, NULL), 0);
	for (int i = 0; i < 2; i++) {
		struct digest d = from_text(digests[i]);

		ck_assert_int_eq(index_writer_add(w, chunk_size ? chunk_size : 5, &d, NULL), 0);
	}
	ck_assert_int_eq(index_writer_finish(w, checksum, &size, NULL), 0);
	index_writer_free(w);
	return slurp(name);
}

START_TEST(checksums_are_those_of_the_format)
{
	struct digest checksum, want;
	struct buffer b;

	b = hello_world(0, &checksum);
	want = from_text("a7115ea7ed919f362f64caaa040a994964c1ed6f1d2183ab2af5b96ab3f77793");
	ck_assert(digest_equal(&checksum, &want));
	ck_assert_uint_eq(b.len, 4096 + 80);
	ck_assert_mem_eq(b.bytes, "\x1c\x91\x4e\xa5\x19\xba\xb3\xcd", 8);
	ck_assert_mem_eq(b.bytes + 32, want.bytes, 32);
	buffer_release(&b);
	b = hello_world(4096, &checksum);
	want = from_text("7305db9b2abccd706c256db3d97e5ff48d677cfe4d3a5904afb7da0e3950e1e2");
	ck_assert(digest_equal(&checksum, &want));
	ck_assert_uint_eq(b.len, 4096 + 64);
	ck_assert_mem_eq(b.bytes, "\x2f\x7f\x41\xed\x91\xfd\x0f\xcd", 8);
	buffer_release(&b);
}
END_TEST

static int decode(const struct buffer *b, size_t n, enum index_kind kind, struct error *err)
{
	CLEANUP(freep) uint8_t *exact = malloc(n ? n : 1); /* the first byte past it shows */
	struct index *index = NULL;
	int r;

	memcpy(exact, b->bytes, n);
	r = index_decode(&index, exact, n, kind, err);
	ck_assert((r == 0) == (index != NULL));
	index_free(index);
	return r;
}

static const uint32_t sizes[] = { 0, 4096 };

START_TEST(every_prefix_is_refused)
{
	enum index_kind kind = sizes[_i] ? INDEX_FIXED : INDEX_DYNAMIC;
	struct digest checksum;
	struct buffer b = hello_world(sizes[_i], &checksum);
	struct error err;

	ck_assert_int_eq(decode(&b, b.len, kind, NULL), 0);
	for (size_t n = 0; n < b.len; n += n < 4000 ? 97 : 1) {
		err = (struct error){ 0 };
		ck_assert_msg(decode(&b, n, kind, &err) < 0, "%zu bytes", n);
		ck_assert(err.code == -EUCLEAN || err.code == -EBADMSG);
		ck_assert_str_ne(err.text, "");
	}
	buffer_add(&b, "x", 1);
	ck_assert_int_eq(decode(&b, b.len, kind, NULL), -EUCLEAN);
	buffer_release(&b);
}
END_TEST

/* UUID and time are for show, and what is reserved does not count. */
static bool may_differ(size_t at, enum index_kind kind)
{
	return (at >= 8 && at < 32) || (at >= (kind == INDEX_FIXED ? 80 : 64) && at < 4096);
}

START_TEST(every_flipped_bit_is_noticed)
{
	enum index_kind kind = sizes[_i] ? INDEX_FIXED : INDEX_DYNAMIC;
	struct digest checksum;
	struct buffer b = hello_world(sizes[_i], &checksum);

	for (size_t at = 0; at < b.len; at += at >= 128 && at < 4000 ? 101 : 1) {
		for (int bit = 0; bit < 8; bit++) {
			b.bytes[at] ^= (uint8_t)(1 << bit);
			ck_assert_msg((decode(&b, b.len, kind, NULL) == 0) == may_differ(at, kind),
				      "byte %zu bit %d", at, bit);
			b.bytes[at] ^= (uint8_t)(1 << bit);
		}
	}
	buffer_release(&b);
}
END_TEST

static void put64(struct buffer *b, size_t at, uint64_t value)
{
	for (size_t i = 0; i < 8; i++)
		b->bytes[at + i] = (uint8_t)(value >> (8 * i));
}

/* Entries that have these ends, and the checksum that goes with them. */
static struct buffer forge(const uint64_t *ends, size_t n)
{
	struct digest checksum;
	struct buffer b = hello_world(0, &checksum);

	b.len = 4096;
	for (size_t i = 0; i < n; i++) {
		checksum = numbered((uint32_t)i);
		buffer_le64(&b, ends[i]);
		buffer_add(&b, checksum.bytes, 32);
	}
	digest_sha256(&checksum, b.bytes + 4096, b.len - 4096);
	memcpy(b.bytes + 32, checksum.bytes, 32);
	return b;
}

enum { MAX = 16 << 20 };

static const struct {
	const char *name;
	uint64_t ends[3];
	size_t n;
	int want;
} ends[] = {
	{ "as they should be", { 1, 2, 3 }, 3, 0 },
	{ "as large as can be", { MAX, 2 * MAX, 3 * MAX }, 3, 0 },
	{ "none", { 0 }, 0, -EUCLEAN },
	{ "an empty chunk at first", { 0, 1, 2 }, 3, -EUCLEAN },
	{ "an empty chunk at last", { 1, 2, 2 }, 3, -EUCLEAN },
	{ "descending", { 5, 3, 8 }, 3, -EUCLEAN },
	{ "a chunk too large at first", { MAX + 1 }, 1, -EUCLEAN },
	{ "a chunk too large", { 1, MAX + 2 }, 2, -EUCLEAN },
	{ "the last at 2^64 - 1", { 1, 2, UINT64_MAX }, 3, -EUCLEAN },
	{ "wrapping", { 1, UINT64_MAX, 1 }, 3, -EUCLEAN },
};

START_TEST(ends_ascend_in_steps_of_a_chunk)
{
	struct buffer b = forge(ends[_i].ends, ends[_i].n);
	struct error err = { 0 };

	ck_assert_msg(decode(&b, b.len, INDEX_DYNAMIC, &err) == ends[_i].want, "%s: %s",
		      ends[_i].name, err.text);
	buffer_release(&b);
}
END_TEST

static const struct {
	const char *name;
	uint64_t size, chunk_size;
	int want;
} images[] = {
	{ "two whole chunks", 8192, 4096, 0 },
	{ "a short last one", 4097, 4096, 0 },
	{ "large chunks", MAX + 1, MAX, 0 },
	{ "one chunk too few", 8193, 4096, -EUCLEAN },
	{ "one chunk too many", 4096, 4096, -EUCLEAN },
	{ "no size", 0, 4096, -EUCLEAN },
	{ "chunks of 0", 8192, 0, -EUCLEAN },
	{ "chunks of 1", 2, 1, -EUCLEAN },
	{ "chunks of 2 KiB", 4096, 2048, -EUCLEAN },
	{ "chunks of 32 MiB", 64 << 20, 32 << 20, -EUCLEAN },
	{ "no power of two", 10000, 5000, -EUCLEAN },
	{ "2^64 - 1", UINT64_MAX, 4096, -EUCLEAN },
	{ "2^64 - 1 in chunks of 2^63", UINT64_MAX, UINT64_C(1) << 63, -EUCLEAN },
};

START_TEST(an_image_has_as_many_chunks_as_it_needs)
{
	struct digest checksum;
	struct buffer b = hello_world(4096, &checksum);
	struct error err = { 0 };

	put64(&b, 64, images[_i].size);
	put64(&b, 72, images[_i].chunk_size);
	ck_assert_msg(decode(&b, b.len, INDEX_FIXED, &err) == images[_i].want, "%s: %s",
		      images[_i].name, err.text);
	buffer_release(&b);
}
END_TEST

START_TEST(a_slot_that_was_never_written_is_refused)
{
	struct digest checksum;
	struct buffer b = hello_world(4096, &checksum);
	struct error err = { 0 };

	memset(b.bytes + 4096 + 32, 0, 32);
	digest_sha256(&checksum, b.bytes + 4096, 64);
	memcpy(b.bytes + 32, checksum.bytes, 32);
	ck_assert_int_eq(decode(&b, b.len, INDEX_FIXED, &err), -EUCLEAN);
	ck_assert_str_eq(err.text, "entry 1 was never written");
	buffer_release(&b);
}
END_TEST

START_TEST(an_image_of_nothing_has_no_chunks)
{
	CLEANUP(index_freep) struct index *index = write_and_open(0, 4096, NULL);

	ck_assert_uint_eq(index_size(index), 0);
}
END_TEST

START_TEST(the_other_kind_is_named)
{
	struct digest checksum;
	struct buffer b = hello_world(sizes[_i], &checksum);
	struct error err = { 0 };

	ck_assert_int_eq(decode(&b, b.len, sizes[_i] ? INDEX_DYNAMIC : INDEX_FIXED, &err),
			 -EUCLEAN);
	ck_assert_msg(strstr(err.text, ".didx") && strstr(err.text, ".fidx"), "%s", err.text);
	buffer_release(&b);
}
END_TEST

static void make_fifo(void)
{
	ck_assert_int_eq(mkfifoat(dirfd_, "a.didx", 0600), 0);
}

static void make_link(void)
{
	ck_assert_int_eq(symlinkat("/dev/null", dirfd_, "a.didx"), 0);
}

static void make_nothing(void)
{
}

static const struct {
	void (*make)(void);
	const char *path;
	int want;
} others[] = {
	{ make_fifo, "a.didx", -EUCLEAN }, { make_link, "a.didx", -ELOOP },
	{ make_nothing, ".", -EUCLEAN },   { make_nothing, "a.didx", -ENOENT },
	{ make_nothing, "../x", -EXDEV },  { make_nothing, "/dev/null", -EXDEV },
};

START_TEST(only_a_regular_file_below_the_directory_is_opened)
{
	struct index *index = NULL;
	struct error err = { 0 };

	others[_i].make();
	ck_assert_msg(index_open(&index, dirfd_, others[_i].path, INDEX_DYNAMIC, &err) ==
			      others[_i].want,
		      "%s: %s", others[_i].path, err.text);
}
END_TEST

/* A terabyte of nothing: with the number of entries that its size declares, memory would end. */
START_TEST(a_declared_size_allocates_nothing)
{
	static const off_t declared[] = { (off_t)1 << 40, 4096 + (off_t)40 * (32 << 20) };
	struct buffer b;
	struct digest checksum;
	struct index *index = NULL;
	struct rusage before, after;

	b = hello_world(0, &checksum);
	buffer_release(&b);
	getrusage(RUSAGE_SELF, &before);
	for (size_t i = 0; i < COUNT(declared); i++) {
		CLEANUP(closep) int fd = openat(dirfd_, "a.didx", O_RDWR);

		ck_assert_int_eq(ftruncate(fd, declared[i]), 0);
		ck_assert_int_eq(index_open(&index, dirfd_, "a.didx", INDEX_DYNAMIC, NULL),
				 -EUCLEAN);
	}
	getrusage(RUSAGE_SELF, &after);
	ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss,
			 256 << 10); /* a sanitizer has its share */
}
END_TEST

static bool exists(const char *name)
{
	struct stat st;

	return fstatat(dirfd_, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

START_TEST(an_index_has_its_name_only_when_it_is_finished)
{
	struct index_writer *w;
	struct digest d = numbered(1);
	uint64_t size;

	for (int finished = 0; finished < 2; finished++) {
		ck_assert_int_eq(index_writer_new(&w, dirfd_, "a.didx", 0, &label, NULL), 0);
		ck_assert_int_eq(index_writer_add(w, 1, &d, NULL), 0);
		ck_assert(exists("a.tmp_didx") && !exists("a.didx"));
		if (finished)
			ck_assert_int_eq(index_writer_finish(w, &d, &size, NULL), 0);
		index_writer_free(w);
		ck_assert(!exists("a.tmp_didx") && exists("a.didx") == finished);
	}
}
END_TEST

START_TEST(a_temporary_file_left_behind_is_overwritten)
{
	CLEANUP(closep) int fd = openat(dirfd_, "a.tmp_didx", O_WRONLY | O_CREAT, 0644);
	CLEANUP(index_freep) struct index *index = NULL;
	CLEANUP(freep) uint32_t *lens = calloc(3, sizeof(*lens));

	ck_assert_int_eq(ftruncate(fd, 100000), 0);
	index = write_and_open(3, 0, lens);
}
END_TEST

START_TEST(a_writer_refuses_what_a_reader_would)
{
	struct index_writer *w;
	struct digest d = numbered(1);

	ck_assert_int_eq(index_writer_new(&w, dirfd_, "a.didx", 4096, &label, NULL), -EINVAL);
	ck_assert_int_eq(index_writer_new(&w, dirfd_, "a.fidx", 0, &label, NULL), -EINVAL);
	ck_assert_int_eq(index_writer_new(&w, dirfd_, ".didx", 0, &label, NULL), -EINVAL);
	ck_assert_int_eq(index_writer_new(&w, dirfd_, "a.fidx", 5000, &label, NULL), -EINVAL);
	ck_assert_int_eq(index_writer_new(&w, dirfd_, "a.didx", 0, &label, NULL), 0);
	ck_assert_int_eq(index_writer_add(w, 0, &d, NULL), -EINVAL);
	ck_assert_int_eq(index_writer_add(w, MAX + 1, &d, NULL), -EINVAL);
	ck_assert_int_eq(index_writer_add(w, MAX, &d, NULL), 0);
	index_writer_free(w);
	ck_assert_int_eq(index_writer_new(&w, dirfd_, "a.fidx", 4096, &label, NULL), 0);
	ck_assert_int_eq(index_writer_add(w, 4097, &d, NULL), -EINVAL);
	ck_assert_int_eq(index_writer_add(w, 4095, &d, NULL), 0);
	ck_assert_int_eq(index_writer_add(w, 4096, &d, NULL), -EINVAL); /* after the last */
	index_writer_free(w);
	index_writer_free(NULL);
	index_free(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("index");
	TCase *tc = tcase_create("index");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, what_was_written_is_found_by_offset_and_by_number, 0,
			    COUNT(shapes));
	tcase_add_test(tc, checksums_are_those_of_the_format);
	tcase_add_loop_test(tc, every_prefix_is_refused, 0, COUNT(sizes));
	tcase_add_loop_test(tc, every_flipped_bit_is_noticed, 0, COUNT(sizes));
	tcase_add_loop_test(tc, ends_ascend_in_steps_of_a_chunk, 0, COUNT(ends));
	tcase_add_loop_test(tc, an_image_has_as_many_chunks_as_it_needs, 0, COUNT(images));
	tcase_add_test(tc, a_slot_that_was_never_written_is_refused);
	tcase_add_test(tc, an_image_of_nothing_has_no_chunks);
	tcase_add_loop_test(tc, the_other_kind_is_named, 0, COUNT(sizes));
	tcase_add_loop_test(tc, only_a_regular_file_below_the_directory_is_opened, 0,
			    COUNT(others));
	tcase_add_test(tc, a_declared_size_allocates_nothing);
	tcase_add_test(tc, an_index_has_its_name_only_when_it_is_finished);
	tcase_add_test(tc, a_temporary_file_left_behind_is_overwritten);
	tcase_add_test(tc, a_writer_refuses_what_a_reader_would);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
