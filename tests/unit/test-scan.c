#include <check.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "daemon/log.h"
#include "tests/unit/mounted.h"

enum { ROOT = 1, CACHE = 1 << 20 };

static struct packed tree;
static uint64_t file, single;

static void setup(void)
{
	uint64_t start;

	packed_begin(&tree, false);
	start = packed_file(&tree, "a", "content");
	file = packed_number(start, "a");
	packed_dir(&tree, "d");
	packed_hardlink(&tree, "b", start, "a");
	packed_hardlink(&tree, "c", start, "a");
	packed_end_dir(&tree);
	single = packed_number(packed_file(&tree, "s", ""), "s");
	packed_finish(&tree);
}

static void teardown(void)
{
	packed_release(&tree);
}

/* The walk's thread, but not the test's, waits here before every read. */
static sem_t gate, arrived;
static pthread_t test_thread;

static int wait_at_gate(struct double_source *d, const struct io *io, uint64_t offset, size_t n,
			struct error *err)
{
	(void)d;
	(void)io;
	(void)offset;
	(void)n;
	(void)err;
	if (pthread_equal(pthread_self(), test_thread))
		return 0;
	sem_post(&arrived);
	while (sem_wait(&gate))
		;
	sem_post(&gate); /* once it is open it stays open */
	return 0;
}

/* A file system whose walk has begun and waits. */
static void open_gated(struct mounted *m)
{
	struct archive *archive;

	ck_assert(!sem_init(&gate, 0, 0) && !sem_init(&arrived, 0, 0));
	test_thread = pthread_self();
	double_init(&m->meta, &tree.meta);
	m->meta.hook = wait_at_gate;
	ck_assert_int_eq(archive_open_sources(&archive, &m->meta.source, NULL, false, NULL), 0);
	ck_assert_int_eq(fs_new(&m->fs, archive, CACHE, true, NULL), 0);
	while (sem_wait(&arrived))
		;
}

static struct answer ask_attributes(struct mounted *m, uint64_t number)
{
	return mounted_ask(m, ops_getattr, &(struct request){ .number = number }, false);
}

START_TEST(links_count_two_for_a_moment_until_they_are_counted)
{
	struct mounted m;
	struct answer a;

	open_gated(&m);
	ck_assert_int_eq(scan_wait(m.fs->scan, 1), SCAN_RUNNING);
	ck_assert_ptr_null(scan_result(m.fs->scan));
	a = ask_attributes(&m, file);
	ck_assert(a.r == 0 && a.reply.st.st_nlink == 2 && a.reply.attr_timeout == 1.0);
	a = ask_attributes(&m, ROOT);
	ck_assert(a.r == 0 && a.reply.st.st_nlink == 2 && a.reply.attr_timeout == REPLY_FOREVER);

	sem_post(&gate);
	scan_wait_end(m.fs->scan);
	ck_assert_int_eq(scan_state(m.fs->scan), SCAN_DONE);
	a = ask_attributes(&m, file);
	ck_assert(a.reply.st.st_nlink == 3 && a.reply.attr_timeout == REPLY_FOREVER);
	a = ask_attributes(&m, single);
	ck_assert(a.reply.st.st_nlink == 1 && a.reply.attr_timeout == REPLY_FOREVER);
	mounted_close(&m);
}
END_TEST

START_TEST(listings_and_lookups_tell_the_same_while_links_are_counted)
{
	struct listing_line lines[8];
	const struct listing_line *line;
	struct mounted m;
	struct answer a;
	int n;

	open_gated(&m);
	n = mounted_list(&m, ROOT, true, 0, 4096, lines, 8);
	line = mounted_line(lines, n, "a");
	ck_assert(line && line->nlink == 2 && line->attr_valid == 1 && line->entry_valid > 1000000);
	a = mounted_ask(&m, ops_lookup, &(struct request){ .number = ROOT, .name = "a" }, false);
	ck_assert(a.r == 0 && a.reply.st.st_nlink == 2 && a.reply.attr_timeout == 1.0);
	sem_post(&gate);
	scan_wait_end(m.fs->scan);
	n = mounted_list(&m, ROOT, true, 0, 4096, lines, 8);
	line = mounted_line(lines, n, "a");
	ck_assert(line && line->nlink == 3 && line->attr_valid > 1000000);
	mounted_close(&m);
}
END_TEST

START_TEST(attributes_are_not_denied_before_all_is_seen)
{
	struct request rq = { .number = file, .name = "user.k" };
	struct mounted m;

	open_gated(&m);
	ck_assert(!fs_has_no_attributes(m.fs));
	ck_assert_int_eq(mounted_ask(&m, ops_getxattr, &rq, true).r, -ENODATA);
	sem_post(&gate);
	scan_wait_end(m.fs->scan);
	ck_assert(fs_has_no_attributes(m.fs));
	mounted_close(&m);
}
END_TEST

START_TEST(a_walk_that_is_not_wanted_is_off)
{
	struct mounted m;

	mounted_open(&m, &tree, CACHE, false);
	ck_assert_int_eq(scan_state(m.fs->scan), SCAN_OFF);
	ck_assert_int_eq(scan_wait(m.fs->scan, 10000), SCAN_OFF);
	ck_assert_ptr_null(scan_result(m.fs->scan));
	ck_assert(scan_stop(m.fs->scan, 0));
	mounted_close(&m);
}
END_TEST

START_TEST(a_walk_that_hangs_is_not_waited_for_for_ever)
{
	struct mounted m;

	open_gated(&m);
	ck_assert(!scan_stop(m.fs->scan, 1));
	sem_post(&gate);
	ck_assert(scan_stop(m.fs->scan, 60000));
	ck_assert_int_eq(scan_state(m.fs->scan), SCAN_OFF);
	mounted_close(&m);
}
END_TEST

START_TEST(a_damaged_archive_is_counted_as_far_as_it_goes)
{
	struct mounted m;
	struct stat st;
	uint64_t dir_start = file & ~ENTRY_NON_DIRECTORY;

	/* The next FILENAME after the file's ENTRY, PAYLOAD and content. */
	packed_damage(&tree, dir_start + 56 + 16 + 7, "d");
	mounted_open(&m, &tree, CACHE, true);
	ck_assert_int_eq(scan_state(m.fs->scan), SCAN_DONE);
	ck_assert_uint_eq(walk_totals(scan_result(m.fs->scan))->damaged, 1);
	ck_assert_int_eq(mounted_getattr(&m, file, &st), 0);
	ck_assert_uint_eq(st.st_nlink, 1);
	ck_assert(!fs_has_no_attributes(m.fs));
	mounted_close(&m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scan");
	TCase *tc = tcase_create("scan");
	SRunner *sr = srunner_create(s);
	int failed;

	log_open(LOG_TO_STDERR, (enum log_level)0); /* nothing: the errors are wanted */
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, links_count_two_for_a_moment_until_they_are_counted);
	tcase_add_test(tc, listings_and_lookups_tell_the_same_while_links_are_counted);
	tcase_add_test(tc, attributes_are_not_denied_before_all_is_seen);
	tcase_add_test(tc, a_walk_that_is_not_wanted_is_off);
	tcase_add_test(tc, a_walk_that_hangs_is_not_waited_for_for_ever);
	tcase_add_test(tc, a_damaged_archive_is_counted_as_far_as_it_goes);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
