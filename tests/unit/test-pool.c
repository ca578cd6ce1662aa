#include <check.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "chunkcache/pool.h"

/* All of it with a single worker: whatever blocked it would hang the test. */

static uv_loop_t loop;
static struct pool *pool;
static unsigned idle; /* how often on_idle was called */

static void on_idle(void *arg)
{
	ck_assert_uint_eq(pool_busy(pool), 0);
	(*(unsigned *)arg)++;
	uv_stop(&loop);
}

static void setup(void)
{
	idle = 0;
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	ck_assert_int_eq(pool_new(&pool, &loop, on_idle, &idle, NULL), 0);
}

static void teardown(void)
{
	ck_assert_uint_eq(pool_busy(pool), 0);
	pool_free(pool);
	uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&loop), 0); /* nothing was left in it */
}

static void run_until_idle(void)
{
	unsigned before = idle;

	while (idle == before)
		uv_run(&loop, UV_RUN_DEFAULT);
}

/* A job that counts, and parks itself as often as it is told to. */
struct task {
	struct job job;
	uv_thread_t ran_in;
	unsigned parks;
	atomic_uint runs;
	unsigned dones;
	bool was_cancelled;
	struct task *wakes, *submits;
	uv_sem_t *entered, *go; /* held while it runs */
	uv_async_t *told;	/* wakes itself, and runs on when the loop has seen that */
};

static void task_run(struct job *job)
{
	struct task *task = (struct task *)job;
	unsigned run = atomic_fetch_add(&task->runs, 1);

	task->ran_in = uv_thread_self();
	job->parked = run < task->parks;
	if (task->wakes)
		pool_wake(&task->wakes->job);
	if (task->told && run < task->parks) {
		pool_wake(job);
		uv_async_send(task->told);
		uv_sem_wait(task->told->data);
	}
	if (task->entered)
		uv_sem_post(task->entered);
	if (task->go)
		uv_sem_wait(task->go);
}

static void task_done(struct job *job)
{
	struct task *task = (struct task *)job;
	uv_thread_t self = uv_thread_self();

	ck_assert(task->job.cancelled || !uv_thread_equal(&self, &task->ran_in));
	ck_assert_uint_ge(pool_busy(pool), 1);
	task->dones++;
	task->was_cancelled = job->cancelled;
	if (task->submits)
		pool_submit(pool, &task->submits->job);
}

static struct task new_task(void)
{
	return (struct task){ .job = { .run = task_run, .done = task_done } };
}

static void check_ended(const struct task *task, unsigned runs)
{
	ck_assert_uint_eq(task->runs, runs);
	ck_assert_uint_eq(task->dones, 1);
	ck_assert(!task->was_cancelled);
}

START_TEST(jobs_run_in_a_worker_and_end_in_the_loop)
{
	struct task tasks[100];

	for (unsigned round = 1; round <= 2; round++) {
		for (unsigned i = 0; i < 100; i++) {
			tasks[i] = new_task();
			pool_submit(pool, &tasks[i].job);
			ck_assert_uint_eq(pool_busy(pool), i + 1);
		}
		run_until_idle();
		ck_assert_uint_eq(idle, round);
		for (unsigned i = 0; i < 100; i++)
			check_ended(&tasks[i], 1);
	}
}
END_TEST

START_TEST(the_pool_is_not_idle_when_the_last_job_submits_another)
{
	struct task first = new_task(), second = new_task();

	first.submits = &second;
	pool_submit(pool, &first.job);
	run_until_idle();
	ck_assert_uint_eq(idle, 1);
	check_ended(&first, 1);
	check_ended(&second, 1);
}
END_TEST

START_TEST(a_parked_job_leaves_the_worker_to_who_wakes_it)
{
	struct task sleeper = new_task(), waker = new_task();

	sleeper.parks = 1;
	waker.wakes = &sleeper;
	pool_submit(pool, &sleeper.job);
	pool_submit(pool, &waker.job);
	run_until_idle();
	ck_assert_uint_eq(idle, 1);
	check_ended(&sleeper, 2);
	check_ended(&waker, 1);
}
END_TEST

START_TEST(a_parked_job_is_busy_and_rests_until_it_is_woken)
{
	struct task sleeper = new_task(), other = new_task();

	sleeper.parks = 1;
	pool_submit(pool, &sleeper.job);
	pool_submit(pool, &other.job);
	while (!other.dones) /* the sleeper was before it */
		uv_run(&loop, UV_RUN_ONCE);
	ck_assert_uint_eq(sleeper.runs, 1);
	ck_assert_uint_eq(sleeper.dones, 0);
	ck_assert_uint_eq(pool_busy(pool), 1);
	ck_assert_uint_eq(idle, 0);
	pool_wake(&sleeper.job);
	run_until_idle();
	check_ended(&sleeper, 2);
}
END_TEST

static void on_told(uv_async_t *async)
{
	uv_sem_post(async->data);
}

START_TEST(a_job_that_is_woken_before_its_worker_lets_go_runs_again)
{
	struct task task = new_task();
	uv_async_t told;
	uv_sem_t seen;

	ck_assert_int_eq(uv_sem_init(&seen, 0), 0);
	ck_assert_int_eq(uv_async_init(&loop, &told, on_told), 0);
	told.data = &seen;
	task.parks = 3;
	task.told = &told;
	pool_submit(pool, &task.job);
	run_until_idle();
	ck_assert_uint_eq(idle, 1);
	check_ended(&task, 4);
	uv_close((uv_handle_t *)&told, NULL);
	uv_run(&loop, UV_RUN_NOWAIT);
	uv_sem_destroy(&seen);
}
END_TEST

