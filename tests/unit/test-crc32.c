#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "chunkcache/crc32.h"

enum { LONGEST = 700, ALIGNMENTS = 17 };

/* The definition: division of polynomials, a bit at a time. */
static uint32_t by_bits(uint32_t crc, const uint8_t *bytes, size_t n)
{
	crc = ~crc;
	for (size_t i = 0; i < n; i++) {
		crc ^= bytes[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
	}
	return ~crc;
}

static void fill(uint8_t *bytes, size_t n)
{
	uint32_t x = 1;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		bytes[i] = (uint8_t)(x >> 24);
	}
}

START_TEST(checksums_are_those_of_the_standard)
{
	ck_assert_uint_eq(crc32_add(0, "123456789", 9), 0xcbf43926);
	ck_assert_uint_eq(crc32_add(0, "hello", 5), 0x3610a686);
	ck_assert_uint_eq(crc32_add(0, NULL, 0), 0);
	ck_assert_uint_eq(crc32_add_portable(0, "123456789", 9), 0xcbf43926);
}
END_TEST

START_TEST(every_length_and_alignment_gives_what_the_definition_does)
{
	uint8_t bytes[LONGEST + ALIGNMENTS];

	fill(bytes, sizeof(bytes));
	for (size_t at = 0; at < ALIGNMENTS; at++) {
		for (size_t n = 0; n <= LONGEST; n++) {
			uint32_t wanted = by_bits((uint32_t)n, bytes + at, n);

			ck_assert_uint_eq(crc32_add((uint32_t)n, bytes + at, n), wanted);
			ck_assert_uint_eq(crc32_add_portable((uint32_t)n, bytes + at, n), wanted);
		}
	}
}
END_TEST

START_TEST(pieces_make_the_checksum_of_the_whole)
{
	uint8_t bytes[LONGEST];

	fill(bytes, sizeof(bytes));
	for (size_t cut = 0; cut <= sizeof(bytes); cut++)
		ck_assert_uint_eq(
			crc32_add(crc32_add(0, bytes, cut), bytes + cut, sizeof(bytes) - cut),
			by_bits(0, bytes, sizeof(bytes)));
}
END_TEST

START_TEST(every_single_bit_is_seen)
{
	uint8_t bytes[200] = { 0 };
	uint32_t whole = crc32_add(0, bytes, sizeof(bytes));

	for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
		bytes[bit / 8] = (uint8_t)(1 << bit % 8);
		ck_assert_uint_ne(crc32_add(0, bytes, sizeof(bytes)), whole);
		ck_assert_uint_eq(crc32_add(0, bytes, sizeof(bytes)),
				  by_bits(0, bytes, sizeof(bytes)));
		bytes[bit / 8] = 0;
	}
}
END_TEST

START_TEST(nothing_is_read_past_the_end)
{
	for (size_t n = 1; n < 200; n++) {
		uint8_t *exact = malloc(n); /* a sanitizer watches its end */

		ck_assert_ptr_nonnull(exact);
		fill(exact, n);
		ck_assert_uint_eq(crc32_add(0, exact, n), crc32_add_portable(0, exact, n));
		free(exact);
	}
}
END_TEST

START_TEST(millions_of_bytes_agree_too)
{
	size_t n = (4 << 20) + 5;
	uint8_t *bytes = malloc(n);

	ck_assert_ptr_nonnull(bytes);
	fill(bytes, n);
	ck_assert_uint_eq(crc32_add(0, bytes, n), crc32_add_portable(0, bytes, n));
	free(bytes);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("crc32");
	TCase *tc = tcase_create("crc32");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_test(tc, checksums_are_those_of_the_standard);
	tcase_add_test(tc, every_length_and_alignment_gives_what_the_definition_does);
	tcase_add_test(tc, pieces_make_the_checksum_of_the_whole);
	tcase_add_test(tc, every_single_bit_is_seen);
	tcase_add_test(tc, nothing_is_read_past_the_end);
	tcase_add_test(tc, millions_of_bytes_agree_too);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
