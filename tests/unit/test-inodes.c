#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "tests/unit/mounted.h"

enum { ROOT = 1, CACHE = 1 << 20, THREADS = 8, ROUNDS = 200 };

static const struct io waiting = { .may_wait = true };

static struct packed tree;
static uint64_t file, hidden_file, dir, sub, symlink_start;
static uint64_t link_start, dir_start; /* of the FILENAME */

/* An archive in an archive's file: its FILENAME, ENTRY and PAYLOAD look like the real thing. */
static void put_nested(struct packed *p)
{
	struct encoder_meta m = packed_meta(0100644);
	struct packed nested;
	uint64_t start;

	packed_begin(&nested, false);
	packed_file(&nested, "forged", "secret");
	packed_finish(&nested);
	start = packed_bytes(p, "outer", &m, nested.meta.bytes, nested.meta.len);
	/* its own FILENAME, ENTRY and the PAYLOAD's header, then the nested root's ENTRY */
	hidden_file = start + 16 + sizeof("outer") + FORMAT_ENTRY_SIZE + 16 + FORMAT_ENTRY_SIZE;
	packed_release(&nested);
}

/* A link `l` in the directory d/e, as the test wants it, between good ones. */
static void pack(uint64_t (*target_of)(struct packed *p), const char *path)
{
	uint64_t start;

	packed_begin(&tree, false);
	start = packed_file(&tree, "a", "content");
	file = packed_number(start, "a");
	put_nested(&tree);
	symlink_start = packed_symlink(&tree, "s", "a");
	dir_start = packed_dir(&tree, "d");
	packed_file(&tree, "inner", "within");
	packed_dir(&tree, "e");
	link_start = packed_hardlink(&tree, "good", start, "a");
	packed_hardlink(&tree, "l", target_of ? target_of(&tree) : start, path);
	sub = packed_end_dir(&tree);
	dir = packed_end_dir(&tree);
	packed_finish(&tree);
}

static void teardown(void)
{
	packed_release(&tree);
}

static uint64_t in_content(struct packed *p)
{
	(void)p;
	return hidden_file;
}

static uint64_t a_symlink(struct packed *p)
{
	(void)p;
	return symlink_start;
}

static uint64_t a_directory(struct packed *p)
{
	(void)p;
	return dir_start;
}

static uint64_t a_hardlink(struct packed *p)
{
	(void)p;
	return link_start;
}

static uint64_t an_entry_item(struct packed *p)
{
	(void)p;
	return file & ~ENTRY_NON_DIRECTORY;
}

static uint64_t before_everything(struct packed *p)
{
	(void)p;
	return 0;
}

static uint64_t the_inner_file(struct packed *p)
{
	(void)p;
	return dir_start + 16 + 2 + FORMAT_ENTRY_SIZE;
}

static const struct {
	const char *what;
	uint64_t (*target)(struct packed *p);
	const char *path;
	bool good;
} links[] = {
	{ "to a file", NULL, "a", true },
	{ "its path with slashes", NULL, "//a", true },
	{ "to a file in the directory above", the_inner_file, "d/inner", true },
	{ "slashes between", the_inner_file, "/d///inner", true },
	{ "into a file's content", in_content, "forged", false },
	{ "into a file's content, by the way there", in_content, "outer/forged", false },
	{ "into a file's content, by the file's name", in_content, "outer", false },
	{ "to a symlink", a_symlink, "s", false },
	{ "to a directory", a_directory, "d", false },
	{ "to a hardlink", a_hardlink, "d/e/good", false },
	{ "to an ENTRY", an_entry_item, "a", false },
	{ "to the root", before_everything, "a", false },
	{ "by another's path", NULL, "s", false },
	{ "by a path that ends too soon", the_inner_file, "d", false },
	{ "by a path that goes on", NULL, "a/b", false },
	{ "by a part of a name", NULL, "aa", false },
	{ "by a path without the directory", the_inner_file, "inner", false },
	{ "by a path with dots", the_inner_file, "d/./inner", false },
};

