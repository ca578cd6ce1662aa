#define _GNU_SOURCE
#include "tools/pack-copy.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 1 << 20 };

int copy_init(struct copy *c, struct error *err)
{
	c->bytes = malloc(PIECE);
	c->zeros = calloc(1, PIECE);
	return c->bytes && c->zeros ? 0 : error_set(err, ENOMEM, "out of memory");
}

void copy_release(struct copy *c)
{
	free(c->bytes);
	free(c->zeros);
}

static size_t at_most(uint64_t n, size_t max)
{
	return n < max ? (size_t)n : max;
}

/* Sets until and hole for the piece in which at lies. Where it cannot be told all is data. */
static void find_piece(struct copy *c)
{
	off_t at = (off_t)c->at, data, hole;

	c->hole = false;
	c->until = c->size;
	data = lseek(c->fd, at, SEEK_DATA);
	if (data > at || (data < 0 && errno == ENXIO)) {
		c->hole = true;
		if (data > at && (uint64_t)data < c->size)
			c->until = (uint64_t)data;
		return;
	}
	hole = data == at ? lseek(c->fd, at, SEEK_HOLE) : -1;
	if (hole > at && (uint64_t)hole < c->size)
		c->until = (uint64_t)hole;
}

/* The next piece: its size, 0 at the end of the file or of what was announced, < 0. A read asks
   for more than is announced where it can, to see whether the file has grown. */
static ssize_t read_piece(struct copy *c)
{
	ssize_t n;

	if (c->at == c->size)
		return 0;
	if (c->sparse && c->at >= c->until)
		find_piece(c);
	if (c->hole)
		return (ssize_t)at_most(c->until - c->at, PIECE);
	do {
		n = pread(c->fd, c->bytes,
			  c->until == c->size ? PIECE : at_most(c->until - c->at, PIECE),
			  (off_t)c->at);
	} while (n < 0 && errno == EINTR);
	return n;
}

int copy_begin(struct copy *c, int fd, uint64_t size, bool sparse, struct error *err)
{
	ssize_t n;

	c->fd = fd;
	c->size = size;
	c->at = 0;
	c->sparse = sparse;
	c->hole = false;
	c->until = sparse ? 0 : size;
	if (size > PIECE)
		posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	n = read_piece(c);
	if (n < 0)
		return error_set(err, errno, "read: %m");
	c->have = (size_t)n;
	return 0;
}

static int hand_over(struct copy *c, struct encoder *e, const uint8_t *bytes, size_t n,
		     struct error *err)
{
	int r = encoder_data(e, bytes, n, err);

	if (r < 0)
		return r;
	c->at += n;
	if (c->tick && !c->tick(c->arg, n))
		return error_set(err, EINTR, "interrupted");
	return 0;
}

static int fill_with_zeros(struct copy *c, struct encoder *e, struct error *err)
{
	int r = 0;

	while (r == 0 && c->at < c->size)
		r = hand_over(c, e, c->zeros, at_most(c->size - c->at, PIECE), err);
	return r;
}

/* A hole at the end of a file cannot be told from the end of one that shrank. */
static bool is_shorter(const struct copy *c)
{
	struct stat st;

	return fstat(c->fd, &st) == 0 && (uint64_t)st.st_size < c->size;
}

int copy_run(struct copy *c, struct encoder *e, struct error *err)
{
	enum copy_result result = COPY_WHOLE;
	ssize_t n = (ssize_t)c->have;
	int r;

	while (n > 0) {
		if ((uint64_t)n > c->size - c->at) {
			result = COPY_GREW;
			n = (ssize_t)(c->size - c->at);
		}
		r = hand_over(c, e, c->hole ? c->zeros : c->bytes, (size_t)n, err);
		if (r < 0)
			return r;
		n = read_piece(c);
	}
	if (n < 0) {
		error_set(err, errno, "read at %" PRIu64 ": %m", c->at);
		result = COPY_DAMAGED;
	} else if (c->at < c->size || (c->hole && is_shorter(c))) {
		result = COPY_SHRANK;
	}
	/* err keeps what reading said, unless something worse happens. */
	r = fill_with_zeros(c, e, result == COPY_DAMAGED ? NULL : err);
	return r < 0 ? r : (int)result;
}
