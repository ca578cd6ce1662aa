#include <check.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/dircache.h"
#include "daemon/log.h"
#include "tests/unit/double.h"
#include "tests/unit/packed.h"

enum { DIRS = 6, THREADS = 8, ROUNDS = 300 };

static const struct io waiting = { .may_wait = true }, inline_only = { .may_wait = false };

/* Directories of different sizes, each with a file f<i> in it and others. */
static struct packed tree;
static uint64_t dirs[DIRS];
static size_t bytes[DIRS]; /* that each takes when it is decoded */
static struct double_source source;
static struct accessor *accessor;

static struct dircache *new_cache(size_t budget)
{
	struct dircache *c;

	ck_assert_int_eq(dircache_new(&c, accessor, budget, NULL), 0);
	return c;
}

static struct cached_dir *get(struct dircache *c, uint64_t number)
{
	struct cached_dir *cached;
	struct error err = { 0 };

	ck_assert_msg(dircache_get(c, &waiting, number, &cached, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(cached->dir->self.number, number);
	return cached;
}

static void measure(void)
{
	for (int i = 0; i < DIRS; i++) {
		struct dircache *c = new_cache(1);

		dircache_put(c, get(c, dirs[i]));
		bytes[i] = dircache_stats(c).bytes;
		dircache_free(c);
	}
}

static void setup(void)
{
	char name[16];

	packed_begin(&tree, false);
	for (int i = 0; i < DIRS; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		packed_dir(&tree, name);
		for (int j = 0; j <= i; j++) {
			snprintf(name, sizeof(name), "f%d", j);
			packed_file(&tree, name, "x");
		}
		dirs[i] = packed_end_dir(&tree);
	}
	packed_finish(&tree);
	double_init(&source, &tree.meta);
	ck_assert_int_eq(accessor_open(&accessor, &source.source, NULL, false, NULL), 0);
	measure();
}

static void teardown(void)
{
	accessor_free(accessor);
	packed_release(&tree);
}

START_TEST(what_was_decoded_is_not_read_again)
{
	CLEANUP(dircache_freep) struct dircache *c = new_cache(1 << 20);
	struct cached_dir *first, *second;

	ck_assert_ptr_null(dircache_find(c, dirs[0]));
	first = get(c, dirs[0]);
	double_fault(&source, -EIO, 1);
	second = get(c, dirs[0]);
	ck_assert(!double_has_struck(&source) && first == second);
	dircache_put(c, second);
	second = dircache_find(c, dirs[0]);
	ck_assert_ptr_eq(first, second);
	dircache_put(c, second);
	dircache_put(c, first);
	dircache_put(c, NULL);
}
END_TEST

START_TEST(the_budget_is_kept_but_for_the_last)
{
	for (size_t budget = 1; budget < 4096; budget += 97) {
		CLEANUP(dircache_freep) struct dircache *c = new_cache(budget);

		for (int i = 0; i < 4 * DIRS; i++) {
			int at = i * 5 % DIRS;
			struct dircache_stats stats;

			dircache_put(c, get(c, dirs[at]));
			stats = dircache_stats(c);
			ck_assert(stats.bytes <= budget ||
				  (stats.dirs == 1 && stats.bytes == bytes[at]));
		}
	}
}
END_TEST

START_TEST(what_was_used_longest_ago_goes_first)
{
	CLEANUP(dircache_freep)
	struct dircache *c = new_cache(bytes[3] + bytes[4] + bytes[5]);
	struct cached_dir *cached;

	for (int i = 3; i < 6; i++)
		dircache_put(c, get(c, dirs[i]));
	ck_assert_uint_eq(dircache_stats(c).dirs, 3);
	dircache_put(c, get(c, dirs[3]));
	dircache_put(c, get(c, dirs[0])); /* which fits in the place of the fourth */
	ck_assert_ptr_null(dircache_find(c, dirs[4]));
	cached = dircache_find(c, dirs[3]);
	ck_assert_ptr_nonnull(cached);
	dircache_put(c, cached);
}
END_TEST

START_TEST(what_is_lent_outlives_its_place)
{
	CLEANUP(dircache_freep) struct dircache *c = new_cache(1);
	struct cached_dir *lent = get(c, dirs[2]), *again;

	dircache_put(c, get(c, dirs[3]));
	ck_assert_ptr_null(dircache_find(c, dirs[2]));
	ck_assert_uint_eq(lent->dir->count, 3);
	again = get(c, dirs[2]); /* decoded anew, beside the one that is lent */
	ck_assert_ptr_ne(lent, again);
	ck_assert_ptr_nonnull(dir_find(lent->dir, "f1", 2));
	dircache_put(c, lent);
	ck_assert_ptr_nonnull(dir_find(again->dir, "f1", 2));
	dircache_put(c, again);
}
END_TEST

START_TEST(a_failure_is_not_kept)
{
	CLEANUP(dircache_freep) struct dircache *c = new_cache(1 << 20);
	struct cached_dir *cached;

	for (int n = 1; n < 8; n++) { /* entries too may fail: then it is lent, but not kept */
		double_fault(&source, -EIO, n);
		if (dircache_get(c, &waiting, dirs[5], &cached, NULL) == 0)
			dircache_put(c, cached);
		ck_assert(!double_has_struck(&source) || dircache_stats(c).dirs == 0);
	}
	cached = get(c, dirs[5]);
	ck_assert_uint_eq(cached->dir->damaged, 0);
	dircache_put(c, cached);
	ck_assert_uint_eq(dircache_stats(c).dirs, 1);
	ck_assert_int_lt(dircache_get(c, &waiting, dirs[5] - 1, &cached, NULL), 0);
	ck_assert_int_eq(dircache_get(c, &waiting, ENTRY_NON_DIRECTORY, &cached, NULL), -ENOTDIR);
}
END_TEST

START_TEST(what_would_wait_says_so_until_it_is_there)
{
	CLEANUP(dircache_freep) struct dircache *c = new_cache(1 << 20);
	struct cached_dir *cached;

	source.hook = double_waits;
	ck_assert_int_eq(dircache_get(c, &inline_only, dirs[1], &cached, NULL), 1);
	ck_assert_uint_eq(dircache_stats(c).dirs, 0);
	dircache_put(c, get(c, dirs[1]));
	ck_assert_int_eq(dircache_get(c, &inline_only, dirs[1], &cached, NULL), 0);
	dircache_put(c, cached);
}
END_TEST

START_TEST(a_directory_is_wanted_after_some_lookups_and_then_now_and_then)
{
	CLEANUP(dircache_freep) struct dircache *c = new_cache(1 << 20);
	unsigned wanted = 0, others = 0;

	ck_assert(!dircache_is_wanted(c, dirs[0]));
	for (int i = 0; i < 200; i++)
		wanted += dircache_is_wanted(c, dirs[0]);
	ck_assert(wanted > 2 && wanted < 50);
	for (uint64_t number = 1; number < 5000; number++)
		others += dircache_is_wanted(c, number);
	ck_assert_uint_eq(others, 0);
}
END_TEST

/* Two threads decode the same directory, held at the gate until both are at it. */
static sem_t gate, arrived;

static int wait_at_gate(struct double_source *d, const struct io *io, uint64_t offset, size_t n,
			struct error *err)
{
	(void)d;
	(void)io;
	(void)offset;
	(void)n;
	(void)err;
	sem_post(&arrived);
	while (sem_wait(&gate))
		;
	sem_post(&gate);
	return 0;
}

static void *get_one(void *cache)
{
	return get(cache, dirs[4]);
}

START_TEST(who_decodes_at_the_same_time_gets_the_same)
{
	CLEANUP(dircache_freep) struct dircache *c = new_cache(1 << 20);
	pthread_t threads[THREADS];
	void *got[THREADS];

	ck_assert(!sem_init(&gate, 0, 0) && !sem_init(&arrived, 0, 0));
	source.hook = wait_at_gate;
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, get_one, c), 0);
	for (int i = 0; i < THREADS; i++)
		while (sem_wait(&arrived))
			;
	ck_assert_uint_eq(dircache_stats(c).dirs, 0);
	sem_post(&gate);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], &got[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		ck_assert_ptr_eq(got[i], got[0]);
		dircache_put(c, got[i]);
	}
	ck_assert(dircache_stats(c).dirs == 1 && dircache_stats(c).bytes == bytes[4]);
}
END_TEST

