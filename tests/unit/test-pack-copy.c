#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/pack-copy.h"

enum { LARGE = 3 * (1 << 20) + 17 };

/* What the encoder wrote; the file's data begins behind its header. */
struct memory {
	struct sink sink;
	struct buffer b;
};

static int memory_write(struct sink *sink, const void *bytes, size_t n, struct error *err)
{
	struct memory *m = (struct memory *)sink;

	buffer_add(&m->b, bytes, n);
	return buffer_finish(&m->b, err);
}

static struct memory out;
static struct encoder *encoder;
static struct copy copy;
static size_t data; /* where it begins in out */
static int fd;

static void setup(void)
{
	struct encoder_meta root = { .stat.mode = 040755 };

	out = (struct memory){ .sink.write = memory_write };
	copy = (struct copy){ 0 };
	encoder = NULL;
	ck_assert_int_eq(copy_init(&copy, NULL), 0);
	ck_assert_int_eq(encoder_open(&encoder, &out.sink, NULL, NULL, 0, &root, NULL), 0);
	fd = memfd_create("test", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
}

static void teardown(void)
{
	close(fd);
	encoder_free(encoder);
	copy_release(&copy);
	buffer_release(&out.b);
}

static uint8_t pattern[LARGE];

static void fill(size_t n)
{
	for (size_t i = 0; i < n; i++)
		pattern[i] = (uint8_t) "abcdefg"[i % 7];
	ck_assert_int_eq(pwrite(fd, pattern, n, 0), (ssize_t)n);
}

/* Copies what fd has into a file that was announced with this size. */
static int run(uint64_t size, bool sparse, struct error *err)
{
	struct encoder_meta m = { .stat.mode = 0100644 };
	int r = copy_begin(&copy, fd, size, sparse, err);

	if (r < 0)
		return r;
	ck_assert_int_eq(encoder_begin_file(encoder, "f", &m, size, NULL, NULL), 0);
	data = out.b.len;
	r = copy_run(&copy, encoder, err);
	if (r >= 0)
		ck_assert_int_eq(encoder_end_file(encoder, NULL), 0);
	return r;
}

static void check_data(size_t n, size_t zeros)
{
	const uint8_t *bytes = out.b.bytes + data;
	size_t i = n;

	ck_assert_uint_eq(out.b.len - data, n + zeros);
	ck_assert(!n || memcmp(bytes, pattern, n) == 0);
	while (i < n + zeros && !bytes[i])
		i++;
	ck_assert_uint_eq(i, n + zeros);
}

static const size_t sizes[] = { 0, 1, 5000, 1 << 20, (1 << 20) + 1, LARGE };

START_TEST(content_arrives_whole)
{
	size_t n = sizes[_i / 2];

	fill(n);
	ck_assert_int_eq(run(n, _i % 2, NULL), COPY_WHOLE);
	check_data(n, 0);
}
END_TEST

START_TEST(a_file_that_shrank_is_filled_with_zeros)
{
	fill(1000);
	ck_assert_int_eq(run(LARGE, _i, NULL), COPY_SHRANK);
	check_data(1000, LARGE - 1000);
}
END_TEST

START_TEST(a_file_that_shrank_to_nothing_is_filled_with_zeros)
{
	ck_assert_int_eq(run(5, _i, NULL), COPY_SHRANK);
	check_data(0, 5);
}
END_TEST

START_TEST(a_file_that_grew_is_cut)
{
	fill(1000);
	ck_assert_int_eq(run(900, _i, NULL), COPY_GREW);
	check_data(900, 0);
}
END_TEST

START_TEST(holes_are_zeros)
{
	fill(1000);
	ck_assert_int_eq(ftruncate(fd, LARGE), 0);
	ck_assert_int_eq(pwrite(fd, "x", 1, 2000000), 1);
	ck_assert_int_eq(run(LARGE, _i, NULL), COPY_WHOLE);
	ck_assert_uint_eq(out.b.bytes[data + 2000000], 'x');
	out.b.bytes[data + 2000000] = 0;
	check_data(1000, LARGE - 1000);
}
END_TEST

START_TEST(what_cannot_be_read_at_all_is_known_before)
{
	struct error err = { 0 };

	close(fd);
	fd = open("/", O_RDONLY | O_DIRECTORY);
	ck_assert_int_eq(run(10, false, &err), -EISDIR);
	ck_assert_str_eq(err.text, "read: Is a directory");
}
END_TEST

START_TEST(what_cannot_be_read_further_on_is_zeros)
{
	struct encoder_meta m = { .stat.mode = 0100644 };
	struct error err = { 0 };
	int dir;

	fill(1000);
	ck_assert_int_eq(copy_begin(&copy, fd, 3000, false, NULL), 0);
	ck_assert_int_eq(encoder_begin_file(encoder, "f", &m, 3000, NULL, NULL), 0);
	data = out.b.len;
	dir = open("/", O_RDONLY | O_DIRECTORY);
	ck_assert_int_eq(dup2(dir, fd), fd);
	close(dir);
	ck_assert_int_eq(copy_run(&copy, encoder, &err), COPY_DAMAGED);
	ck_assert_str_eq(err.text, "read at 1000: Is a directory");
	ck_assert_int_eq(encoder_end_file(encoder, NULL), 0);
	check_data(1000, 2000);
}
END_TEST

static bool stop_at_once(void *arg, size_t n)
{
	*(size_t *)arg += n;
	return false;
}

START_TEST(copying_can_be_stopped)
{
	struct error err = { 0 };
	size_t seen = 0;

	copy.tick = stop_at_once;
	copy.arg = &seen;
	ck_assert_int_eq(run(LARGE, _i, &err), -EINTR);
	ck_assert_uint_eq(seen, 1 << 20);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pack-copy");
	TCase *tc = tcase_create("pack-copy");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	/* Loops over two: with and without looking for holes. */
	tcase_add_loop_test(tc, content_arrives_whole, 0, 12);
	tcase_add_loop_test(tc, a_file_that_shrank_is_filled_with_zeros, 0, 2);
	tcase_add_loop_test(tc, a_file_that_shrank_to_nothing_is_filled_with_zeros, 0, 2);
	tcase_add_loop_test(tc, a_file_that_grew_is_cut, 0, 2);
	tcase_add_loop_test(tc, holes_are_zeros, 0, 2);
	tcase_add_test(tc, what_cannot_be_read_at_all_is_known_before);
	tcase_add_test(tc, what_cannot_be_read_further_on_is_zeros);
	tcase_add_loop_test(tc, copying_can_be_stopped, 0, 2);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
