/* Listings: readdir and readdirplus. */
#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "tests/unit/mounted.h"

enum { ROOT = 1, CACHE = 1 << 20, LINES = 64, WHOLE = 65536, FILES = 40 };

static struct packed tree;
static uint64_t first, dir, sub;

/* Names of many lengths, 1 to 255 bytes, in no order. */
static void put_files(struct packed *p)
{
	char name[256];

	for (int i = 0; i < FILES; i++) {
		size_t n = 1 + (size_t)i * 254 / (FILES - 1);

		memset(name, 'a' + (i * 7) % 26, n);
		name[n] = '\0';
		if (i == 0)
			first = packed_file(p, name, "first");
		else
			packed_file(p, name, "");
	}
}

static void setup(void)
{
	packed_begin(&tree, false);
	put_files(&tree);
	packed_dir(&tree, "dir");
	packed_hardlink(&tree, "link", first, "a");
	packed_dir(&tree, "sub");
	sub = packed_end_dir(&tree);
	dir = packed_end_dir(&tree);
	packed_symlink(&tree, "symlink", "a");
	packed_finish(&tree);
}

static void teardown(void)
{
	packed_release(&tree);
}

static int list_root(struct mounted *m, bool plus, struct listing_line *lines)
{
	int n = mounted_list(m, ROOT, plus, 0, WHOLE, lines, LINES);

	ck_assert_int_eq(n, 2 + FILES + 2);
	return n;
}

/* _i: readdirplus */
START_TEST(a_listing_has_each_entry_once_in_the_order_of_the_archive)
{
	struct listing_line lines[LINES];
	struct mounted m;
	struct stat st;

	mounted_open(&m, &tree, CACHE, true);
	list_root(&m, _i, lines);
	ck_assert_str_eq(lines[0].name, ".");
	ck_assert_str_eq(lines[1].name, "..");
	for (int i = 2; i < 2 + FILES + 2; i++) {
		ck_assert_int_eq(mounted_lookup(&m, ROOT, lines[i].name, &st), 0);
		ck_assert_uint_eq(st.st_ino, lines[i].ino);
		ck_assert_uint_eq(lines[i].type, IFTODT(st.st_mode));
		ck_assert(!_i || (lines[i].nodeid == st.st_ino && lines[i].attr_ino == st.st_ino &&
				  lines[i].mode == st.st_mode && lines[i].nlink == st.st_nlink &&
				  lines[i].size == (uint64_t)st.st_size));
		if (lines[i].ino != dir) /* whose number is where it ends */
			ck_assert(lines[i - 1].ino < lines[i].ino || i == 2 ||
				  lines[i - 1].ino == dir);
	}
	mounted_close(&m);
}
END_TEST

START_TEST(a_listing_goes_on_anywhere_in_pieces_of_any_size)
{
	struct listing_line whole[LINES], lines[LINES];
	struct mounted m;
	int n, all;

	mounted_open(&m, &tree, CACHE, true);
	all = list_root(&m, _i, whole);
	for (size_t size = 440; size < 2000; size += 39)
		for (int from = 0; from <= all + 1; from++) {
			n = mounted_list(&m, ROOT, _i, (uint64_t)from, size, lines, LINES);
			ck_assert_int_eq(n, from < all ? all - from : 0);
			ck_assert(!n || !memcmp(lines, whole + from, (size_t)n * sizeof(*lines)));
		}
	ck_assert_int_eq(mounted_list(&m, ROOT, _i, UINT64_MAX, WHOLE, lines, LINES), 0);
	ck_assert_int_eq(mounted_list(&m, ROOT, _i, INT64_MAX, WHOLE, lines, LINES), 0);
	mounted_close(&m);
}
END_TEST

/* An empty reply would end the listing: what comes behind would be lost in silence. */
START_TEST(a_buffer_that_holds_no_entry_is_refused)
{
	struct listing_line lines[LINES];
	size_t fits = _i ? 160 : 32; /* "." */
	struct mounted m;
	int n;

	mounted_open(&m, &tree, CACHE, true);
	for (size_t size = 0; size < 440; size++) {
		n = mounted_list(&m, ROOT, _i, 0, size, lines, LINES);
		ck_assert(n == -EINVAL || n == 2 + FILES + 2);
		n = mounted_list(&m, sub, _i, 0, size, lines, LINES);
		ck_assert_int_eq(n, size < fits ? -EINVAL : 2);
	}
	mounted_close(&m);
}
END_TEST

START_TEST(two_readers_do_not_disturb_each_other)
{
	struct listing_line whole[LINES], lines[LINES];
	struct mounted m;
	uint64_t at = 0;
	int n, all;

	mounted_open(&m, &tree, 1, true); /* each reader's directory pushes out the other's */
	all = list_root(&m, _i, whole);
	for (int i = 0; i < all; i++) {
		struct request rq = { .number = ROOT, .offset = at, .size = 440 };
		struct answer a = mounted_ask(&m, _i ? ops_readdirplus : ops_readdir, &rq, true);
		const char *bytes = a.reply.data;
		size_t left = a.reply.len;

		ck_assert_int_eq(a.r, 0);
		ck_assert_int_eq(listing_next(&bytes, &left, _i, &lines[i]), 1);
		at = lines[i].next;
		answer_release(&a);
		n = mounted_list(&m, dir, _i, (uint64_t)i % 3, 440, lines + all,
				 LINES - (size_t)all);
		ck_assert_int_eq(n, 4 - i % 3);
	}
	ck_assert(!memcmp(lines, whole, (size_t)all * sizeof(*whole)));
	mounted_close(&m);
}
END_TEST

