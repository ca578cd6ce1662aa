#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/pattern.h"

static bool matches(const char *text, const char *path, bool is_dir)
{
	CLEANUP(pattern_freep) struct pattern *p = NULL;
	struct error err = { 0 };

	ck_assert_msg(pattern_parse(&p, text, strlen(text), &err) == 0, "%s: %s", text, err.text);
	return pattern_matches(p, path, strlen(path), is_dir);
}

static const struct {
	const char *pattern, *path;
	bool want;
} cases[] = {
	/* without a slash in front: at any depth */
	{ "a", "a", true },
	{ "a", "x/a", true },
	{ "a", "x/y/a", true },
	{ "a", "a/x", false },
	{ "a", "aa", false },
	{ "a/b", "a/b", true },
	{ "a/b", "x/a/b", true },
	{ "a/b", "xa/b", false },
	{ "a/b", "a/x/b", false },
	/* with one: at the root */
	{ "/a", "a", true },
	{ "/a", "x/a", false },
	{ "/a/b", "a/b", true },
	{ "/a/b", "x/a/b", false },
	/* one component at a time */
	{ "*", "a", true },
	{ "*", "x/a", true },
	{ "/*", "x/a", false },
	{ "*.tmp", ".tmp", true },
	{ "*.tmp", "x/y.tmp", true },
	{ "*.tmp", "x.tmp/y", false },
	{ "a*b*c", "axxbxxbxxc", true },
	{ "a*b*c", "axxbxxcx", false },
	{ "/a*c", "ab/c", false },
	{ "a?c", "abc", true },
	{ "a?c", "ac", false },
	{ "/a?c", "a/c", false },
	{ "?", ".", true },
	{ "*", ".hidden", true },
	/* any number of components */
	{ "/a/**/b", "a/b", true },
	{ "/a/**/b", "a/x/b", true },
	{ "/a/**/b", "a/x/y/b", true },
	{ "/a/**/b", "a/x/yb", false },
	{ "/a/**/b/**/c", "a/x/b/b/y/c", true },
	{ "/a/**", "a/x/y", true },
	{ "/a/**", "a", false },
	{ "**/a", "a", true },
	{ "/**/a", "x/y/a", true },
	{ "/**/**/a", "a", true },
	{ "**", "x/y", true },
	{ "/**/x/*", "x/y/x/z", true },
	/* which "**" is only as a component of its own */
	{ "/a**/b", "ax/b", true },
	{ "/a**/b", "ax/y/b", false },
	{ "/**a", "x/a", false },
	{ "/**a", "xa", true },
	{ "/a/***/b", "a/x/y/b", true },
	/* sets */
	{ "[abc]", "b", true },
	{ "[abc]", "d", false },
	{ "[a-c]", "b", true },
	{ "[c-a]", "b", true },
	{ "[a-c]", "-", false },
	{ "[a-]", "-", true },
	{ "[-a]", "-", true },
	{ "[^a-c]", "b", false },
	{ "[^a-c]", "d", true },
	{ "[!a-c]", "b", false },
	{ "[!a-c]", "d", true },
	{ "[a!]", "!", true },
	{ "[]]", "]", true },
	{ "[^]]", "]", false },
	{ "[\\]a]", "]", true },
	{ "[\\a-\\c]", "b", true },
	{ "[[:digit:]]", "7", true },
	{ "[[:digit:]_]x", "_x", true },
	{ "[^[:alpha:]]", "q", false },
	{ "[[:xdigit:]][[:upper:]]", "fQ", true },
	{ "[[]", "[", true },
	{ "/a[/]b", "a/b", false },
	{ "/a[^x]b", "a/b", false },
	{ "[\xc3]", "\xc3", true },
	/* escapes */
	{ "\\*", "*", true },
	{ "\\*", "a", false },
	{ "\\**", "*a", true },
	{ "a\\[b", "a[b", true },
	{ "\\!a", "!a", true },
	{ "\\a", "a", true },
	{ "/a\\/b", "a/b", true },
	{ "!a", "a", true },
	/* what no path can be */
	{ "a//b", "a/b", false },
	{ "//a", "a", false },
};

START_TEST(a_path_matches_as_documented)
{
	ck_assert_msg(matches(cases[_i].pattern, cases[_i].path, true) == cases[_i].want,
		      "'%s' and '%s'", cases[_i].pattern, cases[_i].path);
}
END_TEST

START_TEST(a_slash_behind_means_directories)
{
	ck_assert(matches("a/", "x/a", true));
	ck_assert(!matches("a/", "x/a", false));
	ck_assert(matches("/a//", "a", true));
	ck_assert(!matches("/a//", "a", false));
	ck_assert(matches("a", "a", false));
}
END_TEST

static const char *const bad[] = { "",	  "!",	 "/",	       "!//",		"[",  "[a",  "[]",
				   "[^]", "[a-", "[[:digit:]", "[[:nodigit:]]", "\\", "a\\", "a\\/",
				   "[\\" };

