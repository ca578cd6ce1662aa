#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chunkcache/digest.h"

#define HELLO "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

START_TEST(sha256_is_that_of_the_standard)
{
	static const struct {
		const char *text, *digest;
	} known[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "hello", HELLO },
	};
	char text[DIGEST_TEXT_SIZE];
	struct digest d;

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		digest_sha256(&d, known[i].text, strlen(known[i].text));
		ck_assert_str_eq(digest_format(&d, text), known[i].digest);
	}
}
END_TEST

START_TEST(pieces_make_the_digest_of_the_whole)
{
	struct digest_context c;
	struct digest whole, pieces;
	uint8_t bytes[300];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	digest_sha256(&whole, bytes, sizeof(bytes));
	for (size_t cut = 0; cut <= sizeof(bytes); cut++) {
		digest_begin(&c);
		digest_add(&c, bytes, cut);
		digest_add(&c, bytes + cut, sizeof(bytes) - cut);
		digest_end(&c, &pieces);
		ck_assert(digest_equal(&whole, &pieces));
	}
}
END_TEST

START_TEST(every_bit_counts)
{
	struct digest a, b;

	digest_sha256(&a, "x", 1);
	for (size_t bit = 0; bit < 8 * DIGEST_SIZE; bit++) {
		b = a;
		ck_assert(digest_equal(&a, &b));
		b.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert(!digest_equal(&a, &b));
	}
}
END_TEST

START_TEST(hexadecimal_goes_both_ways)
{
	char text[DIGEST_TEXT_SIZE], upper[DIGEST_TEXT_SIZE];
	struct digest d, again;

	digest_sha256(&d, "hello", 5);
	ck_assert_int_eq(digest_parse(&again, HELLO), 0);
	ck_assert(digest_equal(&d, &again));
	strcpy(upper, digest_format(&d, text));
	for (char *c = upper; *c; c++)
		*c = (char)(*c >= 'a' ? *c - 'a' + 'A' : *c);
	ck_assert_int_eq(digest_parse(&again, upper), 0);
	ck_assert(digest_equal(&d, &again));
}
END_TEST

START_TEST(what_is_no_digest_is_refused_and_changes_nothing)
{
	static const char *const bad[] = {
		"",
		"2cf24d",
		HELLO "0",
		HELLO " ",
		(" " HELLO),
		"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b982",
		"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b982g",
		"2c:f24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
		"0x2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b98",
	};
	struct digest d, before;

	digest_sha256(&d, "x", 1);
	before = d;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		ck_assert_msg(digest_parse(&d, bad[i]) == -EINVAL, "%s", bad[i]);
		ck_assert(digest_equal(&d, &before));
	}
}
END_TEST

#define FINGERPRINT                                        \
	"0e:ab:d4:46:0b:6e:b9:ca:34:50:23:de:e2:b7:78:c7:" \
	"90:e5:4a:16:83:b9:65:9c:0a:57:ae:19:90:90:15:9b"

START_TEST(fingerprints_have_colons_where_they_are_written)
{
	char text[FINGERPRINT_TEXT_SIZE], brief[FINGERPRINT_SHORT_SIZE], plain[DIGEST_TEXT_SIZE];
	struct digest d, again;

	ck_assert_int_eq(digest_parse_fingerprint(&d, FINGERPRINT), 0);
	ck_assert_str_eq(digest_format_fingerprint(&d, text), FINGERPRINT);
	ck_assert_str_eq(digest_format_short(&d, brief), "0e:ab:d4:46:0b:6e:b9:ca");
	ck_assert_int_eq(digest_parse_fingerprint(&again, digest_format(&d, plain)), 0);
	ck_assert(digest_equal(&d, &again));
	ck_assert_int_eq(digest_parse_fingerprint(&again, "0E:AB"), -EINVAL);
	ck_assert_int_eq(digest_parse_fingerprint(&again, FINGERPRINT ":00"), -EINVAL);
	ck_assert_int_eq(digest_parse_fingerprint(&again, ""), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("digest");
	TCase *tc = tcase_create("digest");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_test(tc, sha256_is_that_of_the_standard);
	tcase_add_test(tc, pieces_make_the_digest_of_the_whole);
	tcase_add_test(tc, every_bit_counts);
	tcase_add_test(tc, hexadecimal_goes_both_ways);
	tcase_add_test(tc, what_is_no_digest_is_refused_and_changes_nothing);
	tcase_add_test(tc, fingerprints_have_colons_where_they_are_written);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
