#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "chunkcache/crypt.h"

static struct crypt *crypt_counting; /* key 00 01 .. 1f */
static struct crypt_context *context;

static void setup(void)
{
	struct error err = { 0 };
	uint8_t key[CRYPT_KEY_SIZE];

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	ck_assert_int_eq(crypt_new(&crypt_counting, key, &err), 0);
	ck_assert_int_eq(crypt_context_new(&context, &err), 0);
}

static void teardown(void)
{
	crypt_free(crypt_counting);
	crypt_context_free(context);
}

static const char *fingerprint_of(const struct crypt *crypt)
{
	static char text[FINGERPRINT_TEXT_SIZE];
	struct digest fingerprint = crypt_fingerprint(crypt);

	return digest_format_fingerprint(&fingerprint, text);
}

START_TEST(fingerprint_and_digests_are_those_of_the_original)
{
	char text[DIGEST_TEXT_SIZE];
	struct digest d;

	ck_assert_str_eq(fingerprint_of(crypt_counting),
			 "0e:ab:d4:46:0b:6e:b9:ca:34:50:23:de:e2:b7:78:c7:"
			 "90:e5:4a:16:83:b9:65:9c:0a:57:ae:19:90:90:15:9b");
	crypt_digest(crypt_counting, "hello", 5, &d);
	ck_assert_str_eq(digest_format(&d, text),
			 "e34178a27b992c4a218599bf7f43ed50bc464a03d624d9092306fe2ed74d557e");
	crypt_digest(crypt_counting, "", 0, &d);
	ck_assert_str_eq(digest_format(&d, text),
			 "d213f9b52d680fbe05942a8b5540377dd5f627132c2889e5389f690b683f1d7f");
}
END_TEST

#define BYTES_01 "0101010101010101010101010101010101010101010101010101010101010101"
#define BYTES_02 "0202020202020202020202020202020202020202020202020202020202020202"

START_TEST(signature_is_that_of_the_original)
{
	static const char message[] =
		"{\"backup-id\":\"elsa\",\"backup-time\":1593179765,\"backup-type\":\"host\","
		"\"files\":[{\"crypt-mode\":\"encrypt\",\"csum\":\"" BYTES_01
		"\",\"filename\":\"test1.img.fidx\",\"size\":200},{\"crypt-mode\":\"none\","
		"\"csum\":\"" BYTES_02 "\",\"filename\":\"abc.blob\",\"size\":200}]}";
	struct digest key, signature;
	char text[DIGEST_TEXT_SIZE];
	struct error err = { 0 };
	struct crypt *crypt;

	/* What scrypt makes of the password "test" without salt. */
	digest_parse(&key, "28cdb1a3bef39396c3860e00d448fe7a0efd8244486ab6feb30457681d31597e");
	ck_assert_int_eq(crypt_new(&crypt, key.bytes, &err), 0);
	ck_assert_str_eq(fingerprint_of(crypt), "12:b9:b7:74:bb:3d:89:95:2b:97:cb:c2:82:f0:0c:14:"
						"2b:83:ba:7f:96:62:6a:a1:5a:44:9a:63:e8:91:fe:25");
	ck_assert_int_eq(crypt_sign(crypt, message, strlen(message), &signature, &err), 0);
	ck_assert_str_eq(digest_format(&signature, text),
			 "d7b446fb7db081662081d4b40fedd858a1d6307a5aff4ecff7d5bf4fd35679e9");
	crypt_free(crypt);
}
END_TEST

/* "hello", encrypted with the IV a0 .. af. */
static const uint8_t cipher_hello[] = { 0x42, 0xc6, 0x4f, 0xd0, 0x77 };
static const struct crypt_seal seal_hello = {
	{ 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae,
	  0xaf },
	{ 0x9d, 0xf2, 0x24, 0x9f, 0xee, 0xa0, 0xc8, 0xe5, 0xee, 0xad, 0x5e, 0xdf, 0x2b, 0xad, 0xeb,
	  0x28 },
};

