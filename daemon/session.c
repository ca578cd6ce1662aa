#define FUSE_USE_VERSION 314
#include "daemon/session.h"

#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "daemon/log.h"
#include "daemon/mountpoint.h"

enum { BATCH = 64 }; /* requests before signals get a look in */

struct session {
	struct fuse_session *fuse;
	struct fuse_buf buf;
	bool mounted;
};

/* libfuse 3.14 never tells the kernel FUSE_PARALLEL_DIROPS, without which one lookup that hangs
   freezes its whole directory; so the flag is added to its answer to INIT on the way out. */
static ssize_t write_reply(int fd, struct iovec *iov, int count, void *userdata)
{
	struct fuse_init_out init;

	if (dispatch_answers_init(userdata) && count == 2 && iov[1].iov_len == sizeof(init)) {
		memcpy(&init, iov[1].iov_base, sizeof(init));
		init.flags |= FUSE_PARALLEL_DIROPS;
		iov[1].iov_base = &init;
	}
	return writev(fd, iov, count);
}

static ssize_t read_request(int fd, void *buf, size_t n, void *userdata)
{
	(void)userdata;
	return read(fd, buf, n);
}

static int new_fuse(struct session *s, struct dispatch *d, const char *fuse_options, bool debug,
		    struct error *err)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int r;

	r = fuse_opt_add_arg(&args, "pxar-mount") || fuse_opt_add_arg(&args, "-o") ||
	    fuse_opt_add_arg(&args, fuse_options) || (debug && fuse_opt_add_arg(&args, "-d"));
	if (!r)
		s->fuse = fuse_session_new(&args, &dispatch_ops, sizeof(dispatch_ops), d);
	fuse_opt_free_args(&args);
	if (r || !s->fuse)
		return error_set(err, EINVAL, "libfuse refuses the options %s", fuse_options);
	return 0;
}

int session_mount(struct session **out, struct dispatch *d, const char *mountpoint,
		  const char *fuse_options, bool debug, struct error *err)
{
	static const struct fuse_custom_io io = { .writev = write_reply, .read = read_request };
	CLEANUP(session_freep) struct session *s = calloc(1, sizeof(*s));
	int fd, r;

	if (!s)
		return error_set(err, ENOMEM, "out of memory");
	r = new_fuse(s, d, fuse_options, debug, err);
	if (r < 0)
		return r;
	log_fuse(true);
	r = fuse_session_mount(s->fuse, mountpoint);
	log_fuse(false);
	if (r)
		return mountpoint_explain_failure(err);
	s->mounted = true;
	fd = fuse_session_fd(s->fuse);
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return error_set(err, errno, "fcntl: %m");
	r = fuse_session_custom_io(s->fuse, &io, fd);
	if (r)
		return error_set(err, r, "libfuse refuses its own connection");
	*out = TAKE(s);
	return 0;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	if (s->mounted)
		fuse_session_unmount(s->fuse);
	if (s->fuse)
		fuse_session_destroy(s->fuse);
	free(s->buf.mem);
	free(s);
}

void session_abandon(struct session *s)
{
	fuse_session_unmount(s->fuse);
}

int session_fd(const struct session *s)
{
	return fuse_session_fd(s->fuse);
}

int session_serve(struct session *s, struct error *err)
{
	for (unsigned i = 0; i < BATCH; i++) {
		int r = fuse_session_receive_buf(s->fuse, &s->buf);

		if (r == -EINTR || r == -EAGAIN)
			return 0;
		if (r < 0)
			return error_set(err, r, "reading a request: %s", strerror(-r));
		if (r == 0)
			return 1;
		fuse_session_process_buf(s->fuse, &s->buf);
	}
	return 0;
}
