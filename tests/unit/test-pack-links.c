#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "tools/pack-links.h"

START_TEST(what_was_added_is_found_and_nothing_else)
{
	CLEANUP(links_release) struct links links = { 0 };
	const struct links_entry *e;
	char path[32];

	ck_assert_ptr_null(links_find(&links, 1, 1));
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(path, sizeof(path), "f%u", i);
		ck_assert_int_eq(links_add(&links, i % 3, i, i * 10, path, NULL), 0);
	}
	for (unsigned i = 0; i < 5000; i++) {
		e = links_find(&links, i % 3, i);
		snprintf(path, sizeof(path), "f%u", i);
		ck_assert_ptr_nonnull(e);
		ck_assert_uint_eq(e->start, i * 10);
		ck_assert_str_eq(e->path, path);
		ck_assert_ptr_null(links_find(&links, (i + 1) % 3, i));
	}
	ck_assert_ptr_null(links_find(&links, 0, 5001));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pack-links");
	TCase *tc = tcase_create("pack-links");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_test(tc, what_was_added_is_found_and_nothing_else);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
