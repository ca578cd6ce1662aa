#include "chunkcache/masterkey.h"

#include <limits.h>
#include <string.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

static void bio_freep(BIO **at)
{
	BIO_free(*at);
}

static void key_freep(EVP_PKEY **at)
{
	EVP_PKEY_free(*at);
}

static void use_freep(EVP_PKEY_CTX **at)
{
	EVP_PKEY_CTX_free(*at);
}

/* What OpenSSL asks when PEM is encrypted. Without it, it would ask on the terminal by itself. */
struct answer {
	const struct secret_bytes *password;
	bool asked;
};

static int give_password(char *buf, int size, int writing, void *opaque)
{
	struct answer *answer = opaque;

	(void)writing;
	answer->asked = true;
	if (!answer->password || answer->password->len > (size_t)size)
		return -1;
	memcpy(buf, answer->password->bytes, answer->password->len);
	return (int)answer->password->len;
}

typedef EVP_PKEY *read_key(BIO *bio, EVP_PKEY **key, pem_password_cb *ask, void *opaque);

static int decode_key(EVP_PKEY **out, read_key *read, const void *pem, size_t n,
		      const struct secret_bytes *password, struct error *err)
{
	struct answer answer = { .password = password };
	CLEANUP(key_freep) EVP_PKEY *key = NULL;
	CLEANUP(bio_freep) BIO *bio = NULL;

	if (n > MASTERKEY_MAX)
		return error_set(err, EUCLEAN, "%zu bytes, a master key has at most %d", n,
				 MASTERKEY_MAX);
	bio = BIO_new_mem_buf(pem, (int)n);
	if (!bio)
		return error_set(err, ENOMEM, "out of memory");
	key = read(bio, NULL, give_password, &answer);
	if (!key && answer.asked)
		return error_set(err, EKEYREJECTED, "the master key's password is %s",
				 password ? "wrong" : "missing");
	if (!key || !EVP_PKEY_is_a(key, "RSA"))
		return error_set(err, EUCLEAN, "not an RSA key in PEM");
	*out = TAKE(key);
	return 0;
}

static int set_up(EVP_PKEY_CTX **out, EVP_PKEY *key, int (*init)(EVP_PKEY_CTX *), struct error *err)
{
	CLEANUP(use_freep) EVP_PKEY_CTX *use = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);

	if (!use || init(use) != 1 || EVP_PKEY_CTX_set_rsa_padding(use, RSA_PKCS1_PADDING) != 1)
		return error_set(err, ENOMEM, "cannot set up RSA");
	*out = TAKE(use);
	return 0;
}

int masterkey_wrap(struct buffer *block, const void *pem, size_t pem_n, const struct crypt *crypt,
		   const char *created, struct error *err)
{
	const struct keyfile_options options = { .kind = KEYFILE_NONE, .created = created };
	CLEANUP(secret_bytes_freep) struct secret_bytes *json = NULL;
	CLEANUP(use_freep) EVP_PKEY_CTX *use = NULL;
	CLEANUP(key_freep) EVP_PKEY *key = NULL;
	uint8_t out[OPENSSL_RSA_MAX_MODULUS_BITS / 8];
	size_t n = sizeof(out);
	int r;

	r = decode_key(&key, PEM_read_bio_PUBKEY, pem, pem_n, NULL, err);
	if (r == 0)
		r = set_up(&use, key, EVP_PKEY_encrypt_init, err);
	if (r == 0)
		r = keyfile_encode(&json, crypt, &options, err);
	if (r < 0)
		return r;
	if (EVP_PKEY_encrypt(use, out, &n, json->bytes, json->len) != 1)
		return error_set(err, EMSGSIZE, "a master key of %d bits cannot hold %zu bytes",
				 EVP_PKEY_get_bits(key), json->len);
	buffer_reset(block);
	buffer_add(block, out, n);
	return buffer_finish(block, err);
}

/* The text in the block. Which of the many things that could be wrong with it must not be told. */
static int decrypt(struct secret_bytes **out, EVP_PKEY *key, const void *block, size_t n,
		   struct error *err)
{
	CLEANUP(secret_bytes_freep) struct secret_bytes *text = NULL;
	CLEANUP(use_freep) EVP_PKEY_CTX *use = NULL;
	int r;

	r = set_up(&use, key, EVP_PKEY_decrypt_init, err);
	if (r == 0)
		r = secret_bytes_new(&text, (size_t)EVP_PKEY_get_size(key), err);
	if (r < 0)
		return r;
	text->len = (size_t)EVP_PKEY_get_size(key);
	if (EVP_PKEY_decrypt(use, text->bytes, &text->len, block, n) != 1)
		return -EBADMSG;
	*out = TAKE(text);
	return 0;
}

int masterkey_unwrap(struct keyfile **out, const void *pem, size_t pem_n,
		     const struct secret_bytes *password, const void *block, size_t block_n,
		     struct error *err)
{
	CLEANUP(secret_bytes_freep) struct secret_bytes *text = NULL;
	CLEANUP(keyfile_freep) struct keyfile *k = NULL;
	CLEANUP(key_freep) EVP_PKEY *key = NULL;
	int r;

	r = decode_key(&key, PEM_read_bio_PrivateKey, pem, pem_n, password, err);
	if (r < 0)
		return r;
	r = decrypt(&text, key, block, block_n, err);
	if (r == 0)
		r = keyfile_decode(&k, text->bytes, text->len, err);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || keyfile_needs_password(k))
		return error_set(err, EBADMSG, "it does not hold a key for this master key");
	*out = TAKE(k);
	return 0;
}
