#define _GNU_SOURCE
#include "chunkcache/index.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "chunkcache/file.h"
#include "core/cursor.h"

#define DYNAMIC_MAGIC UINT64_C(0xcdb3ba19a54e911c)
#define FIXED_MAGIC UINT64_C(0xcd0ffd91ed417f2f)

enum {
	DYNAMIC_ENTRY_SIZE = 8 + DIGEST_SIZE,
	FIXED_ENTRY_SIZE = DIGEST_SIZE,
	PIECE = 512,	    /* entries that are read at once */
	PENDING = 64 << 10, /* bytes that are written at once */
};

struct index {
	enum index_kind kind;
	struct index_label label;
	struct digest checksum;
	uint64_t size;
	uint32_t chunk_size; /* of a fixed index */
	size_t n;
	uint64_t *ends; /* of a dynamic index */
	struct digest *digests;
};

static const char *const kind_name[] = {
	[INDEX_DYNAMIC] = "dynamic index (.didx)",
	[INDEX_FIXED] = "fixed index (.fidx)",
};

static size_t entry_size(enum index_kind kind)
{
	return kind == INDEX_DYNAMIC ? DYNAMIC_ENTRY_SIZE : FIXED_ENTRY_SIZE;
}

static void take(struct cursor *c, void *to, size_t n)
{
	const uint8_t *from = cursor_bytes(c, n);

	if (from)
		memcpy(to, from, n);
}

static int check_magic(uint64_t magic, enum index_kind kind, struct error *err)
{
	static const uint64_t magics[] = { DYNAMIC_MAGIC, FIXED_MAGIC };

	if (magic == magics[kind])
		return 0;
	if (magic == magics[!kind])
		return error_set(err, EUCLEAN, "a %s, not a %s", kind_name[!kind], kind_name[kind]);
	return error_set(err, EUCLEAN, "not a %s: it begins with %#" PRIx64, kind_name[kind],
			 magic);
}

/* The image's size and its chunks' must ask for as many entries as there are. */
static int check_fixed(struct index *index, uint64_t size, uint64_t chunk_size, struct error *err)
{
	if (chunk_size < INDEX_FIXED_MIN || chunk_size > INDEX_CHUNK_MAX ||
	    (chunk_size & (chunk_size - 1)))
		return error_set(err, EUCLEAN, "a chunk size of %" PRIu64, chunk_size);
	if (size > INT64_MAX)
		return error_set(err, EUCLEAN, "an image of %" PRIu64 " bytes", size);
	if (size / chunk_size + !!(size % chunk_size) != index->n)
		return error_set(err, EUCLEAN,
				 "%zu entries for an image of %" PRIu64
				 " bytes in chunks of %" PRIu64,
				 index->n, size, chunk_size);
	index->size = size;
	index->chunk_size = (uint32_t)chunk_size;
	return 0;
}

static int decode_header(struct index *index, const uint8_t *bytes, uint64_t file_size,
			 struct error *err)
{
	struct cursor c = cursor_init(bytes, INDEX_HEADER_SIZE);
	uint64_t body = file_size - INDEX_HEADER_SIZE, size, chunk_size;
	size_t entry = entry_size(index->kind);
	int r;

	r = check_magic(cursor_le64(&c), index->kind, err);
	if (r < 0)
		return r;
	take(&c, index->label.uuid, sizeof(index->label.uuid));
	index->label.ctime = (int64_t)cursor_le64(&c);
	take(&c, index->checksum.bytes, DIGEST_SIZE);
	size = cursor_le64(&c);
	chunk_size = cursor_le64(&c);

	if (body % entry)
		return error_set(err, EUCLEAN, "%" PRIu64 " bytes after the last whole entry",
				 body % entry);
	if (body / entry > INDEX_CHUNKS_MAX)
		return error_set(err, EUCLEAN, "%" PRIu64 " entries, at most %d are possible",
				 body / entry, INDEX_CHUNKS_MAX);
	index->n = (size_t)(body / entry);
	if (index->kind == INDEX_FIXED)
		return check_fixed(index, size, chunk_size, err);
	if (!index->n)
		return error_set(err, EUCLEAN, "no entries");
	return 0;
}

