/*
 * The clock and large allocations are the test's own: the linker redirects the cache's calls to
 * the functions below.
 */
#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "chunkcache/cache.h"

enum {
	CHUNK = 64 * 1024, /* a size that is not rounded up; so is any multiple of the next */
	STEP = 16 * 1024,
	BUDGET = 8, /* chunks */
	JOBS = 64,
	THREADS = 8,
};

uint64_t __wrap_uv_hrtime(void);
void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);

static _Atomic uint64_t now_ms;
static atomic_uint buffers; /* allocated so far */
static atomic_bool no_memory;

uint64_t __wrap_uv_hrtime(void)
{
	return now_ms * 1000000;
}

void *__wrap_malloc(size_t n)
{
	if (n < CHUNK)
		return __real_malloc(n);
	buffers++;
	return no_memory ? NULL : __real_malloc(n);
}

static struct cache *cache;

static void setup(void)
{
	now_ms = 1000000;
	buffers = 0;
	no_memory = false;
	ck_assert_int_eq(cache_new(&cache, (size_t)BUDGET * CHUNK, NULL), 0);
}

static void teardown(void)
{
	cache_free(cache);
}

static const struct io waits = { .may_wait = true }, hurries = { .may_wait = false };

/* Where the loads of a test come from. */
struct origin {
	uint8_t fill;
	atomic_uint loads;
	atomic_uint failures; /* how many loads fail, from the first on */
	int code;
	uv_sem_t *entered, *go; /* held while it loads */
};

static int load(void *arg, uint8_t *bytes, size_t len, struct error *err)
{
	struct origin *origin = arg;
	unsigned before = atomic_fetch_add(&origin->loads, 1);

	if (origin->entered) {
		uv_sem_post(origin->entered);
		uv_sem_wait(origin->go);
	}
	if (before < origin->failures)
		return error_set(err, origin->code, "load %u failed", before);
	memset(bytes, origin->fill, len);
	return 0;
}

static struct digest numbered(unsigned number)
{
	struct digest d = { .bytes = { 7 } }; /* many in one bucket */

	memcpy(d.bytes + 4, &number, sizeof(number));
	return d;
}

static int get(unsigned number, size_t len, enum cache_class class, const struct io *io,
	       struct origin *origin, struct chunk **out, struct error *err)
{
	const struct digest id = numbered(number);

	return cache_get(cache, &id, len, class, io,
			 &(struct cache_loader){ .load = load, .arg = origin }, out, err);
}

static bool is_whole(const struct chunk *chunk, unsigned number, size_t len)
{
	return chunk->len == len && chunk->bytes[0] == (uint8_t)number &&
	       memcmp(chunk->bytes, chunk->bytes + 1, len - 1) == 0;
}

static struct chunk *borrow(unsigned number, size_t len, enum cache_class class)
{
	struct origin origin = { .fill = (uint8_t)number };
	struct chunk *chunk = NULL;

	ck_assert_int_eq(get(number, len, class, &waits, &origin, &chunk, NULL), 0);
	ck_assert(is_whole(chunk, number, len));
	return chunk;
}

static void touch(unsigned number, enum cache_class class)
{
	cache_put(cache, borrow(number, CHUNK, class));
}

static bool has(unsigned number)
{
	const struct digest id = numbered(number);

	return cache_has(cache, &id);
}

static unsigned count(unsigned first, unsigned n)
{
	unsigned there = 0;

	for (unsigned i = first; i < first + n; i++)
		there += has(i);
	return there;
}

static size_t bytes_held(void)
{
	return cache_stats(cache).bytes;
}

/* Many who want chunk 1 at once: one in a thread, who loads it, and jobs and further threads. */

struct getter {
	struct job job;
	struct stage *stage;
	int r;
	bool whole;
	struct error err;
};

struct stage {
	struct origin origin;
	uv_loop_t loop;
	struct pool *pool;
	uv_sem_t entered, go;
	atomic_uint parked, begun;
	struct getter first, jobs[JOBS], threads[THREADS];
};

static void fetch(struct getter *getter, const struct io *io)
{
	struct chunk *chunk;

	getter->r = get(1, CHUNK, CACHE_PAYLOAD, io, &getter->stage->origin, &chunk, &getter->err);
	if (getter->r)
		return;
	getter->whole = is_whole(chunk, getter->stage->origin.fill, CHUNK);
	cache_put(cache, chunk);
}

static void getter_run(struct job *job)
{
	struct getter *getter = (struct getter *)job;

	fetch(getter, &(struct io){ .may_wait = true, .job = job });
	if (getter->r == 1)
		getter->stage->parked++;
}