START_TEST(what_the_original_encrypted_is_decrypted)
{
	struct error err = { 0 };
	char plain[6] = "";

	for (int i = 0; i < 3; i++) { /* the context is good for more than one */
		ck_assert_int_eq(crypt_decrypt(crypt_counting, context, &seal_hello, cipher_hello,
					       5, plain, &err),
				 0);
		ck_assert_str_eq(plain, "hello");
	}
}
END_TEST

static void must_be_refused(const struct crypt *crypt, const struct crypt_seal *seal,
			    const uint8_t *cipher, size_t n)
{
	uint8_t plain[64], zeros[64] = { 0 };
	struct error err = { 0 };

	memset(plain, 0xff, sizeof(plain));
	ck_assert_int_eq(crypt_decrypt(crypt, context, seal, cipher, n, plain, &err), -EBADMSG);
	ck_assert_mem_eq(plain, zeros, n);
}

START_TEST(every_changed_bit_is_noticed_and_nothing_given_out)
{
	uint8_t cipher[sizeof(cipher_hello)];
	struct crypt_seal seal;

	for (size_t bit = 0; bit < 8 * sizeof(cipher); bit++) {
		memcpy(cipher, cipher_hello, sizeof(cipher));
		cipher[bit / 8] ^= (uint8_t)(1 << bit % 8);
		must_be_refused(crypt_counting, &seal_hello, cipher, sizeof(cipher));
	}
	for (size_t bit = 0; bit < 8 * CRYPT_IV_SIZE; bit++) {
		seal = seal_hello;
		seal.iv[bit / 8] ^= (uint8_t)(1 << bit % 8);
		must_be_refused(crypt_counting, &seal, cipher_hello, sizeof(cipher));
		seal = seal_hello;
		seal.tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
		must_be_refused(crypt_counting, &seal, cipher_hello, sizeof(cipher));
	}
	must_be_refused(crypt_counting, &seal_hello, cipher_hello, sizeof(cipher) - 1);
	must_be_refused(crypt_counting, &seal_hello, cipher_hello, 0);
}
END_TEST

START_TEST(another_key_is_noticed)
{
	struct error err = { 0 };
	struct crypt *other;

	ck_assert_int_eq(crypt_new_random(&other, &err), 0);
	must_be_refused(other, &seal_hello, cipher_hello, sizeof(cipher_hello));
	crypt_free(other);
}
END_TEST

START_TEST(decrypting_undoes_encrypting)
{
	uint8_t plain[1000], cipher[1000], again[1000];
	struct crypt_seal seal, before = { { 0 }, { 0 } };
	struct error err = { 0 };

	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i * i);
	for (size_t n = 0; n <= sizeof(plain); n += 37) {
		ck_assert_int_eq(
			crypt_encrypt(crypt_counting, context, plain, n, cipher, &seal, &err), 0);
		ck_assert_mem_ne(&seal.iv, &before.iv, CRYPT_IV_SIZE);
		before = seal;
		ck_assert_int_eq(
			crypt_decrypt(crypt_counting, context, &seal, cipher, n, again, &err), 0);
		ck_assert_mem_eq(again, plain, n);
	}
}
END_TEST

START_TEST(keys_made_at_random_differ)
{
	struct error err = { 0 };
	struct crypt *a, *b;

	ck_assert_int_eq(crypt_new_random(&a, &err), 0);
	ck_assert_int_eq(crypt_new_random(&b, &err), 0);
	ck_assert_mem_ne(crypt_key(a), crypt_key(b), CRYPT_KEY_SIZE);
	crypt_free(a);
	crypt_free(b);
	crypt_free(NULL);
	crypt_context_free(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("crypt");
	TCase *tc = tcase_create("crypt");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, fingerprint_and_digests_are_those_of_the_original);
	tcase_add_test(tc, signature_is_that_of_the_original);
	tcase_add_test(tc, what_the_original_encrypted_is_decrypted);
	tcase_add_test(tc, every_changed_bit_is_noticed_and_nothing_given_out);
	tcase_add_test(tc, another_key_is_noticed);
	tcase_add_test(tc, decrypting_undoes_encrypting);
	tcase_add_test(tc, keys_made_at_random_differ);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
