#define FUSE_USE_VERSION 314
#include "daemon/dispatch.h"

#include <fuse_lowlevel.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/ops.h"

enum { MAX_BACKGROUND = 64, CONGESTION = 48 }; /* requests the kernel keeps in flight */

/* A request on its way through the pool. */
struct call {
	struct job job;
	struct dispatch *d;
	fuse_req_t req; /* gone once answered */
	ops_handler *handler;
	struct request rq;
	atomic_bool answered; /* by whoever sets it: its worker, the clock, or an interruption */
	uint64_t until_ms;
	struct call *earlier,
		*later; /* the loop's thread alone, as long as the clock runs for it */
	bool timed;
	char name[];
};

struct dispatch {
	struct fs *fs;
	struct pool *pool;
	struct dispatch_hooks hooks;
	uint64_t timeout_ms;
	uv_timer_t clock;
	struct call *first, *last; /* in the pool, by until_ms */
	bool answering_init;
};

static void on_clock(uv_timer_t *clock);

int dispatch_new(struct dispatch **out, struct fs *fs, uv_loop_t *loop, struct pool *pool,
		 unsigned timeout_ms, const struct dispatch_hooks *hooks, struct error *err)
{
	struct dispatch *d = calloc(1, sizeof(*d));

	if (!d)
		return error_set(err, ENOMEM, "out of memory");
	d->fs = fs;
	d->pool = pool;
	d->timeout_ms = timeout_ms;
	d->hooks = *hooks;
	uv_timer_init(loop, &d->clock);
	d->clock.data = d;
	*out = d;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void dispatch_free(struct dispatch *d)
{
	if (d)
		uv_close((uv_handle_t *)&d->clock, on_closed);
}

bool dispatch_answers_init(struct dispatch *d)
{
	/* Pool threads ask too; by then it is not written any more. */
	if (!d->answering_init)
		return false;
	d->answering_init = false;
	return true;
}

/* Runs the handler and answers, unless `answered` says that somebody has meanwhile: true; false
   when it would wait and may not, or was parked. */
static bool run(struct fs *fs, const struct io *io, fuse_req_t req, ops_handler *handler,
		const struct request *rq, atomic_bool *answered)
{
	struct reply reply = reply_init(fs->buffers);
	struct error err = { 0 };
	int r = handler(fs, io, rq, &reply, &err);

	if (r > 0 || (answered && atomic_exchange(answered, true)))
		; /* not the time, or not ours, to answer */
	else if (r < 0)
		reply_error(req, &err);
	else
		reply_send(req, &reply);
	reply_release(&reply);
	return r <= 0;
}

static void refuse(fuse_req_t req, int code, const char *why)
{
	struct error err;

	error_set(&err, code, "%s", why);
	reply_error(req, &err);
}

static void refuse_call(struct call *call, int code, const char *why)
{
	if (!atomic_exchange(&call->answered, true))
		refuse(call->req, code, why);
}

static void call_run(struct job *job)
{
	struct call *call = (struct call *)job;
	const struct io io = { .may_wait = true, .job = job };

	if (!call->answered &&
	    !run(call->d->fs, &io, call->req, call->handler, &call->rq, &call->answered) &&
	    !job->parked)
		refuse_call(call, EIO, "a handler that may wait did not");
}

static void stop_clock(struct call *call)
{
	struct dispatch *d = call->d;

	if (!call->timed)
		return;
	call->timed = false;
	*(call->earlier ? &call->earlier->later : &d->first) = call->later;
	*(call->later ? &call->later->earlier : &d->last) = call->earlier;
	if (!d->first)
		uv_timer_stop(&d->clock);
}

static void call_done(struct job *job)
{
	struct call *call = (struct call *)job;

	stop_clock(call);
	free(call);
}

/* Nobody waits longer than this for an answer. What holds the worker up goes on holding it up. */
static void on_clock(uv_timer_t *clock)
{
	struct dispatch *d = clock->data;
	uint64_t now = uv_now(clock->loop);

	while (d->first && d->first->until_ms <= now) {
		refuse_call(d->first, EIO, "the archive did not answer in time");
		stop_clock(d->first);
	}
	if (d->first)
		uv_timer_start(clock, on_clock, d->first->until_ms - now, 0);
}

static void start_clock(struct call *call)
{
	struct dispatch *d = call->d;

	call->until_ms = uv_now(d->clock.loop) + d->timeout_ms;
	call->timed = true;
	call->earlier = d->last;
	*(d->last ? &d->last->later : &d->first) = call;
	d->last = call;
	if (d->first == call)
		uv_timer_start(&d->clock, on_clock, d->timeout_ms, 0);
}

/* Whoever asked does not wait any more, and is told so at once; what has begun goes on, for others
   may need it too. Called while the loop's thread reads the interruption, and a call lives until
   that thread has run call_done(). */
static void on_interrupt(fuse_req_t req, void *data)
{
	struct call *call = data;

	(void)req;
	refuse_call(call, EINTR, "interrupted");
	pool_cancel(&call->job);
}

static void hop(struct dispatch *d, fuse_req_t req, ops_handler *handler, const struct request *rq)
{
	size_t n = rq->name ? strlen(rq->name) + 1 : 0;
	struct call *call = calloc(1, sizeof(*call) + n);

	if (!call) {
		refuse(req, ENOMEM, "out of memory");
		return;
	}
	call->job.run = call_run;
	call->job.done = call_done;
	call->d = d;
	call->req = req;
	call->handler = handler;
	call->rq = *rq;
	if (n) {
		memcpy(call->name, rq->name, n);
		call->rq.name = call->name;
	}
	fuse_req_interrupt_func(req, on_interrupt, call);
	start_clock(call);
	pool_submit(d->pool, &call->job);
}

static void serve(fuse_req_t req, ops_handler *handler, struct request rq)
{
	static const struct io io = { .may_wait = false };
	struct dispatch *d = fuse_req_userdata(req);

	rq.uid = fuse_req_ctx(req)->uid;
	if (!run(d->fs, &io, req, handler, &rq, NULL))
		hop(d, req, handler, &rq);
}

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
	struct dispatch *d = userdata;
	unsigned want = FUSE_CAP_ASYNC_READ | FUSE_CAP_READDIRPLUS | FUSE_CAP_PARALLEL_DIROPS |
			FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_NO_OPEN_SUPPORT |
			FUSE_CAP_NO_OPENDIR_SUPPORT;

	/* Splicing was measured slower than writing from memory. Without READDIRPLUS_AUTO, listings
	   always bring attributes: it saves a lookup for each entry. */
	if (!fs_has_no_attributes(d->fs))
		want |= FUSE_CAP_POSIX_ACL;
	conn->want = conn->capable & want;
	conn->max_background = MAX_BACKGROUND;
	conn->congestion_threshold = CONGESTION;
	conn->time_gran = 1;
	d->answering_init = true;
	d->hooks.on_init(d->hooks.arg);
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	serve(req, ops_lookup, (struct request){ .number = parent, .name = name });
}

