#define _GNU_SOURCE
#include "daemon/mountpoint.h"

#include <fcntl.h>
#include <stdbool.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "daemon/log.h"
#include "daemon/mountinfo.h"

extern char **environ;

enum {
	NAME_SIZE = 160,  /* of a path in a message: two of them leave room for the sentence */
	WORDS_SIZE = 256, /* of what fusermount3 said */
};

static const char *quote(char text[NAME_SIZE], const char *path)
{
	return log_name(text, NAME_SIZE, path, strlen(path));
}

/* The path as the mount table has it. A slash at its end would lead into what is mounted, which may
   be dead or somebody else's; without it only the directories above are looked at. */
static char *resolve(const char *path)
{
	CLEANUP(freep) char *copy = strdup(path);

	if (!copy)
		return NULL;
	for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = '\0';
	return realpath(copy, NULL);
}

/* It may be dead as well: the kernel answers for its root out of memory, and asking further could
   hang on one that is alive. */
static int refuse_mounted(const char *path, const char *source, struct error *err)
{
	char name[NAME_SIZE], what[NAME_SIZE];

	return error_set(err, EBUSY,
			 "mountpoint %s: %s is mounted here already; 'pxar-mount --unmount' ends "
			 "it, dead or alive",
			 quote(name, path), quote(what, source));
}

static int refuse_unusable(const char *path, int code, struct error *err)
{
	char name[NAME_SIZE];

	quote(name, path);
	if (code == ENOTCONN)
		return error_set(err, code,
				 "mountpoint %s: a dead mount is here, its program has gone; clear "
				 "it with 'pxar-mount --unmount' or 'fusermount3 -u'",
				 name);
	return error_set(err, code, "mountpoint %s: %s", name, strerror(code));
}

int mountpoint_check(const char *path, char **resolved, struct error *err)
{
	CLEANUP(freep) char *real = resolve(path), *line = NULL;
	struct mountinfo m;
	struct stat st;
	bool mounted;
	int code;

	if (!real)
		return refuse_unusable(path, errno, err);
	/* Without a table nothing can be said against it. */
	mounted =
		mountinfo_find(real, &line, &m, NULL) == 0 && strcmp(m.type, MOUNTPOINT_TYPE) == 0;
	code = stat(real, &st) < 0 ? errno : 0;
	if (mounted && code != ENOTCONN) /* whoever may look into it */
		return refuse_mounted(path, m.source, err);
	if (!code && !S_ISDIR(st.st_mode))
		code = ENOTDIR;
	if (code)
		return refuse_unusable(path, code, err);
	*resolved = TAKE(real);
	return 0;
}

/* What a program wrote before it closed its end; later lines are of no interest. */
static void read_first_line(int fd, char *text, size_t size)
{
	size_t n = 0;
	ssize_t got;

	do {
		got = read(fd, text + n, size - 1 - n);
		if (got > 0)
			n += (size_t)got;
	} while (n < size - 1 && (got > 0 || (got < 0 && errno == EINTR)));
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
}

static int spawn_fusermount(char *const argv[], int errors, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	int r;

	r = posix_spawn_file_actions_init(&actions);
	if (r)
		return -r;
	r = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
	if (!r)
		r = posix_spawnp(pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/* Runs it to its end, with what it complained of in words. Its exit status, or < 0. */
static int run_fusermount(char *const argv[], char *words, size_t size, struct error *err)
{
	int fds[2], r, status;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_set(err, errno, "pipe: %m");
	r = spawn_fusermount(argv, fds[1], &pid);
	close(fds[1]);
	if (r == 0)
		read_first_line(fds[0], words, size);
	close(fds[0]);
	if (r == -ENOENT)
		return error_set(err, r, "fusermount3 is not installed; only root can do without");
	if (r < 0)
		return error_set(err, r, "cannot run fusermount3: %s", strerror(-r));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_set(err, errno, "fusermount3: waitpid: %m");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int refuse_busy(const char *path, struct error *err)
{
	char name[NAME_SIZE];

	return error_set(err, EBUSY,
			 "%s is busy: something still uses it; close that, or detach it with "
			 "'umount -l' or 'fusermount3 -uz'",
			 quote(name, path));
}

/* fusermount3 is set-user-ID root and lets users end mounts of their own. */
static int unmount_as_user(char *path, struct error *err)
{
	char program[] = "fusermount3", unmount[] = "-u", end[] = "--";
	char *argv[] = { program, unmount, end, path, NULL };
	char words[WORDS_SIZE], name[NAME_SIZE], said[NAME_SIZE];
	int r;

	r = run_fusermount(argv, words, sizeof(words), err);
	if (r <= 0)
		return r;
	if (strstr(words, "busy"))
		return refuse_busy(path, err);
	return error_set(err, EPERM, "cannot unmount %s: %s", quote(name, path),
			 *words ? quote(said, words) : "fusermount3 failed");
}

int mountpoint_unmount(const char *path, struct error *err)
{
	CLEANUP(freep) char *real = resolve(path), *line = NULL;
	char name[NAME_SIZE];
	struct mountinfo m;
	int r;

	quote(name, path);
	if (!real)
		return error_set(err, errno, "%s: %s", name, strerror(errno));
	r = mountinfo_find(real, &line, &m, err);
	if (r < 0)
		return r;
	if (r > 0 || strcmp(m.type, MOUNTPOINT_TYPE) != 0)
		return error_set(err, EINVAL, "%s: no archive is mounted here", name);
	if (umount2(real, UMOUNT_NOFOLLOW) == 0)
		return 0;
	if (errno == EPERM)
		return unmount_as_user(real, err);
	if (errno == EBUSY)
		return refuse_busy(path, err);
	return error_set(err, errno, "unmount %s: %s", name, strerror(errno));
}

static int explain_device(const char *device, struct error *err)
{
	CLEANUP(closep) int fd = open(device, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return 0;
	switch (errno) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return error_set(err, errno,
				 "%s is missing: the kernel has no FUSE here; try "
				 "'modprobe fuse' as root",
				 device);
	case EACCES:
	case EPERM:
		return error_set(err, errno, "%s may not be opened by this user: %m", device);
	default:
		return error_set(err, errno, "open %s: %m", device);
	}
}

int mountpoint_explain(const char *device, struct error *err)
{
	char program[] = "fusermount3", version[] = "--version";
	char *argv[] = { program, version, NULL };
	char words[WORDS_SIZE];
	int r;

	r = explain_device(device, err);
	if (r < 0)
		return r;
	r = run_fusermount(argv, words, sizeof(words), err);
	if (r < 0 && geteuid() != 0)
		return r;
	return error_set(err, EPERM, "the mount was refused; pxar-mount -f -v shows why");
}

int mountpoint_explain_failure(struct error *err)
{
	return mountpoint_explain("/dev/fuse", err);
}
