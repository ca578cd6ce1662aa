#include "chunkcache/reader.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/siphash.h"

enum { CONTEXTS_KEPT = 16 };

/* What it takes to load a chunk; one for each load that is under way. */
struct context {
	struct blob_context *blob;
	struct buffer stored;
	struct context *next;
};

struct reader {
	struct source source;
	struct reader_config config;
	_Atomic uint64_t *verified; /* for each chunk: which stored file passed, 0 none */
	uv_mutex_t lock;
	struct context *contexts; /* protected by lock, like n_contexts */
	unsigned n_contexts;
	atomic_size_t last; /* the chunk that was read last, plus 1 */
	atomic_uint ahead;  /* loads ahead that are under way */
};

static void free_context(struct context *c)
{
	if (!c)
		return;
	blob_context_free(c->blob);
	buffer_release(&c->stored);
	free(c);
}

static int take_context(struct reader *reader, struct context **out, struct error *err)
{
	struct context *c;
	int r;

	uv_mutex_lock(&reader->lock);
	c = reader->contexts;
	if (c) {
		reader->contexts = c->next;
		reader->n_contexts--;
	}
	uv_mutex_unlock(&reader->lock);
	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c)
			return error_set(err, ENOMEM, "out of memory");
		r = blob_context_new(&c->blob, err);
		if (r < 0) {
			free_context(c);
			return r;
		}
	}
	*out = c;
	return 0;
}

static void give_context_back(struct reader *reader, struct context *c)
{
	uv_mutex_lock(&reader->lock);
	if (reader->n_contexts < CONTEXTS_KEPT) {
		c->next = reader->contexts;
		reader->contexts = TAKE(c);
		reader->n_contexts++;
	}
	uv_mutex_unlock(&reader->lock);
	free_context(c);
}

/* A number for the state of a stored file, never 0 for a known one. */
static uint64_t mark_of(const struct store_state *state)
{
	uint64_t words[5] = { state->device, state->inode, state->size,
			      (uint64_t)state->ctime.tv_sec, (uint64_t)state->ctime.tv_nsec };

	return state->known ? siphash24(0, 0, words, sizeof(words)) | 1 : 0;
}

static const struct digest *digest_to_check(const struct reader *reader, size_t i,
					    const struct digest *digest, uint64_t mark)
{
	switch (reader->config.verify) {
	case READER_VERIFY_CRC:
		return NULL;
	case READER_VERIFY_ONCE:
		return mark && reader->verified[i] == mark ? NULL : digest;
	default:
		return digest;
	}
}

static void report(const struct reader *reader, const struct error *err)
{
	if (reader->config.report)
		reader->config.report(reader->config.arg, err);
}

/* The chunk was found, but a store that was asked before has something wrong under its name. */
static void report_bypassed(const struct reader *reader, struct store_search *s)
{
	char hex[DIGEST_TEXT_SIZE];

	if (!s->why.code && s->bad_seen)
		error_set(&s->why, EIO, "set aside as corrupt (.bad)");
	if (!s->why.code)
		return;
	error_wrap(&s->why, "chunk %s, found elsewhere", digest_format(s->id, hex));
	report(reader, &s->why);
}

/* A load of one chunk, which the cache asks for. */
struct loading {
	struct reader *reader;
	size_t i;
};

static int search(struct reader *reader, struct context *c, size_t i, uint8_t *bytes, size_t len,
		  struct error *err)
{
	const struct reader_config *config = &reader->config;
	const struct digest *digest = index_chunk(config->index, i).digest;
	struct store_search s = store_search_init(config->stores, config->n_stores, digest);
	struct store_state state;
	struct error why;
	uint64_t mark;
	int r;

	for (;;) {
		r = store_search_next(&s, &c->stored, &state, err);
		if (r < 0)
			return r;
		mark = mark_of(&state);
		r = blob_decode_chunk(c->blob, &config->terms, c->stored.bytes, c->stored.len,
				      digest_to_check(reader, i, digest, mark), bytes, len, &why);
		if (!r)
			break;
		if (r == -ENOMEM) /* no store's fault */
			return error_set(err, r, "%s", why.text);
		store_search_reject(&s, &why);
	}
	reader->verified[i] = mark;
	report_bypassed(reader, &s);
	return 0;
}

static int load(void *arg, uint8_t *bytes, size_t len, struct error *err)
{
	struct loading *loading = arg;
	struct reader *reader = loading->reader;
	struct context *c = NULL;
	int r;

	r = take_context(reader, &c, err);
	if (r < 0)
		return r;
	r = search(reader, c, loading->i, bytes, len, err);
	give_context_back(reader, c);
	if (r < 0)
		report(reader, err);
	return r;
}

static int get_chunk(struct reader *reader, const struct io *io, size_t i, struct chunk **out,
		     struct error *err)
{
	struct index_chunk chunk = index_chunk(reader->config.index, i);
	struct loading loading = { .reader = reader, .i = i };

