#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/background.h"
#include "daemon/log.h"

/* Runs what a main would, in a process whose standard error goes to fd 2 of ours: its exit status,
   or minus the signal that ended it. */
static int run(void (*program)(int), int arg, char *errors, size_t size)
{
	int fds[2], status;
	size_t n = 0;
	ssize_t got;
	pid_t pid;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	fflush(NULL);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		program(arg);
		_exit(99);
	}
	close(fds[1]);
	/* Ends when the daemon, too, has let go of standard error. */
	while ((got = read(fds[0], errors + n, size - 1 - n)) > 0)
		n += (size_t)got;
	errors[n] = '\0';
	close(fds[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void become_ready(int hold_fd)
{
	struct background b = { 0 };
	struct error err = { 0 };
	char cwd[4096], null[4096] = "", byte;
	pid_t starter = getpid();

	if (background_start(&b, &err) < 0)
		_exit(98);
	if (getpid() == starter || getsid(0) != getpid())
		_exit(97);
	if (background_ready(&b, &err) < 0)
		_exit(96);
	/* What it is like afterwards, as one byte for the test that waits for it. */
	byte = getcwd(cwd, sizeof(cwd)) && strcmp(cwd, "/") == 0 &&
			       readlink("/proc/self/fd/2", null, sizeof(null)) > 0 &&
			       strcmp(null, "/dev/null") == 0
		       ? 'y'
		       : 'n';
	_exit(write(hold_fd, &byte, 1) != 1);
}

START_TEST(a_ready_daemon_lets_the_starter_succeed)
{
	char errors[256], byte = 0;
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(run(become_ready, fds[1], errors, sizeof(errors)), 0);
	ck_assert_str_eq(errors, "");
	ck_assert_int_eq(read(fds[0], &byte, 1), 1);
	ck_assert_int_eq(byte, 'y');
	close(fds[0]);
	close(fds[1]);
}
END_TEST

static void fail_with(int status)
{
	struct background b = { 0 };
	struct error err = { 0 };

	if (background_start(&b, &err) < 0)
		_exit(98);
	error_set(&err, EIO, "no\narchive");
	_exit(background_fail(&b, &err, status));
}

START_TEST(a_failed_daemon_says_why_and_passes_its_status)
{
	char errors[256];

	ck_assert_int_eq(run(fail_with, 1, errors, sizeof(errors)), 1);
	ck_assert_str_eq(errors, "pxar-mount: no\\x0aarchive\n");
	ck_assert_int_eq(run(fail_with, 42, errors, sizeof(errors)), 42);
}
END_TEST

static void vanish(int signal_number)
{
	struct background b = { 0 };
	struct error err = { 0 };

	if (background_start(&b, &err) < 0)
		_exit(98);
	if (signal_number)
		raise(signal_number);
	_exit(5);
}

START_TEST(a_daemon_that_dies_silently_is_reported)
{
	char errors[256];

	ck_assert_int_eq(run(vanish, SIGKILL, errors, sizeof(errors)), 1);
	ck_assert_str_eq(errors, "pxar-mount: the daemon was killed by signal 9 (Killed) before "
				 "the mount was ready\n");
	ck_assert_int_eq(run(vanish, 0, errors, sizeof(errors)), 1);
	ck_assert_str_eq(errors, "pxar-mount: the daemon ended with status 5 before the mount was "
				 "ready\n");
}
END_TEST

/* The starter is gone when the daemon gets ready, as after Ctrl-C. */
static void outlive_starter(int fd)
{
	struct background b = { 0 };
	struct error err = { 0 };
	pid_t starter = getpid();
	char byte;

	if (background_start(&b, &err) < 0)
		_exit(98);
	kill(starter, SIGKILL);
	while (getppid() == starter)
		usleep(1000);
	byte = background_ready(&b, &err) < 0 ? 'y' : 'n';
	_exit(write(fd, &byte, 1) != 1);
}

START_TEST(a_daemon_without_starter_is_not_ready)
{
	char errors[256], byte = 0;
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(run(outlive_starter, fds[1], errors, sizeof(errors)), -SIGKILL);
	ck_assert_int_eq(read(fds[0], &byte, 1), 1);
	ck_assert_int_eq(byte, 'y');
	close(fds[0]);
	close(fds[1]);
}
END_TEST

static void stay(int status)
{
	struct background b = { 0 };
	struct error err = { 0 };

	if (background_ready(&b, &err) < 0)
		_exit(98);
	error_set(&err, EIO, "refused");
	_exit(background_fail(&b, &err, status));
}

START_TEST(in_the_foreground_failing_prints_and_ready_does_nothing)
{
	char errors[256];

	ck_assert_int_eq(run(stay, 7, errors, sizeof(errors)), 7);
	ck_assert_str_eq(errors, "pxar-mount: refused\n");
}
END_TEST

/* Closes the fds whose bits are set and looks where the next file goes. */
static void sanitize(int closed)
{
	for (int fd = 0; fd < 3; fd++)
		if (closed & 1 << fd)
			close(fd);
	background_sanitize_fds();
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			_exit(1);
	_exit(open("/", O_RDONLY) > 2 ? 0 : 2);
}

START_TEST(no_file_takes_the_place_of_a_standard_stream)
{
	char errors[256];

	ck_assert_int_eq(run(sanitize, _i, errors, sizeof(errors)), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("background");
	TCase *tc = tcase_create("background");
	SRunner *sr = srunner_create(s);
	int failed;

	log_open(LOG_TO_STDERR, LOG_LEVEL_INFO);
	suite_add_tcase(s, tc);
	tcase_add_test(tc, a_ready_daemon_lets_the_starter_succeed);
	tcase_add_test(tc, a_failed_daemon_says_why_and_passes_its_status);
	tcase_add_test(tc, a_daemon_that_dies_silently_is_reported);
	tcase_add_test(tc, a_daemon_without_starter_is_not_ready);
	tcase_add_test(tc, in_the_foreground_failing_prints_and_ready_does_nothing);
	tcase_add_loop_test(tc, no_file_takes_the_place_of_a_standard_stream, 0, 8);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
