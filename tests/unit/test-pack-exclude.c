#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tools/pack-exclude.h"

static const struct {
	const char *text;
	bool want;
} utf8[] = {
	{ "", true },
	{ "plain", true },
	{ "\xc3\xa9", true },
	{ "\xe2\x82\xac", true },
	{ "\xf0\x9f\x98\x80", true },
	{ "\xf4\x8f\xbf\xbf", true },
	{ "\x80", false },
	{ "\xff", false },
	{ "\xc3", false },
	{ "\xe2\x82", false },
	{ "\xe2\x82z", false },
	{ "\xc0\xaf", false },	       /* longer than it need be */
	{ "\xe0\x80\xaf", false },     /* likewise */
	{ "\xf0\x80\x80\xaf", false }, /* likewise */
	{ "\xed\xa0\x80", false },     /* half of a pair */
	{ "\xf4\x90\x80\x80", false }, /* beyond the last character */
};

START_TEST(utf8_is_told_from_what_is_not)
{
	ck_assert_msg(exclude_is_utf8(utf8[_i].text) == utf8[_i].want, "case %d", _i);
}
END_TEST

static const struct {
	const char *pattern, *json;
} recorded[] = {
	{ "x", "{\"exclude-patterns\":\"x\\n\"}" },
	{ "!/x//", "{\"exclude-patterns\":\"!/x/\\n\"}" },
	{ "a\"\\\\", "{\"exclude-patterns\":\"a\\\"\\\\\\\\\\n\"}" },
	{ "\b\f\r\t\x01\x1f", "{\"exclude-patterns\":\"\\b\\f\\r\\t\\u0001\\u001f\\n\"}" },
	{ "\x7f\xc3\xa9", "{\"exclude-patterns\":\"\x7f\xc3\xa9\\n\"}" },
};

START_TEST(patterns_are_recorded_as_json)
{
	CLEANUP(pattern_list_release) struct pattern_list list = { 0 };
	CLEANUP(buffer_release) struct buffer out = { 0 };
	const char *p = recorded[_i].pattern;

	ck_assert_int_eq(pattern_list_add(&list, p, strlen(p), 0, NULL), 0);
	exclude_print_json(&list, &out);
	buffer_add(&out, "", 1);
	ck_assert_str_eq((const char *)out.bytes, recorded[_i].json);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pack-exclude");
	TCase *tc = tcase_create("pack-exclude");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_loop_test(tc, utf8_is_told_from_what_is_not, 0,
			    (int)(sizeof(utf8) / sizeof(utf8[0])));
	tcase_add_loop_test(tc, patterns_are_recorded_as_json, 0,
			    (int)(sizeof(recorded) / sizeof(recorded[0])));
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
