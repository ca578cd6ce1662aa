#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "core/decoder.h"
#include "core/walk.h"
#include "tests/unit/archives.h"

static const atomic_bool go = false, stopped = true;

static struct archive a;
static struct flaky meta, payload;
static struct accessor *acc;
static struct walk *walk;
static struct error err;

static void use(struct archive made)
{
	a = made;
	meta = flaky_init(&a.meta);
	payload = flaky_init(&a.payload);
	ck_assert_int_eq(
		accessor_open(&acc, &meta.source, a.split ? &payload.source : NULL, false, &err),
		0);
}

static void teardown(void)
{
	walk_free(TAKE(walk));
	accessor_free(TAKE(acc));
	archive_release(&a);
}

static const struct walk_totals *run(void)
{
	walk_free(TAKE(walk));
	ck_assert_msg(walk_run(&walk, acc, &go, NULL, &err) == 0, "%s", err.text);
	return walk_totals(walk);
}

static uint64_t number_of(const char *name)
{
	uint64_t start = archive_name(&a, name);

	return (start + archive_get64(&a, start + 8)) | ENTRY_NON_DIRECTORY;
}

START_TEST(all_that_is_shown_is_counted)
{
	const struct walk_totals *totals;

	use(archive_sample(_i));
	totals = run();
	ck_assert_uint_eq(totals->entries, 17);
	ck_assert_uint_eq(totals->bytes, 6 + 10 + 9 + 3);
	ck_assert_uint_eq(totals->damaged, 0);
	ck_assert(totals->attributes);
	ck_assert_uint_eq(walk_links(walk, number_of("a")), 3);
	ck_assert_uint_eq(walk_links(walk, number_of("dressed")), 1);
	ck_assert_uint_eq(walk_links(walk, ENTRY_ROOT), 1);
	ck_assert_uint_eq(walk_links(walk, 0), 1);
	ck_assert_uint_eq(walk_links(walk, UINT64_MAX), 1);
}
END_TEST

START_TEST(an_archive_without_attributes_is_told_apart)
{
	struct raw raw;

	use(archive_wide(_i, 10));
	ck_assert(!run()->attributes);
	ck_assert_uint_eq(walk_totals(walk)->entries, 12);
	teardown();
	for (unsigned i = 0; i < 4; i++) { /* in the root, in a file */
		raw_begin(&raw);
		if (i == 0)
			format_encode_u64(&raw.bytes, FORMAT_QUOTA_PROJID, 1);
		raw_name(&raw, "x", 1);
		raw_stat(&raw, S_IFIFO);
		if (i == 1)
			format_encode_xattr(&raw.bytes, "user.x", 6, "", 0);
		if (i == 2)
			format_encode_bytes(&raw.bytes, FORMAT_FCAPS, "", 0);
		raw_end(&raw);
		use(raw_finish(&raw));
		ck_assert(run()->attributes == (i < 3));
		teardown();
	}
}
END_TEST

/* Enough of them, to few targets and to many, that what is kept is merged and grown. */
START_TEST(links_are_counted_exactly_in_whatever_number)
{
	static const unsigned many[][2] = { { 1, 5000 }, { 100, 60 }, { 3000, 1 }, { 2000, 3 } };

	for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++) {
		unsigned targets = many[i][0], links = many[i][1];
		uint64_t *starts = calloc(targets, sizeof(*starts));

		use(archive_links(targets, links, starts));
		ck_assert_uint_eq(run()->entries, 1 + targets * (1 + links));
		for (unsigned t = 0; t < targets; t++) {
			uint64_t item = starts[t] + archive_get64(&a, starts[t] + 8);

			ck_assert_uint_eq(walk_links(walk, item | ENTRY_NON_DIRECTORY), 1 + links);
		}
		free(starts);
		teardown();
	}
}
END_TEST

START_TEST(damage_costs_only_itself)
{
	uint64_t record, at;

	use(archive_sample(_i));
	at = archive_item(&a, archive_name(&a, "dir"), FORMAT_GOODBYE); /* hollow's */
	archive_put64(&a, at, FORMAT_FILENAME);
	ck_assert_uint_eq(run()->damaged, 1);
	ck_assert_uint_eq(walk_totals(walk)->entries, 17);
	archive_put64(&a, at, FORMAT_GOODBYE);

	archive_table(&a, archive_name(&a, "inner"), &record);
	archive_put64(&a, record + 16, 1);
	ck_assert_uint_eq(run()->damaged, 1);
	ck_assert_uint_eq(walk_totals(walk)->entries, 16); /* what is in it is out of reach */

	archive_table(&a, archive_name(&a, "dir"), &record);
	archive_put64(&a, record + 8, 0);
	ck_assert_uint_eq(run()->damaged, 1);
	ck_assert_uint_eq(walk_totals(walk)->entries, 10);
	ck_assert_uint_eq(walk_links(walk, number_of("a")), 2);
}
END_TEST

START_TEST(a_link_to_what_is_no_file_counts_for_no_file)
{
	uint64_t hard;

	use(archive_sample(false));
	hard = archive_item(&a, archive_name(&a, "hard"), FORMAT_HARDLINK);
	archive_put64(&a, hard + 16, archive_name(&a, "hard") - archive_name(&a, "dir"));
	ck_assert_uint_eq(run()->damaged, 0);
	ck_assert_uint_eq(walk_links(walk, number_of("a")), 2);
	ck_assert_uint_eq(walk_links(walk, number_of("dressed")), 1);
}
END_TEST