START_TEST(what_is_no_pattern_is_refused)
{
	CLEANUP(pattern_freep) struct pattern *p = NULL;
	struct error err = { 0 };

	ck_assert_msg(pattern_parse(&p, bad[_i], strlen(bad[_i]), &err) == -EINVAL, "%s", bad[_i]);
	ck_assert(*err.text);
}
END_TEST

START_TEST(nul_and_length_are_refused)
{
	static char text[PATTERN_MAX + 1];
	CLEANUP(pattern_freep) struct pattern *p = NULL;

	memset(text, 'a', sizeof(text));
	ck_assert_int_eq(pattern_parse(&p, text, PATTERN_MAX + 1, NULL), -EINVAL);
	ck_assert_int_eq(pattern_parse(&p, "a\0b", 3, NULL), -EINVAL);
	ck_assert_int_eq(pattern_parse(&p, text, PATTERN_MAX, NULL), 0);
}
END_TEST

START_TEST(the_last_pattern_that_matches_decides)
{
	CLEANUP(pattern_list_release) struct pattern_list list = { 0 };

	ck_assert(!pattern_list_excludes(&list, "a.o", 3, false));
	ck_assert_int_eq(pattern_list_add(&list, "*.o", 3, 0, NULL), 0);
	ck_assert_int_eq(pattern_list_add(&list, "!keep*", 6, 0, NULL), 0);
	ck_assert_int_eq(pattern_list_add(&list, "keep-not.o", 10, 0, NULL), 0);
	ck_assert(pattern_list_excludes(&list, "a.o", 3, false));
	ck_assert(!pattern_list_excludes(&list, "keep.o", 6, false));
	ck_assert(pattern_list_excludes(&list, "keep-not.o", 10, false));
	pattern_list_truncate(&list, 2);
	ck_assert(!pattern_list_excludes(&list, "keep-not.o", 10, false));
}
END_TEST

START_TEST(a_pattern_is_relative_to_its_own_root)
{
	CLEANUP(pattern_list_release) struct pattern_list list = { 0 };

	ck_assert_int_eq(pattern_list_add(&list, "/a", 2, 4, NULL), 0);
	ck_assert_int_eq(pattern_list_add(&list, "*/b", 3, 4, NULL), 0);
	ck_assert(pattern_list_excludes(&list, "sub/a", 5, false));
	ck_assert(!pattern_list_excludes(&list, "sub/x/a", 7, false));
	ck_assert(!pattern_list_excludes(&list, "sub/b", 5, false));
	ck_assert(pattern_list_excludes(&list, "sub/x/b", 7, false));
}
END_TEST

START_TEST(patterns_print_as_they_are_recorded)
{
	CLEANUP(pattern_list_release) struct pattern_list list = { 0 };
	CLEANUP(buffer_release) struct buffer out = { 0 };

	ck_assert_int_eq(pattern_list_add(&list, "/a//", 4, 0, NULL), 0);
	ck_assert_int_eq(pattern_list_add(&list, "!b*[c\\]]", 8, 0, NULL), 0);
	pattern_list_print(&list, &out);
	ck_assert_uint_eq(out.len, 13);
	ck_assert_mem_eq(out.bytes, "/a/\n!b*[c\\]]\n", 13);
}
END_TEST

/* Matchers that try every way a star can go never come back from these. */
static const struct {
	const char *unit, *end;
	char path;
} slow[] = { { "*a", "b", 'a' }, { "**/*a*/", "b", 0 }, { "?*", "[^a]", 'a' } };

START_TEST(no_pattern_takes_exponential_time)
{
	CLEANUP(pattern_freep) struct pattern *p = NULL;
	char text[PATTERN_MAX + 1] = "", path[PATTERN_MAX];
	clock_t start = clock();

	while (strlen(text) < PATTERN_MAX - 16)
		strcat(text, slow[_i].unit);
	strcat(text, slow[_i].end);
	for (size_t i = 0; i < sizeof(path); i++)
		path[i] = slow[_i].path ? slow[_i].path : "a/"[i % 2];
	ck_assert_int_eq(pattern_parse(&p, text, strlen(text), NULL), 0);
	ck_assert(!pattern_matches(p, path, sizeof(path) - 1, false));
	ck_assert_int_lt((clock() - start) / CLOCKS_PER_SEC, 5);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pattern");
	TCase *tc = tcase_create("pattern");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_loop_test(tc, a_path_matches_as_documented, 0,
			    (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(tc, a_slash_behind_means_directories);
	tcase_add_loop_test(tc, what_is_no_pattern_is_refused, 0,
			    (int)(sizeof(bad) / sizeof(bad[0])));
	tcase_add_test(tc, nul_and_length_are_refused);
	tcase_add_test(tc, the_last_pattern_that_matches_decides);
	tcase_add_test(tc, a_pattern_is_relative_to_its_own_root);
	tcase_add_test(tc, patterns_print_as_they_are_recorded);
	tcase_add_loop_test(tc, no_pattern_takes_exponential_time, 0, 3);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
