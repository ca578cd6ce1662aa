#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/window.h"
#include "tests/unit/archives.h"

enum { SIZE = 10000, FILL = 512 };

static const struct io waiting = { .may_wait = true }, not_waiting = { .may_wait = false };

static struct buffer bytes;
static struct flaky source;
static struct window w;

static void setup(void)
{
	for (unsigned i = 0; i < SIZE; i++)
		buffer_add(&bytes, &(uint8_t){ (uint8_t)(i * 7 + (i >> 8)) }, 1);
	source = flaky_init(&bytes);
	w = window_init(&source.source, &waiting, FILL);
}

static void teardown(void)
{
	window_release(&w);
	buffer_release(&bytes);
}

static void check_get(uint64_t offset, size_t n)
{
	const uint8_t *at = NULL;

	ck_assert_int_eq(window_get(&w, offset, n, &at, NULL), 0);
	ck_assert(!memcmp(at, bytes.bytes + offset, n));
}

START_TEST(what_is_lent_are_the_bytes_of_the_source)
{
	uint8_t peeked[3000];

	srand(1);
	for (unsigned i = 0; i < 5000; i++) {
		uint64_t offset = (uint64_t)rand() % SIZE;
		size_t n = (size_t)rand() % (i % 3 ? 40 : 3000);

		if (n > SIZE - offset)
			n = (size_t)(SIZE - offset);
		check_get(offset, n);
		offset = offset / 2;
		ck_assert_int_eq(window_peek(&w, offset, peeked, n, NULL), 0);
		ck_assert(!memcmp(peeked, bytes.bytes + offset, n));
	}
}
END_TEST

START_TEST(a_row_of_small_reads_costs_one_of_the_source)
{
	for (unsigned i = 0; i < FILL / 16; i++)
		check_get(100 + 16 * i, 16);
	ck_assert_uint_eq(source.reads, 1);
	check_get(100 + FILL, 1);
	ck_assert_uint_eq(source.reads, 2);
}
END_TEST

START_TEST(peeking_elsewhere_leaves_the_window)
{
	uint8_t peeked[16];

	check_get(100, 16);
	ck_assert_int_eq(window_peek(&w, 8000, peeked, 16, NULL), 0);
	ck_assert(!memcmp(peeked, bytes.bytes + 8000, 16));
	ck_assert_int_eq(window_peek(&w, 110, peeked, 16, NULL), 0);
	check_get(120, 16);
	ck_assert_uint_eq(source.reads, 2);
}
END_TEST

START_TEST(the_end_of_the_source_is_the_end)
{
	const uint8_t *at;

	check_get(SIZE - 10, 10);
	check_get(SIZE, 0);
	ck_assert_int_eq(window_get(&w, SIZE - 10, 11, &at, NULL), -EIO);
	ck_assert_int_eq(window_get(&w, SIZE + 1, 1, &at, NULL), -EIO);
	ck_assert_int_eq(window_get(&w, UINT64_MAX, 16, &at, NULL), -EIO);
	check_get(SIZE - 10, 10);
}
END_TEST

START_TEST(unreadable_bytes_that_were_not_asked_for_do_not_matter)
{
	const uint8_t *at;

	source.bad = (struct range){ 300, 301 };
	check_get(0, 300);
	check_get(301, 300);
	ck_assert_int_eq(window_get(&w, 290, 11, &at, NULL), -EIO);
	check_get(250, 50);
	source.bad = (struct range){ 0, 0 };
	check_get(290, 11);
}
END_TEST

START_TEST(a_failed_read_leaves_nothing_behind)
{
	const uint8_t *at;

	check_get(0, 10);
	source.bad = (struct range){ 5000, 6000 };
	ck_assert_int_eq(window_get(&w, 5000, 10, &at, NULL), -EIO);
	check_get(0, 10);
	ck_assert_uint_eq(source.reads, 4); /* once more without what was not asked for */
}
END_TEST

START_TEST(waiting_is_passed_on)
{
	const uint8_t *at;
	uint8_t peeked[4];

	window_release(&w);
	w = window_init(&source.source, &not_waiting, FILL);
	source.waits = true;
	ck_assert_int_eq(window_get(&w, 0, 4, &at, NULL), 1);
	ck_assert_int_eq(window_peek(&w, 0, peeked, 4, NULL), 1);
	source.waits = false;
	check_get(0, 4);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("window");
	TCase *tc = tcase_create("window");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_is_lent_are_the_bytes_of_the_source);
	tcase_add_test(tc, a_row_of_small_reads_costs_one_of_the_source);
	tcase_add_test(tc, peeking_elsewhere_leaves_the_window);
	tcase_add_test(tc, the_end_of_the_source_is_the_end);
	tcase_add_test(tc, unreadable_bytes_that_were_not_asked_for_do_not_matter);
	tcase_add_test(tc, a_failed_read_leaves_nothing_behind);
	tcase_add_test(tc, waiting_is_passed_on);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
