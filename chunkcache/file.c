#define _GNU_SOURCE
#include "chunkcache/file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <linux/openat2.h>

#include "core/cleanup.h"

static int open_component(int dirfd, const char *name, int flags)
{
	int fd;

	do
		fd = openat(dirfd, name, flags | O_NOFOLLOW | O_CLOEXEC, 0644);
	while (fd < 0 && errno == EINTR);
	return fd;
}

/* For kernels before 5.6, and sandboxes that do not know openat2: one component after another. */
static int open_stepwise(int dirfd, const char *path, int flags)
{
	CLEANUP(closep) int held = -1;
	char name[256];
	size_t len;
	int fd;

	for (;;) {
		len = strcspn(path, "/");
		if (!len || len >= sizeof(name) || (len == 2 && memcmp(path, "..", 2) == 0)) {
			errno = len < sizeof(name) ? EXDEV : ENAMETOOLONG;
			return -1;
		}
		memcpy(name, path, len);
		name[len] = '\0';
		if (!path[len])
			return open_component(held < 0 ? dirfd : held, name, flags);
		fd = open_component(held < 0 ? dirfd : held, name, O_PATH | O_DIRECTORY);
		closep(&held);
		held = fd;
		if (fd < 0)
			return -1;
		path += len + 1;
	}
}

int file_open(int *out, int dirfd, const char *path, int flags, struct error *err)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	int fd;

	do
		fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	while (fd < 0 && errno == EINTR);
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = open_stepwise(dirfd, path, flags);
	if (fd < 0)
		return error_set(err, errno, "open %s: %m", path);
	*out = fd;
	return 0;
}

int file_open_regular(int *out, int dirfd, const char *path, struct stat *st, struct error *err)
{
	CLEANUP(closep) int fd = -1;
	int r;

	/* O_NONBLOCK: opening a FIFO must not hang before it can be refused. */
	r = file_open(&fd, dirfd, path, O_RDONLY | O_NONBLOCK, err);
	if (r < 0)
		return r;
	if (fstat(fd, st) < 0)
		return error_set(err, errno, "stat %s: %m", path);
	if (!S_ISREG(st->st_mode))
		return error_set(err, EUCLEAN, "%s: not a regular file", path);
	*out = take_fd(&fd);
	return 0;
}

int file_pread(int fd, uint64_t offset, void *buf, size_t n, struct error *err)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = pread(fd, (char *)buf + done, n - done, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set(err, errno == ENOMEM ? ENOMEM : EIO,
					 "read %zu bytes at %" PRIu64 ": %m", n, offset);
		if (got == 0)
			return error_set(err, EIO, "the file ends at %" PRIu64 ", before %" PRIu64,
					 offset + done, offset + n);
		done += (size_t)got;
	}
	return 0;
}

int file_read(int fd, uint64_t size, size_t max, struct buffer *bytes, struct error *err)
{
	int r;

	buffer_reset(bytes);
	if (size > max)
		return error_set(err, EUCLEAN, "%" PRIu64 " bytes, where at most %zu are allowed",
				 size, max);
	if (bytes->room < size) { /* what it held is not worth a copy */
		buffer_release(bytes);
		bytes->bytes = malloc(size);
		if (!bytes->bytes)
			return error_set(err, ENOMEM, "out of memory for %" PRIu64 " bytes", size);
		bytes->room = size;
	}
	r = file_pread(fd, 0, bytes->bytes, size, err);
	if (r < 0)
		return r;
	bytes->len = size;
	return 0;
}

int file_write(int fd, const void *bytes, size_t n, struct error *err)
{
	for (size_t done = 0; done < n;) {
		ssize_t put = write(fd, (const char *)bytes + done, n - done);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return error_set(err, errno, "write %zu bytes: %m", n);
		done += (size_t)put;
	}
	return 0;
}

int file_rename(int dirfd, const char *from, const char *to, bool sync, struct error *err)
{
	if (renameat(dirfd, from, dirfd, to) < 0)
		return error_set(err, errno, "rename %s to %s: %m", from, to);
	if (sync && fsync(dirfd) < 0)
		return error_set(err, errno, "sync the directory of %s: %m", to);
	return 0;
}

/* A new file next to the name; temp gets its own. */
static int create_temp(int *out, int dirfd, const char *name, char *temp, size_t size,
		       struct error *err)
{
	uint32_t suffix;

	do {
		if (getrandom(&suffix, sizeof(suffix), 0) != sizeof(suffix))
			return error_set(err, errno, "getrandom: %m");
		if ((size_t)snprintf(temp, size, "%s.tmp_%08" PRIx32, name, suffix) >= size)
			return error_set(err, ENAMETOOLONG, "%s: the name is too long", name);
		*out = open_component(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL);
	} while (*out < 0 && errno == EEXIST);
	if (*out < 0)
		return error_set(err, errno, "create %s: %m", temp);
	return 0;
}

int file_replace(int dirfd, const char *name, const void *bytes, size_t n, bool sync,
		 struct error *err)
{
	CLEANUP(closep) int fd = -1;
	char temp[256];
	int r;

	r = create_temp(&fd, dirfd, name, temp, sizeof(temp), err);
	if (r < 0)
		return r;
	r = file_write(fd, bytes, n, err);
	if (r == 0 && sync && fsync(fd) < 0)
		r = error_set(err, errno, "sync: %m");
	if (r < 0)
		error_wrap(err, "%s", temp);
	else
		r = file_rename(dirfd, temp, name, sync, err);
	if (r < 0)
		unlinkat(dirfd, temp, 0);
	return r;
}