START_TEST(dot_and_dot_dot_have_the_numbers_of_what_they_are)
{
	const uint64_t want[][3] = { { ROOT, ROOT, ROOT }, { dir, dir, ROOT }, { sub, sub, dir } };
	struct listing_line lines[LINES];
	struct mounted m;

	mounted_open(&m, &tree, CACHE, true);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_ge(mounted_list(&m, want[i][0], _i, 0, WHOLE, lines, LINES), 2);
		for (size_t j = 0; j < 2; j++) {
			ck_assert_uint_eq(lines[j].ino, want[i][1 + j]);
			ck_assert_uint_eq(lines[j].type, DT_DIR);
			ck_assert_uint_eq(lines[j].nodeid, 0);
		}
	}
	mounted_close(&m);
}
END_TEST

START_TEST(a_hardlink_is_listed_as_its_target)
{
	struct listing_line lines[LINES];
	const struct listing_line *link;
	struct mounted m;
	struct stat st;
	int n;

	mounted_open(&m, &tree, CACHE, true);
	n = mounted_list(&m, dir, _i, 0, WHOLE, lines, LINES);
	link = mounted_line(lines, n, "link");
	ck_assert_ptr_nonnull(link);
	ck_assert_uint_eq(link->ino, packed_number(first, "a"));
	ck_assert_uint_eq(link->type, DT_REG);
	ck_assert(!_i || (link->nodeid == link->ino && link->nlink == 2 && link->size == 5));
	ck_assert_int_eq(mounted_lookup(&m, dir, "link", &st), 0);
	ck_assert(st.st_ino == link->ino && st.st_nlink == 2);
	mounted_close(&m);
}
END_TEST

START_TEST(a_damaged_entry_is_listed_by_name_alone)
{
	struct listing_line lines[LINES];
	const struct listing_line *bad;
	struct mounted m;
	struct stat st;
	int n;

	packed_damage(&tree, first, "a");
	mounted_open(&m, &tree, CACHE, true);
	n = list_root(&m, _i, lines);
	bad = mounted_line(lines, n, "a");
	ck_assert_ptr_nonnull(bad);
	ck_assert(bad->ino != 0 && bad->type == DT_UNKNOWN && bad->nodeid == 0);
	for (int i = 2; i < n; i++)
		ck_assert(&lines[i] == bad || !_i || lines[i].nodeid);
	ck_assert_int_eq(mounted_lookup(&m, ROOT, "a", &st), -EUCLEAN);

	/* So is a link to it. */
	n = mounted_list(&m, dir, _i, 0, WHOLE, lines, LINES);
	bad = mounted_line(lines, n, "link");
	ck_assert(bad && bad->ino != 0 && bad->type == DT_UNKNOWN && bad->nodeid == 0);
	ck_assert_ptr_nonnull(mounted_line(lines, n, "sub"));
	mounted_close(&m);
}
END_TEST

START_TEST(an_entry_whose_name_is_bad_is_left_out)
{
	struct listing_line lines[LINES];
	struct mounted m;

	packed_hide(&tree, first);
	mounted_open(&m, &tree, CACHE, true);
	ck_assert_int_eq(mounted_list(&m, ROOT, _i, 0, WHOLE, lines, LINES), 2 + FILES + 1);
	ck_assert_ptr_null(mounted_line(lines, 2 + FILES + 1, "a"));
	mounted_close(&m);
}
END_TEST

START_TEST(only_directories_are_listed)
{
	struct listing_line lines[LINES];
	struct mounted m;

	mounted_open(&m, &tree, CACHE, true);
	ck_assert_int_eq(mounted_list(&m, packed_number(first, "a"), _i, 0, WHOLE, lines, LINES),
			 -ENOTDIR);
	ck_assert_int_lt(mounted_list(&m, sub - 1, _i, 0, WHOLE, lines, LINES), 0);
	mounted_close(&m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ops-listing");
	TCase *tc = tcase_create("listing");
	SRunner *sr = srunner_create(s);
	int failed;

	log_open(LOG_TO_STDERR, (enum log_level)0); /* nothing: the errors are wanted */
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, a_listing_has_each_entry_once_in_the_order_of_the_archive, 0, 2);
	tcase_add_loop_test(tc, a_listing_goes_on_anywhere_in_pieces_of_any_size, 0, 2);
	tcase_add_loop_test(tc, a_buffer_that_holds_no_entry_is_refused, 0, 2);
	tcase_add_loop_test(tc, two_readers_do_not_disturb_each_other, 0, 2);
	tcase_add_loop_test(tc, dot_and_dot_dot_have_the_numbers_of_what_they_are, 0, 2);
	tcase_add_loop_test(tc, a_hardlink_is_listed_as_its_target, 0, 2);
	tcase_add_loop_test(tc, a_damaged_entry_is_listed_by_name_alone, 0, 2);
	tcase_add_loop_test(tc, an_entry_whose_name_is_bad_is_left_out, 0, 2);
	tcase_add_loop_test(tc, only_directories_are_listed, 0, 2);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