/* Memory for the entries: not more than the file has bytes. */
static int allocate(struct index *index, struct error *err)
{
	size_t n = index->n ? index->n : 1;

	index->digests = calloc(n, sizeof(*index->digests));
	if (index->kind == INDEX_DYNAMIC)
		index->ends = calloc(n, sizeof(*index->ends));
	if (index->digests && (index->ends || index->kind == INDEX_FIXED))
		return 0;
	error_set(err, ENOMEM, "out of memory for %zu entries", index->n);
	return -ENOMEM;
}

static int decode_entry(struct index *index, size_t i, struct cursor *c, struct error *err)
{
	static const struct digest unwritten;
	uint64_t start, end;

	if (index->kind == INDEX_DYNAMIC) {
		start = i ? index->ends[i - 1] : 0;
		end = cursor_le64(c);
		if (end <= start || end - start > INDEX_CHUNK_MAX)
			return error_set(err, EUCLEAN,
					 "entry %zu: a chunk from %" PRIu64 " to %" PRIu64, i,
					 start, end);
		index->ends[i] = index->size = end;
	}
	take(c, index->digests[i].bytes, DIGEST_SIZE);
	if (index->kind == INDEX_FIXED &&
	    !memcmp(&index->digests[i], &unwritten, sizeof(unwritten)))
		return error_set(err, EUCLEAN, "entry %zu was never written", i);
	return 0;
}

/* Where an index comes from: memory, or a file when bytes is NULL. */
struct input {
	int fd;
	const uint8_t *bytes;
	uint64_t size;
};

static int input_read(const struct input *in, uint64_t offset, void *buf, size_t n,
		      struct error *err)
{
	if (!in->bytes)
		return file_pread(in->fd, offset, buf, n, err);
	memcpy(buf, in->bytes + offset, n);
	return 0;
}

static int decode_entries(struct index *index, const struct input *in, struct digest_context *sum,
			  struct error *err)
{
	uint8_t bytes[PIECE * DYNAMIC_ENTRY_SIZE];
	size_t entry = entry_size(index->kind);
	uint64_t at = INDEX_HEADER_SIZE;
	struct cursor c;
	int r;

