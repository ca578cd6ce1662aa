/*
 * pack-stream.h - an archive on its way into a datastore: cut into chunks, with its index
 */
#ifndef TOOLS_PACK_STREAM_H
#define TOOLS_PACK_STREAM_H

#include "chunkcache/chunker.h"
#include "chunkcache/index.h"
#include "core/encoder.h"
#include "tools/pack-store.h"

struct pack_stream {
	struct sink sink; /* what is written ends up in chunks */
	struct pack_store *store;
	struct chunker *chunker;
	struct index_writer *index;
	struct buffer chunk; /* that is not complete yet */
};

/* name is that of the index in the open directory, which is borrowed; -EINVAL for a chunk size
   that cannot be. */
int pack_stream_open(struct pack_stream *s, struct pack_store *store, int dir, const char *name,
		     uint64_t chunk_avg, struct error *err);
void pack_stream_release(struct pack_stream *s);

/* What comes next is a good place for a chunk to begin. */
int pack_stream_suggest(struct pack_stream *s, struct error *err);

/* The stream has ended: its last chunk is inserted. */
int pack_stream_end(struct pack_stream *s, struct error *err);

/* After pack_stream_end() and pack_store_sync(): the index is on the disk and in place. */
int pack_stream_publish(struct pack_stream *s, struct digest *checksum, uint64_t *size,
			struct error *err);

#endif
