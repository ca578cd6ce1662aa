/*
 * file.h - files below a directory that others may have filled
 *
 * Paths are relative to a descriptor; no symbolic link in them is followed and none leads out of
 * the directory. Only regular files are read, opening one never waits, and its size is looked at
 * before a byte is.
 */
#ifndef CHUNKCACHE_FILE_H
#define CHUNKCACHE_FILE_H

#include <sys/stat.h>

#include "core/buffer.h"

/* Opens what is at the path, close-on-exec. Errors are those of openat2(). */
int file_open(int *out, int dirfd, const char *path, int flags, struct error *err);

/* Opens a regular file for reading; -EUCLEAN when it is something else. */
int file_open_regular(int *out, int dirfd, const char *path, struct stat *st, struct error *err);

/* Exactly n bytes, or -EIO when the file ends before. */
int file_pread(int fd, uint64_t offset, void *buf, size_t n, struct error *err);

/* The whole of an open file of this size in place of what the buffer held. -EUCLEAN when it has
   more than max bytes, of which none is read then. */
int file_read(int fd, uint64_t size, size_t max, struct buffer *bytes, struct error *err);

/* Writes everything; the file's offset moves. */
int file_write(int fd, const void *bytes, size_t n, struct error *err);

/* Puts a file with this content in the place of whatever has the name, at once: through a
   temporary file in the same directory. With sync both are on the disk afterwards, for which
   dirfd must not be O_PATH. */
int file_replace(int dirfd, const char *name, const void *bytes, size_t n, bool sync,
		 struct error *err);

/* Renames within the directory. With sync the name is on the disk afterwards. */
int file_rename(int dirfd, const char *from, const char *to, bool sync, struct error *err);

#endif
