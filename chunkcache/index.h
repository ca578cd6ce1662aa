/*
 * index.h - which chunks an archive or an image is made of
 *
 *     .didx  | header | end of the chunk u64, digest [32] | ...      one entry for each chunk
 *     .fidx  | header | digest [32] | ...                            chunks of one size
 *
 *     header := magic u64, uuid [16], ctime i64, checksum [32], image size u64, chunk size u64,
 *               zeros up to 4096                  the two sizes are those of a .fidx alone
 *
 * The checksum is the SHA-256 of the entries as stored. All of it is read and checked when an
 * index is opened: it is held in memory, 40 bytes for a chunk, and nothing is mapped.
 *
 * Threads: an open index never changes and may be used from any thread. A writer is used by one.
 */
#ifndef CHUNKCACHE_INDEX_H
#define CHUNKCACHE_INDEX_H

#include <stdint.h>

#include "chunkcache/digest.h"
#include "core/cleanup.h"
#include "core/error.h"

enum {
	INDEX_HEADER_SIZE = 4096,
	INDEX_CHUNK_MAX = 16 << 20,  /* bytes of a chunk */
	INDEX_CHUNKS_MAX = 32 << 20, /* chunks of an index: 128 TiB where they have 4 MiB */
	INDEX_FIXED_MIN = 4096,	     /* the least chunk size of a .fidx */
};

enum index_kind { INDEX_DYNAMIC, INDEX_FIXED };

/* What the header says of the index beside its contents; nothing is to rely on it. */
struct index_label {
	uint8_t uuid[16];
	int64_t ctime; /* seconds since 1970 */
};

struct index;

/* -EUCLEAN when it is malformed, -EBADMSG when its checksum is not that of its entries. A .didx
   has at least one entry. */
int index_open(struct index **out, int dirfd, const char *path, enum index_kind kind,
	       struct error *err);

/* Likewise from memory, which is not needed afterwards. */
int index_decode(struct index **out, const void *bytes, size_t n, enum index_kind kind,
		 struct error *err);
void index_free(struct index *index);
DEFINE_CLEANUP(struct index, index_free);

struct index_label index_label(const struct index *index);

/* Of the archive or image, in bytes. */
uint64_t index_size(const struct index *index);
size_t index_count(const struct index *index);
const struct digest *index_checksum(const struct index *index);

/* Chunk i < count holds the bytes [start, start + len). */
struct index_chunk {
	const struct digest *digest; /* as long as the index */
	uint64_t start;
	uint32_t len;
};
struct index_chunk index_chunk(const struct index *index, size_t i);

/* The number of the chunk that holds this byte of the archive; offset < size. */
size_t index_find(const struct index *index, uint64_t offset);

/*
 * Writing: the entries go to a temporary file, NAME.tmp_didx for NAME.didx, that gets its name
 * when it is finished.
 */
struct index_writer;

/* chunk_size is that of a .fidx, 0 for a .didx; name ends in one of the two. */
int index_writer_new(struct index_writer **out, int dirfd, const char *name, uint32_t chunk_size,
		     const struct index_label *label, struct error *err);

/* The next chunk: of chunk_size bytes, but for the last, in a .fidx. */
int index_writer_add(struct index_writer *w, uint32_t len, const struct digest *digest,
		     struct error *err);

/* On the disk and in place; checksum and size of the archive are what a manifest wants. */
int index_writer_finish(struct index_writer *w, struct digest *checksum, uint64_t *size,
			struct error *err);

/* Leaves nothing behind of an index that is not finished. */
void index_writer_free(struct index_writer *w);
DEFINE_CLEANUP(struct index_writer, index_writer_free);

#endif
