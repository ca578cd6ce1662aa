#define _GNU_SOURCE
#include "chunkcache/password.h"

#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <openssl/crypto.h>

#define VARIABLE "PBS_ENCRYPTION_PASSWORD"

enum { OUTPUT_MAX = 64 << 10 }; /* of a command, of which only the first line counts */

static const char *const credentials[] = {
	"pxar-mount.encryption-password",
	"proxmox-backup-client.encryption-password",
};

void password_forget(void)
{
	size_t n = strlen(VARIABLE);

	/* All of them: getenv() would find only the first of several. */
	for (char **at = environ; at && *at; at++)
		if (strncmp(*at, VARIABLE "=", n + 1) == 0)
			OPENSSL_cleanse(*at + n + 1, strlen(*at + n + 1));
	unsetenv(VARIABLE);
}

static int check_length(struct secret_bytes **out, struct secret_bytes *password, struct error *err)
{
	secret_first_line(password);
	if (password->len > PASSWORD_MAX) {
		secret_free(password);
		return error_set(err, EFBIG, "it has more than %d bytes", PASSWORD_MAX);
	}
	*out = password;
	return 0;
}

static int from_variable(struct secret_bytes **out, const char *value, struct error *err)
{
	struct secret_bytes *password;
	size_t n = strlen(value);
	int r;

	r = secret_bytes_new(&password, n, err);
	if (r < 0)
		return r;
	memcpy(password->bytes, value, n);
	password->len = n;
	return check_length(out, password, err);
}

static int from_fd(struct secret_bytes **out, const char *value, struct error *err)
{
	struct secret_read how = { .max = PASSWORD_MAX,
				   .wait_ms = SECRET_WAIT_MS,
				   .line_only = true };
	char *end;
	long fd;

	errno = 0;
	fd = strtol(value, &end, 10);
	if (!*value || *end || errno || fd < 0 || fd > INT_MAX)
		return error_set(err, EINVAL, "not a descriptor");
	return secret_read_fd(out, (int)fd, &how, err);
}

static int from_file(struct secret_bytes **out, const char *value, struct error *err)
{
	struct secret_read how = { .max = PASSWORD_MAX,
				   .wait_ms = SECRET_WAIT_MS,
				   .line_only = true };

	return secret_read(out, value, &how, err);
}

static int spawn_shell(pid_t *pid, const char *command, int output, struct error *err)
{
	char shell[] = "sh", option[] = "-c";
	char *const argv[] = { shell, option, (char *)command, NULL };
	posix_spawn_file_actions_t actions;
	int r;

	if (posix_spawn_file_actions_init(&actions) != 0)
		return error_set(err, ENOMEM, "out of memory");
	r = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn(pid, "/bin/sh", &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return r ? error_set(err, r, "cannot start /bin/sh: %s", strerror(r)) : 0;
}

static int wait_for_shell(pid_t pid, struct error *err)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_set(err, errno, "waitpid: %m");
	if (WIFSIGNALED(status))
		return error_set(err, EIO, "it was killed by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status))
		return error_set(err, EIO, "it ended with status %d", WEXITSTATUS(status));
	return 0;
}

/* Who runs a command may have to answer it, so it takes as long as it takes. */
static int from_command(struct secret_bytes **out, const char *value, struct error *err)
{
	struct secret_read how = { .max = OUTPUT_MAX, .wait_ms = -1 };
	CLEANUP(secret_bytes_freep) struct secret_bytes *output = NULL;
	CLEANUP(closep) int from = -1, to = -1;
	int pipes[2], r, waited;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return error_set(err, errno, "pipe: %m");
	from = pipes[0];
	to = pipes[1];
	r = spawn_shell(&pid, value, to, err);
	if (r < 0)
		return r;
	close(take_fd(&to)); /* or there would be no end of the output */
	r = secret_read_fd(&output, from, &how, err);
	close(take_fd(&from)); /* and it must not wait for us */
	waited = wait_for_shell(pid, r < 0 ? NULL : err);
	if (r < 0 || waited < 0)
		return r < 0 ? r : waited;
	return check_length(out, TAKE(output), err);
}

static int from_credentials(struct secret_bytes **out, struct error *err)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char path[PATH_MAX];
	int r;

	for (size_t i = 0; dir && i < sizeof(credentials) / sizeof(*credentials); i++) {
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, credentials[i]) >=
		    sizeof(path))
			return error_set(err, ENAMETOOLONG, "CREDENTIALS_DIRECTORY is too long");
		r = from_file(out, path, err);
		if (r < 0 && r != -ENOENT)
			return error_wrap(err, "password in credential %s", credentials[i]);
		if (r == 0)
			return PASSWORD_FOUND;
	}
	return PASSWORD_NOWHERE;
}

