/* Handlers while memory runs out. Linked with --wrap, so that the n-th allocation can fail. */
#include <check.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "tests/unit/questions.h"

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *at, size_t n);
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *at, size_t n);

static long allocations;	/* so far */
static long fail_from, fail_to; /* those, counted from 1, that fail */

static bool fails(void)
{
	allocations++;
	return allocations >= fail_from && allocations < fail_to;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *at, size_t n)
{
	return fails() ? NULL : __real_realloc(at, n);
}

static void fail_allocations(long from, long to)
{
	allocations = 0;
	fail_from = from;
	fail_to = to;
}

static struct packed trees[2];
static struct question questions[2][QUESTIONS];

static void setup(void)
{
	for (int split = 0; split < 2; split++)
		questions_init(&trees[split], questions[split], split);
}

static void teardown(void)
{
	packed_release(&trees[0]);
	packed_release(&trees[1]);
}

/* Asks while the n-th allocation fails, or all from it on; false when there is no n-th. */
static bool ask_short_of_memory(const struct packed *tree, const struct question *q,
				const struct answer *want, long n, bool all)
{
	const struct io io = { .may_wait = true };
	struct error err = { 0 };
	struct reply reply;
	struct mounted m;
	struct answer again;
	bool failed;
	int r;

	mounted_open(&m, tree, 1 << 20, false);
	reply = reply_init(m.fs->buffers);
	fail_allocations(n, all ? LONG_MAX : n + 1);
	r = q->handler(m.fs, &io, &q->rq, &reply, &err);
	failed = allocations >= n;
	fail_allocations(LONG_MAX, LONG_MAX);
	ck_assert_msg(r == 0 || r == -ENOMEM || (!failed && r == want->r), "%s: %d %s", q->what, r,
		      err.text);
	ck_assert(r >= 0 || err.code == r);
	reply_release(&reply);
	again = mounted_ask(&m, q->handler, &q->rq, true);
	ck_assert_msg(answer_equals(&again, want), "%s after failure %ld", q->what, n);
	answer_release(&again);
	mounted_close(&m);
	return failed;
}

START_TEST(without_memory_a_question_fails_and_the_next_one_does_not)
{
	for (int split = 0; split < 2; split++)
		for (int all = 0; all < 2; all++) {
			const struct question *q = &questions[split][_i];
			struct mounted m;
			struct answer want = questions_ask(&m, &trees[split], q);
			long n = 1;

			while (ask_short_of_memory(&trees[split], q, &want, n, all))
				n++;
			ck_assert_int_gt(n, 1);
			answer_release(&want);
			mounted_close(&m);
		}
}
END_TEST

/* Opens and closes while memory fails; what was taken over is freed in every case. */
static bool open_short_of_memory(long n)
{
	struct double_source meta, payload;
	struct archive *archive;
	struct fs *fs = NULL;
	struct error err = { 0 };
	bool failed;
	int r;

	double_init(&meta, &trees[1].meta);
	double_init(&payload, &trees[1].payload);
	fail_allocations(n, n + 1);
	r = archive_open_sources(&archive, &meta.source, &payload.source, false, &err);
	if (r == 0)
		r = fs_new(&fs, archive, 1 << 20, false, &err);
	failed = allocations >= n;
	fail_allocations(LONG_MAX, LONG_MAX);
	ck_assert_msg(failed ? r == -ENOMEM : r == 0, "%d %s", r, err.text);
	fs_free(fs);
	ck_assert_int_eq(meta.frees, 1);
	ck_assert_int_eq(payload.frees, 1);
	return failed;
}

START_TEST(without_memory_opening_fails_and_leaves_nothing)
{
	long n = 1;

	while (open_short_of_memory(n))
		n++;
	ck_assert_int_gt(n, 4);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ops-memory");
	TCase *tc = tcase_create("memory");
	SRunner *sr = srunner_create(s);
	int failed;

	fail_allocations(LONG_MAX, LONG_MAX);
	log_open(LOG_TO_STDERR, (enum log_level)0); /* nothing: the errors are wanted */
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, without_memory_a_question_fails_and_the_next_one_does_not, 0,
			    QUESTIONS);
	tcase_add_test(tc, without_memory_opening_fails_and_leaves_nothing);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
