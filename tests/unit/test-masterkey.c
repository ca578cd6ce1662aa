#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "chunkcache/blob.h"
#include "chunkcache/masterkey.h"

#define CREATED "2021-03-09T12:00:00+01:00"

static struct crypt *crypt_random;

static void setup(void)
{
	struct error err = { 0 };

	ck_assert_int_eq(crypt_new_random(&crypt_random, &err), 0);
}

static void teardown(void)
{
	crypt_free(crypt_random);
}

static struct secret_bytes *slurp(const char *name)
{
	struct secret_read how = { .max = MASTERKEY_MAX, .wait_ms = 1000 };
	struct secret_bytes *text;
	struct error err = { 0 };
	char path[4096];

	snprintf(path, sizeof(path), "%s/store-enc/%s", getenv("REFERENCE"), name);
	ck_assert_msg(secret_read(&text, path, &how, &err) == 0, "%s: %s", path, err.text);
	return text;
}

static void must_hold(const struct keyfile *k, const struct crypt *wanted)
{
	struct error err = { 0 };
	struct crypt *crypt;

	ck_assert_int_eq(keyfile_unlock(&crypt, k, NULL, &err), 0);
	ck_assert_mem_eq(crypt_key(crypt), crypt_key(wanted), CRYPT_KEY_SIZE);
	crypt_free(crypt);
}

START_TEST(a_block_of_the_original_holds_its_key)
{
	struct secret_bytes *private = slurp("keys/master-private.pem");
	struct secret_bytes *stored =
		slurp("store/host/web01/2024-06-11T02:00:10Z/rsa-encrypted.key.blob");
	struct secret_bytes *plain = slurp("keys/plain.json");
	const struct blob_terms terms = { NULL, BLOB_CLEAR };
	struct keyfile *k, *original;
	struct blob_context *c;
	struct buffer block = { 0 };
	struct error err = { 0 };
	struct crypt *crypt;

	ck_assert_int_eq(blob_context_new(&c, &err), 0);
	ck_assert_int_eq(blob_decode(c, &terms, stored->bytes, stored->len, 4096, &block, &err), 0);
	ck_assert_msg(masterkey_unwrap(&k, private->bytes, private->len, NULL, block.bytes,
				       block.len, &err) == 0,
		      "%s", err.text);
	ck_assert_int_eq(keyfile_decode(&original, plain->bytes, plain->len, &err), 0);
	ck_assert_int_eq(keyfile_unlock(&crypt, original, NULL, &err), 0);
	must_hold(k, crypt);
	crypt_free(crypt);
	keyfile_free(original);
	keyfile_free(k);
	buffer_release(&block);
	blob_context_free(c);
	secret_free(plain);
	secret_free(stored);
	secret_free(private);
}
END_TEST

START_TEST(what_is_wrapped_with_one_half_is_unwrapped_with_the_other)
{
	struct secret_bytes *public = slurp("keys/master-public.pem");
	struct secret_bytes *private = slurp("keys/master-private.pem");
	struct buffer block = { 0 };
	struct error err = { 0 };
	struct keyfile *k;

	ck_assert_int_eq(
		masterkey_wrap(&block, public->bytes, public->len, crypt_random, CREATED, &err), 0);
	ck_assert_uint_eq(block.len, 512);
	ck_assert_int_eq(masterkey_unwrap(&k, private->bytes, private->len, NULL, block.bytes,
					  block.len, &err),
			 0);
	ck_assert_str_eq(keyfile_created(k), CREATED);
	ck_assert_ptr_nonnull(keyfile_fingerprint(k));
	must_hold(k, crypt_random);
	keyfile_free(k);
	buffer_release(&block);
	secret_free(private);
	secret_free(public);
}
END_TEST

START_TEST(whatever_is_wrong_with_a_block_the_message_is_the_same)
{
	struct secret_bytes *public = slurp("keys/master-public.pem");
	struct secret_bytes *private = slurp("keys/master-private.pem");
	struct buffer block = { 0 };
	char first[sizeof(((struct error *)0)->text)] = "";

	ck_assert_int_eq(
		masterkey_wrap(&block, public->bytes, public->len, crypt_random, NULL, NULL), 0);
	for (size_t i = 0; i < 8; i++) {
		size_t n = i < 6 ? block.len : block.len - i;
		struct error err = { 0 };
		struct keyfile *k;

		block.bytes[i * 70] ^= 1;
		ck_assert_int_eq(masterkey_unwrap(&k, private->bytes, private->len, NULL,
						  block.bytes, n, &err),
				 -EBADMSG);
		if (!*first)
			strcpy(first, err.text);
		ck_assert_str_eq(err.text, first);
	}
	buffer_release(&block);
	secret_free(private);
	secret_free(public);
}
END_TEST