int password_find(struct secret_bytes **out, struct error *err)
{
	static const struct {
		const char *name;
		int (*read)(struct secret_bytes **out, const char *value, struct error *err);
	} sources[] = {
		{ VARIABLE, from_variable },
		{ VARIABLE "_FD", from_fd },
		{ VARIABLE "_FILE", from_file },
		{ VARIABLE "_CMD", from_command },
	};
	int r;

	for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
		const char *value = getenv(sources[i].name);

		if (!value)
			continue;
		r = sources[i].read(out, value, err);
		password_forget();
		if (r < 0)
			return error_wrap(err, "password from %s", sources[i].name);
		return PASSWORD_FOUND;
	}
	return from_credentials(out, err);
}

/* Into the line, as far as it has room; 1 at its end. Keys work as they do in a terminal's own
   line: its signals, which would leave it without echo, are not used. */
static int type_key(struct secret_bytes *line, uint8_t key, const struct termios *usual)
{
	const cc_t *control = usual->c_cc;

	if (key == '\n' || key == '\r' || (key == control[VEOF] && !line->len))
		return 1;
	if (key == control[VINTR] || key == control[VQUIT])
		return -EINTR;
	if (key == control[VERASE] || key == '\b' || key == 0x7f) {
		while (line->len && (line->bytes[--line->len] & 0xc0) == 0x80)
			; /* the further bytes of a UTF-8 character */
	} else if (key == control[VKILL]) {
		line->len = 0;
	} else if (key >= ' ' && line->len < PASSWORD_MAX) {
		line->bytes[line->len++] = key;
	}
	return 0;
}

static int type_line(struct secret_bytes *line, int tty, const struct termios *usual,
		     struct error *err)
{
	uint8_t key;
	ssize_t got;
	int r = 0;

	while (r == 0) {
		got = read(tty, &key, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set(err, errno, "read from the terminal: %m");
		if (got == 0)
			return error_set(err, EIO, "the terminal was closed");
		r = type_key(line, key, usual);
	}
	OPENSSL_cleanse(&key, 1);
	/* What was erased, is. */
	OPENSSL_cleanse(line->bytes + line->len, PASSWORD_MAX - line->len);
	return r < 0 ? error_set(err, EINTR, "no password was given") : 0;
}

static void show(int tty, const char *text)
{
	/* Without a prompt the password is still read. */
	while (write(tty, text, strlen(text)) < 0 && errno == EINTR)
		;
}

int password_ask(struct secret_bytes **out, const char *prompt, struct error *err)
{
	CLEANUP(secret_bytes_freep) struct secret_bytes *line = NULL;
	CLEANUP(closep) int tty = -1;
	struct termios usual, silent;
	int r;

	tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (tty < 0 || tcgetattr(tty, &usual) < 0)
		return PASSWORD_NOWHERE;
	r = secret_bytes_new(&line, PASSWORD_MAX, err);
	if (r < 0)
		return r;
	silent = usual;
	silent.c_lflag &= (tcflag_t) ~(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	silent.c_cc[VMIN] = 1;
	silent.c_cc[VTIME] = 0;
	if (tcsetattr(tty, TCSAFLUSH, &silent) < 0)
		return error_set(err, errno, "switch off the terminal's echo: %m");
	show(tty, prompt);
	r = type_line(line, tty, &usual, err);
	tcsetattr(tty, TCSAFLUSH, &usual);
	show(tty, "\n");
	if (r < 0)
		return r;
	*out = TAKE(line);
	return PASSWORD_FOUND;
}
