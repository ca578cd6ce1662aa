#define _GNU_SOURCE
#include "chunkcache/secret.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdalign.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <openssl/crypto.h>

/* Precedes every secret. */
struct header {
	alignas(max_align_t) size_t size; /* header included */
	bool from_heap;			  /* OpenSSL's, which is locked as a whole */
	bool locked;
};

static struct header *header_of(const void *secret)
{
	return (struct header *)secret - 1;
}

/* Pages of its own: locking and leaving out of dumps work on pages, and end with the first of the
   secrets on one that is freed. */
static struct header *map_pages(size_t size)
{
	struct header *h =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (h == MAP_FAILED)
		return NULL;
	madvise(h, size, MADV_DONTDUMP);
	h->locked = mlock(h, size) == 0;
	return h;
}

void *secret_new(size_t n)
{
	struct header *h = NULL;
	size_t size;

	if (n > PTRDIFF_MAX - sizeof(*h))
		return NULL;
	size = n + sizeof(*h);
	if (CRYPTO_secure_malloc_initialized()) {
		h = OPENSSL_secure_zalloc(size);
		if (h)
			h->from_heap = h->locked = true;
	}
	if (!h) /* there is no such heap, or it is full */
		h = map_pages(size);
	if (!h)
		return NULL;
	h->size = size;
	return h + 1;
}

void secret_free(void *secret)
{
	struct header *h;
	size_t size;

	if (!secret)
		return;
	h = header_of(secret);
	size = h->size;
	if (h->from_heap) {
		OPENSSL_secure_clear_free(h, size);
		return;
	}
	OPENSSL_cleanse(h, size);
	munmap(h, size);
}

bool secret_is_locked(const void *secret)
{
	return header_of(secret)->locked;
}

int secret_bytes_new(struct secret_bytes **out, size_t max, struct error *err)
{
	/* Zeroed, so whatever is put into it a NUL follows. */
	*out = secret_new(sizeof(**out) + max + 1);
	return *out ? 0 : error_set(err, ENOMEM, "out of memory");
}

void secret_first_line(struct secret_bytes *secret)
{
	const uint8_t *newline = memchr(secret->bytes, '\n', secret->len);
	size_t len;

	if (!newline)
		return;
	len = (size_t)(newline - secret->bytes);
	if (len && secret->bytes[len - 1] == '\r')
		len--;
	OPENSSL_cleanse(secret->bytes + len, secret->len - len);
	secret->len = len;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until a read would not: a FIFO may have no writer, a terminal nobody who types. */
static int wait_readable(int fd, int64_t deadline, struct error *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t left = deadline == INT64_MAX ? -1 : deadline - now_ms();
	int r;

	if (left < 0 && deadline != INT64_MAX)
		left = 0;
	r = poll(&p, 1, (int)left);
	if (r == 0)
		return error_set(err, ETIMEDOUT, "nothing was written to it in time");
	if (r < 0 && errno != EINTR)
		return error_set(err, errno, "poll: %m");
	return 0;
}

static bool is_complete(const struct secret_bytes *secret, const struct secret_read *how)
{
	return how->line_only && memchr(secret->bytes, '\n', secret->len);
}

static int read_all(struct secret_bytes *secret, int fd, const struct secret_read *how,
		    struct error *err)
{
	int64_t deadline = how->wait_ms < 0 ? INT64_MAX : now_ms() + how->wait_ms;
	ssize_t got;
	int r;

	while (!is_complete(secret, how)) {
		r = wait_readable(fd, deadline, err);
		if (r < 0)
			return r;
		/* One more would fit, which tells too many from enough. */
		got = read(fd, secret->bytes + secret->len, how->max + 1 - secret->len);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got < 0)
			return error_set(err, errno, "read: %m");
		if (got == 0)
			break;
		secret->len += (size_t)got;
		if (secret->len > how->max)
			return error_set(err, EFBIG, "it has more than %zu bytes", how->max);
	}
	return 0;
}

/* The bits of a file without a name keep nobody in or out: it is reached through descriptors. */
static int check_file(int fd, struct secret_read *how, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "stat: %m");
	if (S_ISDIR(st.st_mode))
		return error_set(err, EISDIR, "it is a directory");
	if (S_ISBLK(st.st_mode))
		return error_set(err, EINVAL, "it is a block device");
	if ((!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode)) || !st.st_nlink)
		return 0;
	how->readable = st.st_mode & (S_IRGRP | S_IROTH);
	how->writable = st.st_mode & (S_IWGRP | S_IWOTH);
	return 0;
}

int secret_read_fd(struct secret_bytes **out, int fd, struct secret_read *how, struct error *err)
{
	CLEANUP(secret_bytes_freep) struct secret_bytes *secret = NULL;
	int r;

	how->readable = how->writable = false;
	r = check_file(fd, how, err);
	if (r == 0)
		r = secret_bytes_new(&secret, how->max, err);
	if (r == 0)
		r = read_all(secret, fd, how, err);
	if (r < 0)
		return r;
	if (how->line_only)
		secret_first_line(secret);
	*out = TAKE(secret);
	return 0;
}

int secret_read(struct secret_bytes **out, const char *path, struct secret_read *how,
		struct error *err)
{
	CLEANUP(closep) int fd = -1;

	/* O_NONBLOCK: opening a FIFO must not wait for its writer. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return error_set(err, errno, "open: %m");
	return secret_read_fd(out, fd, how, err);
}