START_TEST(a_link_leads_where_the_tree_and_its_path_do)
{
	struct listing_line lines[8];
	const struct listing_line *line;
	struct mounted m;
	struct stat st, good;
	int n, r;

	pack(links[_i].target, links[_i].path);
	mounted_open(&m, &tree, CACHE, true);
	for (int round = 0; round < 2; round++) {
		r = mounted_lookup(&m, sub, "l", &st);
		ck_assert_msg(r == (links[_i].good ? 0 : -EUCLEAN), "%s: %d", links[_i].what, r);
		n = mounted_list(&m, sub, true, 0, 4096, lines, 8);
		line = mounted_line(lines, n, "l");
		ck_assert(line && line->ino && line->nodeid == (r ? 0 : st.st_ino));
		ck_assert_int_eq(mounted_lookup(&m, sub, "good", &good), 0);
		ck_assert_uint_eq(good.st_ino, file);
		ck_assert(r || links[_i].target || good.st_ino == st.st_ino);
	}
	mounted_close(&m);
}
END_TEST

START_TEST(a_link_to_itself_or_out_of_the_archive_is_refused)
{
	static const uint64_t deltas[] = { 0, UINT64_MAX, INT64_MAX, 1 << 20 };
	struct mounted m;
	struct stat st;

	pack(NULL, "a");
	packed_patch(&tree, link_start + 16 + sizeof("good") + 16, deltas[_i]);
	mounted_open(&m, &tree, CACHE, true);
	ck_assert_int_eq(mounted_lookup(&m, sub, "good", &st), -EUCLEAN);
	ck_assert_int_eq(mounted_lookup(&m, sub, "l", &st), 0);
	mounted_close(&m);
}
END_TEST

START_TEST(a_link_has_no_number_of_its_own)
{
	struct mounted m;
	struct stat st;

	pack(NULL, "a");
	mounted_open(&m, &tree, CACHE, true);
	for (int round = 0; round < 2; round++) { /* before and after it was followed */
		ck_assert_int_eq(mounted_getattr(&m, packed_number(link_start, "good"), &st),
				 -ESTALE);
		ck_assert_int_eq(mounted_lookup(&m, sub, "good", &st), 0);
	}
	mounted_close(&m);
}
END_TEST

/* Whatever bytes the number leads to: an entry that is shown under this number, or none. */
START_TEST(any_number_is_answered)
{
	struct error err = { 0 };
	struct mounted m;
	struct entry e;
	uint64_t parent;

	pack(NULL, "a");
	mounted_open(&m, &tree, CACHE, false);
	for (uint64_t i = 0; i < 2 * (tree.meta.len + 64); i++) {
		uint64_t number = i / 2 | (i % 2 ? ENTRY_NON_DIRECTORY : 0);
		int r = inodes_entry(m.fs->inodes, &waiting, number, &e, &err);

		ck_assert_msg(r == -ESTALE || (r == 0 && e.number == number), "%llx: %d",
			      (unsigned long long)number, r);
		r = inodes_parent(m.fs->inodes, &waiting, number, &parent, &err);
		ck_assert((r == 0) == (number == ROOT || number == dir || number == sub));
	}
	mounted_close(&m);
}
END_TEST

START_TEST(the_directory_above_is_found_from_the_root)
{
	struct mounted m;
	uint64_t parent;

	pack(NULL, "a");
	mounted_open(&m, &tree, 1, false);
	ck_assert_int_eq(inodes_parent(m.fs->inodes, &waiting, ROOT, &parent, NULL), 0);
	ck_assert_uint_eq(parent, ROOT);
	ck_assert_int_eq(inodes_parent(m.fs->inodes, &waiting, dir, &parent, NULL), 0);
	ck_assert_uint_eq(parent, ROOT);
	ck_assert_int_eq(inodes_parent(m.fs->inodes, &waiting, sub, &parent, NULL), 0);
	ck_assert_uint_eq(parent, dir);
	mounted_close(&m);
}
END_TEST

