#include "chunkcache/pool.h"

#include <stdatomic.h>
#include <stdlib.h>

struct pool {
	uv_loop_t *loop;
	uv_async_t async;
	uv_mutex_t lock;
	void (*on_idle)(void *arg);
	void *arg;
	struct job *first, **last; /* new or woken, for the loop to queue; protected by lock */
	bool open;		   /* for work that is offered; protected by lock */
	atomic_uint busy;
};

static void after_work(uv_work_t *work, int status);

static void run_job(uv_work_t *work)
{
	struct job *job = work->data;

	job->run(job);
}

static void queue(struct job *job)
{
	job->idle = job->woken = job->parked = false;
	job->work.data = job;
	uv_queue_work(job->pool->loop, &job->work, run_job, after_work);
}

static void end(struct job *job)
{
	struct pool *pool = job->pool;

	job->done(job);
	if (atomic_fetch_sub(&pool->busy, 1) == 1)
		pool->on_idle(pool->arg);
}

/* A job can be woken before libuv has let go of it, and must not be queued before that. */
static void after_work(uv_work_t *work, int status)
{
	struct job *job = work->data;

	job->cancelled = status < 0;
	if (job->parked && !job->cancelled) {
		job->idle = true;
		if (job->woken)
			queue(job);
		return;
	}
	end(job);
}

static void on_async(uv_async_t *async)
{
	struct pool *pool = async->data;
	struct job *job, *next;

	uv_mutex_lock(&pool->lock);
	job = pool->first;
	pool->first = NULL;
	pool->last = &pool->first;
	uv_mutex_unlock(&pool->lock);
	for (; job; job = next) {
		next = job->next;
		job->woken = true;
		if (job->cancelled)
			end(job);
		else if (job->idle)
			queue(job);
	}
}

static void hand_over_locked(struct pool *pool, struct job *job)
{
	job->next = NULL;
	*pool->last = job;
	pool->last = &job->next;
	uv_async_send(&pool->async);
}

static void add_locked(struct pool *pool, struct job *job)
{
	job->pool = pool;
	job->idle = true;
	atomic_fetch_add(&pool->busy, 1);
	hand_over_locked(pool, job);
}

int pool_new(struct pool **out, uv_loop_t *loop, void (*on_idle)(void *arg), void *arg,
	     struct error *err)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (!pool || uv_mutex_init(&pool->lock)) {
		free(pool);
		return error_set(err, ENOMEM, "out of memory");
	}
	pool->loop = loop;
	pool->on_idle = on_idle;
	pool->arg = arg;
	pool->last = &pool->first;
	if (uv_async_init(loop, &pool->async, on_async)) {
		uv_mutex_destroy(&pool->lock);
		free(pool);
		return error_set(err, EMFILE, "the loop has no descriptor left");
	}
	pool->async.data = pool;
	*out = pool;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct pool *pool = handle->data;

	uv_mutex_destroy(&pool->lock);
	free(pool);
}

void pool_free(struct pool *pool)
{
	if (pool)
		uv_close((uv_handle_t *)&pool->async, on_closed);
}

void pool_submit(struct pool *pool, struct job *job)
{
	uv_mutex_lock(&pool->lock);
	add_locked(pool, job);
	uv_mutex_unlock(&pool->lock);
}

bool pool_offer(struct pool *pool, struct job *job)
{
	bool open;

	uv_mutex_lock(&pool->lock);
	open = pool->open;
	if (open)
		add_locked(pool, job);
	uv_mutex_unlock(&pool->lock);
	return open;
}

static void set_open(struct pool *pool, bool open)
{
	uv_mutex_lock(&pool->lock);
	pool->open = open;
	uv_mutex_unlock(&pool->lock);
}

void pool_open(struct pool *pool)
{
	set_open(pool, true);
}

void pool_close(struct pool *pool)
{
	set_open(pool, false);
}

void pool_cancel(struct job *job)
{
	if (job->idle && !job->parked) /* still in the pool's list */
		job->cancelled = true;
	else
		uv_cancel((uv_req_t *)&job->work);
}

unsigned pool_busy(const struct pool *pool)
{
	return pool->busy;
}

void pool_wake(struct job *job)
{
	struct pool *pool = job->pool;

	uv_mutex_lock(&pool->lock);
	hand_over_locked(pool, job);
	uv_mutex_unlock(&pool->lock);
}
