#define _GNU_SOURCE
#include "tools/pack-output.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

enum { PENDING_MAX = 1 << 20 };

static int write_all(struct output *o, const uint8_t *bytes, size_t n, struct error *err)
{
	while (n) {
		ssize_t done = write(o->fd, bytes, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return error_set(err, errno, "write %s: %m", o->name);
		bytes += done;
		n -= (size_t)done;
	}
	return 0;
}

static int write_pending(struct output *o, struct error *err)
{
	size_t n = o->n_pending;

	o->n_pending = 0;
	return write_all(o, o->pending, n, err);
}

static int output_write(struct sink *sink, const void *bytes, size_t n, struct error *err)
{
	struct output *o = (struct output *)sink;
	int r;

	if (n > PENDING_MAX - o->n_pending) {
		r = write_pending(o, err);
		if (r < 0)
			return r;
	}
	if (n >= PENDING_MAX)
		return write_all(o, bytes, n, err);
	memcpy(o->pending + o->n_pending, bytes, n);
	o->n_pending += n;
	return 0;
}

/* Opens the directory of the path and keeps the last component. */
static int open_dir(struct output *o, const char *path, struct error *err)
{
	CLEANUP(freep) char *dir = NULL;
	const char *slash = strrchr(path, '/');

	o->name = strdup(slash ? slash + 1 : path);
	dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	if (!o->name || !dir)
		return error_set(err, ENOMEM, "out of memory");
	if (!*o->name)
		return error_set(err, EISDIR, "%s: names a directory", path);
	o->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return o->dir_fd < 0 ? error_set(err, errno, "open %s: %m", dir) : 0;
}

static int check_free(const struct output *o, struct error *err)
{
	struct stat st;

	if (fstatat(o->dir_fd, o->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : error_set(err, errno, "stat %s: %m", o->name);
	if (!o->force)
		return error_set(err, EEXIST, "%s exists; --force replaces it", o->name);
	if (!S_ISREG(st.st_mode))
		return error_set(err, EEXIST, "%s exists and is no regular file", o->name);
	return 0;
}

int output_open(struct output *o, const char *path, bool force, struct error *err)
{
	uint64_t random;
	int r;

	*o = (struct output){ .sink.write = output_write, .dir_fd = -1, .fd = -1, .force = force };
	r = open_dir(o, path, err);
	if (r < 0)
		return r;
	r = check_free(o, err);
	if (r < 0)
		return r;
	o->pending = malloc(PENDING_MAX);
	if (!o->pending)
		return error_set(err, ENOMEM, "out of memory");
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return error_set(err, errno, "getrandom: %m");
	snprintf(o->temporary, sizeof(o->temporary), ".pxar-pack-%016" PRIx64, random);
	o->fd = openat(o->dir_fd, o->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (o->fd < 0) {
		*o->temporary = '\0';
		return error_set(err, errno, "create a file beside %s: %m", path);
	}
	return 0;
}

size_t output_ids(const struct output *o, struct output_id ids[2])
{
	struct stat st;
	size_t n = 0;

	if (fstat(o->fd, &st) == 0)
		ids[n++] = (struct output_id){ st.st_dev, st.st_ino };
	if (fstatat(o->dir_fd, o->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		ids[n++] = (struct output_id){ st.st_dev, st.st_ino };
	return n;
}

int output_sync(struct output *o, struct error *err)
{
	int r = write_pending(o, err);

	if (r < 0)
		return r;
	return fsync(o->fd) < 0 ? error_set(err, errno, "fsync %s: %m", o->name) : 0;
}

int output_publish(struct output *o, struct error *err)
{
	int r = renameat2(o->dir_fd, o->temporary, o->dir_fd, o->name,
			  o->force ? 0 : RENAME_NOREPLACE);

	if (r < 0 && !o->force && (errno == EINVAL || errno == ENOSYS)) {
		/* A file system that cannot refuse to replace. */
		r = check_free(o, err);
		if (r < 0)
			return r;
		r = renameat(o->dir_fd, o->temporary, o->dir_fd, o->name);
	}
	if (r < 0)
		return error_set(err, errno, "name %s: %m", o->name);
	*o->temporary = '\0';
	o->published = true;
	return fsync(o->dir_fd) < 0 ? error_set(err, errno, "fsync directory of %s: %m", o->name)
				    : 0;
}

void output_remove_old(struct output *o)
{
	if (o->force)
		unlinkat(o->dir_fd, o->name, 0);
}

void output_unpublish(struct output *o)
{
	if (o->published)
		unlinkat(o->dir_fd, o->name, 0);
}

void output_release(struct output *o)
{
	if (*o->temporary)
		unlinkat(o->dir_fd, o->temporary, 0);
	closep(&o->fd);
	closep(&o->dir_fd);
	free(o->pending);
	free(o->name);
}
