/*
 * blob.h - the container of chunks and small files
 *
 *     | magic [8] | CRC-32 u32 | data ...                                    plain, compressed
 *     | magic [8] | CRC-32 u32 | IV [16] | tag [16] | data ...               encrypted
 *
 * The magic says which of the four kinds it is: what is encrypted may be compressed too, then that
 * was done first. The checksum is that of the data as it stands there. The data has no length: it
 * goes on to the end.
 *
 * Threads: a context is used by one at a time. It keeps what decoding and encoding need, so that
 * after the first few nothing is allocated for a chunk.
 */
#ifndef CHUNKCACHE_BLOB_H
#define CHUNKCACHE_BLOB_H

#include "chunkcache/crypt.h"
#include "chunkcache/digest.h"
#include "core/buffer.h"
#include "core/cleanup.h"

enum {
	BLOB_MAGIC_SIZE = 8,
	BLOB_HEADER_SIZE = 12,
	BLOB_CRYPT_HEADER_SIZE = 44,
	BLOB_CHUNK_MAX = 16 << 20, /* plaintext of a chunk */
	BLOB_MAX = 128 << 20,	   /* plaintext of any blob */
};

enum blob_kind { BLOB_PLAIN, BLOB_ZSTD, BLOB_CRYPT, BLOB_ZSTD_CRYPT };

/* What the magic says, of BLOB_MAGIC_SIZE bytes or more. -EUCLEAN when it is none. */
int blob_kind(enum blob_kind *kind, const void *bytes, size_t n, struct error *err);
bool blob_is_encrypted(enum blob_kind kind);
bool blob_is_compressed(enum blob_kind kind);

/* What a manifest says of a file is to be held against each of its blobs: who can write to the
   store could put something of his own in the place of what was encrypted. */
enum blob_expect {
	BLOB_ANY,	/* nothing is known of it */
	BLOB_CLEAR,	/* crypt mode none or sign-only, and the manifest itself */
	BLOB_ENCRYPTED, /* crypt mode encrypt */
};

struct blob_terms {
	const struct crypt *crypt; /* may be NULL; borrowed */
	enum blob_expect expect;
};

struct blob_context;

int blob_context_new(struct blob_context **out, struct error *err);
void blob_context_free(struct blob_context *c);
DEFINE_CLEANUP(struct blob_context, blob_context_free);

/* Decodes a chunk whose index says that it has len bytes. With a digest it must be the chunk's;
   NULL for one that was compared before. Until it returns 0 nothing in out is to be used.
   -EUCLEAN malformed, not len bytes, or not what the terms expect; -EBADMSG checksum, tag or
   digest; -ENOKEY encrypted, and the terms have no key; -ENOMEM. */
int blob_decode_chunk(struct blob_context *c, const struct blob_terms *terms, const void *bytes,
		      size_t n, const struct digest *digest, void *out, size_t len,
		      struct error *err);

/* Decodes a blob of at most max bytes, in place of what the buffer held. Likewise, but -EFBIG when
   there are more. */
int blob_decode(struct blob_context *c, const struct blob_terms *terms, const void *bytes, size_t n,
		size_t max, struct buffer *out, struct error *err);

/* What can be checked without the key: magic and checksum. */
int blob_check(const void *bytes, size_t n, struct error *err);

/* Encodes, encrypted if crypt is not NULL, and compressed if that is asked for and does not make
   it larger. *encoded is lent until the context is used again. -EFBIG above BLOB_MAX; -ENOMEM. */
int blob_encode(struct blob_context *c, const struct crypt *crypt, bool compress, const void *bytes,
		size_t n, const uint8_t **encoded, size_t *encoded_n, struct error *err);

/* The digest by which a chunk is named, keyed if crypt is not NULL. */
void blob_digest(const struct crypt *crypt, const void *bytes, size_t n, struct digest *out);

#endif
