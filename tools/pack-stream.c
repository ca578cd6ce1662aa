#include "tools/pack-stream.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

static int emit(struct pack_stream *s, struct error *err)
{
	struct digest id;
	int r;

	r = buffer_finish(&s->chunk, err);
	if (r == 0)
		r = pack_store_insert(s->store, s->chunk.bytes, s->chunk.len, &id, err);
	if (r == 0)
		r = index_writer_add(s->index, (uint32_t)s->chunk.len, &id, err);
	buffer_reset(&s->chunk);
	return r;
}

static int stream_write(struct sink *sink, const void *bytes, size_t n, struct error *err)
{
	struct pack_stream *s = (struct pack_stream *)sink;
	const uint8_t *at = bytes;

	while (n) {
		bool cut;
		size_t taken = chunker_scan(s->chunker, at, n, &cut);
		int r;

		buffer_add(&s->chunk, at, taken);
		at += taken;
		n -= taken;
		r = cut ? emit(s, err) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

/* A random UUID, version 4. */
static int make_label(struct index_label *label, struct error *err)
{
	if (getrandom(label->uuid, sizeof(label->uuid), 0) != sizeof(label->uuid))
		return error_set(err, errno, "getrandom: %m");
	label->uuid[6] = (uint8_t)((label->uuid[6] & 0x0f) | 0x40);
	label->uuid[8] = (uint8_t)((label->uuid[8] & 0x3f) | 0x80);
	label->ctime = (int64_t)time(NULL);
	return 0;
}

int pack_stream_open(struct pack_stream *s, struct pack_store *store, int dir, const char *name,
		     uint64_t chunk_avg, struct error *err)
{
	struct index_label label;
	int r;

	*s = (struct pack_stream){ .sink.write = stream_write, .store = store };
	r = chunker_new(&s->chunker, chunk_avg, err);
	if (r == 0)
		r = make_label(&label, err);
	if (r < 0)
		return r;
	pack_owner_begin(&store->owner);
	r = index_writer_new(&s->index, dir, name, 0, &label, err);
	pack_owner_end(&store->owner);
	return r;
}

void pack_stream_release(struct pack_stream *s)
{
	index_writer_free(s->index);
	chunker_free(s->chunker);
	buffer_release(&s->chunk);
}

int pack_stream_suggest(struct pack_stream *s, struct error *err)
{
	return chunker_suggest(s->chunker, chunker_offset(s->chunker), err);
}

int pack_stream_end(struct pack_stream *s, struct error *err)
{
	return s->chunk.len ? emit(s, err) : 0;
}

int pack_stream_publish(struct pack_stream *s, struct digest *checksum, uint64_t *size,
			struct error *err)
{
	int r;

	pack_owner_begin(&s->store->owner);
	r = index_writer_finish(s->index, checksum, size, err);
	pack_owner_end(&s->store->owner);
	return r;
}
