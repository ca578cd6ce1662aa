/*
 * secret.h - memory for keys and passwords, and reading the files that hold them
 *
 * The memory comes from OpenSSL's secure heap where the program has set one up; otherwise it has
 * pages of its own. It stays out of core dumps, is not swapped out as long as the limit on locked
 * memory allows, and is cleansed when it is freed. A fork loses the lock, so secrets are read by
 * the process that uses them.
 */
#ifndef CHUNKCACHE_SECRET_H
#define CHUNKCACHE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cleanup.h"
#include "core/error.h"

enum { SECRET_WAIT_MS = 10000 }; /* how long reading may wait for whoever writes */

/* n zeroed bytes, or NULL when there is no memory. */
void *secret_new(size_t n);
void secret_free(void *secret);

/* False when the limit on locked memory was too low: it may be swapped out. */
bool secret_is_locked(const void *secret);

/* A password, or what a file holds. */
struct secret_bytes {
	size_t len;
	uint8_t bytes[]; /* a NUL follows them */
};

static inline void secret_bytes_freep(struct secret_bytes **at)
{
	secret_free(*at);
}

/* Room for max bytes, with none in it. */
int secret_bytes_new(struct secret_bytes **out, size_t max, struct error *err);

/* What reading may cost, and what it found. */
struct secret_read {
	size_t max;	/* bytes; more are refused */
	int wait_ms;	/* -1: as long as it takes */
	bool line_only; /* leave it at the first line, or what there is without a newline */
	bool readable;	/* result: group or others may read the file */
	bool writable;	/* result: they may write to it */
};

/* Reads a file, FIFO or terminal; opening it never waits. -EFBIG; -ETIMEDOUT; -EISDIR and
   others of open() and read(). */
int secret_read(struct secret_bytes **out, const char *path, struct secret_read *how,
		struct error *err);

/* Likewise from a descriptor, which may be a pipe or socket and stays open. */
int secret_read_fd(struct secret_bytes **out, int fd, struct secret_read *how, struct error *err);

/* Cuts after the first line, without its newline. */
void secret_first_line(struct secret_bytes *secret);

#endif