	return cache_get(reader->config.cache, chunk.digest, chunk.len, reader->config.class, io,
			 &(struct cache_loader){ .load = load, .arg = &loading }, out, err);
}

/* A load ahead of time. */
struct ahead {
	struct job job;
	struct reader *reader;
	size_t i;
};

static void ahead_run(struct job *job)
{
	struct ahead *ahead = (struct ahead *)job;
	struct reader *reader = ahead->reader;
	const struct io io = { .may_wait = true, .job = job };
	struct chunk *chunk;
	struct error err;

	if (cache_has(reader->config.cache, index_chunk(reader->config.index, ahead->i).digest))
		return;
	/* An error is that of whoever reads it. */
	if (get_chunk(reader, &io, ahead->i, &chunk, &err) == 0)
		cache_put(reader->config.cache, chunk);
}

static void ahead_done(struct job *job)
{
	struct ahead *ahead = (struct ahead *)job;

	atomic_fetch_sub(&ahead->reader->ahead, 1);
	free(ahead);
}

static struct ahead *new_ahead(struct reader *reader, size_t i)
{
	struct ahead *ahead = calloc(1, sizeof(*ahead));

	if (!ahead)
		return NULL;
	ahead->job.run = ahead_run;
	ahead->job.done = ahead_done;
	ahead->reader = reader;
	ahead->i = i;
	return ahead;
}

/* False when there is no point in going on to the next. */
static bool load_ahead(struct reader *reader, size_t i)
{
	struct ahead *ahead = NULL;

	if (cache_has(reader->config.cache, index_chunk(reader->config.index, i).digest))
		return true;
	if (atomic_fetch_add(&reader->ahead, 1) < reader->config.ahead_max)
		ahead = new_ahead(reader, i);
	if (ahead && pool_offer(reader->config.pool, &ahead->job))
		return true;
	free(ahead);
	atomic_fetch_sub(&reader->ahead, 1);
	return false;
}

/* Called for each chunk that a read touches. */
static void note_chunk(struct reader *reader, size_t i)
{
	size_t last = atomic_exchange(&reader->last, i + 1);
	size_t count = index_count(reader->config.index);

	if (!reader->config.pool || last != i || i == 0) /* the same again, or a jump */
		return;
	for (size_t next = i + 1; next < count && next <= i + reader->config.ahead_max; next++)
		if (!load_ahead(reader, next))
			return;
}

static int reader_read(struct source *source, const struct io *io, uint64_t offset, void *buf,
		       size_t n, struct error *err)
{
	struct reader *reader = (struct reader *)source;
	const struct index *index = reader->config.index;
	char *to = buf;

	for (size_t i = index_find(index, offset); n; i++) {
		struct index_chunk place = index_chunk(index, i);
		size_t skip = (size_t)(offset - place.start);
		size_t piece = n < place.len - skip ? n : place.len - skip;
		struct chunk *chunk;
		int r = get_chunk(reader, io, i, &chunk, err);

		if (r)
			return r < 0 ? error_wrap(err, "chunk %zu", i) : r;
		memcpy(to, chunk->bytes + skip, piece);
		cache_put(reader->config.cache, chunk);
		note_chunk(reader, i);
		to += piece;
		offset += piece;
		n -= piece;
	}
	return 0;
}

static void reader_expect(struct source *source, uint64_t offset, uint64_t n)
{
	struct reader *reader = (struct reader *)source;
	const struct index *index = reader->config.index;
	uint64_t end = n < source->size - offset ? offset + n : source->size;

	if (!reader->config.pool || offset >= source->size)
		return;
	for (size_t i = index_find(index, offset);
	     i < index_count(index) && index_chunk(index, i).start < end; i++)
		if (!load_ahead(reader, i))
			return;
}

static void reader_free(struct source *source)
{
	struct reader *reader = (struct reader *)source;
	struct context *c;

	while ((c = reader->contexts)) {
		reader->contexts = c->next;
		free_context(c);
	}
	uv_mutex_destroy(&reader->lock);
	free((void *)reader->verified);
	free(reader);
}

static const struct source_ops reader_ops = { reader_read, reader_expect, reader_free };

int reader_new(struct source **out, const struct reader_config *config, struct error *err)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	size_t count = index_count(config->index);

	if (reader)
		reader->verified = calloc(count, sizeof(*reader->verified));
	if (!reader || !reader->verified || uv_mutex_init(&reader->lock)) {
		if (reader)
			free((void *)reader->verified);
		free(reader);
		return error_set(err, ENOMEM, "out of memory for an index of %zu chunks", count);
	}
	reader->source.ops = &reader_ops;
	reader->source.size = index_size(config->index);
	reader->config = *config;
	*out = &reader->source;
	return 0;
}
