#define _GNU_SOURCE
#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "chunkcache/blob.h"
#include "chunkcache/crc32.h"
#include "chunkcache/keyfile.h"

static struct blob_context *context;
static struct crypt *crypt_counting; /* key 00 01 .. 1f */
static struct blob_terms any;

static void setup(void)
{
	struct error err = { 0 };
	uint8_t key[CRYPT_KEY_SIZE];

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	ck_assert_int_eq(blob_context_new(&context, &err), 0);
	ck_assert_int_eq(crypt_new(&crypt_counting, key, &err), 0);
	any.crypt = crypt_counting;
}

static void teardown(void)
{
	blob_context_free(context);
	crypt_free(crypt_counting);
}

static const uint8_t plain_hello[] = { 0x42, 0xab, 0x38, 0x07, 0xbe, 0x83, 0x70, 0xa1, 0x86,
				       0xa6, 0x10, 0x36, 'h',  'e',  'l',  'l',	 'o' };
static const uint8_t crypt_hello[] = {
	0x7b, 0x67, 0x85, 0xbe, 0x22, 0x2d, 0x4c, 0xf0, 0x93, 0xa6, 0xa8, 0x83, 0xa0,
	0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad,
	0xae, 0xaf, 0x9d, 0xf2, 0x24, 0x9f, 0xee, 0xa0, 0xc8, 0xe5, 0xee, 0xad, 0x5e,
	0xdf, 0x2b, 0xad, 0xeb, 0x28, 0x42, 0xc6, 0x4f, 0xd0, 0x77,
};

/* Bytes that compress to about a third. */
static uint8_t *make_text(size_t n)
{
	uint8_t *text = malloc(n ? n : 1);
	uint32_t x = 1;

	ck_assert_ptr_nonnull(text);
	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		text[i] = (uint8_t)("eeeettaaoinshr  "[x >> 28]);
	}
	return text;
}

static uint8_t *make_noise(size_t n)
{
	uint8_t *noise = make_text(n);
	uint32_t x = 1;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		noise[i] = (uint8_t)(x >> 24);
	}
	return noise;
}

/* An encoded blob in memory of exactly its size. */
struct stored {
	uint8_t *bytes;
	size_t n;
};

static struct stored encode(const struct crypt *crypt, bool compress, const void *bytes, size_t n)
{
	const uint8_t *lent;
	struct stored s;
	struct error err = { 0 };

	ck_assert_msg(blob_encode(context, crypt, compress, bytes, n, &lent, &s.n, &err) == 0, "%s",
		      err.text);
	s.bytes = malloc(s.n);
	ck_assert_ptr_nonnull(s.bytes);
	memcpy(s.bytes, lent, s.n);
	return s;
}

static void fix_crc(struct stored s, size_t header)
{
	uint32_t crc = crc32_add(0, s.bytes + header, s.n - header);

	for (size_t i = 0; i < 4; i++)
		s.bytes[8 + i] = (uint8_t)(crc >> (8 * i));
}

/* A blob around something that purports to be compressed. */
static struct stored forge(bool encrypted, const void *frame, size_t n)
{
	static const uint8_t zstd[] = { 0x31, 0xb9, 0x58, 0x42, 0x6f, 0xb6, 0xa3, 0x7f };
	static const uint8_t both[] = { 0xe6, 0x59, 0x1b, 0xbf, 0x0b, 0xbf, 0xd8, 0x0b };
	struct stored s = encode(encrypted ? crypt_counting : NULL, false, frame, n);

	memcpy(s.bytes, encrypted ? both : zstd, BLOB_MAGIC_SIZE);
	return s;
}

static int decode_chunk(struct stored s, const struct digest *digest, size_t len, uint8_t *out,
			struct error *err)
{
	return blob_decode_chunk(context, &any, s.bytes, s.n, digest, out, len, err);
}