START_TEST(what_lies_too_deep_is_refused)
{
	const unsigned depth = DIR_DEPTH_MAX + 2;
	CLEANUP(freep) uint64_t *numbers = calloc(depth, sizeof(*numbers));
	struct listing_line lines[4];
	struct mounted m;

	packed_begin(&tree, false);
	for (unsigned i = 0; i < depth; i++)
		packed_dir(&tree, "d");
	for (unsigned i = depth; i-- > 0;)
		numbers[i] = packed_end_dir(&tree);
	packed_finish(&tree);
	mounted_open(&m, &tree, CACHE, true);
	ck_assert_int_eq(mounted_list(&m, numbers[depth - 1], true, 0, 4096, lines, 4), -ELOOP);
	ck_assert_int_eq(mounted_list(&m, numbers[DIR_DEPTH_MAX - 1], true, 0, 4096, lines, 4), 3);
	ck_assert_uint_eq(lines[1].ino, numbers[DIR_DEPTH_MAX - 2]);
	mounted_close(&m);
}
END_TEST

START_TEST(an_error_is_not_remembered)
{
	struct mounted m;
	struct stat st;
	char byte;

	pack(NULL, "a");
	mounted_open(&m, &tree, CACHE, false);
	double_fault(&m.meta, -EIO, 1);
	ck_assert_int_eq(mounted_getattr(&m, file, &st), -EIO);
	double_fault(&m.meta, 0, 0);
	ck_assert_int_eq(mounted_getattr(&m, file, &st), 0);
	double_fault(&m.meta, -EIO, 1);
	ck_assert_int_eq(mounted_read(&m, file, 0, &byte, 1), -EIO);
	double_fault(&m.meta, 0, 0);
	ck_assert_int_eq(mounted_read(&m, file, 0, &byte, 1), 1);
	double_fault(&m.meta, -ENOMEM, 1);
	ck_assert_int_eq(mounted_lookup(&m, sub, "good", &st), -ENOMEM);
	double_fault(&m.meta, 0, 0);
	ck_assert_int_eq(mounted_lookup(&m, sub, "good", &st), 0);
	mounted_close(&m);
}
END_TEST

/* Everything that the tables keep, asked for from everywhere at once. */
static void *ask_all(void *fs)
{
	struct inodes *inodes = ((struct fs *)fs)->inodes;
	struct entry e;
	uint64_t parent;

	for (int i = 0; i < ROUNDS; i++) {
		ck_assert_int_eq(inodes_content(inodes, &waiting, file, &e, NULL), 0);
		ck_assert(e.number == file && e.size == 7);
		inodes_note(inodes, &e);
		e = (struct entry){ .kind = ENTRY_HARDLINK,
				    .number = packed_number(link_start, "good"),
				    .size = (file & ~ENTRY_NON_DIRECTORY) - 18 };
		ck_assert_int_eq(inodes_follow(inodes, &waiting, &e, NULL), 0);
		ck_assert_uint_eq(e.number, file);
		ck_assert_int_eq(inodes_entry(inodes, &waiting, sub, &e, NULL), 0);
		ck_assert_int_eq(inodes_parent(inodes, &waiting, sub, &parent, NULL), 0);
		ck_assert_uint_eq(parent, dir);
	}
	return NULL;
}

START_TEST(many_threads_get_the_same_answers)
{
	pthread_t threads[THREADS];
	struct mounted m;

	pack(NULL, "a");
	mounted_open(&m, &tree, 1, true);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_all, m.fs), 0);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	mounted_close(&m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("inodes");
	TCase *tc = tcase_create("inodes");
	SRunner *sr = srunner_create(s);
	int failed;

	log_open(LOG_TO_STDERR, (enum log_level)0); /* nothing: the errors are wanted */
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_loop_test(tc, a_link_leads_where_the_tree_and_its_path_do, 0,
			    sizeof(links) / sizeof(links[0]));
	tcase_add_loop_test(tc, a_link_to_itself_or_out_of_the_archive_is_refused, 0, 4);
	tcase_add_test(tc, a_link_has_no_number_of_its_own);
	tcase_add_test(tc, any_number_is_answered);
	tcase_add_test(tc, the_directory_above_is_found_from_the_root);
	tcase_add_test(tc, what_lies_too_deep_is_refused);
	tcase_add_test(tc, an_error_is_not_remembered);
	tcase_add_test(tc, many_threads_get_the_same_answers);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