	digest_begin(sum);
	for (size_t i = 0; i < index->n;) {
		size_t n = index->n - i < PIECE ? index->n - i : PIECE;

		r = input_read(in, at, bytes, n * entry, err);
		if (r < 0)
			return r;
		at += n * entry;
		digest_add(sum, bytes, n * entry);
		for (c = cursor_init(bytes, n * entry); n--; i++) {
			r = decode_entry(index, i, &c, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int check_checksum(const struct index *index, struct digest_context *sum, struct error *err)
{
	char stored[DIGEST_TEXT_SIZE], found[DIGEST_TEXT_SIZE];
	struct digest checksum;

	digest_end(sum, &checksum);
	if (digest_equal(&checksum, &index->checksum))
		return 0;
	return error_set(err, EBADMSG, "the checksum of its entries is %s, not %s",
			 digest_format(&checksum, found), digest_format(&index->checksum, stored));
}

static int index_new(struct index **out, const struct input *in, enum index_kind kind,
		     struct error *err)
{
	CLEANUP(index_freep) struct index *index = NULL;
	struct digest_context sum;
	uint8_t header[INDEX_HEADER_SIZE];
	int r;

	if (in->size < sizeof(header))
		return error_set(err, EUCLEAN, "%" PRIu64 " bytes are no index", in->size);
	index = calloc(1, sizeof(*index));
	if (!index)
		return error_set(err, ENOMEM, "out of memory");
	index->kind = kind;
	r = input_read(in, 0, header, sizeof(header), err);
	if (r == 0)
		r = decode_header(index, header, in->size, err);
	if (r == 0)
		r = allocate(index, err);
	if (r == 0)
		r = decode_entries(index, in, &sum, err);
	if (r == 0)
		r = check_checksum(index, &sum, err);
	if (r < 0)
		return r;
	*out = TAKE(index);
	return 0;
}

int index_open(struct index **out, int dirfd, const char *path, enum index_kind kind,
	       struct error *err)
{
	CLEANUP(closep) int fd = -1;
	struct stat st;
	int r;

	r = file_open_regular(&fd, dirfd, path, &st, err);
	if (r < 0)
		return r;
	r = index_new(out, &(struct input){ .fd = fd, .size = (uint64_t)st.st_size }, kind, err);
	if (r < 0)
		error_wrap(err, "%s", path);
	return r;
}

int index_decode(struct index **out, const void *bytes, size_t n, enum index_kind kind,
		 struct error *err)
{
	return index_new(out, &(struct input){ .bytes = bytes, .size = n }, kind, err);
}

void index_free(struct index *index)
{
	if (!index)
		return;
	free(index->ends);
	free(index->digests);
	free(index);
}

struct index_label index_label(const struct index *index)
{
	return index->label;
}

uint64_t index_size(const struct index *index)
{
	return index->size;
}

size_t index_count(const struct index *index)
{
	return index->n;
}

const struct digest *index_checksum(const struct index *index)
{
	return &index->checksum;
}

struct index_chunk index_chunk(const struct index *index, size_t i)
{
	struct index_chunk chunk = { .digest = &index->digests[i] };
	uint64_t end;

	if (index->kind == INDEX_DYNAMIC) {
		chunk.start = i ? index->ends[i - 1] : 0;
		end = index->ends[i];
	} else {
		chunk.start = (uint64_t)i * index->chunk_size;
		end = i + 1 < index->n ? chunk.start + index->chunk_size : index->size;
	}
	chunk.len = (uint32_t)(end - chunk.start);
	return chunk;
}

size_t index_find(const struct index *index, uint64_t offset)
{
	size_t low = 0, high = index->n; /* the first end past the offset is one of [low, high) */

	if (index->kind == INDEX_FIXED)
		return (size_t)(offset / index->chunk_size);
	while (high - low > 1) {
		size_t middle = low + (high - low - 1) / 2;

		if (index->ends[middle] > offset)
			high = middle + 1;
		else
			low = middle + 1;
	}
	return low;
}

struct index_writer {
	int dirfd, fd;
	char name[256], temp[256];
	struct index_label label;
	enum index_kind kind;
	uint32_t chunk_size;
	bool ended; /* by a chunk that was shorter than the others */
	uint64_t size;
	size_t n;
	struct buffer pending;
	struct digest_context sum;
};

/* root.pxar.didx is written as root.pxar.tmp_didx. */
static int set_names(struct index_writer *w, const char *name, struct error *err)
{
	static const char *const endings[] = { ".didx", ".fidx" };
	const char *ending = endings[w->kind];
	size_t len = strlen(name);

	if (len <= 5 || len + 4 >= sizeof(w->temp) || strcmp(name + len - 5, ending) != 0)
		return error_set(err, EINVAL, "the name of a %s, not %s", kind_name[w->kind], name);
	memcpy(w->name, name, len + 1);
	snprintf(w->temp, sizeof(w->temp), "%.*s.tmp_%s", (int)(len - 5), name, ending + 1);
	return 0;
}

int index_writer_new(struct index_writer **out, int dirfd, const char *name, uint32_t chunk_size,
		     const struct index_label *label, struct error *err)
{
	CLEANUP(index_writer_freep) struct index_writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return error_set(err, ENOMEM, "out of memory");
	w->fd = -1;
	w->dirfd = dirfd;
	w->label = *label;
	w->kind = chunk_size ? INDEX_FIXED : INDEX_DYNAMIC;
	w->chunk_size = chunk_size;
	if (chunk_size && (chunk_size < INDEX_FIXED_MIN || chunk_size > INDEX_CHUNK_MAX ||
			   (chunk_size & (chunk_size - 1))))
		return error_set(err, EINVAL, "a chunk size of %" PRIu32, chunk_size);
	r = set_names(w, name, err);
	if (r < 0)
		return r;
	digest_begin(&w->sum);
	/* What an aborted backup has left behind is overwritten. */
	w->fd = openat(dirfd, w->temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (w->fd < 0)
		return error_set(err, errno, "create %s: %m", w->temp);
	if (lseek(w->fd, INDEX_HEADER_SIZE, SEEK_SET) < 0)
		return error_set(err, errno, "seek in %s: %m", w->temp);
	*out = TAKE(w);
	return 0;
}

static int flush(struct index_writer *w, struct error *err)
{
	int r = buffer_finish(&w->pending, err);

	if (r < 0)
		return r;
	digest_add(&w->sum, w->pending.bytes, w->pending.len);
	r = file_write(w->fd, w->pending.bytes, w->pending.len, err);
	buffer_reset(&w->pending);
	if (r < 0)
		error_wrap(err, "%s", w->temp);
	return r;
}

int index_writer_add(struct index_writer *w, uint32_t len, const struct digest *digest,
		     struct error *err)
{
	uint32_t max = w->kind == INDEX_FIXED ? w->chunk_size : INDEX_CHUNK_MAX;

	if (!len || len > max || w->ended || w->n == INDEX_CHUNKS_MAX)
		return error_set(err, EINVAL,
				 "%s: no room for a chunk of %" PRIu32 " bytes at %" PRIu64,
				 w->name, len, w->size);
	w->ended = w->kind == INDEX_FIXED && len < w->chunk_size;
	w->size += len;
	w->n++;
	if (w->kind == INDEX_DYNAMIC)
		buffer_le64(&w->pending, w->size);
	buffer_add(&w->pending, digest->bytes, DIGEST_SIZE);
	return w->pending.len < PENDING && !w->pending.failed ? 0 : flush(w, err);
}

static void encode_header(const struct index_writer *w, const struct digest *checksum,
			  struct buffer *b)
{
	static const uint8_t zeros[INDEX_HEADER_SIZE];

	buffer_le64(b, w->kind == INDEX_FIXED ? FIXED_MAGIC : DYNAMIC_MAGIC);
	buffer_add(b, w->label.uuid, sizeof(w->label.uuid));
	buffer_le64(b, (uint64_t)w->label.ctime);
	buffer_add(b, checksum->bytes, DIGEST_SIZE);
	buffer_le64(b, w->kind == INDEX_FIXED ? w->size : 0);
	buffer_le64(b, w->chunk_size);
	buffer_add(b, zeros, INDEX_HEADER_SIZE - b->len);
}

int index_writer_finish(struct index_writer *w, struct digest *checksum, uint64_t *size,
			struct error *err)
{
	int r;

	r = flush(w, err);
	if (r < 0)
		return r;
	digest_end(&w->sum, checksum);
	*size = w->size;
	encode_header(w, checksum, &w->pending);
	r = buffer_finish(&w->pending, err);
	if (r < 0)
		return r;
	if (lseek(w->fd, 0, SEEK_SET) < 0)
		return error_set(err, errno, "seek in %s: %m", w->temp);
	r = file_write(w->fd, w->pending.bytes, w->pending.len, err);
	if (r < 0)
		return error_wrap(err, "%s", w->temp);
	if (fsync(w->fd) < 0)
		return error_set(err, errno, "sync %s: %m", w->temp);
	r = file_rename(w->dirfd, w->temp, w->name, true, err);
	if (r == 0)
		close(take_fd(&w->fd));
	return r;
}

void index_writer_free(struct index_writer *w)
{
	if (!w)
		return;
	if (w->fd >= 0) {
		close(w->fd);
		unlinkat(w->dirfd, w->temp, 0);
	}
	buffer_release(&w->pending);
	free(w);
}