/* Neither way of decoding takes it. */
static void must_be_refused(struct stored s, size_t len, int code)
{
	struct buffer out = { 0 };
	struct error err = { 0 };
	uint8_t *exact = malloc(len ? len : 1);

	ck_assert_int_eq(decode_chunk(s, NULL, len, exact, &err), code);
	ck_assert_int_ne(*err.text, '\0');
	ck_assert_int_eq(blob_decode(context, &any, s.bytes, s.n, 1 << 24, &out, &err), code);
	buffer_release(&out);
	free(exact);
}

START_TEST(blobs_of_the_original_are_decoded)
{
	static const struct {
		const uint8_t *bytes;
		size_t n;
		const char *digest;
	} known[] = {
		{ plain_hello, sizeof(plain_hello),
		  "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" },
		{ crypt_hello, sizeof(crypt_hello),
		  "e34178a27b992c4a218599bf7f43ed50bc464a03d624d9092306fe2ed74d557e" },
	};
	struct digest digest;
	struct error err = { 0 };
	char out[6] = "";

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		ck_assert_int_eq(digest_parse(&digest, known[i].digest), 0);
		ck_assert_msg(blob_decode_chunk(context, &any, known[i].bytes, known[i].n, &digest,
						out, 5, &err) == 0,
			      "%s", err.text);
		ck_assert_str_eq(out, "hello");
		ck_assert_int_eq(blob_check(known[i].bytes, known[i].n, &err), 0);
		digest.bytes[31] ^= 1;
		ck_assert_int_eq(blob_decode_chunk(context, &any, known[i].bytes, known[i].n,
						   &digest, out, 5, &err),
				 -EBADMSG);
		ck_assert_ptr_nonnull(strstr(err.text, known[i].digest));
	}
}
END_TEST

START_TEST(a_plain_blob_is_made_byte_for_byte)
{
	struct stored s = encode(NULL, true, "hello", 5); /* not worth compressing */

	ck_assert_uint_eq(s.n, sizeof(plain_hello));
	ck_assert_mem_eq(s.bytes, plain_hello, s.n);
	free(s.bytes);
}
END_TEST

static const size_t lengths[] = { 0, 1, 5, 100, 4096, 65536, 131072, 131073, 700001 };

static void round_trip(const struct crypt *crypt, bool compress, const uint8_t *bytes, size_t n)
{
	struct stored s = encode(crypt, compress, bytes, n);
	uint8_t *out = malloc(n ? n : 1);
	struct buffer whole = { 0 };
	struct error err = { 0 };
	struct digest digest;
	enum blob_kind kind;

	ck_assert_int_eq(blob_kind(&kind, s.bytes, s.n, &err), 0);
	ck_assert(blob_is_encrypted(kind) == (crypt != NULL));
	ck_assert_uint_le(s.n, n + (crypt ? BLOB_CRYPT_HEADER_SIZE : BLOB_HEADER_SIZE));
	blob_digest(crypt, bytes, n, &digest);
	ck_assert_msg(decode_chunk(s, &digest, n, out, &err) == 0, "%s", err.text);
	ck_assert_mem_eq(out, bytes, n);
	ck_assert_msg(blob_decode(context, &any, s.bytes, s.n, n, &whole, &err) == 0, "%s",
		      err.text);
	ck_assert_uint_eq(whole.len, n);
	if (n)
		ck_assert_mem_eq(whole.bytes, bytes, n);
	ck_assert_int_eq(decode_chunk(s, &digest, n + 1, out, &err), -EUCLEAN);
	if (n) {
		ck_assert_int_eq(decode_chunk(s, &digest, n - 1, out, &err), -EUCLEAN);
		ck_assert_int_eq(blob_decode(context, &any, s.bytes, s.n, n - 1, &whole, &err),
				 -EFBIG);
	}
	buffer_release(&whole);
	free(out);
	free(s.bytes);
}