static void getter_done(struct job *job)
{
	(void)job;
}

static void getter_thread(void *arg)
{
	struct getter *getter = arg;

	getter->stage->begun++;
	fetch(getter, &waits);
}

static void on_idle(void *arg)
{
	uv_stop(arg);
}

static void start_jobs(struct stage *s)
{
	for (size_t i = 0; i < JOBS; i++) {
		struct getter *getter = &s->jobs[i];

		getter->job.run = getter_run;
		getter->job.done = getter_done;
		getter->stage = s;
		pool_submit(s->pool, &getter->job);
	}
	while (s->parked < JOBS)
		uv_run(&s->loop, UV_RUN_ONCE);
}

static void run_stage(struct stage *s)
{
	uv_thread_t first, threads[THREADS];
	struct chunk *chunk;

	ck_assert_int_eq(uv_loop_init(&s->loop), 0);
	ck_assert_int_eq(pool_new(&s->pool, &s->loop, on_idle, &s->loop, NULL), 0);
	ck_assert_int_eq(uv_sem_init(&s->entered, 0), 0);
	ck_assert_int_eq(uv_sem_init(&s->go, 0), 0);
	s->origin.entered = &s->entered;
	s->origin.go = &s->go;
	s->first.stage = s;
	uv_thread_create(&first, getter_thread, &s->first);
	uv_sem_wait(&s->entered);
	for (size_t i = 0; i < THREADS; i++) {
		s->threads[i].stage = s;
		uv_thread_create(&threads[i], getter_thread, &s->threads[i]);
	}
	start_jobs(s);
	ck_assert_int_eq(get(1, CHUNK, CACHE_PAYLOAD, &hurries, &s->origin, &chunk, NULL), 1);
	ck_assert(has(1)); /* or will be */
	while (s->begun < 1 + THREADS)
		uv_run(&s->loop, UV_RUN_NOWAIT);
	for (size_t i = 0; i < 1 + JOBS + THREADS; i++) /* more than there should be loads */
		uv_sem_post(&s->go);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	uv_thread_join(&first);
	for (size_t i = 0; i < THREADS; i++)
		uv_thread_join(&threads[i]);
	pool_free(s->pool);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&s->loop), 0);
	uv_sem_destroy(&s->entered);
	uv_sem_destroy(&s->go);
}

static void check_getter(const struct getter *getter, int r)
{
	ck_assert_int_eq(getter->r, r);
	ck_assert(getter->whole == !r);
	if (r < 0)
		ck_assert_str_eq(getter->err.text, "load 0 failed");
}

static void check_those_who_waited(const struct stage *s, int r)
{
	for (size_t i = 0; i < JOBS; i++)
		check_getter(&s->jobs[i], r);
	for (size_t i = 0; i < THREADS; i++)
		check_getter(&s->threads[i], r);
}

START_TEST(one_load_serves_all_who_want_the_chunk)
{
	static struct stage s;

	s = (struct stage){ .origin = { .fill = 17 } };
	run_stage(&s);
	ck_assert_uint_eq(s.origin.loads, 1);
	check_getter(&s.first, 0);
	check_those_who_waited(&s, 0);
	ck_assert_uint_eq(cache_stats(cache).hits, JOBS + THREADS);
	ck_assert_uint_eq(cache_stats(cache).loads, 1);
}
END_TEST

START_TEST(all_who_waited_for_a_load_learn_why_it_failed)
{
	static struct stage s;

	s = (struct stage){ .origin = { .failures = UINT32_MAX, .code = EBADMSG } };
	run_stage(&s);
	ck_assert_uint_eq(s.origin.loads, 1);
	check_getter(&s.first, -EBADMSG);
	check_those_who_waited(&s, -EBADMSG);
	ck_assert_uint_eq(cache_stats(cache).failures, 1);
	ck_assert_uint_eq(cache_stats(cache).chunks, 0);
}
END_TEST

START_TEST(who_waited_for_a_load_that_lacked_memory_tries_again)
{
	static struct stage s;

	s = (struct stage){ .origin = { .fill = 3, .failures = 1, .code = ENOMEM } };
	run_stage(&s);
	ck_assert_uint_eq(s.origin.loads, 2);
	check_getter(&s.first, -ENOMEM);
	check_those_who_waited(&s, 0);
}
END_TEST

