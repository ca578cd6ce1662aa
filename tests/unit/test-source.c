#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <linux/magic.h>

#include "core/source.h"

static const struct io waiting = { .may_wait = true }, inline_only = { .may_wait = false };

enum { SIZE = 100000 };

static char dir[] = "/var/tmp/test-source-XXXXXX"; /* not a tmpfs, where the machine has a choice */
static char path[64], other[64];

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 7 + i / 251);
}

static void write_file(const char *name, size_t n)
{
	FILE *f = fopen(name, "wb");

	ck_assert_ptr_nonnull(f);
	for (size_t i = 0; i < n; i++)
		fputc(byte_at(i), f);
	ck_assert_int_eq(fclose(f), 0);
}

static void setup(void)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/file", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
	write_file(path, SIZE);
}

static void teardown(void)
{
	unlink(path);
	unlink(other);
	rmdir(dir);
}

static struct source *open_file(void)
{
	struct source *source;

	ck_assert_int_eq(source_open_file(&source, path, NULL), 0);
	return source;
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void check_reads(struct source *source)
{
	uint8_t buf[5000];

	ck_assert_uint_eq(source->size, SIZE);
	for (size_t n = 1; n < sizeof(buf); n += 613) {
		for (size_t at = 0; at + n <= SIZE; at += 9973) {
			ck_assert_int_eq(source_read(source, &waiting, at, buf, n, NULL), 0);
			for (size_t i = 0; i < n; i++)
				ck_assert_uint_eq(buf[i], byte_at(at + i));
		}
	}
}

START_TEST(a_file_reads_as_it_is)
{
	CLEANUP(source_freep) struct source *source = open_file();

	check_reads(source);
}
END_TEST

START_TEST(memory_reads_as_it_is)
{
	CLEANUP(freep) uint8_t *bytes = malloc(SIZE);
	CLEANUP(source_freep) struct source *source = NULL;

	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = byte_at(i);
	ck_assert_int_eq(source_new_memory(&source, bytes, SIZE, NULL), 0);
	check_reads(source);
	source_expect(source, 0, SIZE); /* a hint that memory has no use for */
}
END_TEST

static const struct {
	uint64_t offset;
	size_t n;
	int want;
} ends[] = {
	{ SIZE, 0, 0 },
	{ SIZE - 1, 1, 0 },
	{ 0, 0, 0 },
	{ SIZE - 1, 2, -EIO },
	{ SIZE, 1, -EIO },
	{ SIZE + 1, 0, -EIO },
	{ UINT64_MAX, 1, -EIO },
	{ UINT64_MAX, 0, -EIO },
	{ 1, SIZE_MAX, -EIO },
	{ 0, SIZE + 1, -EIO },
	{ (uint64_t)INT64_MAX + 1, 1, -EIO },
};

START_TEST(nothing_is_read_past_the_end)
{
	CLEANUP(source_freep) struct source *source = open_file();
	uint8_t buf[2];

	ck_assert_int_eq(source_read(source, &waiting, ends[_i].offset, buf, ends[_i].n, NULL),
			 ends[_i].want);
}
END_TEST

/* What such a reader gets is either right or "would wait". */
START_TEST(a_reader_that_may_not_wait_gets_1_or_all)
{
	CLEANUP(source_freep) struct source *source = open_file();
	uint8_t buf[SIZE];
	int r, fd = open(path, O_RDONLY | O_CLOEXEC);

	r = source_read(source, &inline_only, 0, buf, SIZE, NULL);
	ck_assert(r == 0 || r == 1);
	ck_assert_int_eq(source_read(source, &waiting, 0, buf, SIZE, NULL), 0);
	memset(buf, 0, SIZE);
	r = source_read(source, &inline_only, 0, buf, SIZE, NULL);
	ck_assert(r == 0 || r == 1);
	for (size_t i = 0; r == 0 && i < SIZE; i++)
		ck_assert_uint_eq(buf[i], byte_at(i));
	/* Out of the page cache: a file system that has RWF_NOWAIT says so, others may read. */
	ck_assert_int_eq(fdatasync(fd), 0);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	r = source_read(source, &inline_only, SIZE / 2, buf, 4096, NULL);
	ck_assert(r == 0 || r == 1);
	close(fd);
}
END_TEST

START_TEST(a_file_in_memory_never_makes_a_reader_wait)
{
	char name[] = "/dev/shm/test-source-XXXXXX";
	CLEANUP(source_freep) struct source *source = NULL;
	CLEANUP(closep) int fd = -1;
	struct statfs fs;
	uint8_t buf[10];

	if (statfs("/dev/shm", &fs) < 0 || fs.f_type != TMPFS_MAGIC)
		return;
	fd = mkstemp(name);
	if (fd < 0)
		return;
	unlink(name);
	ck_assert_int_eq(ftruncate(fd, 10), 0);
	snprintf(name, sizeof(name), "/dev/fd/%d", fd);
	ck_assert_int_eq(source_open_file(&source, name, NULL), 0);
	ck_assert_int_eq(source_read(source, &inline_only, 0, buf, 10, NULL), 0);
}
END_TEST

static void check_refused(const char *name, int want)
{
	struct source *source = NULL;
	struct error err = { 0 };
	int before = count_fds();

	ck_assert_int_eq(source_open_file(&source, name, &err), want);
	ck_assert_ptr_null(source);
	ck_assert_int_eq(err.code, want);
	ck_assert_msg(strstr(err.text, name), "%s", err.text);
	ck_assert_int_eq(count_fds(), before);
}

START_TEST(only_regular_files_are_opened)
{
	struct timespec start, end;

	ck_assert_int_eq(mkfifo(other, 0600), 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	check_refused(other, -EINVAL); /* has no writer: a plain open would block for ever */
	clock_gettime(CLOCK_MONOTONIC, &end);
	ck_assert_int_lt(end.tv_sec - start.tv_sec, 2);
	check_refused("/dev/null", -EINVAL);
	check_refused(dir, -EISDIR);
	unlink(other);
	check_refused(other, -ENOENT);
	ck_assert_int_eq(symlink(other, other), 0);
	check_refused(other, -ELOOP);
}
END_TEST

START_TEST(an_empty_file_is_a_source_without_bytes)
{
	struct source *source;
	uint8_t buf;

	write_file(other, 0);
	ck_assert_int_eq(source_open_file(&source, other, NULL), 0);
	ck_assert_uint_eq(source->size, 0);
	ck_assert_int_eq(source_read(source, &waiting, 0, &buf, 1, NULL), -EIO);
	source_free(source);
}
END_TEST

static void grow(void)
{
	ck_assert_int_eq(truncate(path, SIZE + 1), 0);
}

static void cut(void)
{
	ck_assert_int_eq(truncate(path, SIZE / 2), 0);
}

static void touch(void)
{
	struct timespec times[2] = { { 1, 1 }, { 1, 1 } };

	ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void (*const changes[])(void) = { grow, cut, touch };

START_TEST(after_a_change_every_read_fails)
{
	CLEANUP(source_freep) struct source *source = open_file();
	struct error err = { 0 };
	struct timespec times[2];
	uint8_t buf[100];
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(source_read(source, &waiting, 0, buf, sizeof(buf), NULL), 0);
	changes[_i]();
	ck_assert_int_eq(source_read(source, &waiting, 0, buf, sizeof(buf), &err), -EIO);
	ck_assert_msg(strstr(err.text, "changed"), "%s", err.text);
	ck_assert_int_ne(source_read(source, &inline_only, 0, buf, sizeof(buf), NULL), 0);
	/* Looking as before is no way back. */
	ck_assert_int_eq(truncate(path, SIZE), 0);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
	ck_assert_int_eq(source_read(source, &waiting, 0, buf, sizeof(buf), NULL), -EIO);
}
END_TEST

START_TEST(the_lost_part_of_a_cut_file_is_an_error_and_not_zeros)
{
	CLEANUP(source_freep) struct source *source = open_file();
	uint8_t buf[100];

	cut();
	ck_assert_int_eq(source_read(source, &waiting, SIZE - 100, buf, sizeof(buf), NULL), -EIO);
	ck_assert_int_eq(source_read(source, &waiting, SIZE / 2 - 50, buf, sizeof(buf), NULL),
			 -EIO);
}
END_TEST

START_TEST(renaming_linking_and_unlinking_change_nothing)
{
	CLEANUP(source_freep) struct source *source = open_file();

	ck_assert_int_eq(chmod(path, 0400), 0);
	check_reads(source);
	ck_assert_int_eq(rename(path, other), 0);
	write_file(path, 10);
	check_reads(source);
	unlink(other);
	check_reads(source);
}
END_TEST

START_TEST(a_source_leaves_no_descriptor_behind)
{
	int before = count_fds();
	struct source *source = open_file();

	ck_assert_int_eq(count_fds(), before + 1);
	source_expect(source, 0, SIZE);
	source_free(source);
	ck_assert_int_eq(count_fds(), before);
	source_free(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("source");
	TCase *tc = tcase_create("source");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_file_reads_as_it_is);
	tcase_add_test(tc, memory_reads_as_it_is);
	tcase_add_loop_test(tc, nothing_is_read_past_the_end, 0, sizeof(ends) / sizeof(ends[0]));
	tcase_add_test(tc, a_reader_that_may_not_wait_gets_1_or_all);
	tcase_add_test(tc, a_file_in_memory_never_makes_a_reader_wait);
	tcase_add_test(tc, only_regular_files_are_opened);
	tcase_add_test(tc, an_empty_file_is_a_source_without_bytes);
	tcase_add_loop_test(tc, after_a_change_every_read_fails, 0,
			    sizeof(changes) / sizeof(changes[0]));
	tcase_add_test(tc, the_lost_part_of_a_cut_file_is_an_error_and_not_zeros);
	tcase_add_test(tc, renaming_linking_and_unlinking_change_nothing);
	tcase_add_test(tc, a_source_leaves_no_descriptor_behind);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