START_TEST(decoding_undoes_encoding_and_takes_no_other_length)
{
	uint8_t *text = make_text(lengths[_i]), *noise = make_noise(lengths[_i]);

	for (int way = 0; way < 4; way++) {
		round_trip(way & 1 ? crypt_counting : NULL, way & 2, text, lengths[_i]);
		round_trip(way & 1 ? crypt_counting : NULL, way & 2, noise, lengths[_i]);
	}
	free(text);
	free(noise);
}
END_TEST

START_TEST(only_what_gets_smaller_is_compressed)
{
	uint8_t *text = make_text(1000), *noise = make_noise(1000);
	struct stored s;
	enum blob_kind kind;

	for (int encrypted = 0; encrypted < 2; encrypted++) {
		for (int compressible = 0; compressible < 2; compressible++) {
			s = encode(encrypted ? crypt_counting : NULL, true,
				   compressible ? text : noise, 1000);
			ck_assert_int_eq(blob_kind(&kind, s.bytes, s.n, NULL), 0);
			ck_assert(blob_is_compressed(kind) == compressible);
			free(s.bytes);
		}
	}
	free(text);
	free(noise);
}
END_TEST

START_TEST(only_encrypted_frames_say_how_long_they_are)
{
	uint8_t *text = make_text(5000), frame[5000];
	struct stored s = encode(NULL, true, text, 5000);
	struct error err = { 0 };

	ck_assert_uint_eq(
		ZSTD_getFrameContentSize(s.bytes + BLOB_HEADER_SIZE, s.n - BLOB_HEADER_SIZE),
		ZSTD_CONTENTSIZE_UNKNOWN);
	free(s.bytes);
	s = encode(crypt_counting, true, text, 5000);
	memcpy(s.bytes, crypt_hello, BLOB_MAGIC_SIZE); /* to see the frame */
	ck_assert_int_eq(decode_chunk(s, NULL, s.n - BLOB_CRYPT_HEADER_SIZE, frame, &err), 0);
	ck_assert_uint_eq(ZSTD_getFrameContentSize(frame, s.n - BLOB_CRYPT_HEADER_SIZE), 5000);
	free(s.bytes);
	free(text);
}
END_TEST

START_TEST(every_beginning_of_a_blob_is_refused)
{
	uint8_t *text = make_text(300), *exact;

	for (int way = 0; way < 4; way++) {
		struct stored s = encode(way & 1 ? crypt_counting : NULL, way & 2, text, 300);

		for (size_t n = 0; n < s.n; n++) {
			struct stored cut = { exact = malloc(n ? n : 1), n };
			struct error err = { 0 };

			memcpy(exact, s.bytes, n);
			ck_assert_int_lt(decode_chunk(cut, NULL, 300, text, &err), 0);
			ck_assert_int_lt(blob_check(cut.bytes, n, &err), 0);
			free(exact);
		}
		free(s.bytes);
	}
	free(text);
}
END_TEST