static void on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	(void)n;
	serve(req, ops_forget, (struct request){ .number = ino });
}

static void on_forget_multi(fuse_req_t req, size_t n, struct fuse_forget_data *forgets)
{
	(void)n;
	(void)forgets;
	serve(req, ops_forget, (struct request){ 0 });
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	serve(req, ops_getattr, (struct request){ .number = ino });
}

static void on_readlink(fuse_req_t req, fuse_ino_t ino)
{
	serve(req, ops_readlink, (struct request){ .number = ino });
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	serve(req, ops_not_needed, (struct request){ .number = ino });
}

static struct request piece(fuse_ino_t ino, size_t size, off_t offset)
{
	return (struct request){ .number = ino, .size = size, .offset = (uint64_t)offset };
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	(void)fi;
	serve(req, ops_read, piece(ino, size, offset));
}

static void on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *fi)
{
	(void)fi;
	serve(req, ops_readdir, piece(ino, size, offset));
}

static void on_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			   struct fuse_file_info *fi)
{
	(void)fi;
	serve(req, ops_readdirplus, piece(ino, size, offset));
}

static void on_statfs(fuse_req_t req, fuse_ino_t ino)
{
	serve(req, ops_statfs, (struct request){ .number = ino });
}

static void on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	serve(req, ops_getxattr, (struct request){ .number = ino, .name = name, .size = size });
}

static void on_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	serve(req, ops_listxattr, (struct request){ .number = ino, .size = size });
}

/* The mount is read-only, so these come only when somebody has remounted it. */
static void on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	(void)attr;
	(void)to_set;
	(void)fi;
	serve(req, ops_refuse, (struct request){ .number = ino });
}

static void on_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	(void)mode;
	(void)rdev;
	serve(req, ops_refuse, (struct request){ .number = parent, .name = name });
}

static void on_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	on_mknod(req, parent, name, mode, 0);
}

static void on_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	on_mknod(req, parent, name, 0, 0);
}

static void on_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	(void)target;
	on_mknod(req, parent, name, 0, 0);
}

static void on_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		      const char *new_name, unsigned flags)
{
	(void)new_parent;
	(void)new_name;
	(void)flags;
	on_mknod(req, parent, name, 0, 0);
}

static void on_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	(void)ino;
	on_mknod(req, parent, name, 0, 0);
}

static void on_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	(void)fi;
	on_mknod(req, parent, name, mode, 0);
}

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t n, off_t offset,
		     struct fuse_file_info *fi)
{
	(void)bytes;
	(void)fi;
	serve(req, ops_refuse, piece(ino, n, offset));
}

static void on_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t n,
			 struct fuse_file_info *fi)
{
	(void)mode;
	on_write(req, ino, NULL, (size_t)n, offset, fi);
}

static void on_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
			size_t n, int flags)
{
	(void)value;
	(void)n;
	(void)flags;
	on_mknod(req, ino, name, 0, 0);
}

static void on_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	on_mknod(req, ino, name, 0, 0);
}

const struct fuse_lowlevel_ops dispatch_ops = {
	.init = on_init,
	.lookup = on_lookup,
	.forget = on_forget,
	.forget_multi = on_forget_multi,
	.getattr = on_getattr,
	.readlink = on_readlink,
	.open = on_open,
	.opendir = on_open,
	.read = on_read,
	.readdir = on_readdir,
	.readdirplus = on_readdirplus,
	.statfs = on_statfs,
	.getxattr = on_getxattr,
	.listxattr = on_listxattr,
	.setattr = on_setattr,
	.mknod = on_mknod,
	.mkdir = on_mkdir,
	.unlink = on_unlink,
	.rmdir = on_unlink,
	.symlink = on_symlink,
	.rename = on_rename,
	.link = on_link,
	.create = on_create,
	.write = on_write,
	.fallocate = on_fallocate,
	.setxattr = on_setxattr,
	.removexattr = on_removexattr,
};