START_TEST(a_slow_load_holds_up_no_other_chunk)
{
	static struct stage s;
	struct chunk *chunk;
	uv_thread_t thread;

	s = (struct stage){ .origin = { .fill = 1 } };
	ck_assert_int_eq(uv_sem_init(&s.entered, 0), 0);
	ck_assert_int_eq(uv_sem_init(&s.go, 0), 0);
	s.origin.entered = &s.entered;
	s.origin.go = &s.go;
	s.first.stage = &s;
	uv_thread_create(&thread, getter_thread, &s.first);
	uv_sem_wait(&s.entered);
	for (unsigned i = 2; i < 10 * BUDGET; i++)
		touch(i, i % 2 ? CACHE_PAYLOAD : CACHE_METADATA);
	ck_assert_int_eq(get(1, CHUNK, CACHE_PAYLOAD, &hurries, &s.origin, &chunk, NULL), 1);
	uv_sem_post(&s.go);
	uv_thread_join(&thread);
	check_getter(&s.first, 0);
	uv_sem_destroy(&s.entered);
	uv_sem_destroy(&s.go);
}
END_TEST

START_TEST(who_may_not_wait_gets_what_is_there_and_loads_nothing)
{
	struct origin origin = { .fill = 1 };
	struct chunk *chunk;

	ck_assert_int_eq(get(1, CHUNK, CACHE_PAYLOAD, &hurries, &origin, &chunk, NULL), 1);
	ck_assert(!has(1));
	touch(1, CACHE_PAYLOAD);
	ck_assert_int_eq(get(1, CHUNK, CACHE_PAYLOAD, &hurries, &origin, &chunk, NULL), 0);
	cache_put(cache, chunk);
	ck_assert_uint_eq(origin.loads, 0);
}
END_TEST

START_TEST(a_failure_is_remembered_for_half_a_second)
{
	struct origin origin = { .fill = 1, .failures = 2, .code = EIO };
	struct chunk *chunk;
	struct error err;

	ck_assert_int_eq(get(1, CHUNK, CACHE_PAYLOAD, &waits, &origin, &chunk, &err), -EIO);
	now_ms += 499;
	err = (struct error){ 0 };
	ck_assert_int_eq(get(1, CHUNK, CACHE_PAYLOAD, &hurries, &origin, &chunk, &err), -EIO);
	ck_assert_str_eq(err.text, "load 0 failed");
	ck_assert(!has(1));
	ck_assert_uint_eq(origin.loads, 1);
	now_ms += 1;
	ck_assert_int_eq(get(1, CHUNK, CACHE_PAYLOAD, &waits, &origin, &chunk, &err), -EIO);
	ck_assert_str_eq(err.text, "load 1 failed");
	now_ms += 500; /* and now it is repaired */
	ck_assert_int_eq(get(1, CHUNK, CACHE_PAYLOAD, &waits, &origin, &chunk, &err), 0);
	cache_put(cache, chunk);
	ck_assert_uint_eq(origin.loads, 3);
	ck_assert_uint_eq(cache_stats(cache).failures, 2);
}
END_TEST

START_TEST(failures_take_no_buffers)
{
	struct origin origin = { .failures = UINT32_MAX, .code = EIO };
	struct chunk *chunk;

	for (unsigned i = 0; i < 1000; i++)
		ck_assert_int_eq(get(i, CHUNK, CACHE_PAYLOAD, &waits, &origin, &chunk, NULL), -EIO);
	ck_assert_uint_eq(buffers, 1);
	ck_assert_uint_eq(bytes_held(), CHUNK);
	ck_assert_uint_eq(origin.loads, 1000);
}
END_TEST

START_TEST(a_want_of_memory_is_not_remembered)
{
	struct origin origin = { .failures = 1, .code = ENOMEM, .fill = 1 };
	struct chunk *chunk;

	no_memory = true;
	ck_assert_int_eq(get(1, CHUNK, CACHE_PAYLOAD, &waits, &origin, &chunk, NULL), -ENOMEM);
	ck_assert_uint_eq(origin.loads, 0);
	ck_assert_uint_eq(bytes_held(), 0);
	no_memory = false;
	ck_assert_int_eq(get(1, CHUNK, CACHE_PAYLOAD, &waits, &origin, &chunk, NULL), -ENOMEM);
	ck_assert_uint_eq(origin.loads, 1);
	ck_assert_int_eq(get(1, CHUNK, CACHE_PAYLOAD, &waits, &origin, &chunk, NULL), 0);
	cache_put(cache, chunk);
	ck_assert_uint_eq(bytes_held(), CHUNK);
}
END_TEST

