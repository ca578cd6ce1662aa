/*
 * crypt.h - what is done with a backup's encryption key
 *
 *     id key      = PBKDF2-HMAC-SHA-256(key, "_id_key", 10 rounds)
 *     fingerprint = the keyed digest of a constant; it names the key and gives nothing away
 *     digest      = SHA-256(plaintext, id key)
 *     signature   = HMAC-SHA-256(id key, message)
 *     ciphertext  = AES-256-GCM(key, IV of 16 bytes, plaintext), tag of 16 bytes, no further data
 *
 * Threads: a key never changes and may be used from any thread; a context by one at a time.
 */
#ifndef CHUNKCACHE_CRYPT_H
#define CHUNKCACHE_CRYPT_H

#include "chunkcache/digest.h"
#include "core/cleanup.h"
#include "core/error.h"

enum {
	CRYPT_KEY_SIZE = 32,
	CRYPT_IV_SIZE = 16,
	CRYPT_TAG_SIZE = 16,
};

struct crypt;

/* The key is copied. */
int crypt_new(struct crypt **out, const uint8_t key[CRYPT_KEY_SIZE], struct error *err);

/* A new random key. */
int crypt_new_random(struct crypt **out, struct error *err);
void crypt_free(struct crypt *crypt);
DEFINE_CLEANUP(struct crypt, crypt_free);

/* False when the key may be swapped out, see secret.h. */
bool crypt_is_locked(const struct crypt *crypt);

struct digest crypt_fingerprint(const struct crypt *crypt);

/* The key itself, for key files alone; borrowed. */
const uint8_t *crypt_key(const struct crypt *crypt);

/* The digest that names a chunk of an encrypted backup. */
void crypt_digest(const struct crypt *crypt, const void *bytes, size_t n, struct digest *out);

/* To be compared with digest_equal(). -ENOMEM. */
int crypt_sign(const struct crypt *crypt, const void *message, size_t n, struct digest *signature,
	       struct error *err);

/* What the cipher works in. It holds no key between calls. */
struct crypt_context;

int crypt_context_new(struct crypt_context **out, struct error *err);
void crypt_context_free(struct crypt_context *c);
DEFINE_CLEANUP(struct crypt_context, crypt_context_free);

/* What stands beside the n bytes of ciphertext. */
struct crypt_seal {
	uint8_t iv[CRYPT_IV_SIZE];
	uint8_t tag[CRYPT_TAG_SIZE];
};

/* Encrypts n bytes into as many, with a new random IV. */
int crypt_encrypt(const struct crypt *crypt, struct crypt_context *c, const void *plain, size_t n,
		  void *cipher, struct crypt_seal *seal, struct error *err);

/* -EBADMSG, and zeros in plain, when the ciphertext or seal was changed or is of another key. */
int crypt_decrypt(const struct crypt *crypt, struct crypt_context *c, const struct crypt_seal *seal,
		  const void *cipher, size_t n, void *plain, struct error *err);

#endif
