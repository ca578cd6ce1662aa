#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chunkcache/file.h"
#include "core/cleanup.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char dir[] = "/tmp/test-file-XXXXXX";
static int base = -1;

static void setup(void)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	base = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(mkdirat(base, "sub", 0755), 0);
	ck_assert_int_eq(file_replace(base, "a", "hello", 5, false, NULL), 0);
	ck_assert_int_eq(symlinkat("a", base, "link"), 0);
	ck_assert_int_eq(mkfifoat(base, "fifo", 0600), 0);
}

static void teardown(void)
{
	static const char *const names[] = { "a", "link", "fifo", "b" };

	for (size_t i = 0; i < COUNT(names); i++)
		unlinkat(base, names[i], 0);
	unlinkat(base, "sub", AT_REMOVEDIR);
	close(base);
	ck_assert_msg(rmdir(dir) == 0, "%s was left with files in it", dir);
}

static const struct {
	const char *path;
	int want;
} paths[] = {
	{ "a", 0 },	      { "none", -ENOENT },	 { "link", -ELOOP },
	{ "fifo", -EUCLEAN }, { "sub", -EUCLEAN },	 { "sub/none", -ENOENT },
	{ "../x", -EXDEV },   { "/etc/passwd", -EXDEV }, { "a/b", -ENOTDIR },
};

START_TEST(only_regular_files_below_are_opened)
{
	struct error err = { 0 };
	struct stat st;
	int fd = -1;

	ck_assert_msg(file_open_regular(&fd, base, paths[_i].path, &st, &err) == paths[_i].want,
		      "%s: %s", paths[_i].path, err.text);
	ck_assert((fd >= 0) == (paths[_i].want == 0));
	ck_assert(fd < 0 || (fcntl(fd, F_GETFD) & FD_CLOEXEC));
	ck_assert(fd >= 0 || strstr(err.text, paths[_i].path));
	closep(&fd);
}
END_TEST

static int open_a(void)
{
	struct stat st;
	int fd;

	ck_assert_int_eq(file_open_regular(&fd, base, "a", &st, NULL), 0);
	ck_assert_int_eq(st.st_size, 5);
	return fd;
}

START_TEST(a_file_is_read_whole_or_not)
{
	CLEANUP(buffer_release) struct buffer b = { 0 };
	CLEANUP(closep) int fd = open_a();
	struct error err = { 0 };

	buffer_add(&b, "what it held", 12);
	ck_assert_int_eq(file_read(fd, 5, 5, &b, NULL), 0);
	ck_assert_uint_eq(b.len, 5);
	ck_assert_mem_eq(b.bytes, "hello", 5);
	ck_assert_int_eq(file_read(fd, 5, 4, &b, &err), -EUCLEAN);
	ck_assert_str_eq(err.text, "5 bytes, where at most 4 are allowed");
	ck_assert_int_eq(file_read(fd, 6, 10, &b, &err), -EIO); /* it got shorter */
	ck_assert_str_eq(err.text, "the file ends at 5, before 6");
	ck_assert_uint_eq(b.len, 0);
}
END_TEST

START_TEST(a_buffer_is_used_again_where_it_is_large_enough)
{
	CLEANUP(buffer_release) struct buffer b = { 0 };
	CLEANUP(closep) int fd = open_a();
	const uint8_t *bytes;

	buffer_add(&b, "12345678", 8);
	bytes = b.bytes;
	ck_assert_int_eq(file_read(fd, 5, 5, &b, NULL), 0);
	ck_assert_ptr_eq(b.bytes, bytes);
}
END_TEST

START_TEST(a_file_is_replaced_at_once)
{
	CLEANUP(buffer_release) struct buffer b = { 0 };
	CLEANUP(closep) int old = open_a(), now = -1;
	struct stat st;

	ck_assert_int_eq(file_replace(base, "a", "world!", 6, true, NULL), 0);
	ck_assert_int_eq(file_read(old, 5, 5, &b, NULL), 0); /* whoever reads it reads on */
	ck_assert_mem_eq(b.bytes, "hello", 5);
	ck_assert_int_eq(file_open_regular(&now, base, "a", &st, NULL), 0);
	ck_assert_int_eq(file_read(now, (uint64_t)st.st_size, 6, &b, NULL), 0);
	ck_assert_mem_eq(b.bytes, "world!", 6);
}
END_TEST

START_TEST(a_link_is_replaced_and_not_followed)
{
	CLEANUP(closep) int a = open_a();
	struct stat st;

	ck_assert_int_eq(file_replace(base, "link", "x", 1, false, NULL), 0);
	ck_assert_int_eq(fstatat(base, "link", &st, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert(S_ISREG(st.st_mode));
	ck_assert_int_eq(fstat(a, &st), 0);
	ck_assert_int_eq(st.st_size, 5);
}
END_TEST

/* The fixture finds nothing left behind. */
START_TEST(what_cannot_be_replaced_leaves_nothing_behind)
{
	struct error err = { 0 };

	ck_assert_int_eq(file_replace(base, "sub", "x", 1, false, &err), -EISDIR);
	ck_assert_int_eq(file_rename(base, "none", "b", false, &err), -ENOENT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("file");
	TCase *tc = tcase_create("file");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, only_regular_files_below_are_opened, 0, COUNT(paths));
	tcase_add_test(tc, a_file_is_read_whole_or_not);
	tcase_add_test(tc, a_buffer_is_used_again_where_it_is_large_enough);
	tcase_add_test(tc, a_file_is_replaced_at_once);
	tcase_add_test(tc, a_link_is_replaced_and_not_followed);
	tcase_add_test(tc, what_cannot_be_replaced_leaves_nothing_behind);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
