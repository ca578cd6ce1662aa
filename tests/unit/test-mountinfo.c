#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "daemon/mountinfo.h"

static const struct {
	const char *line, *path, *type, *source; /* path NULL: not a line of the table */
} lines[] = {
	{ "36 35 98:0 / /mnt rw,relatime shared:1 - fuse.pxar /a.pxar ro,user_id=0\n", "/mnt",
	  "fuse.pxar", "/a.pxar" },
	{ "36 35 98:0 / / rw - ext4 /dev/sda1 rw", "/", "ext4", "/dev/sda1" },
	{ "1 2 3:4 /r /p rw shared:1 master:2 propagate_from:3 - t s o\n", "/p", "t", "s" },
	{ "1 2 3:4 / /a\\040b\\011c\\012d\\134e rw - t /x\\040y o\n", "/a b\tc\nd\\e", "t",
	  "/x y" },
	{ "1 2 3:4 / /a\\777\\04\\8\\ rw - t \\377 o\n", "/a\\777\\04\\8\\", "t", "\377" },
	{ "1 2 3:4 / /p rw - t  o\n", "/p", "t", "" },
	{ "1 2 3:4 / /p rw - t s", "/p", "t", "s" },
	{ "1 2 3:4 / /p rw - t", NULL, NULL, NULL },
	{ "1 2 3:4 / /p rw -", NULL, NULL, NULL },
	{ "1 2 3:4 / /p rw shared:1", NULL, NULL, NULL },
	{ "1 2 3:4 / - t s o", NULL, NULL, NULL },
	{ "1 2", NULL, NULL, NULL },
	{ "\n", NULL, NULL, NULL },
	{ "", NULL, NULL, NULL },
};

START_TEST(a_line_gives_path_type_and_source)
{
	CLEANUP(freep) char *line = strdup(lines[_i].line);
	struct mountinfo m;

	if (!lines[_i].path) {
		ck_assert(!mountinfo_parse(line, &m));
		return;
	}
	ck_assert_msg(mountinfo_parse(line, &m), "%s", lines[_i].line);
	ck_assert_str_eq(m.path, lines[_i].path);
	ck_assert_str_eq(m.type, lines[_i].type);
	ck_assert_str_eq(m.source, lines[_i].source);
}
END_TEST

/* The kernel's escaping and its undoing are each other's inverse. */
START_TEST(every_byte_can_be_in_a_path)
{
	char text[64], path[] = "/?";
	struct mountinfo m;

	for (unsigned c = 1; c < 256; c++) {
		snprintf(text, sizeof(text), "1 2 3:4 / /\\%03o rw - t s o", c);
		path[1] = (char)c;
		ck_assert(mountinfo_parse(text, &m));
		ck_assert_str_eq(m.path, path);
	}
}
END_TEST

START_TEST(the_own_table_is_searched)
{
	CLEANUP(freep) char *line = NULL, *none = NULL;
	struct error err = { 0 };
	struct mountinfo m;

	ck_assert_int_eq(mountinfo_find("/", &line, &m, &err), 0);
	ck_assert_str_eq(m.path, "/");
	ck_assert_int_eq(mountinfo_find("/no/such mount", &none, &m, &err), 1);
	ck_assert_ptr_null(none);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mountinfo");
	TCase *tc = tcase_create("mountinfo");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_loop_test(tc, a_line_gives_path_type_and_source, 0,
			    (int)(sizeof(lines) / sizeof(*lines)));
	tcase_add_test(tc, every_byte_can_be_in_a_path);
	tcase_add_test(tc, the_own_table_is_searched);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