/* A key that is made for the test, as PEM: encrypted with the password if there is one. */
static struct buffer make_private(const char *algorithm, unsigned bits, const char *password)
{
	EVP_PKEY *key = bits ? EVP_PKEY_Q_keygen(NULL, NULL, algorithm, (size_t)bits)
			     : EVP_PKEY_Q_keygen(NULL, NULL, algorithm);
	BIO *bio = BIO_new(BIO_s_mem());
	struct buffer pem = { 0 };
	char *bytes;
	long n;

	ck_assert_ptr_nonnull(key);
	ck_assert_int_eq(PEM_write_bio_PKCS8PrivateKey(
				 bio, key, password ? EVP_aes_256_cbc() : NULL, password,
				 password ? (int)strlen(password) : 0, NULL, NULL),
			 1);
	ck_assert_int_eq(PEM_write_bio_PUBKEY(bio, key), 1);
	n = BIO_get_mem_data(bio, &bytes);
	buffer_add(&pem, bytes, (size_t)n);
	EVP_PKEY_free(key);
	BIO_free(bio);
	return pem;
}

START_TEST(a_private_key_may_have_a_password)
{
	struct buffer pem = make_private("RSA", 4096, "secret"), block = { 0 };
	struct secret_bytes *password;
	struct error err = { 0 };
	struct keyfile *k;

	ck_assert_int_eq(secret_bytes_new(&password, 10, &err), 0);
	/* Both halves are in it; each side finds its own. */
	ck_assert_int_eq(masterkey_wrap(&block, pem.bytes, pem.len, crypt_random, NULL, &err), 0);
	ck_assert_int_eq(
		masterkey_unwrap(&k, pem.bytes, pem.len, NULL, block.bytes, block.len, &err),
		-EKEYREJECTED);
	password->len = 6;
	memcpy(password->bytes, "sEcret", 6);
	ck_assert_int_eq(
		masterkey_unwrap(&k, pem.bytes, pem.len, password, block.bytes, block.len, &err),
		-EKEYREJECTED);
	memcpy(password->bytes, "secret", 6);
	ck_assert_int_eq(
		masterkey_unwrap(&k, pem.bytes, pem.len, password, block.bytes, block.len, &err),
		0);
	must_hold(k, crypt_random);
	keyfile_free(k);
	secret_free(password);
	buffer_release(&block);
	buffer_release(&pem);
}
END_TEST

START_TEST(a_key_of_1024_bits_is_too_small)
{
	struct buffer pem = make_private("RSA", 1024, NULL), block = { 0 };
	struct error err = { 0 };

	ck_assert_int_eq(masterkey_wrap(&block, pem.bytes, pem.len, crypt_random, NULL, &err),
			 -EMSGSIZE);
	buffer_release(&pem);
}
END_TEST

START_TEST(what_is_no_rsa_key_is_refused)
{
	struct buffer ed = make_private("ED25519", 0, NULL), block = { 0 };
	const struct {
		const void *bytes;
		size_t n;
	} bad[] = { { ed.bytes, ed.len }, { "", 0 }, { "-----BEGIN PUBLIC KEY-----\n", 27 } };
	struct error err = { 0 };
	struct keyfile *k;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		ck_assert_int_eq(
			masterkey_wrap(&block, bad[i].bytes, bad[i].n, crypt_random, NULL, &err),
			-EUCLEAN);
		ck_assert_int_eq(masterkey_unwrap(&k, bad[i].bytes, bad[i].n, NULL, "x", 1, &err),
				 -EUCLEAN);
	}
	buffer_release(&ed);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("masterkey");
	TCase *tc = tcase_create("masterkey");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 120); /* RSA keys are made */
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_block_of_the_original_holds_its_key);
	tcase_add_test(tc, what_is_wrapped_with_one_half_is_unwrapped_with_the_other);
	tcase_add_test(tc, whatever_is_wrong_with_a_block_the_message_is_the_same);
	tcase_add_test(tc, a_private_key_may_have_a_password);
	tcase_add_test(tc, a_key_of_1024_bits_is_too_small);
	tcase_add_test(tc, what_is_no_rsa_key_is_refused);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
