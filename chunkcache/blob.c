#include "chunkcache/blob.h"

#include <inttypes.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "chunkcache/crc32.h"
#include "core/cursor.h"

enum {
	LEVEL = 1, /* of compression; with another one blobs would not be those of the original */
	/* Largest window, as a power of two, of a frame that is not decompressed in one piece: what
	   the format's specification tells everybody to support. */
	WINDOW_LOG_MAX = 23,
	PIECE = 16 << 10,
};

static const uint64_t magics[] = {
	[BLOB_PLAIN] = UINT64_C(0xa17083be0738ab42),
	[BLOB_ZSTD] = UINT64_C(0x7fa3b66f4258b931),
	[BLOB_CRYPT] = UINT64_C(0xf04c2d22be85677b),
	[BLOB_ZSTD_CRYPT] = UINT64_C(0x0bd8bf0bbf1b59e6),
};

bool blob_is_encrypted(enum blob_kind kind)
{
	return kind == BLOB_CRYPT || kind == BLOB_ZSTD_CRYPT;
}

bool blob_is_compressed(enum blob_kind kind)
{
	return kind == BLOB_ZSTD || kind == BLOB_ZSTD_CRYPT;
}

int blob_kind(enum blob_kind *kind, const void *bytes, size_t n, struct error *err)
{
	struct cursor c = cursor_init(bytes, n);
	uint64_t magic = cursor_le64(&c);

	if (n < BLOB_MAGIC_SIZE)
		return error_set(err, EUCLEAN, "%zu bytes are no blob", n);
	for (size_t i = 0; i < sizeof(magics) / sizeof(*magics); i++) {
		if (magics[i] == magic) {
			*kind = (enum blob_kind)i;
			return 0;
		}
	}
	return error_set(err, EUCLEAN, "not a blob: it begins with %#018" PRIx64, magic);
}

/* Bytes that somebody else owns. */
struct span {
	const uint8_t *at;
	size_t n;
};

struct parts {
	enum blob_kind kind;
	uint32_t crc;
	struct crypt_seal seal; /* if encrypted */
	struct span data;
};

static int split(struct parts *parts, const void *bytes, size_t n, struct error *err)
{
	struct cursor c = cursor_init(bytes, n);
	const uint8_t *seal = NULL;
	int r;

	r = blob_kind(&parts->kind, bytes, n, err);
	if (r < 0)
		return r;
	cursor_bytes(&c, BLOB_MAGIC_SIZE);
	parts->crc = cursor_le32(&c);
	if (blob_is_encrypted(parts->kind))
		seal = cursor_bytes(&c, CRYPT_IV_SIZE + CRYPT_TAG_SIZE);
	if (c.failed)
		return error_set(err, EUCLEAN, "%zu bytes are less than a blob's header", n);
	if (seal) {
		memcpy(parts->seal.iv, seal, CRYPT_IV_SIZE);
		memcpy(parts->seal.tag, seal + CRYPT_IV_SIZE, CRYPT_TAG_SIZE);
	}
	parts->data.n = cursor_left(&c);
	parts->data.at = cursor_bytes(&c, parts->data.n);
	return 0;
}

static int check_crc(const struct parts *parts, struct error *err)
{
	uint32_t crc = crc32_add(0, parts->data.at, parts->data.n);

	if (crc == parts->crc)
		return 0;
	return error_set(err, EBADMSG, "the checksum of %zu bytes is %08" PRIx32 ", not %08" PRIx32,
			 parts->data.n, crc, parts->crc);
}

int blob_check(const void *bytes, size_t n, struct error *err)
{
	struct parts parts;
	int r;

	r = split(&parts, bytes, n, err);
	return r < 0 ? r : check_crc(&parts, err);
}

static int check_terms(const struct blob_terms *terms, enum blob_kind kind, struct error *err)
{
	bool encrypted = blob_is_encrypted(kind);

	if (terms->expect == BLOB_ENCRYPTED && !encrypted)
		return error_set(err, EUCLEAN, "it is not encrypted, and ought to be");
	if (terms->expect == BLOB_CLEAR && encrypted)
		return error_set(err, EUCLEAN, "it is encrypted, and ought not to be");
	if (encrypted && !terms->crypt)
		return error_set(err, ENOKEY, "it is encrypted, and there is no key");
	return 0;
}

