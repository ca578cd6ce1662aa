/*
 * dispatch.h - from the kernel's requests to handlers, and from handlers to replies
 *
 * A request is run at once, in the thread that received it, with an io that may not wait. Most
 * need nothing more. One that would wait goes to libuv's pool and is run there again, from the
 * start, and answered from there: so what is slow occupies a worker, and all else goes on. One
 * that is still not answered when its time is over gets EIO.
 *
 * Threads: all functions and the operations' entry points belong to the loop's thread, but for
 * dispatch_answers_init().
 */
#ifndef DAEMON_DISPATCH_H
#define DAEMON_DISPATCH_H

#include <uv.h>

#include "chunkcache/pool.h"
#include "daemon/fs.h"

struct fuse_lowlevel_ops;
struct dispatch;

/* on_init is called when the kernel is being told that the mount answers. */
struct dispatch_hooks {
	void (*on_init)(void *arg);
	void *arg;
};

/* Borrows file system, loop and pool. */
int dispatch_new(struct dispatch **out, struct fs *fs, uv_loop_t *loop, struct pool *pool,
		 unsigned timeout_ms, const struct dispatch_hooks *hooks, struct error *err);

/* No request may be in the pool any more. The loop must run once more for its handle to close. */
void dispatch_free(struct dispatch *d);
DEFINE_CLEANUP(struct dispatch, dispatch_free);

/* For fuse_session_new(), whose userdata must be the dispatch. */
extern const struct fuse_lowlevel_ops dispatch_ops;

/* True once: for the reply that answers INIT, asked when it is about to be written. */
bool dispatch_answers_init(struct dispatch *d);

#endif
