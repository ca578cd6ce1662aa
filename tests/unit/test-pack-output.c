#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/pack-output.h"

static char dir[64], path[128];

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/test-pack-output.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/out", dir);
}

static void teardown(void)
{
	unlink(path);
	ck_assert_int_eq(rmdir(dir), 0); /* nothing else is left */
}

static unsigned files(void)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void check_content(const char *want)
{
	char text[32] = "";
	FILE *f = fopen(path, "r");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fread(text, 1, sizeof(text) - 1, f), strlen(want));
	fclose(f);
	ck_assert_str_eq(text, want);
}

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	fputs(text, f);
	fclose(f);
}

START_TEST(a_file_has_its_name_only_when_published)
{
	CLEANUP(output_release) struct output o = OUTPUT_CLOSED;

	ck_assert_int_eq(output_open(&o, path, false, NULL), 0);
	ck_assert_int_eq(o.sink.write(&o.sink, "hello", 5, NULL), 0);
	ck_assert_int_eq(access(path, F_OK), -1);
	ck_assert_uint_eq(files(), 1);
	ck_assert_int_eq(output_sync(&o, NULL), 0);
	ck_assert_int_eq(output_publish(&o, NULL), 0);
	ck_assert_uint_eq(files(), 1);
	check_content("hello");
}
END_TEST

START_TEST(what_is_not_published_leaves_nothing)
{
	CLEANUP(output_release) struct output o = OUTPUT_CLOSED;

	ck_assert_int_eq(output_open(&o, path, false, NULL), 0);
	ck_assert_int_eq(o.sink.write(&o.sink, "hello", 5, NULL), 0);
	ck_assert_int_eq(output_sync(&o, NULL), 0);
}
END_TEST

START_TEST(a_published_file_can_be_taken_back)
{
	CLEANUP(output_release) struct output o = OUTPUT_CLOSED;

	ck_assert_int_eq(output_open(&o, path, false, NULL), 0);
	output_unpublish(&o);
	ck_assert_int_eq(output_publish(&o, NULL), 0);
	ck_assert_uint_eq(files(), 1);
	output_unpublish(&o);
	ck_assert_uint_eq(files(), 0);
}
END_TEST

START_TEST(a_file_that_appears_meanwhile_is_not_replaced)
{
	CLEANUP(output_release) struct output o = OUTPUT_CLOSED;

	ck_assert_int_eq(output_open(&o, path, false, NULL), 0);
	write_file("theirs");
	ck_assert_int_eq(output_publish(&o, NULL), -EEXIST);
	check_content("theirs");
}
END_TEST

START_TEST(a_file_is_replaced_by_force_alone)
{
	CLEANUP(output_release) struct output refused = OUTPUT_CLOSED, forced = OUTPUT_CLOSED;
	struct output_id ids[2];

	write_file("theirs");
	ck_assert_int_eq(output_open(&refused, path, false, NULL), -EEXIST);
	ck_assert_int_eq(output_open(&forced, path, true, NULL), 0);
	ck_assert_uint_eq(output_ids(&forced, ids), 2);
	ck_assert(ids[0].ino != ids[1].ino);
	ck_assert_int_eq(forced.sink.write(&forced.sink, "ours", 4, NULL), 0);
	ck_assert_int_eq(output_sync(&forced, NULL), 0);
	check_content("theirs");
	ck_assert_int_eq(output_publish(&forced, NULL), 0);
	check_content("ours");
}
END_TEST

START_TEST(writes_of_all_sizes_arrive_in_order)
{
	static const size_t sizes[] = { 1, 1 << 20, 5, (1 << 20) - 1, 3 << 20, 7 };
	CLEANUP(output_release) struct output o = OUTPUT_CLOSED;
	char *bytes = malloc(3 << 20), *got = malloc(7 << 20);
	size_t total = 0;
	int fd;

	ck_assert_int_eq(output_open(&o, path, false, NULL), 0);
	for (size_t i = 0; i < 6; i++) {
		memset(bytes, 'a' + (int)i, sizes[i]);
		ck_assert_int_eq(o.sink.write(&o.sink, bytes, sizes[i], NULL), 0);
		total += sizes[i];
	}
	ck_assert_int_eq(output_sync(&o, NULL), 0);
	ck_assert_int_eq(output_publish(&o, NULL), 0);
	fd = open(path, O_RDONLY);
	ck_assert_int_eq(read(fd, got, 7 << 20), (ssize_t)total);
	close(fd);
	total = 0;
	for (size_t i = 0; i < 6; i++) {
		ck_assert_int_eq(got[total], 'a' + (int)i);
		total += sizes[i];
		ck_assert_int_eq(got[total - 1], 'a' + (int)i);
	}
	free(bytes);
	free(got);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pack-output");
	TCase *tc = tcase_create("pack-output");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_file_has_its_name_only_when_published);
	tcase_add_test(tc, what_is_not_published_leaves_nothing);
	tcase_add_test(tc, a_published_file_can_be_taken_back);
	tcase_add_test(tc, a_file_that_appears_meanwhile_is_not_replaced);
	tcase_add_test(tc, a_file_is_replaced_by_force_alone);
	tcase_add_test(tc, writes_of_all_sizes_arrive_in_order);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
