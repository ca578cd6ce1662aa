#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

START_TEST(the_code_is_negative_whichever_sign_was_given)
{
	struct error err = { 0 };

	ck_assert_int_eq(error_set(&err, EIO, "x"), -EIO);
	ck_assert_int_eq(err.code, -EIO);
	ck_assert_int_eq(error_set(&err, -EUCLEAN, "x"), -EUCLEAN);
	ck_assert_int_eq(err.code, -EUCLEAN);
}
END_TEST

START_TEST(nobody_needs_to_want_the_text)
{
	ck_assert_int_eq(error_set(NULL, EUCLEAN, "x %d", 1), -EUCLEAN);
	ck_assert_int_lt(error_wrap(NULL, "y"), 0);
}
END_TEST

START_TEST(percent_m_is_the_errno_of_the_caller)
{
	struct error err = { 0 };

	errno = ENOENT;
	error_set(&err, EIO, "open: %m");
	ck_assert_str_eq(err.text, "open: No such file or directory");
}
END_TEST

START_TEST(context_comes_before_the_cause)
{
	struct error err = { 0 };

	error_set(&err, EUCLEAN, "size is %d", 3);
	ck_assert_int_eq(error_wrap(&err, "item at %d", 7), -EUCLEAN);
	ck_assert_int_eq(error_wrap(&err, "lookup"), -EUCLEAN);
	ck_assert_str_eq(err.text, "lookup: item at 7: size is 3");
}
END_TEST

/* Any length of cause and context: the cause stays whole while it fits at all, and what is in
   front of it is the beginning of the context. */
START_TEST(when_room_runs_out_the_context_is_cut)
{
	const size_t room = sizeof(((struct error *)0)->text);
	char cause[600], context[600];
	struct error err = { 0 };

	for (size_t n = 1; n < sizeof(cause); n += 7) {
		for (size_t m = 1; m < sizeof(context); m += 31) {
			size_t kept = n < room - 1 ? n : room - 1, front;

			memset(cause, 'c', n);
			cause[n] = '\0';
			memset(context, 'x', m);
			context[m] = '\0';
			error_set(&err, EIO, "%s", cause);
			ck_assert_int_eq(error_wrap(&err, "%s", context), -EIO);
			ck_assert_uint_lt(strlen(err.text), room);
			ck_assert_uint_ge(strlen(err.text), kept);
			front = strlen(err.text) - kept;
			ck_assert_str_eq(err.text + front, cause + (n - kept));
			ck_assert_uint_le(front, m + 2);
			if (front) {
				ck_assert_uint_eq(strspn(err.text, "x"), front - 2);
				ck_assert(!memcmp(err.text + front - 2, ": ", 2));
			}
			if (n + m + 2 < room)
				ck_assert_uint_eq(front, m + 2);
		}
	}
}
END_TEST

START_TEST(names_are_printable_and_can_be_told_apart)
{
	char text[64];

	ck_assert_str_eq(error_name(text, sizeof(text), "plain name.txt", 14), "plain name.txt");
	ck_assert_str_eq(error_name(text, sizeof(text), "a\n\033\\\xff", 5),
			 "a\\x0a\\x1b\\x5c\\xff");
	ck_assert_str_eq(error_name(text, sizeof(text), "\\x0a", 4), "\\x5cx0a");
	ck_assert_str_eq(error_name(text, sizeof(text), "a\0b", 3), "a\\x00b");
	ck_assert_str_eq(error_name(text, sizeof(text), "", 0), "");
}
END_TEST

/* Every size that has room for the ellipsis, every mixture of plain and escaped bytes. */
START_TEST(names_never_leave_their_room)
{
	unsigned char name[255];
	char *text;

	for (size_t size = 8; size < 1200; size += 13) {
		for (size_t n = 0; n <= sizeof(name); n += 5) {
			for (size_t i = 0; i < n; i++)
				name[i] = (unsigned char)(i * 37 + n);
			text = malloc(
				size); /* its own block: a sanitizer sees the first byte past it */
			error_name(text, size, name, n);
			ck_assert_uint_lt(strlen(text), size);
			for (const char *c = text; *c; c++)
				ck_assert(*c >= 0x20 && *c < 0x7f);
			free(text);
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("error");
	TCase *tc = tcase_create("error");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_test(tc, the_code_is_negative_whichever_sign_was_given);
	tcase_add_test(tc, nobody_needs_to_want_the_text);
	tcase_add_test(tc, percent_m_is_the_errno_of_the_caller);
	tcase_add_test(tc, context_comes_before_the_cause);
	tcase_add_test(tc, when_room_runs_out_the_context_is_cut);
	tcase_add_test(tc, names_are_printable_and_can_be_told_apart);
	tcase_add_test(tc, names_never_leave_their_room);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