/* A file with thousands of items, each of which may be taken for where another file begins, and as
   many links that lead there. */
static struct archive shared(void)
{
	enum { N = 2000, UNIT = 91, ITEMS = 24000, LINKS = 4000 };
	struct format_stat st = { .mode = S_IFDIR };
	struct archive made = { 0 };
	struct buffer *b = &made.meta, records = { 0 };
	uint64_t at = FORMAT_ENTRY_SIZE, goodbye;

	format_encode_stat(b, &st);
	st.mode = S_IFREG;
	for (unsigned i = 0; i < N; i++) {
		format_encode_string(b, FORMAT_FILENAME, "n", 1);
		format_encode_stat(b, &st);
		format_encode_header(b, FORMAT_XATTR,
				     (i < N - 600 ? 600 : N - i) * UNIT - FORMAT_HEADER_SIZE);
		buffer_add(b, "", 1); /* the end of its name */
	}
	format_encode_string(b, FORMAT_FILENAME, "n", 1);
	format_encode_stat(b, &st);
	for (unsigned i = 0; i < ITEMS; i++)
		format_encode_bytes(b, FORMAT_XATTR, "", 1);
	format_encode_bytes(b, FORMAT_PAYLOAD, "", 0);
	goodbye = b->len + LINKS * 44;
	format_encode_record(&records, &(struct format_record){ 0, goodbye - at, b->len - at });
	for (unsigned i = 0; i < LINKS; i++) {
		at = b->len;
		format_encode_string(b, FORMAT_FILENAME, "l", 1);
		format_encode_hardlink(b, at - FORMAT_ENTRY_SIZE - i % N * UNIT, "n", 1);
		format_encode_record(&records, &(struct format_record){ 1, goodbye - at, 44 });
	}
	format_encode_record(&records,
			     &(struct format_record){ FORMAT_GOODBYE_TAIL, goodbye,
						      FORMAT_HEADER_SIZE + records.len + 24 });
	format_encode_bytes(b, FORMAT_GOODBYE, records.bytes, records.len);
	buffer_release(&records);
	return made;
}

START_TEST(links_into_the_items_of_one_file_cost_no_more_than_others)
{
	clock_t began;

	use(shared());
	began = clock();
	ck_assert_uint_eq(run()->damaged, 0);
	ck_assert_int_lt(clock() - began, CLOCKS_PER_SEC); /* took three */
}
END_TEST

START_TEST(depth_is_limited)
{
	use(archive_deep(DIR_DEPTH_MAX));
	ck_assert_uint_eq(run()->entries, 1 + DIR_DEPTH_MAX);
	ck_assert_uint_eq(walk_totals(walk)->damaged, 0);
	teardown();
	use(archive_deep(20000));
	ck_assert_uint_eq(run()->entries, 2 + DIR_DEPTH_MAX);
	ck_assert_uint_eq(walk_totals(walk)->damaged, 1);
}
END_TEST

static void count_rest(void *arg)
{
	++*(unsigned *)arg;
}

START_TEST(it_may_rest_before_each_directory)
{
	unsigned rests = 0, dirs = 0;
	struct walk_pace pace = { .rest = count_rest, .arg = &rests };
	struct decoder_item item = { .event = DECODER_LEAVE };
	struct decoder *d;

	use(archive_sample(false));
	ck_assert_int_eq(walk_run(&walk, acc, &go, &pace, &err), 0);
	ck_assert_int_eq(
		decoder_open(&d, &meta.source, NULL, &(struct io){ .may_wait = true }, &err), 0);
	while (item.event != DECODER_END) {
		ck_assert_int_eq(decoder_next(d, &item, &err), 0);
		dirs += item.event == DECODER_LEAVE;
	}
	decoder_free(d);
	ck_assert_uint_eq(rests, dirs);
}
END_TEST

START_TEST(it_can_be_stopped)
{
	use(archive_wide(false, 10));
	ck_assert_int_eq(walk_run(&walk, acc, &stopped, NULL, &err), -ECANCELED);
	ck_assert_ptr_null(walk);
}
END_TEST

START_TEST(unreadable_parts_are_counted_as_damage)
{
	unsigned reads;

	use(archive_sample(_i));
	meta.reads = 0;
	run();
	reads = meta.reads;
	for (unsigned i = 1; i <= reads; i++) {
		meta.reads = 0;
		meta.bad_one = i;
		run();
		ck_assert_uint_le(walk_totals(walk)->damaged, 1);
	}
	meta.bad_one = 0;
	ck_assert_uint_eq(run()->damaged, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("walk");
	TCase *tc = tcase_create("walk");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_loop_test(tc, all_that_is_shown_is_counted, 0, 2);
	tcase_add_loop_test(tc, an_archive_without_attributes_is_told_apart, 0, 2);
	tcase_add_test(tc, links_are_counted_exactly_in_whatever_number);
	tcase_add_loop_test(tc, damage_costs_only_itself, 0, 2);
	tcase_add_test(tc, a_link_to_what_is_no_file_counts_for_no_file);
	tcase_add_test(tc, links_into_the_items_of_one_file_cost_no_more_than_others);
	tcase_add_test(tc, depth_is_limited);
	tcase_add_test(tc, it_may_rest_before_each_directory);
	tcase_add_test(tc, it_can_be_stopped);
	tcase_add_loop_test(tc, unreadable_parts_are_counted_as_damage, 0, 2);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