START_TEST(every_flipped_bit_is_noticed)
{
	uint8_t *text = make_text(40), out[40];

	for (int way = 0; way < 4; way++) {
		struct stored s = encode(way & 1 ? crypt_counting : NULL, way & 2, text, 40);

		for (size_t bit = 0; bit < 8 * s.n; bit++) {
			struct error err = { 0 };

			s.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			ck_assert_int_lt(decode_chunk(s, NULL, 40, out, &err), 0);
			s.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		free(s.bytes);
	}
	free(text);
}
END_TEST

START_TEST(encrypted_data_is_not_believed_for_its_checksum)
{
	uint8_t *text = make_text(500), zeros[500] = { 0 }, out[500];
	struct stored s = encode(crypt_counting, false, text, 500);
	struct error err = { 0 };

	s.bytes[BLOB_CRYPT_HEADER_SIZE + 3] ^= 1;
	fix_crc(s, BLOB_CRYPT_HEADER_SIZE);
	memset(out, 1, sizeof(out));
	ck_assert_int_eq(decode_chunk(s, NULL, 500, out, &err), -EBADMSG);
	ck_assert_mem_eq(out, zeros, 500);
	free(s.bytes);
	s = encode(crypt_counting, true, text, 500);
	s.bytes[20] ^= 1; /* IV */
	ck_assert_int_eq(decode_chunk(s, NULL, 500, out, &err), -EBADMSG);
	free(s.bytes);
	free(text);
}
END_TEST

START_TEST(what_is_expected_of_encryption_is_insisted_on)
{
	static const struct {
		enum blob_expect expect;
		bool encrypted, has_key;
		int want;
	} cases[] = {
		{ BLOB_ANY, false, false, 0 },
		{ BLOB_ANY, false, true, 0 },
		{ BLOB_ANY, true, true, 0 },
		{ BLOB_ANY, true, false, -ENOKEY },
		{ BLOB_CLEAR, false, true, 0 },
		{ BLOB_CLEAR, false, false, 0 },
		{ BLOB_CLEAR, true, true, -EUCLEAN },
		{ BLOB_CLEAR, true, false, -EUCLEAN },
		{ BLOB_ENCRYPTED, true, true, 0 },
		{ BLOB_ENCRYPTED, true, false, -ENOKEY },
		{ BLOB_ENCRYPTED, false, true, -EUCLEAN },
		{ BLOB_ENCRYPTED, false, false, -EUCLEAN },
	};
	struct buffer whole = { 0 };
	uint8_t out[5];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const uint8_t *bytes = cases[i].encrypted ? crypt_hello : plain_hello;
		size_t n = cases[i].encrypted ? sizeof(crypt_hello) : sizeof(plain_hello);
		struct blob_terms terms = { cases[i].has_key ? crypt_counting : NULL,
					    cases[i].expect };

		ck_assert_int_eq(blob_decode_chunk(context, &terms, bytes, n, NULL, out, 5, NULL),
				 cases[i].want);
		ck_assert_int_eq(blob_decode(context, &terms, bytes, n, 5, &whole, NULL),
				 cases[i].want);
	}
	buffer_release(&whole);
}
END_TEST

/* A frame of n compressed zeros whose header says what the parameters make it say. */
static size_t make_frame(uint8_t *frame, size_t room, size_t n, int window_log, bool with_size)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	uint8_t *zeros = calloc(1, n ? n : 1);
	ZSTD_inBuffer in = { zeros, n, 0 }, end = { NULL, 0, 0 };
	ZSTD_outBuffer to = { frame, room, 0 };

	if (window_log)
		ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window_log);
	if (with_size)
		ZSTD_CCtx_setPledgedSrcSize(c, n);
	ck_assert(!ZSTD_isError(ZSTD_compressStream2(c, &to, &in, ZSTD_e_continue)));
	ck_assert_uint_eq(ZSTD_compressStream2(c, &to, &end, ZSTD_e_end), 0);
	free(zeros);
	ZSTD_freeCCtx(c);
	return to.pos;
}

static void forged_must_be_refused(const uint8_t *frame, size_t n, size_t len)
{
	for (int encrypted = 0; encrypted < 2; encrypted++) {
		struct stored s = forge(encrypted, frame, n);

		must_be_refused(s, len, -EUCLEAN);
		free(s.bytes);
	}
}

START_TEST(frames_that_are_none_or_cut_or_followed_are_refused)
{
	static const uint8_t skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 'x' };
	static const uint8_t ancient[] = { 0x27, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0 }; /* version 0.7 */
	uint8_t frame[4096];
	size_t n = make_frame(frame, sizeof(frame), 1000, 0, false);

	forged_must_be_refused(frame, 0, 1000);
	forged_must_be_refused(frame, 0, 0);
	forged_must_be_refused(frame, n - 1, 1000);
	forged_must_be_refused(skippable, sizeof(skippable), 0);
	forged_must_be_refused(ancient, sizeof(ancient), 0);
	frame[n] = 0;
	forged_must_be_refused(frame, n + 1, 1000);
	memcpy(frame + n, skippable, sizeof(skippable));
	forged_must_be_refused(frame, n + sizeof(skippable), 1000);
	memcpy(frame + n, frame, 4);
	forged_must_be_refused(frame, n + 4, 1000);
}
END_TEST

