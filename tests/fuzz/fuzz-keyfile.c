/*
 * fuzz-keyfile.c - key files
 *
 * What is accepted says what its derivation costs, within the limits, and is only derived here
 * where that is little. A key that comes out is the one that the fingerprint names, and a key file
 * made of it gives it again.
 */
#include <stdlib.h>
#include <string.h>

#include "chunkcache/keyfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static bool is_cheap(const struct keyfile_kdf *kdf)
{
	switch (kdf->kind) {
	case KEYFILE_NONE:
		return true;
	case KEYFILE_SCRYPT:
		require(kdf->n >= 2 && !(kdf->n & (kdf->n - 1)));
		require(kdf->r >= 1 && kdf->p >= 1 && kdf->p <= KEYFILE_SCRYPT_P_MAX);
		require(kdf->n <= KEYFILE_SCRYPT_MAX / 128 / kdf->r / kdf->p);
		return kdf->n * kdf->r * kdf->p <= 1024;
	case KEYFILE_PBKDF2:
		require(kdf->iter >= 1 && kdf->iter <= KEYFILE_PBKDF2_MAX);
		return kdf->iter <= 1000;
	}
	abort();
}

static void check_again(const struct keyfile *k, const struct crypt *crypt)
{
	const struct keyfile_options options = { .kind = KEYFILE_NONE, .hint = keyfile_hint(k) };
	struct secret_bytes *json;
	struct error err = { 0 };
	struct keyfile *copy;
	struct crypt *again;
	int r;

	r = keyfile_encode(&json, crypt, &options, &err);
	if (r < 0) { /* a hint that is not to be shown */
		require(r == -EINVAL && options.hint);
		return;
	}
	require(keyfile_decode(&copy, json->bytes, json->len, &err) == 0);
	require(!options.hint || strcmp(keyfile_hint(copy), options.hint) == 0);
	require(keyfile_unlock(&again, copy, NULL, &err) == 0);
	require(memcmp(crypt_key(again), crypt_key(crypt), CRYPT_KEY_SIZE) == 0);
	crypt_free(again);
	keyfile_free(copy);
	secret_free(json);
}

static void check(const struct keyfile *k)
{
	struct secret_bytes *password;
	struct error err = { 0 };
	struct digest fingerprint;
	struct crypt *crypt;

	require(keyfile_needs_password(k) == (keyfile_kdf(k)->kind != KEYFILE_NONE));
	if (!is_cheap(keyfile_kdf(k)))
		return;
	require(secret_bytes_new(&password, 8, &err) == 0);
	memcpy(password->bytes, "password", 8);
	password->len = 8;
	if (keyfile_unlock(&crypt, k, password, &err) == 0) {
		fingerprint = crypt_fingerprint(crypt);
		require(!keyfile_fingerprint(k) ||
			digest_equal(&fingerprint, keyfile_fingerprint(k)));
		check_again(k, crypt);
		crypt_free(crypt);
	} else {
		require(err.code == -EKEYREJECTED);
	}
	secret_free(password);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = { 0 };
	struct keyfile *k;

	if (keyfile_decode(&k, data, size, &err) < 0) {
		require(err.code == -EUCLEAN && *err.text);
		return 0;
	}
	check(k);
	keyfile_free(k);
	return 0;
}
