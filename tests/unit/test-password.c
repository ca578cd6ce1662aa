#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>

#include "chunkcache/password.h"

#define VARIABLE "PBS_ENCRYPTION_PASSWORD"

static char dir[] = "/tmp/test-password-XXXXXX";

static void setup(void)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
	static const char *const names[] = { "file", "pxar-mount.encryption-password",
					     "proxmox-backup-client.encryption-password" };
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	ck_assert_int_eq(rmdir(dir), 0);
	unsetenv(VARIABLE);
	unsetenv(VARIABLE "_FD");
	unsetenv(VARIABLE "_FILE");
	unsetenv(VARIABLE "_CMD");
	unsetenv("CREDENTIALS_DIRECTORY");
}

static const char *put(const char *name, const char *text)
{
	static char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	return path;
}

static void must_find(const char *wanted)
{
	struct secret_bytes *password;
	struct error err = { 0 };

	ck_assert_msg(password_find(&password, &err) == PASSWORD_FOUND, "%s", err.text);
	ck_assert_str_eq((char *)password->bytes, wanted);
	ck_assert_uint_eq(password->len, strlen(wanted));
	secret_free(password);
}

static void must_fail(int code, const char *hidden)
{
	struct secret_bytes *password;
	struct error err = { 0 };

	ck_assert_int_eq(password_find(&password, &err), code);
	ck_assert_ptr_nonnull(strstr(err.text, "password from"));
	ck_assert_ptr_null(strstr(err.text, hidden));
}

START_TEST(without_any_source_there_is_none)
{
	struct secret_bytes *password;
	struct error err = { 0 };

	ck_assert_int_eq(password_find(&password, &err), PASSWORD_NOWHERE);
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	ck_assert_int_eq(password_find(&password, &err), PASSWORD_NOWHERE);
}
END_TEST

START_TEST(the_sources_have_their_order)
{
	char number[16];
	int pipes[2];

	put("proxmox-backup-client.encryption-password", "theirs\n");
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	must_find("theirs");
	put("pxar-mount.encryption-password", "ours");
	must_find("ours");
	setenv(VARIABLE "_CMD", "printf 'by command\\nmore\\n'", 1);
	must_find("by command");
	setenv(VARIABLE "_FILE", put("file", "by file\nmore\n"), 1);
	must_find("by file");
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	snprintf(number, sizeof(number), "%d", pipes[0]);
	setenv(VARIABLE "_FD", number, 1);
	ck_assert_int_eq(write(pipes[1], "by descriptor\n", 14), 14);
	must_find("by descriptor");
	setenv(VARIABLE, "by variable\nmore", 1);
	must_find("by variable");
	close(pipes[0]);
	close(pipes[1]);
}
END_TEST

START_TEST(sources_that_fail_are_not_passed_over)
{
	char text[PASSWORD_MAX + 2];

	setenv(VARIABLE "_CMD", "echo secret; exit 3", 1);
	must_fail(-EIO, "secret");
	setenv(VARIABLE "_CMD", "kill -9 $$", 1);
	must_fail(-EIO, "$$");
	setenv(VARIABLE "_CMD", "yes", 1);
	must_fail(-EFBIG, "yes");
	setenv(VARIABLE "_FILE", "/nowhere/secret", 1);
	must_fail(-ENOENT, "secret");
	setenv(VARIABLE "_FD", "secret", 1);
	must_fail(-EINVAL, "secret");
	setenv(VARIABLE "_FD", "-1", 1);
	must_fail(-EINVAL, "-1");
	setenv(VARIABLE "_FD", "9999", 1);
	must_fail(-EBADF, "9999");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	setenv(VARIABLE, text, 1);
	must_fail(-EFBIG, "xxx");
}
END_TEST

/* What other processes see: a program's first environment, not what setenv() makes of it. */
static bool environ_shows(const char *word)
{
	char bytes[65536];
	int fd = open("/proc/self/environ", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, bytes, sizeof(bytes));

	close(fd);
	return n > 0 && memmem(bytes, (size_t)n, word, strlen(word));
}

