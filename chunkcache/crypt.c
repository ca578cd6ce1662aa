#include "chunkcache/crypt.h"

#include <assert.h>
#include <limits.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "chunkcache/secret.h"

struct crypt {
	uint8_t key[CRYPT_KEY_SIZE];
	uint8_t id_key[DIGEST_SIZE];
	struct digest fingerprint;
};

/* The fingerprint is the keyed digest of this. */
#define FINGERPRINT_INPUT "Proxmox Backup Encryption Key Fingerprint"

static int derive(struct crypt *crypt, struct error *err)
{
	static const uint8_t salt[] = { '_', 'i', 'd', '_', 'k', 'e', 'y' };
	struct digest input;

	if (PKCS5_PBKDF2_HMAC((const char *)crypt->key, CRYPT_KEY_SIZE, salt, sizeof(salt), 10,
			      EVP_sha256(), sizeof(crypt->id_key), crypt->id_key) != 1)
		return error_set(err, ENOMEM, "cannot derive the id key");
	digest_sha256(&input, FINGERPRINT_INPUT, strlen(FINGERPRINT_INPUT));
	crypt_digest(crypt, input.bytes, DIGEST_SIZE, &crypt->fingerprint);
	return 0;
}

int crypt_new(struct crypt **out, const uint8_t key[CRYPT_KEY_SIZE], struct error *err)
{
	CLEANUP(crypt_freep) struct crypt *crypt = secret_new(sizeof(*crypt));
	int r;

	if (!crypt)
		return error_set(err, ENOMEM, "out of memory");
	memcpy(crypt->key, key, CRYPT_KEY_SIZE);
	r = derive(crypt, err);
	if (r < 0)
		return r;
	*out = TAKE(crypt);
	return 0;
}

int crypt_new_random(struct crypt **out, struct error *err)
{
	uint8_t key[CRYPT_KEY_SIZE];
	int r;

	if (RAND_priv_bytes(key, sizeof(key)) != 1)
		return error_set(err, EIO, "there are no random numbers");
	r = crypt_new(out, key, err);
	OPENSSL_cleanse(key, sizeof(key));
	return r;
}

void crypt_free(struct crypt *crypt)
{
	secret_free(crypt);
}

bool crypt_is_locked(const struct crypt *crypt)
{
	return secret_is_locked(crypt);
}

struct digest crypt_fingerprint(const struct crypt *crypt)
{
	return crypt->fingerprint;
}

const uint8_t *crypt_key(const struct crypt *crypt)
{
	return crypt->key;
}

void crypt_digest(const struct crypt *crypt, const void *bytes, size_t n, struct digest *out)
{
	struct digest_context c;

	digest_begin(&c);
	digest_add(&c, bytes, n);
	digest_add(&c, crypt->id_key, sizeof(crypt->id_key));
	digest_end(&c, out);
	OPENSSL_cleanse(&c, sizeof(c)); /* what it has taken in last is the id key */
}

int crypt_sign(const struct crypt *crypt, const void *message, size_t n, struct digest *signature,
	       struct error *err)
{
	if (!HMAC(EVP_sha256(), crypt->id_key, sizeof(crypt->id_key), message, n, signature->bytes,
		  NULL))
		return error_set(err, ENOMEM, "cannot compute the signature");
	return 0;
}

struct crypt_context {
	EVP_CIPHER *gcm;
	EVP_CIPHER_CTX *now;
};

int crypt_context_new(struct crypt_context **out, struct error *err)
{
	CLEANUP(crypt_context_freep) struct crypt_context *c = calloc(1, sizeof(*c));

	if (!c)
		return error_set(err, ENOMEM, "out of memory");
	c->gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	c->now = EVP_CIPHER_CTX_new();
	if (!c->gcm || !c->now || EVP_EncryptInit_ex(c->now, c->gcm, NULL, NULL, NULL) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c->now, EVP_CTRL_GCM_SET_IVLEN, CRYPT_IV_SIZE, NULL) != 1)
		return error_set(err, ENOMEM, "cannot set up AES-256-GCM");
	*out = TAKE(c);
	return 0;
}

void crypt_context_free(struct crypt_context *c)
{
	if (!c)
		return;
	EVP_CIPHER_CTX_free(c->now);
	EVP_CIPHER_free(c->gcm);
	free(c);
}

/* OpenSSL keeps the key's schedule in memory that is not ours: another takes its place. */
static void forget_key(struct crypt_context *c)
{
	static const uint8_t none[CRYPT_KEY_SIZE];

	EVP_EncryptInit_ex(c->now, NULL, NULL, none, NULL);
}

int crypt_encrypt(const struct crypt *crypt, struct crypt_context *c, const void *plain, size_t n,
		  void *cipher, struct crypt_seal *seal, struct error *err)
{
	int len = 0, last = 0;
	bool ok;

	assert(n <= INT_MAX);
	if (RAND_bytes(seal->iv, CRYPT_IV_SIZE) != 1)
		return error_set(err, EIO, "there are no random numbers");
	ok = EVP_EncryptInit_ex(c->now, NULL, NULL, crypt->key, seal->iv) == 1 &&
	     EVP_EncryptUpdate(c->now, cipher, &len, plain, (int)n) == 1 &&
	     EVP_EncryptFinal_ex(c->now, (uint8_t *)cipher + len, &last) == 1 &&
	     EVP_CIPHER_CTX_ctrl(c->now, EVP_CTRL_GCM_GET_TAG, CRYPT_TAG_SIZE, seal->tag) == 1;
	forget_key(c);
	return ok ? 0 : error_set(err, EIO, "cannot encrypt %zu bytes", n);
}

int crypt_decrypt(const struct crypt *crypt, struct crypt_context *c, const struct crypt_seal *seal,
		  const void *cipher, size_t n, void *plain, struct error *err)
{
	uint8_t tag[CRYPT_TAG_SIZE];
	int len = 0, last = 0;
	bool ok;

	assert(n <= INT_MAX);
	memcpy(tag, seal->tag, sizeof(tag)); /* OpenSSL takes no const */
	ok = EVP_DecryptInit_ex(c->now, NULL, NULL, crypt->key, seal->iv) == 1 &&
	     EVP_CIPHER_CTX_ctrl(c->now, EVP_CTRL_GCM_SET_TAG, sizeof(tag), tag) == 1 &&
	     EVP_DecryptUpdate(c->now, plain, &len, cipher, (int)n) == 1 &&
	     EVP_DecryptFinal_ex(c->now, (uint8_t *)plain + len, &last) == 1;
	forget_key(c);
	if (ok)
		return 0;
	OPENSSL_cleanse(plain, n);
	return error_set(err, EBADMSG,
			 "%zu encrypted bytes do not match their tag: damaged, or of another key",
			 n);
}
