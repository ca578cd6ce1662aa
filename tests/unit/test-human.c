#include <check.h>
#include <stdlib.h>

#include "tools/human.h"

static const struct {
	uint64_t bytes;
	const char *text;
} cases[] = {
	{ 0, "0 B" },
	{ 1, "1 B" },
	{ 987, "987 B" },
	{ 1022, "1022 B" },
	{ 1024, "1 KiB" },
	{ 9000, "8.789 KiB" },
	{ 10240, "10 KiB" },
	{ 10000000, "9.537 MiB" },
	{ 10000000000, "9.313 GiB" },
	{ 1181783497, "1.101 GiB" },
	{ 10000000000000, "9.095 TiB" },
	{ (UINT64_C(1) << 51) + (UINT64_C(1) << 49), "2.5 PiB" },
	{ UINT64_MAX, "16384 PiB" },
};

START_TEST(sizes_read_as_those_of_the_reference)
{
	char text[HUMAN_SIZE_MAX];

	ck_assert_str_eq(human_size(text, cases[_i].bytes), cases[_i].text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("human");
	TCase *tc = tcase_create("human");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_loop_test(tc, sizes_read_as_those_of_the_reference, 0,
			    (int)(sizeof(cases) / sizeof(cases[0])));
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