/* Runs in a program of its own, see main(), that got the variable twice. */
static int child_with_environment(const char *how)
{
	struct secret_bytes *password;

	if (!environ_shows("classified") || !environ_shows("duplicate"))
		return 1;
	if (strcmp(how, "find") == 0) {
		if (password_find(&password, NULL) != PASSWORD_FOUND ||
		    strcmp((char *)password->bytes, "classified"))
			return 2;
		secret_free(password);
	} else {
		password_forget();
	}
	if (getenv(VARIABLE))
		return 3;
	return environ_shows("classified") || environ_shows("duplicate") ? 4 : 0;
}

START_TEST(the_environment_that_others_see_forgets_the_password)
{
	static const char *const ways[] = { "find", "forget" };
	int status;

	for (size_t i = 0; i < 2; i++) {
		char self[] = "/proc/self/exe", way[8], first[] = VARIABLE "=classified",
		     second[] = VARIABLE "=duplicate";
		char *argv[] = { self, way, NULL }, *env[] = { first, second, NULL };
		pid_t pid;

		strcpy(way, ways[i]);
		pid = fork();
		if (pid == 0) {
			execve(self, argv, env);
			_exit(127);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
	}
}
END_TEST

/* Asks on a terminal of its own. */
static int child_on_terminal(const char *wanted)
{
	struct termios before, after;
	struct secret_bytes *password;
	struct error err = { 0 };
	int r;

	tcgetattr(0, &before);
	r = password_ask(&password, "Password: ", &err);
	tcgetattr(0, &after);
	if (before.c_lflag != after.c_lflag || !(after.c_lflag & ECHO))
		return 1;
	if (!wanted)
		return r == -EINTR ? 0 : 2;
	if (r != PASSWORD_FOUND || strcmp((char *)password->bytes, wanted) ||
	    password->len != strlen(wanted))
		return 3;
	secret_free(password);
	return 0;
}

/* Types the keys once the prompt is there; returns all that was to be seen in *screen. */
static int type_at_prompt(const char *keys, const char *wanted, char *screen, size_t size)
{
	int terminal, status;
	size_t n = 0;
	ssize_t got;
	pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
	bool typed = false;

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(child_on_terminal(wanted));
	while ((got = read(terminal, screen + n, size - 1 - n)) > 0) {
		n += (size_t)got;
		screen[n] = '\0';
		if (!typed && strstr(screen, "Password: ")) {
			ck_assert_int_gt(write(terminal, keys, strlen(keys)), 0);
			typed = true;
		}
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	close(terminal);
	return status;
}

static const struct {
	const char *keys, *password; /* NULL: given up */
} typed[] = {
	{ "secret\r", "secret" },
	{ "secret\n", "secret" },
	{ "wrong\025secret\r", "secret" },			  /* Ctrl-U */
	{ "secrex\177t\r", "secret" },				  /* backspace */
	{ "secret\xc3\xa4\xf0\x9f\x98\x80\177\177\r", "secret" }, /* whole characters */
	{ "\177\177secret\r", "secret" },
	{ "\001sec\tret\r", "secret" }, /* no control characters */
	{ "\r", "" },
	{ "\004", "" },	     /* Ctrl-D */
	{ "sec\003", NULL }, /* Ctrl-C */
	{ "sec\034", NULL }, /* Ctrl-\ */
};

START_TEST(what_is_typed_is_read_and_not_shown)
{
	char screen[256] = "";

	ck_assert_int_eq(type_at_prompt(typed[_i].keys, typed[_i].password, screen, sizeof(screen)),
			 0);
	ck_assert_str_eq(screen, "Password: \r\n");
}
END_TEST

START_TEST(without_a_terminal_nobody_is_asked)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct secret_bytes *password;

		setsid();
		_exit(password_ask(&password, "Password: ", NULL) != PASSWORD_NOWHERE);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s;
	TCase *tc;
	SRunner *sr;
	int failed;

	if (argc == 2)
		return child_with_environment(argv[1]);
	s = suite_create("password");
	tc = tcase_create("password");
	sr = srunner_create(s);
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, without_any_source_there_is_none);
	tcase_add_test(tc, the_sources_have_their_order);
	tcase_add_test(tc, sources_that_fail_are_not_passed_over);
	tcase_add_test(tc, the_environment_that_others_see_forgets_the_password);
	tcase_add_loop_test(tc, what_is_typed_is_read_and_not_shown, 0,
			    sizeof(typed) / sizeof(*typed));
	tcase_add_test(tc, without_a_terminal_nobody_is_asked);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