/* Memory that is kept, for whatever is between two steps. */
struct scratch {
	uint8_t *bytes;
	size_t room;
};

static uint8_t *scratch_get(struct scratch *s, size_t n, struct error *err)
{
	if (n > s->room || !s->bytes) {
		free(s->bytes);
		s->bytes = malloc(n ? n : 1);
		s->room = s->bytes ? n : 0;
	}
	if (!s->bytes)
		error_set(err, ENOMEM, "out of memory");
	return s->bytes;
}

struct blob_context {
	struct crypt_context *crypt;
	ZSTD_DCtx *unzstd; /* this and the next are made when they are first needed */
	ZSTD_CCtx *zstd;
	struct scratch middle; /* compressed, not encrypted */
	struct scratch end;    /* what blob_encode() lends */
};

int blob_context_new(struct blob_context **out, struct error *err)
{
	CLEANUP(blob_context_freep) struct blob_context *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return error_set(err, ENOMEM, "out of memory");
	r = crypt_context_new(&c->crypt, err);
	if (r < 0)
		return r;
	*out = TAKE(c);
	return 0;
}

void blob_context_free(struct blob_context *c)
{
	if (!c)
		return;
	free(c->end.bytes);
	free(c->middle.bytes);
	ZSTD_freeCCtx(c->zstd);
	ZSTD_freeDCtx(c->unzstd);
	crypt_context_free(c->crypt);
	free(c);
}

/* What is checked before anything is decoded. */
static int open_parts(struct parts *parts, const struct blob_terms *terms, const void *bytes,
		      size_t n, struct error *err)
{
	int r;

	r = split(parts, bytes, n, err);
	if (r == 0)
		r = check_terms(terms, parts->kind, err);
	if (r < 0)
		return r;
	if (parts->data.n > BLOB_MAX)
		return error_set(err, EFBIG, "%zu bytes, a blob has at most %d", parts->data.n,
				 BLOB_MAX);
	return check_crc(parts, err);
}

/* What is encrypted is decrypted into the context's memory; other data stays where it is. */
static int decrypt_middle(struct blob_context *c, const struct blob_terms *terms,
			  const struct parts *parts, struct span *data, struct error *err)
{
	uint8_t *middle;

	*data = parts->data;
	if (!blob_is_encrypted(parts->kind))
		return 0;
	middle = scratch_get(&c->middle, data->n, err);
	if (!middle)
		return -ENOMEM;
	data->at = middle;
	return crypt_decrypt(terms->crypt, c->crypt, &parts->seal, parts->data.at, data->n, middle,
			     err);
}

static int need_unzstd(struct blob_context *c, struct error *err)
{
	if (!c->unzstd)
		c->unzstd = ZSTD_createDCtx();
	return c->unzstd ? 0 : error_set(err, ENOMEM, "out of memory");
}

static int zstd_failed(size_t code, struct error *err)
{
	if (ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation)
		return error_set(err, ENOMEM, "out of memory");
	return error_set(err, EUCLEAN, "zstd: %s", ZSTD_getErrorName(code));
}

/* The library would also decode the formats of its early versions, each with a decoder of its own,
   and skip what is no frame at all. */
static int check_frame(struct span data, struct error *err)
{
	struct cursor c = cursor_init(data.at, data.n);

	if (cursor_le32(&c) != ZSTD_MAGICNUMBER)
		return error_set(err, EUCLEAN, "%zu bytes that are no zstd frame", data.n);
	return 0;
}

/* Exactly len bytes out of one frame or several. The frames may say more of themselves, or
   nothing: what counts is what comes out. */
static int decompress_exactly(struct blob_context *c, struct span data, uint8_t *out, size_t len,
			      struct error *err)
{
	size_t done = 0, frame, got;
	int r;

	r = need_unzstd(c, err);
	if (r < 0)
		return r;
	do {
		r = check_frame(data, err);
		if (r < 0)
			return r;
		frame = ZSTD_findFrameCompressedSize(data.at, data.n);
		if (ZSTD_isError(frame))
			return zstd_failed(frame, err);
		got = ZSTD_decompressDCtx(c->unzstd, out + done, len - done, data.at, frame);
		if (ZSTD_isError(got))
			return zstd_failed(got, err);
		done += got;
		data.at += frame;
		data.n -= frame;
	} while (data.n);
	if (done != len)
		return error_set(err, EUCLEAN, "%zu bytes instead of %zu", done, len);
	return 0;
}

