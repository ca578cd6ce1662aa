#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/cursor.h"

START_TEST(what_is_put_in_comes_out_of_a_cursor)
{
	struct buffer b = { 0 };
	struct cursor c;

	buffer_le16(&b, 0x0102);
	buffer_le32(&b, 0x03040506);
	buffer_le64(&b, UINT64_C(0x0708090a0b0c0d0e));
	buffer_add(&b, "xyz", 3);
	ck_assert_int_eq(buffer_finish(&b, NULL), 0);
	ck_assert_uint_eq(b.len, 17);
	ck_assert_uint_eq(b.bytes[0], 2);
	c = cursor_init(b.bytes, b.len);
	ck_assert_uint_eq(cursor_le16(&c), 0x0102);
	ck_assert_uint_eq(cursor_le32(&c), 0x03040506);
	ck_assert(cursor_le64(&c) == UINT64_C(0x0708090a0b0c0d0e));
	ck_assert(!memcmp(cursor_bytes(&c, 3), "xyz", 3));
	ck_assert_int_eq(cursor_finish(&c, NULL, "x"), 0);
	buffer_release(&b);
}
END_TEST

/* Pieces of any size, past every doubling of the memory. */
START_TEST(growing_keeps_what_was_there)
{
	struct buffer b = { 0 };
	uint8_t piece[700] = { 0 };
	size_t at = 0;

	for (size_t n = 0; n < sizeof(piece); n++) {
		for (size_t i = 0; i < n; i++)
			piece[i] = (uint8_t)((at + i) * 31);
		buffer_add(&b, piece, n);
		at += n;
	}
	ck_assert_int_eq(buffer_finish(&b, NULL), 0);
	ck_assert_uint_eq(b.len, at);
	for (size_t i = 0; i < at; i++)
		ck_assert_uint_eq(b.bytes[i], (uint8_t)(i * 31));
	buffer_release(&b);
}
END_TEST

START_TEST(adding_nothing_needs_no_bytes)
{
	struct buffer b = { 0 };

	buffer_add(&b, NULL, 0);
	ck_assert_uint_eq(b.len, 0);
	ck_assert_int_eq(buffer_finish(&b, NULL), 0);
	buffer_release(&b);
}
END_TEST

START_TEST(a_reset_keeps_the_memory)
{
	struct buffer b = { 0 };
	uint8_t *bytes;

	buffer_add(&b, "abc", 3);
	bytes = b.bytes;
	buffer_reset(&b);
	ck_assert_uint_eq(b.len, 0);
	buffer_add(&b, "d", 1);
	ck_assert_ptr_eq(b.bytes, bytes);
	ck_assert_uint_eq(b.len, 1);
	buffer_release(&b);
	ck_assert_ptr_null(b.bytes);
	buffer_release(&b);
}
END_TEST

/* More than any allocator gives: refused without touching what is there. */
START_TEST(running_out_of_memory_sticks_until_the_reset)
{
	struct buffer b = { 0 };
	struct error err = { 0 };

	buffer_add(&b, "abc", 3);
	buffer_add(&b, "x", SIZE_MAX / 2);
	ck_assert(b.failed);
	ck_assert_uint_eq(b.len, 3);
	buffer_le32(&b, 1);
	ck_assert_uint_eq(b.len, 3);
	ck_assert_int_eq(buffer_finish(&b, &err), -ENOMEM);
	buffer_reset(&b);
	buffer_le32(&b, 1);
	ck_assert_int_eq(buffer_finish(&b, NULL), 0);
	ck_assert_uint_eq(b.len, 4);
	buffer_release(&b);
}
END_TEST

/* A size whose doubling wraps must not be looked for for ever. */
START_TEST(sizes_that_cannot_be_doubled_are_refused)
{
	struct buffer b = { 0 };

	buffer_add(&b, "abc", 3);
	buffer_add(&b, "x", SIZE_MAX);
	ck_assert_int_eq(buffer_finish(&b, NULL), -ENOMEM);
	buffer_release(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("buffer");
	TCase *tc = tcase_create("buffer");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_test(tc, what_is_put_in_comes_out_of_a_cursor);
	tcase_add_test(tc, growing_keeps_what_was_there);
	tcase_add_test(tc, adding_nothing_needs_no_bytes);
	tcase_add_test(tc, a_reset_keeps_the_memory);
	tcase_add_test(tc, running_out_of_memory_sticks_until_the_reset);
	tcase_add_test(tc, sizes_that_cannot_be_doubled_are_refused);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
