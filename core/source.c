#define _GNU_SOURCE
#include "core/source.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <linux/magic.h>

int source_read(struct source *source, const struct io *io, uint64_t offset, void *buf, size_t n,
		struct error *err)
{
	if (offset > source->size || n > source->size - offset)
		return error_set(err, EIO, "%zu bytes at %" PRIu64 " are past the end of %" PRIu64,
				 n, offset, source->size);
	return n ? source->ops->read(source, io, offset, buf, n, err) : 0;
}

void source_expect(struct source *source, uint64_t offset, uint64_t n)
{
	if (source->ops->expect)
		source->ops->expect(source, offset, n);
}

void source_free(struct source *source)
{
	if (source)
		source->ops->free(source);
}

struct file {
	struct source source;
	int fd;
	bool in_memory; /* a file system whose files never leave memory: reading cannot wait */
	struct timespec mtime;
	_Atomic bool changed;
};

/* Looked at after the bytes were read: what was read before a change is never trusted. */
static int file_check(struct file *file, struct error *err)
{
	struct stat st;

	if (!file->changed) {
		if (fstat(file->fd, &st) < 0)
			return error_set(err, errno, "fstat: %m");
		if ((uint64_t)st.st_size == file->source.size &&
		    st.st_mtim.tv_sec == file->mtime.tv_sec &&
		    st.st_mtim.tv_nsec == file->mtime.tv_nsec)
			return 0;
		file->changed = true;
	}
	return error_set(err, EIO, "the file was changed while it was mounted");
}

/* The part that is in the page cache; 1 when that is not all. */
static int file_read_resident(struct file *file, uint64_t offset, void *buf, size_t n)
{
	struct iovec iov = { .iov_base = buf, .iov_len = n };
	ssize_t got;

	do
		got = preadv2(file->fd, &iov, 1, (off_t)offset, RWF_NOWAIT);
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)n ? 0 : 1;
}

static int file_read(struct source *source, const struct io *io, uint64_t offset, void *buf,
		     size_t n, struct error *err)
{
	struct file *file = (struct file *)source;
	size_t done = 0;

	if (!io->may_wait && !file->in_memory) {
		if (file_read_resident(file, offset, buf, n))
			return 1;
		return file_check(file, err);
	}
	while (done < n) {
		ssize_t got = pread(file->fd, (char *)buf + done, n - done, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set(err, errno == ENOMEM ? ENOMEM : EIO,
					 "read %zu bytes at %" PRIu64 ": %m", n, offset);
		if (got == 0)
			return error_set(err, EIO, "the file ends at %" PRIu64 ", it had %" PRIu64,
					 offset + done, source->size);
		done += (size_t)got;
	}
	return file_check(file, err);
}

static void file_expect(struct source *source, uint64_t offset, uint64_t n)
{
	struct file *file = (struct file *)source;

	posix_fadvise(file->fd, (off_t)offset, (off_t)n, POSIX_FADV_WILLNEED);
}

static void file_free(struct source *source)
{
	struct file *file = (struct file *)source;

	close(file->fd);
	free(file);
}

static const struct source_ops file_ops = { file_read, file_expect, file_free };

int source_open_file(struct source **out, const char *path, struct error *err)
{
	CLEANUP(closep) int fd = -1;
	struct file *file;
	struct stat st;
	struct statfs fs;

	/* O_NONBLOCK: opening a FIFO must not hang before it can be refused. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return error_set(err, errno, "open %s: %m", path);
	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "stat %s: %m", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, S_ISDIR(st.st_mode) ? EISDIR : EINVAL,
				 "%s: not a regular file", path);
	file = calloc(1, sizeof(*file));
	if (!file)
		return error_set(err, ENOMEM, "out of memory");
	file->source.ops = &file_ops;
	file->source.size = (uint64_t)st.st_size;
	file->mtime = st.st_mtim;
	file->in_memory =
		fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
	file->fd = take_fd(&fd);
	*out = &file->source;
	return 0;
}

struct memory {
	struct source source;
	const uint8_t *bytes;
};

static int memory_read(struct source *source, const struct io *io, uint64_t offset, void *buf,
		       size_t n, struct error *err)
{
	(void)io;
	(void)err;
	memcpy(buf, ((struct memory *)source)->bytes + offset, n);
	return 0;
}

static void memory_free(struct source *source)
{
	free(source);
}

static const struct source_ops memory_ops = { memory_read, NULL, memory_free };

int source_new_memory(struct source **out, const void *bytes, size_t n, struct error *err)
{
	struct memory *memory = calloc(1, sizeof(*memory));

	if (!memory)
		return error_set(err, ENOMEM, "out of memory");
	memory->source.ops = &memory_ops;
	memory->source.size = n;
	memory->bytes = bytes;
	*out = &memory->source;
	return 0;
}
