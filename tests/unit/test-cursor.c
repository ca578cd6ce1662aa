#include <check.h>
#include <stdlib.h>

#include "core/cursor.h"

static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };

START_TEST(numbers_are_little_endian)
{
	struct cursor c = cursor_init(bytes, 8);

	ck_assert_uint_eq(cursor_le16(&c), 0x0201);
	ck_assert_uint_eq(cursor_le32(&c), 0x06050403);
	ck_assert_uint_eq(cursor_left(&c), 2);
	c = cursor_init(bytes, 8);
	ck_assert(cursor_le64(&c) == UINT64_C(0x0807060504030201));
	ck_assert_int_eq(cursor_finish(&c, NULL, "x"), 0);
}
END_TEST

START_TEST(a_failed_cursor_stays_failed_and_yields_zeros)
{
	struct cursor c = cursor_init(bytes, 3);
	struct error err = { 0 };

	ck_assert_uint_eq(cursor_le32(&c), 0);
	ck_assert_uint_eq(cursor_le16(&c), 0);
	ck_assert_ptr_null(cursor_bytes(&c, 1));
	ck_assert_uint_eq(cursor_left(&c), 0);
	ck_assert_int_eq(cursor_finish(&c, &err, "x"), -EUCLEAN);
	ck_assert_str_eq(err.text, "x: too short");
}
END_TEST

START_TEST(left_over_bytes_are_refused)
{
	struct cursor c = cursor_init(bytes, 9);
	struct error err = { 0 };

	cursor_le64(&c);
	ck_assert_int_eq(cursor_finish(&c, &err, "x"), -EUCLEAN);
	ck_assert_str_eq(err.text, "x: 1 bytes too long");
}
END_TEST

START_TEST(sums_that_wrap_are_refused)
{
	struct range r = { 10, 20 };
	uint64_t out;

	ck_assert(!checked_add(UINT64_MAX, 1, &out));
	ck_assert(!checked_sub(0, 1, &out));
	ck_assert(!checked_mul(UINT64_MAX, 2, &out));
	ck_assert(checked_add(1, 2, &out) && out == 3);
	ck_assert(range_holds(r, 10, 10));
	ck_assert(range_holds(r, 20, 0));
	ck_assert(!range_holds(r, 10, 11));
	ck_assert(!range_holds(r, 9, 1));
	ck_assert(!range_holds(r, 11, UINT64_MAX - 5));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cursor");
	TCase *tc = tcase_create("cursor");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_test(tc, numbers_are_little_endian);
	tcase_add_test(tc, a_failed_cursor_stays_failed_and_yields_zeros);
	tcase_add_test(tc, left_over_bytes_are_refused);
	tcase_add_test(tc, sums_that_wrap_are_refused);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
