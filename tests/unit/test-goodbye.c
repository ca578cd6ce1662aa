#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/goodbye.h"
#include "tests/unit/archives.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct io waiting = { .may_wait = true }, not_waiting = { .may_wait = false };

/* A table of `count` records with children of CHILD bytes before it; no child is ever read. */
enum { ENTRY = 100, CHILD = 64 };

static struct buffer bytes;
static struct flaky source;
static struct window w;
static struct goodbye g;

static uint64_t write_table(const struct format_record *records, size_t count)
{
	uint64_t at = ENTRY + FORMAT_ENTRY_SIZE + count * CHILD;
	struct format_record tail = { FORMAT_GOODBYE_TAIL, at - ENTRY,
				      FORMAT_HEADER_SIZE + (count + 1) * FORMAT_RECORD_SIZE };

	buffer_reset(&bytes);
	while (bytes.len < at)
		buffer_add(&bytes, "", 1);
	format_encode_header(&bytes, FORMAT_GOODBYE, tail.size - FORMAT_HEADER_SIZE);
	for (size_t i = 0; i < count; i++)
		format_encode_record(&bytes, &records[i]);
	format_encode_record(&bytes, &tail);
	source = flaky_init(&bytes);
	window_release(&w);
	w = window_init(&source.source, &waiting, 512);
	return at;
}

/* Records as an encoder has them, of the i-th child: offsets tell them apart. */
static void child_record(struct format_record *record, size_t i, size_t count, uint64_t hash)
{
	*record = (struct format_record){ hash, (count - i) * CHILD, CHILD };
}

static uint64_t child_start(size_t i)
{
	return ENTRY + FORMAT_ENTRY_SIZE + i * CHILD;
}

static void teardown(void)
{
	window_release(&w);
	buffer_release(&bytes);
}

START_TEST(tables_are_permuted_as_the_format_lists)
{
	static const uint64_t want[][10] = {
		{ 0 },
		{ 1, 0 },
		{ 1, 0, 2 },
		{ 2, 1, 3, 0 },
		{ 3, 1, 4, 0, 2 },
		{ 3, 1, 5, 0, 2, 4 },
		{ 3, 1, 5, 0, 2, 4, 6 },
		{ 4, 2, 6, 1, 3, 5, 7, 0 },
		{ 5, 3, 7, 1, 4, 6, 8, 0, 2 },
		{ 6, 3, 8, 1, 5, 7, 9, 0, 2, 4 },
	};
	struct format_record records[10];

	for (size_t n = 1; n <= 10; n++) {
		for (size_t i = 0; i < n; i++) /* handed over backwards: it sorts */
			records[i] = (struct format_record){ .hash = n - 1 - i };
		ck_assert_int_eq(goodbye_build(records, n, NULL), 0);
		for (size_t i = 0; i < n; i++)
			ck_assert_uint_eq(records[i].hash, want[n - 1][i]);
	}
}
END_TEST

/* The other definition of the order, by how many records are to the left of each root. */
static void place(const struct format_record *sorted, size_t lo, size_t count, size_t node,
		  struct format_record *out)
{
	size_t height = 0, half, last, left;

	if (!count)
		return;
	while (count >> (height + 1))
		height++;
	half = ((size_t)1 << height) / 2;
	last = count - (((size_t)1 << height) - 1);
	left = (height ? half - 1 : 0) + (last < half ? last : half);
	out[node] = sorted[lo + left];
	place(sorted, lo, left, 2 * node + 1, out);
	place(sorted, lo + left + 1, count - left - 1, 2 * node + 2, out);
}

START_TEST(walking_the_tree_in_order_places_as_counting_does)
{
	enum { MAX = 3000 };
	struct format_record *sorted = calloc(MAX, sizeof(*sorted));
	struct format_record *built = calloc(MAX, sizeof(*built));
	struct format_record *placed = calloc(MAX, sizeof(*placed));

	for (size_t i = 0; i < MAX; i++)
		sorted[i] = (struct format_record){ .hash = i * i, .offset = i };
	for (size_t n = 0; n < MAX; n++) {
		memcpy(built, sorted, n * sizeof(*built));
		ck_assert_int_eq(goodbye_build(built, n, NULL), 0);
		place(sorted, 0, n, 0, placed);
		ck_assert(!memcmp(built, placed, n * sizeof(*built)));
	}
	free(sorted);
	free(built);
	free(placed);
}
END_TEST

START_TEST(equal_hashes_keep_their_order)
{
	struct format_record records[3];

	for (size_t i = 0; i < 3; i++)
		records[i] = (struct format_record){ .hash = 5, .offset = i };
	ck_assert_int_eq(goodbye_build(records, 3, NULL), 0);
	ck_assert_uint_eq(records[1].offset, 0);
	ck_assert_uint_eq(records[0].offset, 1);
	ck_assert_uint_eq(records[2].offset, 2);
}
END_TEST

