/* The interface that replaces SHA256_Init() allocates memory for each digest, and so can fail. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "chunkcache/digest.h"

#include <errno.h>
#include <string.h>
#include <openssl/crypto.h>

static const char hex[] = "0123456789abcdef";

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return CRYPTO_memcmp(a->bytes, b->bytes, DIGEST_SIZE) == 0;
}

const char *digest_format(const struct digest *digest, char text[DIGEST_TEXT_SIZE])
{
	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		text[2 * i] = hex[digest->bytes[i] >> 4];
		text[2 * i + 1] = hex[digest->bytes[i] & 15];
	}
	text[DIGEST_TEXT_SIZE - 1] = '\0';
	return text;
}

static const char *format_with_colons(const uint8_t *bytes, size_t n, char *text)
{
	for (size_t i = 0; i < n; i++) {
		text[3 * i] = hex[bytes[i] >> 4];
		text[3 * i + 1] = hex[bytes[i] & 15];
		text[3 * i + 2] = ':';
	}
	text[3 * n - 1] = '\0';
	return text;
}

const char *digest_format_fingerprint(const struct digest *digest, char text[FINGERPRINT_TEXT_SIZE])
{
	return format_with_colons(digest->bytes, DIGEST_SIZE, text);
}

const char *digest_format_short(const struct digest *digest, char text[FINGERPRINT_SHORT_SIZE])
{
	return format_with_colons(digest->bytes, FINGERPRINT_SHORT_SIZE / 3, text);
}

/* -1 for what is no digit. */
static int digit_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

static int parse(struct digest *digest, const char *text, const char *skipped)
{
	struct digest found = { { 0 } };
	size_t digits = 0;

	for (; *text; text++) {
		int value = digit_value(*text);

		if (strchr(skipped, *text))
			continue;
		if (value < 0 || digits == 2 * DIGEST_SIZE)
			return -EINVAL;
		found.bytes[digits / 2] = (uint8_t)(found.bytes[digits / 2] << 4 | value);
		digits++;
	}
	if (digits < 2 * DIGEST_SIZE)
		return -EINVAL;
	*digest = found;
	return 0;
}

int digest_parse(struct digest *digest, const char *text)
{
	return parse(digest, text, "");
}

int digest_parse_fingerprint(struct digest *digest, const char *text)
{
	return parse(digest, text, ":");
}

void digest_begin(struct digest_context *c)
{
	SHA256_Init(&c->sha256);
}

void digest_add(struct digest_context *c, const void *bytes, size_t n)
{
	SHA256_Update(&c->sha256, bytes, n);
}

void digest_end(struct digest_context *c, struct digest *out)
{
	SHA256_Final(out->bytes, &c->sha256);
}

void digest_sha256(struct digest *out, const void *bytes, size_t n)
{
	struct digest_context c;

	digest_begin(&c);
	digest_add(&c, bytes, n);
	digest_end(&c, out);
}