static int check_digest(const struct crypt *crypt, const struct digest *digest, const void *bytes,
			size_t n, struct error *err)
{
	char wanted[DIGEST_TEXT_SIZE], got[DIGEST_TEXT_SIZE];
	struct digest found;

	blob_digest(crypt, bytes, n, &found);
	if (digest_equal(digest, &found))
		return 0;
	return error_set(err, EBADMSG, "its digest is %s, not %s", digest_format(&found, got),
			 digest_format(digest, wanted));
}

int blob_decode_chunk(struct blob_context *c, const struct blob_terms *terms, const void *bytes,
		      size_t n, const struct digest *digest, void *out, size_t len,
		      struct error *err)
{
	struct parts parts;
	struct span data;
	int r;

	r = open_parts(&parts, terms, bytes, n, err);
	if (r < 0)
		return r;
	if (blob_is_compressed(parts.kind)) {
		r = decrypt_middle(c, terms, &parts, &data, err);
		if (r == 0)
			r = decompress_exactly(c, data, out, len, err);
	} else if (parts.data.n != len) {
		r = error_set(err, EUCLEAN, "%zu bytes instead of %zu", parts.data.n, len);
	} else if (blob_is_encrypted(parts.kind)) {
		r = crypt_decrypt(terms->crypt, c->crypt, &parts.seal, parts.data.at, len, out,
				  err);
	} else {
		memcpy(out, parts.data.at, len);
	}
	if (r < 0 || !digest)
		return r;
	return check_digest(blob_is_encrypted(parts.kind) ? terms->crypt : NULL, digest, out, len,
			    err);
}

static int add_limited(struct buffer *out, size_t max, const void *bytes, size_t n,
		       struct error *err)
{
	if (n > max - out->len)
		return error_set(err, EFBIG, "it has more than %zu bytes", max);
	buffer_add(out, bytes, n);
	return buffer_finish(out, err);
}

/* One frame, its length unknown; takes it off the data. */
static int decompress_frame(struct blob_context *c, struct span *data, size_t max,
			    struct buffer *out, struct error *err)
{
	ZSTD_inBuffer in = { data->at, data->n, 0 };
	uint8_t piece[PIECE];
	size_t hint, consumed;
	int r;

	ZSTD_DCtx_reset(c->unzstd, ZSTD_reset_session_only);
	do {
		ZSTD_outBuffer to = { piece, sizeof(piece), 0 };

		consumed = in.pos;
		hint = ZSTD_decompressStream(c->unzstd, &to, &in);
		if (ZSTD_isError(hint))
			return zstd_failed(hint, err);
		if (hint && in.pos == consumed && !to.pos)
			return error_set(err, EUCLEAN, "the zstd frame is cut off");
		r = add_limited(out, max, piece, to.pos, err);
		if (r < 0)
			return r;
	} while (hint);
	data->at += in.pos;
	data->n -= in.pos;
	return 0;
}

static int decompress(struct blob_context *c, struct span data, size_t max, struct buffer *out,
		      struct error *err)
{
	int r;

	r = need_unzstd(c, err);
	if (r < 0)
		return r;
	ZSTD_DCtx_setParameter(c->unzstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	do {
		r = check_frame(data, err);
		if (r == 0)
			r = decompress_frame(c, &data, max, out, err);
	} while (r == 0 && data.n);
	return r;
}

int blob_decode(struct blob_context *c, const struct blob_terms *terms, const void *bytes, size_t n,
		size_t max, struct buffer *out, struct error *err)
{
	struct parts parts;
	struct span data;
	int r;

	buffer_reset(out);
	r = open_parts(&parts, terms, bytes, n, err);
	if (r == 0)
		r = decrypt_middle(c, terms, &parts, &data, err);
	if (r < 0)
		return r;
	if (blob_is_compressed(parts.kind))
		return decompress(c, data, max, out, err);
	return add_limited(out, max, data.at, data.n, err);
}

/* What is encrypted was compressed in one call, so the frame says how long it is. */
static size_t compress_whole(struct blob_context *c, struct span plain, uint8_t *out, size_t room)
{
	return ZSTD_compressCCtx(c->zstd, out, room, plain.at, plain.n, LEVEL);
}

/* What is not came out of a stream, whose end was not known at its beginning. */
static size_t compress_stream(struct blob_context *c, struct span plain, uint8_t *out, size_t room)
{
	ZSTD_inBuffer in = { plain.at, plain.n, 0 }, none = { NULL, 0, 0 };
	ZSTD_outBuffer to = { out, room, 0 };
	size_t left;

	ZSTD_CCtx_reset(c->zstd, ZSTD_reset_session_and_parameters);
	left = ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_compressionLevel, LEVEL);
	if (!ZSTD_isError(left))
		left = ZSTD_compressStream2(c->zstd, &to, &in, ZSTD_e_continue);
	if (!ZSTD_isError(left))
		left = ZSTD_compressStream2(c->zstd, &to, &none, ZSTD_e_end);
	return ZSTD_isError(left) ? left : to.pos;
}

