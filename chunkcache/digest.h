/*
 * digest.h - SHA-256 and the 32-byte names that it gives to chunks, indexes and keys
 *
 * Nothing here allocates or fails. Threads: every function may be called from any thread.
 */
#ifndef CHUNKCACHE_DIGEST_H
#define CHUNKCACHE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/sha.h>

enum {
	DIGEST_SIZE = 32,
	DIGEST_TEXT_SIZE = 2 * DIGEST_SIZE + 1,	 /* hexadecimal, with its NUL */
	FINGERPRINT_TEXT_SIZE = 3 * DIGEST_SIZE, /* a key's fingerprint, ab:cd:..., likewise */
	FINGERPRINT_SHORT_SIZE = 3 * 8,		 /* its first 8 bytes, for messages */
};

struct digest {
	uint8_t bytes[DIGEST_SIZE];
};

/* Takes as long for equal digests as for any others, so it is good for signatures too. */
bool digest_equal(const struct digest *a, const struct digest *b);

/* Lower-case hexadecimal; returns text. */
const char *digest_format(const struct digest *digest, char text[DIGEST_TEXT_SIZE]);

/* 64 hexadecimal digits of either case and nothing else; otherwise -EINVAL. */
int digest_parse(struct digest *digest, const char *text);

/* Fingerprints of keys are digests that are written with colons; both return text. When they are
   parsed, the colons may be anywhere or missing. */
const char *digest_format_fingerprint(const struct digest *digest,
				      char text[FINGERPRINT_TEXT_SIZE]);
const char *digest_format_short(const struct digest *digest, char text[FINGERPRINT_SHORT_SIZE]);
int digest_parse_fingerprint(struct digest *digest, const char *text);

void digest_sha256(struct digest *out, const void *bytes, size_t n);

/* The digest of what comes in pieces. */
struct digest_context {
	SHA256_CTX sha256;
};

void digest_begin(struct digest_context *c);
void digest_add(struct digest_context *c, const void *bytes, size_t n);
void digest_end(struct digest_context *c, struct digest *out);

#endif