START_TEST(what_is_lent_stays_and_is_counted)
{
	struct chunk *lent[3 * BUDGET], *again;

	for (unsigned i = 0; i < 3 * BUDGET; i++)
		lent[i] = borrow(i, CHUNK, i % 2 ? CACHE_PAYLOAD : CACHE_METADATA);
	ck_assert_uint_eq(bytes_held(), 3 * BUDGET * CHUNK);
	for (unsigned i = 100; i < 110; i++) {
		touch(i, CACHE_PAYLOAD);
		ck_assert_uint_eq(bytes_held(), 3 * BUDGET * CHUNK);
		ck_assert(!has(i)); /* there is no room for what is not lent */
	}
	for (unsigned i = 0; i < 3 * BUDGET; i++) {
		ck_assert(is_whole(lent[i], i, CHUNK));
		again = borrow(i, CHUNK, CACHE_PAYLOAD);
		ck_assert_ptr_eq(again, lent[i]);
		cache_put(cache, again);
	}
	for (unsigned i = 0; i < 3 * BUDGET; i++)
		cache_put(cache, lent[i]);
	ck_assert_uint_eq(bytes_held(), BUDGET * CHUNK); /* at once */
	ck_assert_uint_eq(cache_stats(cache).chunks, BUDGET);
}
END_TEST

START_TEST(what_was_used_longest_ago_goes_first)
{
	for (unsigned i = 0; i < BUDGET; i++)
		touch(i, CACHE_PAYLOAD);
	touch(0, CACHE_PAYLOAD);
	touch(2, CACHE_PAYLOAD);
	for (unsigned i = 0; i < BUDGET - 2; i++) {
		static const unsigned order[] = { 1, 3, 4, 5, 6, 7 };

		ck_assert(has(order[i]));
		touch(100 + i, CACHE_PAYLOAD);
		ck_assert(!has(order[i]));
		ck_assert_uint_eq(cache_stats(cache).evictions, i + 1);
	}
	ck_assert(has(0));
	touch(200, CACHE_PAYLOAD);
	ck_assert(!has(0));
	ck_assert(has(2));
}
END_TEST

START_TEST(payload_does_not_push_out_metadata)
{
	for (unsigned i = 0; i < BUDGET / 2; i++)
		touch(i, CACHE_METADATA);
	for (unsigned i = 100; i < 100 + 10 * BUDGET; i++)
		touch(i, CACHE_PAYLOAD);
	ck_assert_uint_eq(count(0, BUDGET / 2), BUDGET / 2);
	ck_assert_uint_eq(count(100, 10 * BUDGET), BUDGET / 2);
}
END_TEST

START_TEST(metadata_takes_no_more_than_half_from_payload)
{
	for (unsigned i = 0; i < 10 * BUDGET; i++)
		touch(i, CACHE_METADATA);
	ck_assert_uint_eq(count(0, 10 * BUDGET), BUDGET); /* as long as nobody else wants it */
	for (unsigned i = 100; i < 100 + BUDGET; i++)
		touch(i, CACHE_PAYLOAD);
	ck_assert_uint_eq(count(0, 10 * BUDGET), BUDGET / 2);
	for (unsigned i = 200; i < 200 + 10 * BUDGET; i++)
		touch(i, CACHE_METADATA);
	ck_assert_uint_ge(count(100, BUDGET), BUDGET / 2 - 1);
}
END_TEST

START_TEST(memory_of_evicted_chunks_is_used_again)
{
	for (unsigned i = 0; i < 10 * BUDGET; i++)
		touch(i, CACHE_PAYLOAD);
	ck_assert_uint_eq(buffers, BUDGET);
	ck_assert_uint_eq(cache_stats(cache).evictions, 9 * BUDGET);
}
END_TEST

/* Of all sizes, with some lent: what is there and is not lent keeps within the budget. */
START_TEST(the_budget_is_exceeded_by_nothing_but_what_is_lent)
{
	struct chunk *lent[16] = { NULL };
	size_t lent_bytes = 0;

	srandom(1);
	for (unsigned i = 0; i < 4000; i++) {
		unsigned number = (unsigned)random() % 100, at = (unsigned)random() % 16;
		size_t len = CHUNK + number % 5 * STEP;

		if (lent[at])
			lent_bytes -= lent[at]->len;
		cache_put(cache, lent[at]);
		lent[at] = NULL;
		ck_assert_uint_le(bytes_held(),
				  lent_bytes > BUDGET * CHUNK ? lent_bytes : BUDGET * CHUNK);
		if (random() % 3 == 0 || count(number, 1)) {
			cache_put(cache, borrow(number, len, number % 2));
		} else {
			lent[at] = borrow(number, len, number % 2);
			lent_bytes += len;
		}
		ck_assert_uint_le(bytes_held(), lent_bytes + len > BUDGET * CHUNK ? lent_bytes + len
										  : BUDGET * CHUNK);
	}
	for (unsigned at = 0; at < 16; at++)
		cache_put(cache, lent[at]);
	ck_assert_uint_le(bytes_held(), BUDGET * CHUNK);
}
END_TEST