/* All directories, in an order of its own, some lent for longer. */
static void *churn(void *cache)
{
	static atomic_uint next;
	unsigned at = next++;
	struct cached_dir *kept = NULL;

	for (int i = 0; i < ROUNDS; i++) {
		unsigned which = at++ * 5 % DIRS;
		struct cached_dir *cached = get(cache, dirs[which]);

		ck_assert_uint_eq(cached->dir->count, which + 1);
		ck_assert_ptr_nonnull(dir_find(cached->dir, "f0", 2));
		dircache_put(cache, kept);
		kept = cached;
	}
	dircache_put(cache, kept);
	return NULL;
}

START_TEST(many_readers_and_little_room_keep_it_consistent)
{
	size_t budget = bytes[1] + bytes[2];
	CLEANUP(dircache_freep) struct dircache *c = new_cache(budget);
	pthread_t threads[THREADS];
	struct dircache_stats stats;

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, churn, c), 0);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	stats = dircache_stats(c);
	ck_assert(stats.bytes <= budget || stats.dirs == 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dircache");
	TCase *tc = tcase_create("dircache");
	SRunner *sr = srunner_create(s);
	int failed;

	log_open(LOG_TO_STDERR, (enum log_level)0); /* nothing: the errors are wanted */
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_was_decoded_is_not_read_again);
	tcase_add_test(tc, the_budget_is_kept_but_for_the_last);
	tcase_add_test(tc, what_was_used_longest_ago_goes_first);
	tcase_add_test(tc, what_is_lent_outlives_its_place);
	tcase_add_test(tc, a_failure_is_not_kept);
	tcase_add_test(tc, what_would_wait_says_so_until_it_is_there);
	tcase_add_test(tc, a_directory_is_wanted_after_some_lookups_and_then_now_and_then);
	tcase_add_test(tc, who_decodes_at_the_same_time_gets_the_same);
	tcase_add_test(tc, many_readers_and_little_room_keep_it_consistent);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