START_TEST(a_dictionary_is_not_to_be_had)
{
	uint8_t frame[4096];
	size_t n = make_frame(frame, sizeof(frame), 1000, 0, false);

	/* The number of one, four bytes, follows magic, descriptor and window. */
	memmove(frame + 10, frame + 6, n - 6);
	memcpy(frame + 6, "\1\2\3\4", 4);
	frame[4] |= 3;
	forged_must_be_refused(frame, n + 4, 1000);
}
END_TEST

START_TEST(frames_one_after_the_other_are_one_content)
{
	uint8_t frames[8192], out[3000];
	struct error err = { 0 };
	size_t n = 0;
	struct stored s;
	struct buffer whole = { 0 };

	n += make_frame(frames, sizeof(frames), 1000, 0, false);
	n += make_frame(frames + n, sizeof(frames) - n, 0, 0, false);
	n += make_frame(frames + n, sizeof(frames) - n, 2000, 0, true);
	s = forge(false, frames, n);
	ck_assert_int_eq(decode_chunk(s, NULL, 3000, out, &err), 0);
	ck_assert_int_eq(decode_chunk(s, NULL, 2999, out, &err), -EUCLEAN);
	ck_assert_int_eq(decode_chunk(s, NULL, 1000, out, &err), -EUCLEAN);
	ck_assert_int_eq(blob_decode(context, &any, s.bytes, s.n, 3000, &whole, &err), 0);
	ck_assert_uint_eq(whole.len, 3000);
	buffer_release(&whole);
	free(s.bytes);
}
END_TEST

static long peak_kib(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	long kib = 0;

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "VmHWM: %ld", &kib);
	fclose(f);
	return kib;
}

START_TEST(a_bomb_costs_no_more_than_the_chunk)
{
	/* 128 KiB of one byte in four bytes, and 2000 times so: 250 MiB. */
	static const uint8_t block[] = { 0x02, 0x00, 0x10, 'x' };
	uint8_t frame[6 + 2000 * sizeof(block)], out[65536];
	struct buffer whole = { 0 };
	struct error err = { 0 };
	struct stored s;
	long before;

	make_frame(frame, sizeof(frame), 0, 0, false);
	frame[4] = 0;		   /* neither size nor checksum, and a window */
	frame[5] = (23 - 10) << 3; /* of 8 MiB */
	for (size_t at = 6; at < sizeof(frame); at += sizeof(block))
		memcpy(frame + at, block, sizeof(block));
	frame[sizeof(frame) - sizeof(block)] |= 1; /* the last */
	s = forge(false, frame, sizeof(frame));
	before = peak_kib();
	ck_assert_int_eq(decode_chunk(s, NULL, sizeof(out), out, &err), -EUCLEAN);
	ck_assert_int_eq(blob_decode(context, &any, s.bytes, s.n, sizeof(out), &whole, &err),
			 -EFBIG);
	ck_assert_int_lt(peak_kib() - before, 20 << 10);
	buffer_release(&whole);
	free(s.bytes);
}
END_TEST

START_TEST(a_window_may_be_as_large_as_it_likes_where_none_is_needed)
{
	uint8_t frame[4096], out[1000];
	size_t n = make_frame(frame, sizeof(frame), 1000, 31, false);
	struct stored s = forge(false, frame, n);
	struct buffer whole = { 0 };
	struct error err = { 0 };

	ck_assert_msg(decode_chunk(s, NULL, 1000, out, &err) == 0, "%s", err.text);
	ck_assert_int_eq(blob_decode(context, &any, s.bytes, s.n, 1000, &whole, &err), -EUCLEAN);
	buffer_release(&whole);
	free(s.bytes);
}
END_TEST

