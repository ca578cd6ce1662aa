#include "daemon/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"

enum { GRACE_MS = 1500 }; /* for requests in the pool, once the end has been asked for */

static const int signals[] = { SIGTERM, SIGINT, SIGHUP };

#define N_SIGNALS (sizeof(signals) / sizeof(signals[0]))

struct loop {
	uv_loop_t uv;
	uv_poll_t poll;
	uv_signal_t signals[N_SIGNALS];
	uv_timer_t grace;
	struct pool *pool;
	const struct loop_mount *mount;
	struct dispatch *dispatch;
	struct session *session;
	bool answers, announced; /* INIT has been answered; the starter knows */
	bool ending;
	int result;
	struct error *err;
};

static void close_handles(struct loop *l)
{
	for (size_t i = 0; i < N_SIGNALS; i++)
		uv_close((uv_handle_t *)&l->signals[i], NULL);
	uv_close((uv_handle_t *)&l->poll, NULL);
	uv_close((uv_handle_t *)&l->grace, NULL);
}

/* Requests still in the pool hold on to everything, so nothing can be freed: the kernel unmounts
   and closes behind us. */
static void give_up(struct loop *l, const char *why)
{
	log_error("%s: ending with %u requests unanswered", why, pool_busy(l->pool));
	session_abandon(l->session);
	log_close();
	_exit(LOOP_EXIT_HUNG);
}

static void on_grace_over(uv_timer_t *timer)
{
	give_up(timer->data, "requests hang");
}

static void end_if_idle(struct loop *l)
{
	if (l->ending && !pool_busy(l->pool))
		uv_stop(&l->uv);
}

static void on_idle(void *arg)
{
	end_if_idle(arg);
}

static void end(struct loop *l, int result)
{
	if (l->ending)
		return;
	l->ending = true;
	l->result = result;
	uv_poll_stop(&l->poll);
	pool_close(l->pool);
	uv_timer_start(&l->grace, on_grace_over, GRACE_MS, 0);
	end_if_idle(l);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct loop *l = handle->data;

	if (l->ending) {
		if (pool_busy(l->pool))
			give_up(l, "told to end again");
		return; /* it is about to */
	}
	log_info("%s: unmounting", strsignal(number));
	end(l, 0);
}

static void on_init(void *arg)
{
	((struct loop *)arg)->answers = true;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct loop *l = poll->data;
	int r;

	(void)events;
	r = session_serve(l->session, l->err);
	if (r || status < 0) { /* status: the connection was aborted; reading may not tell */
		end(l, r < 0 ? r : 0);
		return;
	}
	if (l->answers && !l->announced) {
		l->announced = true;
		r = l->mount->ready(l->mount->arg, l->err);
		if (r < 0)
			end(l, r);
	}
}

/* While mounting and unmounting, a signal must not end the process and leave the mount behind. */
static void block_signals(int how)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < N_SIGNALS; i++)
		sigaddset(&set, signals[i]);
	pthread_sigmask(how, &set, NULL);
}

static int start(struct loop *l, struct error *err)
{
	int r = uv_poll_init(&l->uv, &l->poll, session_fd(l->session));

	if (r < 0)
		return error_set(err, r, "waiting on the connection: %s", uv_strerror(r));
	l->poll.data = l;
	uv_poll_start(&l->poll, UV_READABLE, on_readable);
	uv_timer_init(&l->uv, &l->grace);
	l->grace.data = l;
	for (size_t i = 0; i < N_SIGNALS; i++) {
		uv_signal_init(&l->uv, &l->signals[i]);
		l->signals[i].data = l;
		uv_signal_start(&l->signals[i], on_signal, signals[i]);
	}
	return 0;
}

static void on_late_signal(int number)
{
	(void)number;
	_exit(0);
}

/* Nothing is mounted any more, so all is well; what is left is to free memory, and to wait for a
   scan that may hang in a read. */
static void let_signals_end_it(void)
{
	struct sigaction sa = { .sa_handler = on_late_signal };

	for (size_t i = 0; i < N_SIGNALS; i++)
		sigaction(signals[i], &sa, NULL);
	block_signals(SIG_UNBLOCK);
}

static int mount_and_serve(struct loop *l, struct error *err)
{
	const struct dispatch_hooks hooks = { .on_init = on_init, .arg = l };
	const struct loop_mount *m = l->mount;
	int r;

	block_signals(SIG_BLOCK);
	r = dispatch_new(&l->dispatch, m->fs, &l->uv, l->pool, m->timeout_ms, &hooks, err);
	if (!r)
		r = session_mount(&l->session, l->dispatch, m->mountpoint, m->fuse_options,
				  m->debug, err);
	if (!r)
		r = start(l, err);
	if (r < 0)
		return r;
	block_signals(SIG_UNBLOCK);
	pool_open(l->pool);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	block_signals(SIG_BLOCK); /* it is ending, and must not end before it has unmounted */
	close_handles(l);
	return l->result;
}

int loop_run(struct loop *l, const struct loop_mount *mount, struct error *err)
{
	int r;

	l->mount = mount;
	l->err = err;
	r = mount_and_serve(l, err);
	session_free(l->session);
	dispatch_free(l->dispatch);
	if (r == 0)
		let_signals_end_it();
	return r;
}

int loop_new(struct loop **out, struct error *err)
{
	struct loop *l = calloc(1, sizeof(*l));
	int r = l ? uv_loop_init(&l->uv) : UV_ENOMEM;

	if (r < 0) {
		free(l);
		return error_set(err, r, "event loop: %s", uv_strerror(r));
	}
	r = pool_new(&l->pool, &l->uv, on_idle, l, err);
	if (r < 0) {
		uv_loop_close(&l->uv);
		free(l);
		return r;
	}
	*out = l;
	return 0;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	pool_free(l->pool);
	uv_run(&l->uv, UV_RUN_DEFAULT); /* lets the handles close */
	uv_loop_close(&l->uv);
	free(l);
}

struct pool *loop_pool(struct loop *l)
{
	return l->pool;
}