START_TEST(lengths_that_disagree_are_refused)
{
	struct origin origin = { .fill = 1 };
	struct chunk *chunk;
	struct error err;

	touch(1, CACHE_PAYLOAD);
	ck_assert_int_eq(get(1, CHUNK + 1, CACHE_PAYLOAD, &waits, &origin, &chunk, &err), -EUCLEAN);
	ck_assert_str_eq(err.text, "an index gives a chunk 65537 bytes, another gives it 65536");
	ck_assert_uint_eq(origin.loads, 0);
	touch(1, CACHE_PAYLOAD);
}
END_TEST

START_TEST(a_wrong_length_spoils_no_chunk_for_others)
{
	struct origin origin = { .failures = 1, .code = EUCLEAN };
	struct chunk *chunk;

	ck_assert_int_eq(get(1, CHUNK + 1, CACHE_PAYLOAD, &waits, &origin, &chunk, NULL), -EUCLEAN);
	touch(1, CACHE_PAYLOAD);
	ck_assert(has(1));
}
END_TEST

/* Each thread with numbers of its own to begin with. */
static void hammer(void *arg)
{
	unsigned seed = *(unsigned *)arg;

	for (unsigned i = 0; i < 2000; i++) {
		unsigned number = (seed = seed * 1103515245 + 12345) >> 16 & 31;
		struct origin origin = { .fill = (uint8_t)number, .code = EIO };
		struct chunk *chunk;
		int r;

		origin.failures = seed >> 24 == 0;
		now_ms += i % 2;
		r = get(number, CHUNK, number % 2, &waits, &origin, &chunk, NULL);
		ck_assert(r == 0 || r == -EIO);
		if (r)
			continue;
		ck_assert(chunk->bytes[0] == number && chunk->bytes[CHUNK - 1] == number);
		cache_put(cache, chunk);
	}
}

START_TEST(threads_share_a_small_cache)
{
	uv_thread_t threads[THREADS];
	unsigned seeds[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		seeds[i] = i * 7919;
		uv_thread_create(&threads[i], hammer, &seeds[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		uv_thread_join(&threads[i]);
	ck_assert_uint_le(bytes_held(), BUDGET * CHUNK);
	ck_assert_uint_eq(cache_stats(cache).chunks, count(0, 32));
}
END_TEST

static TCase *sharing_case(void)
{
	TCase *tc = tcase_create("sharing");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, one_load_serves_all_who_want_the_chunk);
	tcase_add_test(tc, all_who_waited_for_a_load_learn_why_it_failed);
	tcase_add_test(tc, who_waited_for_a_load_that_lacked_memory_tries_again);
	tcase_add_test(tc, a_slow_load_holds_up_no_other_chunk);
	tcase_add_test(tc, who_may_not_wait_gets_what_is_there_and_loads_nothing);
	tcase_add_test(tc, a_failure_is_remembered_for_half_a_second);
	tcase_add_test(tc, failures_take_no_buffers);
	tcase_add_test(tc, a_want_of_memory_is_not_remembered);
	tcase_add_test(tc, lengths_that_disagree_are_refused);
	tcase_add_test(tc, a_wrong_length_spoils_no_chunk_for_others);
	tcase_add_test(tc, threads_share_a_small_cache);
	return tc;
}

static TCase *budget_case(void)
{
	TCase *tc = tcase_create("budget");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, what_is_lent_stays_and_is_counted);
	tcase_add_test(tc, what_was_used_longest_ago_goes_first);
	tcase_add_test(tc, payload_does_not_push_out_metadata);
	tcase_add_test(tc, metadata_takes_no_more_than_half_from_payload);
	tcase_add_test(tc, memory_of_evicted_chunks_is_used_again);
	tcase_add_test(tc, the_budget_is_exceeded_by_nothing_but_what_is_lent);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("cache");
	SRunner *sr;
	int failed;

	setenv("UV_THREADPOOL_SIZE", "4", 1);
	suite_add_tcase(s, sharing_case());
	suite_add_tcase(s, budget_case());
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
