#include "daemon/scan.h"

#include <stdlib.h>
#include <uv.h>

#include "daemon/log.h"

enum {
	READING_MS = 50, /* how long after a read a reader is taken to go on */
	REST_MS = 10,
	REST_MAX_MS = 10000, /* in all: then the count is more important */
};

struct scan {
	struct accessor *accessor;
	uv_thread_t thread;
	bool started;
	atomic_bool stop;
	_Atomic uint64_t read_at_ms;
	unsigned rested_ms; /* the walk's thread alone */
	_Atomic(struct walk *) result;
	_Atomic enum scan_state state;
	uv_mutex_t lock; /* for ended only: the atomics above are read without it */
	uv_cond_t ended;
};

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

/* On a cold archive the walk reads as much as the disk gives, just when somebody wants to copy. */
static void rest(void *arg)
{
	struct scan *scan = arg;

	while (!scan->stop && now_ms() - scan->read_at_ms < READING_MS &&
	       scan->rested_ms < REST_MAX_MS) {
		uv_sleep(REST_MS);
		scan->rested_ms += REST_MS;
	}
}

static void run(void *arg)
{
	struct scan *scan = arg;
	const struct walk_pace pace = { .rest = rest, .arg = scan };
	struct walk *walk = NULL;
	struct error err = { 0 };
	int r = walk_run(&walk, scan->accessor, &scan->stop, &pace, &err);

	if (r < 0 && r != -ECANCELED)
		log_warn("counting links: %s; link counts stay unknown", err.text);
	scan->result = walk;
	uv_mutex_lock(&scan->lock);
	scan->state = r < 0 ? SCAN_OFF : SCAN_DONE;
	uv_cond_broadcast(&scan->ended);
	uv_mutex_unlock(&scan->lock);
}

int scan_start(struct scan **out, struct accessor *a, bool wanted, struct error *err)
{
	struct scan *scan = calloc(1, sizeof(*scan));

	if (!scan)
		return error_set(err, ENOMEM, "out of memory");
	scan->accessor = a;
	scan->state = SCAN_OFF;
	if (uv_mutex_init(&scan->lock) || uv_cond_init(&scan->ended)) {
		free(scan);
		return error_set(err, ENOMEM, "out of memory");
	}
	if (wanted) {
		scan->state = SCAN_RUNNING;
		if (uv_thread_create(&scan->thread, run, scan)) {
			scan_free(scan);
			return error_set(err, EAGAIN, "cannot start a thread");
		}
		scan->started = true;
	}
	*out = scan;
	return 0;
}

bool scan_stop(struct scan *scan, unsigned timeout_ms)
{
	scan->stop = true;
	return scan_wait(scan, timeout_ms) != SCAN_RUNNING;
}

void scan_free(struct scan *scan)
{
	if (!scan)
		return;
	scan->stop = true;
	if (scan->started)
		uv_thread_join(&scan->thread);
	walk_free(scan->result);
	uv_cond_destroy(&scan->ended);
	uv_mutex_destroy(&scan->lock);
	free(scan);
}

enum scan_state scan_wait(struct scan *scan, unsigned timeout_ms)
{
	uint64_t now = uv_hrtime(), until = now + timeout_ms * UINT64_C(1000000);

	uv_mutex_lock(&scan->lock);
	while (scan->state == SCAN_RUNNING && now < until) {
		uv_cond_timedwait(&scan->ended, &scan->lock, until - now);
		now = uv_hrtime();
	}
	uv_mutex_unlock(&scan->lock);
	return scan->state;
}

void scan_wait_end(struct scan *scan)
{
	uv_mutex_lock(&scan->lock);
	while (scan->state == SCAN_RUNNING)
		uv_cond_wait(&scan->ended, &scan->lock);
	uv_mutex_unlock(&scan->lock);
}

void scan_give_way(struct scan *scan)
{
	if (scan->state == SCAN_RUNNING)
		scan->read_at_ms = now_ms();
}

enum scan_state scan_state(const struct scan *scan)
{
	return scan->state;
}

const struct walk *scan_result(const struct scan *scan)
{
	return scan->state == SCAN_DONE ? scan->result : NULL;
}
