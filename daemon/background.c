#define _GNU_SOURCE
#include "daemon/background.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/log.h"

/* What the child tells, once. */
struct outcome {
	int status; /* for the starter to exit with */
	char text[sizeof(((struct error *)NULL)->text)];
};

void background_sanitize_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* Takes the lowest free number, which is this one. */
		if (open("/dev/null", O_RDWR) != fd)
			_exit(EXIT_FAILURE); /* and there is nowhere to say why */
	}
}

/* The child went without a word. */
static void report_silence(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR) {
			log_error("the daemon was lost before the mount was ready");
			return;
		}
	}
	if (WIFSIGNALED(status))
		log_error("the daemon was killed by signal %d (%s) before the mount was ready",
			  WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		log_error("the daemon ended with status %d before the mount was ready",
			  WEXITSTATUS(status));
}

static _Noreturn void wait_for_child(pid_t child, int fd)
{
	struct outcome outcome;
	ssize_t got;

	do
		got = recv(fd, &outcome, sizeof(outcome), 0);
	while (got < 0 && errno == EINTR);
	if (got != sizeof(outcome)) {
		report_silence(child);
		outcome.status = EXIT_FAILURE;
	} else if (outcome.status) {
		log_error("%s", outcome.text);
	}
	exit(outcome.status);
}

int background_start(struct background *b, struct error *err)
{
	int fds[2];
	pid_t child;

	/* A socket, for a write to it never raises SIGPIPE; of packets, so that none is cut. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return error_set(err, errno, "socketpair: %m");
	fflush(NULL); /* or both would write what is buffered */
	child = fork();
	if (child < 0) {
		close(fds[0]);
		close(fds[1]);
		return error_set(err, errno, "fork: %m");
	}
	if (child > 0) {
		close(fds[1]);
		wait_for_child(child, fds[0]);
	}
	close(fds[0]);
	setsid();
	*b = (struct background){ .started = true, .fd = fds[1] };
	return 0;
}

static int tell(struct background *b, int status, const char *text)
{
	struct outcome outcome = { .status = status };
	ssize_t sent;

	snprintf(outcome.text, sizeof(outcome.text), "%s", text);
	do
		sent = send(b->fd, &outcome, sizeof(outcome), MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	close(b->fd);
	b->started = false;
	return sent < 0 ? -errno : 0;
}

/* From here on nothing of where it was started is held: no directory, no terminal. */
static int leave(struct error *err)
{
	int fd, r = 0;

	if (chdir("/") < 0)
		return error_set(err, errno, "chdir /: %m");
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, errno, "open /dev/null: %m");
	log_switch(LOG_TO_SYSLOG);
	for (int to = STDIN_FILENO; to <= STDERR_FILENO && r >= 0; to++)
		r = dup2(fd, to);
	if (r < 0)
		r = error_set(err, errno, "dup2: %m");
	close(fd);
	return r < 0 ? r : 0;
}

int background_ready(struct background *b, struct error *err)
{
	int r;

	if (!b->started)
		return 0;
	r = leave(err);
	if (r < 0)
		return r;
	r = tell(b, EXIT_SUCCESS, "");
	if (r < 0)
		return error_set(err, r, "whoever started the mount has gone");
	return 0;
}

int background_fail(struct background *b, const struct error *err, int exit_status)
{
	if (!b->started || tell(b, exit_status, err->text) < 0)
		log_error("%s", err->text);
	return exit_status;
}