struct crowd {
	struct task tasks[64];
	unsigned n;
};

static void wake_all(void *arg)
{
	struct crowd *crowd = arg;

	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < crowd->n; i++) {
			struct task *task = &crowd->tasks[i];

			while (task->runs <= round)
				sched_yield();
			pool_wake(&task->job);
		}
}

START_TEST(any_thread_wakes_jobs_whatever_they_are_at)
{
	static struct crowd crowd;
	uv_thread_t thread;

	crowd.n = 64;
	for (unsigned i = 0; i < crowd.n; i++) {
		crowd.tasks[i] = new_task();
		crowd.tasks[i].parks = 3;
		pool_submit(pool, &crowd.tasks[i].job);
	}
	ck_assert_int_eq(uv_thread_create(&thread, wake_all, &crowd), 0);
	run_until_idle();
	uv_thread_join(&thread);
	ck_assert_uint_eq(idle, 1);
	for (unsigned i = 0; i < crowd.n; i++)
		check_ended(&crowd.tasks[i], 4);
}
END_TEST

/* A job that keeps the only worker until it is let go. */
struct holder {
	struct task task;
	uv_sem_t entered, go;
};

static void hold_worker(struct holder *h)
{
	h->task = new_task();
	h->task.entered = &h->entered;
	h->task.go = &h->go;
	ck_assert_int_eq(uv_sem_init(&h->entered, 0), 0);
	ck_assert_int_eq(uv_sem_init(&h->go, 0), 0);
	pool_submit(pool, &h->task.job);
	while (uv_sem_trywait(&h->entered))
		uv_run(&loop, UV_RUN_NOWAIT);
}

static void release_worker(struct holder *h)
{
	uv_sem_post(&h->go);
	run_until_idle();
	uv_sem_destroy(&h->entered);
	uv_sem_destroy(&h->go);
}

START_TEST(a_job_that_waits_for_a_worker_can_be_cancelled)
{
	struct task task = new_task();
	struct holder h;

	hold_worker(&h);
	pool_submit(pool, &task.job);
	uv_run(&loop, UV_RUN_NOWAIT); /* libuv has it now */
	pool_cancel(&task.job);
	release_worker(&h);
	ck_assert_uint_eq(task.runs, 0);
	ck_assert_uint_eq(task.dones, 1);
	ck_assert(task.was_cancelled);
	check_ended(&h.task, 1);
	ck_assert_uint_eq(idle, 1);
}
END_TEST

START_TEST(a_job_that_was_just_submitted_can_be_cancelled)
{
	struct task task = new_task();

	pool_submit(pool, &task.job);
	pool_cancel(&task.job);
	ck_assert_uint_eq(task.dones, 0);
	run_until_idle();
	ck_assert_uint_eq(task.runs, 0);
	ck_assert_uint_eq(task.dones, 1);
	ck_assert(task.was_cancelled);
}
END_TEST

START_TEST(what_has_begun_cannot_be_cancelled)
{
	struct task sleeper = new_task();
	struct holder h;

	sleeper.parks = 1;
	pool_submit(pool, &sleeper.job);
	hold_worker(&h);
	ck_assert_uint_eq(sleeper.runs, 1);
	pool_cancel(&h.task.job);
	pool_cancel(&sleeper.job);
	pool_wake(&sleeper.job);
	release_worker(&h);
	check_ended(&h.task, 1);
	check_ended(&sleeper, 2);
}
END_TEST

START_TEST(offers_are_taken_while_the_pool_is_open_for_them)
{
	struct task task = new_task();

	ck_assert(!pool_offer(pool, &task.job));
	pool_open(pool);
	ck_assert(pool_offer(pool, &task.job));
	ck_assert_uint_eq(pool_busy(pool), 1);
	run_until_idle();
	check_ended(&task, 1);

	task = new_task();
	pool_close(pool);
	ck_assert(!pool_offer(pool, &task.job));
	ck_assert_uint_eq(pool_busy(pool), 0);
	pool_submit(pool, &task.job); /* that somebody waits for */
	run_until_idle();
	check_ended(&task, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pool");
	TCase *tc = tcase_create("pool");
	SRunner *sr;
	int failed;

	setenv("UV_THREADPOOL_SIZE", "1", 1);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, jobs_run_in_a_worker_and_end_in_the_loop);
	tcase_add_test(tc, the_pool_is_not_idle_when_the_last_job_submits_another);
	tcase_add_test(tc, a_parked_job_leaves_the_worker_to_who_wakes_it);
	tcase_add_test(tc, a_parked_job_is_busy_and_rests_until_it_is_woken);
	tcase_add_test(tc, a_job_that_is_woken_before_its_worker_lets_go_runs_again);
	tcase_add_test(tc, any_thread_wakes_jobs_whatever_they_are_at);
	tcase_add_test(tc, a_job_that_waits_for_a_worker_can_be_cancelled);
	tcase_add_test(tc, a_job_that_was_just_submitted_can_be_cancelled);
	tcase_add_test(tc, what_has_begun_cannot_be_cancelled);
	tcase_add_test(tc, offers_are_taken_while_the_pool_is_open_for_them);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
