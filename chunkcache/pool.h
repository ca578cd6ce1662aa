/*
 * pool.h - jobs on libuv's workers, and their parking
 *
 * A job runs in a worker. It ends there, or it finds that another job is busy with what it needs:
 * then it is parked, its worker is free for others, and whoever finishes wakes it, so that it runs
 * once more from the start. No worker ever waits for another, so the pool goes on with as few as
 * one.
 *
 * Threads: pool_new() and pool_free() belong to the loop's thread, the rest to any. A job's run is
 * called in a worker, its done in the loop's thread.
 */
#ifndef CHUNKCACHE_POOL_H
#define CHUNKCACHE_POOL_H

#include <stdbool.h>
#include <uv.h>

#include "core/cleanup.h"
#include "core/error.h"

struct pool;

struct job {
	void (*run)(struct job *job);
	void (*done)(struct job *job); /* the job is the caller's again */
	bool parked;	/* set while it runs, by whoever promises to call pool_wake() */
	bool cancelled; /* it will not run (again); done is next */

	/* the pool's own */
	uv_work_t work;
	struct pool *pool;
	struct job *next;
	bool idle, woken;
};

/* Borrows the loop. on_idle is called in the loop's thread whenever the last job has ended. */
int pool_new(struct pool **out, uv_loop_t *loop, void (*on_idle)(void *arg), void *arg,
	     struct error *err);

/* No job may be in it any more. The loop must run once more for its handle to close. */
void pool_free(struct pool *pool);
DEFINE_CLEANUP(struct pool, pool_free);

/* Runs the job as soon as a worker is free. run and done are set, the rest is zero. */
void pool_submit(struct pool *pool, struct job *job);

/* The same for work that nobody waits for: false, and the job is still the caller's, unless the
   pool has been opened for such work, or when it has been closed again. */
bool pool_offer(struct pool *pool, struct job *job);
void pool_open(struct pool *pool);
void pool_close(struct pool *pool);

/* Keeps a job that waits for a worker from running. One that runs or is parked goes on. Called in
   the loop's thread. */
void pool_cancel(struct job *job);

/* How many jobs there are that have not ended, in the loop's thread. */
unsigned pool_busy(const struct pool *pool);

/* Lets a job that was parked run again; once for each time it was parked. */
void pool_wake(struct job *job);

#endif
