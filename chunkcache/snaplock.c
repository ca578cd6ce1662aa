#define _GNU_SOURCE
#include "chunkcache/snaplock.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "chunkcache/digest.h"
#include "chunkcache/file.h"
#include "core/cleanup.h"

/* Escapes as systemd does the paths in unit names; to has 4 * len + 1 bytes. */
static size_t escape(char *to, const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') || c == '_' || (c == '.' && i);

		if (c == '/')
			to[n++] = '-';
		else if (word)
			to[n++] = c;
		else
			n += (size_t)sprintf(to + n, "\\x%02x", (unsigned char)c);
	}
	to[n] = '\0';
	return n;
}

void snaplock_path(const struct snapshot *s, char path[SNAPSHOT_PATH_SIZE])
{
	char text[SNAPSHOT_PATH_SIZE], escaped[4 * SNAPSHOT_PATH_SIZE], hex[DIGEST_TEXT_SIZE];
	struct digest hash;
	size_t at = 0, n;

	for (const char *c = s->ns; *c; c++)
		path[at++] = *c == '/' ? ':' : *c;
	if (at)
		path[at++] = '/';
	snapshot_text(s, text);
	n = escape(escaped, text, strlen(text));
	if (n < 255) {
		memcpy(path + at, escaped, n + 1);
		return;
	}
	/* Too long for the name of a file: both ends of it, and a hash of it all. */
	digest_sha256(&hash, text, strlen(text));
	snprintf(path + at, SNAPSHOT_PATH_SIZE - at, "hashed/%.80s...%s-%s", escaped,
		 escaped + n - 80, digest_format(&hash, hex));
}

/* how: LOCK_SH or LOCK_EX. */
static int lock_open(int fd, int how, const char *what, struct error *err)
{
	int r;

	do
		r = flock(fd, how | LOCK_NB);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return SNAPLOCK_TAKEN;
	if (errno == EWOULDBLOCK) {
		error_set(err, EBUSY, "%s is locked: it is being written, verified or removed",
			  what);
		return SNAPLOCK_BUSY;
	}
	error_set(err, errno, "lock %s: %m", what);
	return SNAPLOCK_NOT_HERE;
}

static bool same_file(int fd, const struct stat *other)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev == other->st_dev && st.st_ino == other->st_ino;
}

/* The directory that the lock is on must be the one that was opened, and still have its name. */
static int lock_directory(struct snaplock *lock, int how, int base, int snapshot_dir,
			  const struct snapshot *s, struct error *err)
{
	CLEANUP(closep) int fd = -1;
	CLEANUP(closep) int now = -1;
	char path[SNAPSHOT_PATH_SIZE];
	struct stat st;
	int r;

	snapshot_path(s, path);
	/* A description of its own: the lock must end with this descriptor and no other. */
	r = file_open(&fd, base, path, O_RDONLY | O_DIRECTORY, err);
	if (r < 0)
		return r;
	r = lock_open(fd, how, path, err);
	if (r)
		return r;
	r = file_open(&now, base, path, O_PATH | O_DIRECTORY, err);
	if (r < 0)
		return r;
	if (fstat(now, &st) < 0 || !same_file(fd, &st) || !same_file(snapshot_dir, &st))
		return error_set(err, ENOENT, "%s was removed while it was opened", path);
	lock->directory = take_fd(&fd);
	return SNAPLOCK_TAKEN;
}

/* What is made here belongs to who owns the directory it is in: the server, which could not take
   its own locks if it were ours. */