static int by_start(const void *a, const void *b)
{
	const struct goodbye_child *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* All with one hash, found in the tree and by looking at each. */
static void check_hash(const struct goodbye_child *all, size_t count, uint64_t hash)
{
	struct goodbye_child found[400];
	size_t n, want = 0;

	ck_assert_int_eq(goodbye_find(&w, &g, hash, found, COUNT(found), &n, NULL), 0);
	qsort(found, n, sizeof(found[0]), by_start);
	for (size_t i = 0; i < count; i++) {
		if (all[i].hash != hash)
			continue;
		ck_assert_uint_lt(want, n);
		ck_assert(found[want].start == all[i].start && found[want].hash == hash &&
			  found[want].size == all[i].size);
		want++;
	}
	ck_assert_uint_eq(n, want);
}

/* With few hashes, every node has equals in both subtrees. */
START_TEST(every_record_is_found_by_its_hash)
{
	static const unsigned hashes[] = { 1, 2, 3, 10, 1000000 };
	struct format_record records[300];
	struct goodbye_child all[300];

	srand(1);
	for (size_t n = 0; n < 300; n += n < 40 ? 1 : 13) {
		unsigned many = hashes[(size_t)rand() % COUNT(hashes)];

		for (size_t i = 0; i < n; i++)
			child_record(&records[i], i, n, 2 * ((unsigned)rand() % many) + 1);
		ck_assert_int_eq(goodbye_build(records, n, NULL), 0);
		write_table(records, n);
		ck_assert_int_eq(goodbye_open(&w, bytes.len, &g, NULL), 0);
		ck_assert_uint_eq(g.count, n);
		ck_assert_uint_eq(g.entry, ENTRY);
		ck_assert_int_eq(goodbye_read(&w, &g, all, NULL), 0);
		qsort(all, n, sizeof(all[0]), by_start);
		for (size_t i = 0; i < n; i++) {
			ck_assert_uint_eq(all[i].start, child_start(i));
			check_hash(all, n, all[i].hash);
			check_hash(all, n, all[i].hash + 1); /* there is none */
		}
		check_hash(all, n, 0);
		check_hash(all, n, UINT64_MAX);
	}
}
END_TEST

START_TEST(finding_takes_about_one_read_for_each_level)
{
	enum { N = 10000 };
	struct format_record *records = calloc(N, sizeof(*records));
	struct goodbye_child found[2];
	size_t n;

	for (size_t i = 0; i < N; i++)
		child_record(&records[i], i, N, i * 3);
	ck_assert_int_eq(goodbye_build(records, N, NULL), 0);
	write_table(records, N);
	ck_assert_int_eq(goodbye_open(&w, bytes.len, &g, NULL), 0);
	for (size_t i = 0; i < 3 * N; i += 7) {
		source.reads = 0;
		ck_assert_int_eq(goodbye_find(&w, &g, i, found, 2, &n, NULL), 0);
		ck_assert_uint_eq(n, i % 3 == 0);
		ck_assert_uint_le(source.reads, 28);
	}
	free(records);
}
END_TEST

/* However many there are, and in whatever order: no more is read than what is asked for. */
START_TEST(equal_hashes_without_end_cost_no_more_than_the_limit)
{
	enum { N = 20000, MAX = 16 };
	struct format_record *records = calloc(N, sizeof(*records));
	struct goodbye_child found[MAX];
	size_t n;

	for (size_t i = 0; i < N; i++)
		child_record(&records[i], i, N, 42);
	write_table(records, N);
	ck_assert_int_eq(goodbye_open(&w, bytes.len, &g, NULL), 0);
	source.reads = 0;
	ck_assert_int_eq(goodbye_find(&w, &g, 42, found, MAX, &n, NULL), 0);
	ck_assert_uint_eq(n, MAX);
	ck_assert_uint_le(source.reads, 2 * MAX);
	free(records);
}
END_TEST

START_TEST(children_outside_of_the_directory_have_no_start)
{
	struct format_record records[3];
	struct goodbye_child all[3];

	for (size_t i = 0; i < 3; i++)
		child_record(&records[i], i, 3, i);
	records[0].offset = 3 * CHILD + FORMAT_ENTRY_SIZE; /* the directory itself */
	records[1].offset = 3 * CHILD + FORMAT_ENTRY_SIZE + 1;
	records[2].offset = UINT64_MAX;
	write_table(records, 3);
	ck_assert_int_eq(goodbye_open(&w, bytes.len, &g, NULL), 0);
	ck_assert_int_eq(goodbye_read(&w, &g, all, NULL), 0);
	ck_assert_uint_eq(all[0].start, ENTRY);
	ck_assert_uint_eq(all[1].start, 0);
	ck_assert_uint_eq(all[2].start, 0);
}
END_TEST

/* Of a table with one record, written over at an offset from its GOODBYE item. */
static const struct {
	const char *name;
	size_t at;
	uint64_t value;
} damage[] = {
	{ "not a GOODBYE", 0, FORMAT_FILENAME },
	{ "no item at all", 0, 1 },
	{ "header larger than the tail says", 8, 16 + 3 * 24 },
	{ "header smaller than the tail says", 8, 16 + 1 * 24 },
	{ "header without its own size", 8, 0 },
	{ "no tail marker", 40, FORMAT_GOODBYE },
	{ "directory at the table", 48, 0 },
	{ "directory nearer than an ENTRY is long", 48, 47 },
	{ "directory before the archive", 48, ENTRY + FORMAT_ENTRY_SIZE + CHILD + 1 },
	{ "directory far before the archive", 48, UINT64_MAX },
	{ "size 0", 56, 0 },
	{ "size of no record and no tail", 56, 16 },
	{ "size that is no row of records", 56, 65 },
	{ "size of another number of records", 56, 40 },
	{ "size beyond the beginning", 56, 16 + 24 * 1000 },
	{ "size that wraps", 56, UINT64_MAX - 7 },
};

START_TEST(damaged_tables_are_refused)
{
	struct format_record record;
	struct error err = { 0 };
	uint64_t at;

	child_record(&record, 0, 1, 5);
	at = write_table(&record, 1);
	ck_assert_int_eq(goodbye_open(&w, bytes.len, &g, NULL), 0);
	for (unsigned i = 0; i < 8; i++)
		bytes.bytes[at + damage[_i].at + i] = (uint8_t)(damage[_i].value >> (8 * i));
	window_release(&w);
	w = window_init(&source.source, &waiting, 512);
	ck_assert_msg(goodbye_open(&w, bytes.len, &g, &err) == -EUCLEAN, "%s: %s", damage[_i].name,
		      err.text);
}
END_TEST

START_TEST(more_records_than_there_is_room_for_children_are_refused)
{
	struct format_record records[100];
	size_t n = 100;

	for (size_t i = 0; i < n; i++)
		child_record(&records[i], 0, n, i);
	write_table(records, n);
	/* The tail brings the directory nearer, where fewer children can be. */
	for (uint64_t back = n * CHILD; back > 48; back -= 8) {
		bytes.bytes[bytes.len - 16] = (uint8_t)back;
		bytes.bytes[bytes.len - 15] = (uint8_t)(back >> 8);
		ck_assert_int_eq(goodbye_open(&w, bytes.len, &g, NULL),
				 back >= n * 44 ? 0 : -EUCLEAN);
	}
}
END_TEST

START_TEST(tables_before_which_there_is_nothing_are_refused)
{
	struct error err = { 0 };

	write_table(NULL, 0);
	for (uint64_t end = 0; end < 24; end++)
		ck_assert_int_eq(goodbye_open(&w, end, &g, &err), -EUCLEAN);
	ck_assert_int_eq(goodbye_open(&w, bytes.len + 1, &g, &err), -EIO);
}
END_TEST

START_TEST(trouble_with_reading_is_passed_on)
{
	struct format_record records[20];
	struct goodbye_child all[20];
	struct error err = { 0 };
	size_t n;
	uint64_t at;

	for (size_t i = 0; i < 20; i++)
		child_record(&records[i], i, 20, i);
	ck_assert_int_eq(goodbye_build(records, 20, NULL), 0);
	at = write_table(records, 20);
	source.bad = (struct range){ bytes.len - 1, bytes.len };
	ck_assert_int_eq(goodbye_open(&w, bytes.len, &g, &err), -EIO);
	source.bad = (struct range){ at, at + 1 };
	ck_assert_int_eq(goodbye_open(&w, bytes.len, &g, &err), -EIO);
	source.bad = (struct range){ at + 40, at + 41 }; /* the second record */
	ck_assert_int_eq(goodbye_open(&w, bytes.len, &g, &err), 0);
	ck_assert_int_eq(goodbye_read(&w, &g, all, &err), -EIO);
	ck_assert_int_eq(goodbye_find(&w, &g, 0, all, 20, &n, &err), -EIO);
	ck_assert_int_eq(goodbye_find(&w, &g, 19, all, 20, &n, &err), 0); /* on the other side */
	source.waits = true;
	w.io = &not_waiting;
	ck_assert_int_eq(goodbye_open(&w, bytes.len, &g, &err), 1);
	ck_assert_int_eq(goodbye_read(&w, &g, all, &err), 1);
	ck_assert_int_eq(goodbye_find(&w, &g, 0, all, 20, &n, &err), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("goodbye");
	TCase *tc = tcase_create("goodbye");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_test(tc, tables_are_permuted_as_the_format_lists);
	tcase_add_test(tc, walking_the_tree_in_order_places_as_counting_does);
	tcase_add_test(tc, equal_hashes_keep_their_order);
	tcase_add_test(tc, every_record_is_found_by_its_hash);
	tcase_add_test(tc, finding_takes_about_one_read_for_each_level);
	tcase_add_test(tc, equal_hashes_without_end_cost_no_more_than_the_limit);
	tcase_add_test(tc, children_outside_of_the_directory_have_no_start);
	tcase_add_loop_test(tc, damaged_tables_are_refused, 0, COUNT(damage));
	tcase_add_test(tc, more_records_than_there_is_room_for_children_are_refused);
	tcase_add_test(tc, tables_before_which_there_is_nothing_are_refused);
	tcase_add_test(tc, trouble_with_reading_is_passed_on);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
