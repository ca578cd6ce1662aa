/*
 * fuzz-blob.c - blobs and the frames in them
 *
 * Input: a byte of options, two of the length that an index gives, then
 *     options & 1    a compressed frame, of which a blob is made; & 2 an encrypted one
 *     otherwise      a blob, of which & 2 the checksum is made right
 *     options & 4    what the manifest says: & 8 that it is encrypted, or that it is not
 *
 * What is decoded in either way has exactly the length that was asked for, both ways agree, and
 * encoding it again gives a blob that decodes to the same.
 */
#include <stdlib.h>
#include <string.h>

#include "chunkcache/blob.h"
#include "chunkcache/crc32.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 1 << 17 };

static void require(bool condition)
{
	if (!condition)
		abort();
}

static struct blob_context *context;
static struct crypt *crypt_zeros;

static void set_up(void)
{
	static const uint8_t key[CRYPT_KEY_SIZE];

	if (context)
		return;
	require(blob_context_new(&context, NULL) == 0);
	require(crypt_new(&crypt_zeros, key, NULL) == 0);
}

static void put_crc(struct buffer *blob, size_t header)
{
	uint32_t crc;

	if (blob->len < header)
		return;
	crc = crc32_add(0, blob->bytes + header, blob->len - header);
	for (size_t i = 0; i < 4; i++)
		blob->bytes[BLOB_MAGIC_SIZE + i] = (uint8_t)(crc >> (8 * i));
}

/* A blob whose checksum, and tag, say that this is what was compressed. */
static void wrap(struct buffer *blob, const uint8_t *frame, size_t n, bool encrypted)
{
	static const uint8_t magics[2][BLOB_MAGIC_SIZE] = {
		{ 0x31, 0xb9, 0x58, 0x42, 0x6f, 0xb6, 0xa3, 0x7f },
		{ 0xe6, 0x59, 0x1b, 0xbf, 0x0b, 0xbf, 0xd8, 0x0b },
	};
	const uint8_t *lent;
	size_t lent_n;

	require(blob_encode(context, encrypted ? crypt_zeros : NULL, false, frame, n, &lent,
			    &lent_n, NULL) == 0);
	buffer_add(blob, magics[encrypted], BLOB_MAGIC_SIZE);
	buffer_add(blob, lent + BLOB_MAGIC_SIZE, lent_n - BLOB_MAGIC_SIZE);
}

static void check_again(const struct blob_terms *terms, const uint8_t *content, size_t n)
{
	uint8_t *again = malloc(n + 1);
	const uint8_t *lent;
	size_t lent_n;
	struct digest digest;

	for (unsigned way = 0; way < 4; way++) {
		const struct crypt *crypt = way & 1 ? terms->crypt : NULL;
		const struct blob_terms any = { terms->crypt, BLOB_ANY };
		uint8_t *copy;

		require(blob_encode(context, crypt, way & 2, content, n, &lent, &lent_n, NULL) ==
			0);
		copy = malloc(lent_n);
		memcpy(copy, lent, lent_n);
		blob_digest(crypt, content, n, &digest);
		require(blob_decode_chunk(context, &any, copy, lent_n, &digest, again, n, NULL) ==
			0);
		require(memcmp(again, content, n) == 0);
		free(copy);
	}
	free(again);
}

static void check(const struct blob_terms *terms, const struct buffer *blob, size_t len)
{
	uint8_t *out = malloc(len + 1), *exact = NULL;
	struct buffer whole = { 0 };
	struct error err = { 0 };
	int r, whole_r;

	out[len] = 0x5a;
	r = blob_decode_chunk(context, terms, blob->bytes, blob->len, NULL, out, len, &err);
	require(out[len] == 0x5a && r <= 0);
	require(r == 0 || *err.text);
	whole_r = blob_decode(context, terms, blob->bytes, blob->len, OUT_MAX, &whole, &err);
	if (whole_r == 0) {
		require(whole.len <= OUT_MAX && (r == 0) == (whole.len == len));
		exact = malloc(whole.len + 1);
		require(blob_decode_chunk(context, terms, blob->bytes, blob->len, NULL, exact,
					  whole.len, NULL) == 0);
		require(!whole.len || memcmp(exact, whole.bytes, whole.len) == 0);
		require(blob_check(blob->bytes, blob->len, NULL) == 0);
	} else {
		/* A window too large for a stream does not matter to a chunk. */
		require(r < 0 || whole_r == -EUCLEAN);
	}
	if (r == 0)
		check_again(terms, out, len);
	free(exact);
	free(out);
	buffer_release(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct blob_terms terms = { NULL, BLOB_ANY };
	struct buffer blob = { 0 };
	uint8_t options;
	size_t len;

	if (size < 3)
		return 0;
	set_up();
	options = data[0];
	len = (size_t)(data[1] | data[2] << 8);
	data += 3;
	size -= 3;
	if (options & 4)
		terms.expect = options & 8 ? BLOB_ENCRYPTED : BLOB_CLEAR;
	terms.crypt = options & 16 ? NULL : crypt_zeros;
	if (options & 1) {
		wrap(&blob, data, size, options & 2);
	} else {
		buffer_add(&blob, data, size);
		if (options & 2 && size >= BLOB_HEADER_SIZE)
			put_crc(&blob, data[0] == 0x7b || data[0] == 0xe6 ? BLOB_CRYPT_HEADER_SIZE
									  : BLOB_HEADER_SIZE);
	}
	check(&terms, &blob, len);
	buffer_release(&blob);
	return 0;
}