START_TEST(more_than_a_blob_can_have_is_refused)
{
	const uint8_t *encoded;
	struct error err = { 0 };
	size_t n;

	ck_assert_int_eq(blob_encode(context, NULL, false, plain_hello, (size_t)BLOB_MAX + 1,
				     &encoded, &n, &err),
			 -EFBIG);
}
END_TEST

/* The reference stores: what every file in them is decoded to, digested and encoded again. */
static struct crypt *keys[3];
static unsigned chunks, blobs;

static struct crypt *unlock(const char *name, const char *text)
{
	struct secret_bytes *password;
	struct error err = { 0 };
	struct crypt *crypt;
	struct keyfile *k;
	char path[4096];
	bool exposed;

	snprintf(path, sizeof(path), "%s/store-enc/keys/%s", getenv("REFERENCE"), name);
	ck_assert_msg(keyfile_read(&k, path, &exposed, &err) == 0, "%s", err.text);
	ck_assert_int_eq(secret_bytes_new(&password, strlen(text), &err), 0);
	memcpy(password->bytes, text, strlen(text));
	password->len = strlen(text);
	ck_assert_msg(keyfile_unlock(&crypt, k, password, &err) == 0, "%s", err.text);
	secret_free(password);
	keyfile_free(k);
	return crypt;
}

static struct stored slurp(const char *path, size_t n)
{
	struct stored s = { malloc(n), n };
	FILE *f = fopen(path, "rbe");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fread(s.bytes, 1, n, f), n);
	fclose(f);
	return s;
}

/* The key of the three that a blob is encrypted with, NULL if with none. */
static struct crypt *decode_with_any(struct stored s, struct buffer *content, const char *path)
{
	const struct blob_terms clear = { NULL, BLOB_CLEAR };
	struct error err = { 0 };
	enum blob_kind kind;

	ck_assert_int_eq(blob_kind(&kind, s.bytes, s.n, &err), 0);
	if (!blob_is_encrypted(kind)) {
		ck_assert_msg(blob_decode(context, &clear, s.bytes, s.n, BLOB_CHUNK_MAX, content,
					  &err) == 0,
			      "%s: %s", path, err.text);
		return NULL;
	}
	for (size_t i = 0; i < 3; i++) {
		const struct blob_terms terms = { keys[i], BLOB_ENCRYPTED };
		int r = blob_decode(context, &terms, s.bytes, s.n, BLOB_CHUNK_MAX, content, &err);

		if (r == 0)
			return keys[i];
		ck_assert_int_eq(r, -EBADMSG);
	}
	ck_abort_msg("%s: no key fits", path);
}

/* Encrypted ones differ by their IV, so there it is what was encrypted that must be the same. */
static void must_be_encoded_the_same(struct stored s, const struct crypt *crypt,
				     const struct buffer *content, const char *path)
{
	const struct blob_terms terms = { crypt, BLOB_ANY };
	struct buffer a = { 0 }, b = { 0 };
	struct stored again;
	enum blob_kind kind;

	ck_assert_int_eq(blob_kind(&kind, s.bytes, s.n, NULL), 0);
	again = encode(crypt, blob_is_compressed(kind), content->bytes, content->len);
	ck_assert_msg(again.n == s.n, "%s: %zu bytes", path, again.n);
	if (crypt) {
		ck_assert_mem_eq(again.bytes, s.bytes, BLOB_MAGIC_SIZE);
		memcpy(again.bytes, crypt_hello, BLOB_MAGIC_SIZE);
		memcpy(s.bytes, crypt_hello, BLOB_MAGIC_SIZE);
		ck_assert_int_eq(blob_decode(context, &terms, again.bytes, again.n, BLOB_CHUNK_MAX,
					     &a, NULL),
				 0);
		ck_assert_int_eq(
			blob_decode(context, &terms, s.bytes, s.n, BLOB_CHUNK_MAX, &b, NULL), 0);
		ck_assert_uint_eq(a.len, b.len);
		ck_assert_mem_eq(a.bytes, b.bytes, b.len);
	} else {
		ck_assert_mem_eq(again.bytes, s.bytes, s.n);
	}
	buffer_release(&a);
	buffer_release(&b);
	free(again.bytes);
}