static int give_away(int dirfd, const char *name, int unlink_flags, struct error *err)
{
	struct stat st;
	int r;

	if (fstat(dirfd, &st) == 0 &&
	    fchownat(dirfd, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	r = error_set(err, errno, "give the lock to the owner of its directory: %m");
	unlinkat(dirfd, name, unlink_flags);
	return r;
}

/* Replaces the open directory by the one in it with this name, which is made if need be. */
static int enter(int *dir, const char *name, struct error *err)
{
	CLEANUP(closep) int fd = -1;
	int r = 0;

	fd = openat(*dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		if (mkdirat(*dir, name, 0755) == 0)
			r = give_away(*dir, name, AT_REMOVEDIR, err);
		if (r < 0)
			return r;
		fd = openat(*dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd < 0)
		return error_set(err, errno, "open %s: %m", name);
	closep(dir);
	*dir = take_fd(&fd);
	return 0;
}

/* Goes down to the directory of the lock file; *name is what is left of the path. */
static int enter_all(int *dir, const char *store, char *path, char **name, struct error *err)
{
	char *slash;
	int r;

	*name = path;
	r = enter(dir, "locks", err);
	if (r == 0)
		r = enter(dir, store, err);
	while (r == 0 && (slash = strchr(*name, '/'))) {
		*slash = '\0';
		r = enter(dir, *name, err);
		*name = slash + 1;
	}
	return r;
}

static int open_lock(int *out, int dir, const char *name, struct error *err)
{
	CLEANUP(closep) int fd = -1;
	int r = 0;

	do {
		fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0 || errno != ENOENT)
			break;
		fd = openat(dir, name, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0660);
		if (fd >= 0)
			r = give_away(dir, name, 0, err);
		if (r < 0)
			return r;
	} while (fd < 0 && errno == EEXIST);
	if (fd < 0)
		return error_set(err, errno, "open %s: %m", name);
	*out = take_fd(&fd);
	return 0;
}

/* A lock on a file that has lost its name locks nothing: then there is another to be locked. */
static int lock_named(struct snaplock *lock, int how, int dir, const char *name, struct error *err)
{
	for (int attempt = 0; attempt < 8; attempt++) {
		CLEANUP(closep) int fd = -1;
		struct stat st;
		int r;

		r = open_lock(&fd, dir, name, err);
		if (r < 0)
			return SNAPLOCK_NOT_HERE;
		r = lock_open(fd, how, name, err);
		if (r)
			return r;
		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && same_file(fd, &st)) {
			lock->file = take_fd(&fd);
			return SNAPLOCK_TAKEN;
		}
	}
	error_set(err, EBUSY, "the lock %s is replaced again and again", name);
	return SNAPLOCK_BUSY;
}

static int lock_file(struct snaplock *lock, int how, const char *run, const char *store,
		     const struct snapshot *s, struct error *err)
{
	CLEANUP(closep) int dir = -1;
	char path[SNAPSHOT_PATH_SIZE], *name;

	dir = open(run, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 && errno == ENOENT)
		return SNAPLOCK_TAKEN; /* no server, and so nobody to be locked out */
	if (dir < 0) {
		error_set(err, errno, "open %s: %m", run);
		return SNAPLOCK_NOT_HERE;
	}
	if (faccessat(dir, "old-locking", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return SNAPLOCK_TAKEN; /* the server locks the directory alone */
	if (!store) {
		error_set(err, ENODATA, "the server's name of the datastore is not known");
		return SNAPLOCK_NOT_HERE;
	}
	snaplock_path(s, path);
	if (enter_all(&dir, store, path, &name, err) < 0) {
		error_wrap(err, "%s", run);
		return SNAPLOCK_NOT_HERE;
	}
	return lock_named(lock, how, dir, name, err);
}

static int take(struct snaplock *lock, int how, int base, int snapshot_dir, const char *run,
		const char *store, const struct snapshot *s, struct error *err)
{
	int directory, file;

	*lock = (struct snaplock){ -1, -1 };
	if (store && !snapshot_name_is_safe(store, strlen(store)))
		return error_set(err, EINVAL, "not the name of a datastore");
	directory = lock_directory(lock, how, base, snapshot_dir, s, err);
	if (directory < 0 || directory == SNAPLOCK_BUSY)
		return directory;
	file = lock_file(lock, how, run, store, s, err);
	if (file == SNAPLOCK_BUSY)
		snaplock_release(lock);
	return file ? file : directory;
}

int snaplock_take(struct snaplock *lock, int base, int snapshot_dir, const char *run,
		  const char *store, const struct snapshot *s, struct error *err)
{
	return take(lock, LOCK_SH, base, snapshot_dir, run, store, s, err);
}

int snaplock_take_exclusive(struct snaplock *lock, int base, int snapshot_dir, const char *run,
			    const char *store, const struct snapshot *s, struct error *err)
{
	return take(lock, LOCK_EX, base, snapshot_dir, run, store, s, err);
}

void snaplock_release(struct snaplock *lock)
{
	closep(&lock->directory);
	closep(&lock->file);
	*lock = (struct snaplock){ -1, -1 };
}
