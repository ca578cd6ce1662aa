/* Handlers over an archive that cannot be read at once, or not always. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "tests/unit/questions.h"

enum { CACHE = 1 << 20 };

static struct packed trees[2]; /* unified, split */
static struct question questions[2][QUESTIONS];
static struct mounted good;
static struct answer wanted;

/* _i chooses the question; for each kind of archive it is answered without a fault first. */
static void begin(const struct packed *tree, const struct question *q)
{
	wanted = questions_ask(&good, tree, q);
	ck_assert_msg(wanted.r == 0 || wanted.r == -ENODATA, "%s: %s", q->what, wanted.err.text);
}

static void end(void)
{
	answer_release(&wanted);
	mounted_close(&good);
}

static void check_same(const struct answer *a, const struct question *q, int n)
{
	ck_assert_msg(answer_equals(a, &wanted), "%s, read %d: another answer: %d %s", q->what, n,
		      a->r, a->err.text);
}

static void ask_again(struct mounted *m, const struct question *q, int n)
{
	struct answer a;

	double_fault(&m->meta, 0, 0);
	double_fault(&m->payload, 0, 0);
	a = mounted_ask(m, q->handler, &q->rq, true);
	check_same(&a, q, n);
	answer_release(&a);
}

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

/* Which of the two sources is meant, as far as it is there. */
static struct double_source *source_of(struct mounted *m, int which)
{
	return which ? &m->payload : &m->meta;
}

/* A listing may end before what would wait: who reads it goes on from there. */
static bool is_begin(const struct answer *a)
{
	return a->r == 0 && a->reply.len && a->reply.len <= wanted.reply.len &&
	       !memcmp(a->reply.data, wanted.reply.data, a->reply.len);
}

static bool is_listing(const struct question *q)
{
	return q->handler == ops_readdir || q->handler == ops_readdirplus;
}

/* Asks where every read would wait, then where only the n-th would, for each n that there is. */
static void check_waiting(const struct packed *tree, const struct question *q, int which)
{
	struct double_source *source;
	struct mounted m;
	bool struck = true;

	for (int n = 0; struck; n++) {
		struct answer a;

		mounted_open(&m, tree, CACHE, false);
		source = source_of(&m, which);
		if (n == 0)
			source->hook = double_waits;
		else
			double_fault(source, 1, n);
		a = mounted_ask(&m, q->handler, &q->rq, false);
		struck = n == 0 || double_has_struck(source);
		if (a.r == 1)
			ck_assert(struck);
		else if (!struck || !is_listing(q) || !is_begin(&a))
			check_same(&a, q, n);
		answer_release(&a);
		ask_again(&m, q, n);
		mounted_close(&m);
	}
}

START_TEST(what_would_wait_says_so_and_is_answered_when_it_may)
{
	for (int split = 0; split < 2; split++) {
		begin(&trees[split], &questions[split][_i]);
		for (int which = 0; which <= split; which++)
			check_waiting(&trees[split], &questions[split][_i], which);
		end();
	}
}
END_TEST

START_TEST(what_needs_bytes_does_not_answer_without_them)
{
	const struct question *q = &questions[0][_i];
	struct mounted m;
	struct answer a;

	mounted_open(&m, &trees[0], CACHE, false);
	m.meta.hook = double_waits;
	for (int round = 0; round < 3; round++) {
		a = mounted_ask(&m, q->handler, &q->rq, false);
		ck_assert_msg(a.r == 1, "%s: %d", q->what, a.r);
		answer_release(&a);
	}
	mounted_close(&m);
}
END_TEST

static bool is_io_error(int r)
{
	return r == -EIO || r == -EUCLEAN; /* what a caller sees as EIO */
}

/* All names that the full listing has. */
static bool has_same_names(const struct answer *a, bool plus)
{
	const char *x = a->reply.data, *y = wanted.reply.data;
	size_t n = a->reply.len, m = wanted.reply.len;
	struct listing_line left, right;
	int r;

	do {
		r = listing_next(&x, &n, plus, &left);
		if (r < 0 || r != listing_next(&y, &m, plus, &right) ||
		    strcmp(left.name, right.name))
			return false;
	} while (r);
	return true;
}

/* The n-th read fails: the answer is an error, or right; a listing may name what failed. */
static bool check_failing(const struct packed *tree, const struct question *q, int which, int n)
{
	struct mounted m;
	struct answer a;
	bool struck;

	mounted_open(&m, tree, CACHE, false);
	double_fault(source_of(&m, which), -EIO, n);
	a = mounted_ask(&m, q->handler, &q->rq, true);
	struck = double_has_struck(source_of(&m, which));
	if (struck && a.r == 0 && is_listing(q))
		ck_assert_msg(has_same_names(&a, q->handler == ops_readdirplus), "%s", q->what);
	else if (struck)
		ck_assert_msg(is_io_error(a.r) || answer_equals(&a, &wanted), "%s, read %d: %d %s",
			      q->what, n, a.r, a.err.text);
	else
		check_same(&a, q, n);
	answer_release(&a);
	ask_again(&m, q, n);
	mounted_close(&m);
	return struck;
}

START_TEST(a_read_that_fails_once_is_an_error_once)
{
	for (int split = 0; split < 2; split++) {
		const struct question *q = &questions[split][_i];

		begin(&trees[split], q);
		for (int which = 0; which <= split; which++)
			for (int n = 1; check_failing(&trees[split], q, which, n);)
				n++;
		end();
	}
}
END_TEST

/* As above for one that asks again and again, until the directory is decoded as a whole. */
START_TEST(failing_lookups_are_never_taken_for_missing_names)
{
	struct mounted m;
	struct stat st;

	for (int n = 1; n < 400; n++) {
		int r;

		mounted_open(&m, &trees[0], 1, false);
		double_fault(&m.meta, -EIO, n);
		for (int i = 0; i < 20; i++) {
			r = mounted_lookup(&m, ENTRY_ROOT, "file", &st);
			ck_assert(is_io_error(r) || (r == 0 && st.st_size == 11));
		}
		ck_assert_int_eq(mounted_lookup(&m, ENTRY_ROOT, "file", &st), 0);
		mounted_close(&m);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ops-faults");
	TCase *tc = tcase_create("faults");
	SRunner *sr = srunner_create(s);
	int failed;

	log_open(LOG_TO_STDERR, (enum log_level)0); /* nothing: the errors are wanted */
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, what_would_wait_says_so_and_is_answered_when_it_may, 0, QUESTIONS);
	tcase_add_loop_test(tc, what_needs_bytes_does_not_answer_without_them, 0, QUESTIONS);
	tcase_add_loop_test(tc, a_read_that_fails_once_is_an_error_once, 0, QUESTIONS);
	tcase_add_test(tc, failing_lookups_are_never_taken_for_missing_names);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