static int check_file(const char *path, const struct stat *st, int type, struct FTW *where)
{
	const char *name = path + where->base;
	struct buffer content = { 0 };
	struct blob_terms terms = { NULL, BLOB_ANY };
	struct error err = { 0 };
	struct digest digest;
	struct stored s;
	uint8_t *out;

	if (type != FTW_F || (!strstr(path, ".blob") && digest_parse(&digest, name) < 0))
		return 0;
	s = slurp(path, (size_t)st->st_size);
	terms.crypt = decode_with_any(s, &content, path);
	if (digest_parse(&digest, name) == 0) {
		out = malloc(content.len);
		ck_assert_msg(blob_decode_chunk(context, &terms, s.bytes, s.n, &digest, out,
						content.len, &err) == 0,
			      "%s: %s", path, err.text);
		ck_assert_mem_eq(out, content.bytes, content.len);
		free(out);
		chunks++;
	} else {
		blobs++;
	}
	must_be_encoded_the_same(s, terms.crypt, &content, path);
	buffer_release(&content);
	free(s.bytes);
	return 0;
}

START_TEST(the_stores_of_the_original_are_decoded_and_made_again_byte_for_byte)
{
	static const char *const stores[] = { "store-plain", "store-4m", "store-enc" };
	char path[4096];

	keys[0] = unlock("plain.json", "");
	keys[1] = unlock("scrypt.json", "correct horse battery");
	keys[2] = unlock("pbkdf2.json", "geheim-123");
	chunks = blobs = 0;
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s/store", getenv("REFERENCE"), stores[i]);
		ck_assert_int_eq(nftw(path, check_file, 16, FTW_PHYS), 0);
	}
	ck_assert_uint_eq(chunks, 84);
	ck_assert_uint_eq(blobs, 22);
	for (size_t i = 0; i < 3; i++)
		crypt_free(keys[i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("blob");
	TCase *tc = tcase_create("blob");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_bomb_costs_no_more_than_the_chunk);
	tcase_add_test(tc, blobs_of_the_original_are_decoded);
	tcase_add_test(tc, a_plain_blob_is_made_byte_for_byte);
	tcase_add_loop_test(tc, decoding_undoes_encoding_and_takes_no_other_length, 0,
			    sizeof(lengths) / sizeof(*lengths));
	tcase_add_test(tc, only_what_gets_smaller_is_compressed);
	tcase_add_test(tc, only_encrypted_frames_say_how_long_they_are);
	tcase_add_test(tc, every_beginning_of_a_blob_is_refused);
	tcase_add_test(tc, every_flipped_bit_is_noticed);
	tcase_add_test(tc, encrypted_data_is_not_believed_for_its_checksum);
	tcase_add_test(tc, what_is_expected_of_encryption_is_insisted_on);
	tcase_add_test(tc, frames_that_are_none_or_cut_or_followed_are_refused);
	tcase_add_test(tc, a_dictionary_is_not_to_be_had);
	tcase_add_test(tc, frames_one_after_the_other_are_one_content);
	tcase_add_test(tc, a_window_may_be_as_large_as_it_likes_where_none_is_needed);
	tcase_add_test(tc, more_than_a_blob_can_have_is_refused);
	tcase_add_test(tc, the_stores_of_the_original_are_decoded_and_made_again_byte_for_byte);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