/* The compressed data is left in the context's memory. 1 when it is larger than the plaintext. */
static int compress(struct blob_context *c, bool encrypted, struct span plain,
		    struct span *compressed, struct error *err)
{
	size_t room = ZSTD_compressBound(plain.n);
	uint8_t *middle = scratch_get(&c->middle, room, err);

	if (!middle)
		return -ENOMEM;
	if (!c->zstd)
		c->zstd = ZSTD_createCCtx();
	if (!c->zstd)
		return error_set(err, ENOMEM, "out of memory");
	compressed->at = middle;
	compressed->n = encrypted ? compress_whole(c, plain, middle, room)
				  : compress_stream(c, plain, middle, room);
	if (ZSTD_isError(compressed->n))
		return zstd_failed(compressed->n, err);
	return compressed->n > plain.n;
}

static void put_le(uint8_t *to, uint64_t value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

/* Header and data in the context's memory. */
static int seal_data(struct blob_context *c, const struct crypt *crypt, enum blob_kind kind,
		     struct span data, size_t *n, struct error *err)
{
	size_t header = crypt ? BLOB_CRYPT_HEADER_SIZE : BLOB_HEADER_SIZE;
	uint8_t *end = scratch_get(&c->end, header + data.n, err);
	struct crypt_seal seal;
	int r;

	if (!end)
		return -ENOMEM;
	if (crypt) {
		r = crypt_encrypt(crypt, c->crypt, data.at, data.n, end + header, &seal, err);
		if (r < 0)
			return r;
		memcpy(end + BLOB_HEADER_SIZE, seal.iv, CRYPT_IV_SIZE);
		memcpy(end + BLOB_HEADER_SIZE + CRYPT_IV_SIZE, seal.tag, CRYPT_TAG_SIZE);
	} else if (data.n) {
		memcpy(end + header, data.at, data.n);
	}
	put_le(end, magics[kind], BLOB_MAGIC_SIZE);
	put_le(end + BLOB_MAGIC_SIZE, crc32_add(0, end + header, data.n), 4);
	*n = header + data.n;
	return 0;
}

int blob_encode(struct blob_context *c, const struct crypt *crypt, bool compressed,
		const void *bytes, size_t n, const uint8_t **encoded, size_t *encoded_n,
		struct error *err)
{
	enum blob_kind kind = crypt ? BLOB_CRYPT : BLOB_PLAIN;
	struct span plain = { bytes, n }, smaller = { NULL, 0 }, data = plain;
	int r;

	if (n > BLOB_MAX)
		return error_set(err, EFBIG, "%zu bytes, a blob has at most %d", n, BLOB_MAX);
	if (compressed) {
		r = compress(c, crypt, plain, &smaller, err);
		if (r < 0)
			return r;
		if (r == 0) {
			kind = crypt ? BLOB_ZSTD_CRYPT : BLOB_ZSTD;
			data = smaller;
		}
	}
	r = seal_data(c, crypt, kind, data, encoded_n, err);
	if (r < 0)
		return r;
	*encoded = c->end.bytes;
	return 0;
}

void blob_digest(const struct crypt *crypt, const void *bytes, size_t n, struct digest *out)
{
	if (crypt)
		crypt_digest(crypt, bytes, n, out);
	else
		digest_sha256(out, bytes, n);
}
