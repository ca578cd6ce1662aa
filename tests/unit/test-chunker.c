#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "chunkcache/chunker.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum {
	SIZE = 1 << 20,
	AVG = 64 << 10,
	MIN = AVG / 4,
	MAX = AVG * 4,
	LENGTHS = 80,
};

static void fill_counter(uint8_t *bytes)
{
	for (uint32_t i = 0; i < SIZE; i++)
		bytes[i] = (uint8_t)(i / 4 >> (8 * (i % 4)));
}

static void fill_zeros(uint8_t *bytes)
{
	memset(bytes, 0, SIZE);
}

static void fill_random(uint8_t *bytes)
{
	uint32_t x = 1;

	for (uint32_t i = 0; i < SIZE; i++) {
		x = (x * 1103515245 + 12345) & 0x7fffffff;
		bytes[i] = (uint8_t)(x >> 16);
	}
}

static uint8_t *input(void (*fill)(uint8_t *bytes))
{
	uint8_t *bytes = malloc(SIZE);

	ck_assert_ptr_nonnull(bytes);
	fill(bytes);
	return bytes;
}

static struct chunker *new_chunker(uint64_t avg)
{
	struct chunker *c;

	ck_assert_int_eq(chunker_new(&c, avg, NULL), 0);
	return c;
}

struct lengths {
	uint32_t at[LENGTHS];
	size_t n;
	uint32_t open; /* bytes since the last cut */
};

static void end_chunk(struct lengths *l)
{
	ck_assert_uint_lt(l->n, LENGTHS);
	l->at[l->n++] = l->open;
	l->open = 0;
}

/* Each piece in a block of its own size, so that a sanitizer sees what is read past it. */
static void feed(struct chunker *c, struct lengths *l, const uint8_t *bytes, size_t n)
{
	CLEANUP(freep) uint8_t *exact = malloc(n ? n : 1);
	size_t done = 0;
	bool cut;

	memcpy(exact, bytes, n);
	do {
		size_t taken = chunker_scan(c, exact + done, n - done, &cut);

		if (!cut && taken != n - done) /* cheaper than to assert for each byte */
			ck_abort_msg("%zu of %zu bytes were taken", taken, n - done);
		done += taken;
		l->open += (uint32_t)taken;
		if (cut)
			end_chunk(l);
	} while (cut || done < n);
}

static struct lengths cut(struct chunker *c, const uint8_t *bytes, size_t piece)
{
	struct lengths l = { 0 };

	for (size_t at = 0; at < SIZE; at += piece)
		feed(c, &l, bytes + at, SIZE - at < piece ? SIZE - at : piece);
	ck_assert_uint_eq(chunker_offset(c), SIZE);
	if (l.open)
		end_chunk(&l);
	return l;
}

static void check_lengths(const struct lengths *l, const uint32_t *want, size_t n)
{
	ck_assert_uint_eq(l->n, n);
	ck_assert_mem_eq(l->at, want, n * sizeof(*want));
}

static const struct {
	void (*fill)(uint8_t *bytes);
	size_t n;
	uint32_t lengths[17];
} vectors[] = {
	{ fill_counter, 5, { 143377, 262144, 262144, 262144, 118767 } },
	{ fill_zeros, 4, { 262144, 262144, 262144, 262144 } },
	{ fill_random,
	  17,
	  { 16517, 78080, 74677, 62559, 25383, 29462, 112204, 20414, 213718, 100976, 36663, 81516,
	    78960, 48356, 27179, 28020, 13892 } },
};

static const size_t pieces[] = { SIZE, SIZE - 1, 65536, 65535, 16384, 4097, 129, 65, 64, 63, 7, 1 };

START_TEST(vectors_are_met_in_pieces_of_any_size)
{
	CLEANUP(freep) uint8_t *bytes = input(vectors[_i].fill);

	for (size_t i = 0; i < COUNT(pieces); i++) {
		CLEANUP(chunker_freep) struct chunker *c = new_chunker(AVG);
		struct lengths l = cut(c, bytes, pieces[i]);

		check_lengths(&l, vectors[_i].lengths, vectors[_i].n);
	}
}
END_TEST

static struct lengths cut_at_random_pieces(struct chunker *c, const uint8_t *bytes)
{
	struct lengths l = { 0 };

	for (size_t at = 0, n; at < SIZE; at += n) {
		n = (size_t)random() % (1u << (random() % 19));
		n = n < SIZE - at ? n : SIZE - at;
		feed(c, &l, bytes + at, n);
	}
	if (l.open)
		end_chunk(&l);
	return l;
}

START_TEST(random_pieces_make_no_difference)
{
	CLEANUP(freep) uint8_t *bytes = malloc(SIZE);

	for (int round = 0; round < 20; round++) {
		CLEANUP(chunker_freep) struct chunker *whole = new_chunker(AVG);
		CLEANUP(chunker_freep) struct chunker *split = new_chunker(AVG);
		struct lengths want, found;

		for (size_t i = 0; i < SIZE; i++)
			bytes[i] = (uint8_t)random();
		for (uint64_t at = 0; at < SIZE; at += 1 + (uint64_t)random() % 200000) {
			if (round % 2) {
				ck_assert_int_eq(chunker_suggest(whole, at, NULL), 0);
				ck_assert_int_eq(chunker_suggest(split, at, NULL), 0);
			}
		}
		want = cut(whole, bytes, SIZE);
		found = cut_at_random_pieces(split, bytes);
		check_lengths(&found, want.at, want.n);
		for (size_t i = 0; i < want.n; i++) {
			ck_assert_uint_le(want.at[i], MAX);
			ck_assert(want.at[i] >= MIN || i + 1 == want.n);
		}
	}
}
END_TEST

/* A stream that begins at a cut of another is cut alike. */
START_TEST(chunking_can_be_resumed_at_any_cut)
{
	CLEANUP(freep) uint8_t *bytes = input(fill_random);
	CLEANUP(chunker_freep) struct chunker *c = new_chunker(AVG);
	struct lengths l = { 0 };

	feed(c, &l, bytes + 16517 + 78080, SIZE - 16517 - 78080);
	end_chunk(&l);
	check_lengths(&l, vectors[2].lengths + 2, 15);
}
END_TEST

static const uint64_t suggestions[] = { 32768, 40000, 200000, 600000, 900000 };

START_TEST(suggestions_that_are_known_ahead_are_met_in_pieces_of_any_size)
{
	static const uint32_t want[] = {
		32768, 167232, 205521, 194479, 67665, 232335, 29809, 118767
	};
	CLEANUP(freep) uint8_t *bytes = input(fill_counter);

	for (size_t i = 0; i < COUNT(pieces); i++) {
		CLEANUP(chunker_freep) struct chunker *c = new_chunker(AVG);
		struct lengths l;

		for (size_t s = 0; s < COUNT(suggestions); s++)
			ck_assert_int_eq(chunker_suggest(c, suggestions[s], NULL), 0);
		l = cut(c, bytes, pieces[i]);
		check_lengths(&l, want, COUNT(want));
	}
}
END_TEST

/* Feeds up to each suggestion, and announces it `ahead` bytes before. */
static struct lengths cut_announcing(const uint8_t *bytes, uint64_t ahead)
{
	CLEANUP(chunker_freep) struct chunker *c = new_chunker(AVG);
	struct lengths l = { 0 };
	uint64_t at = 0;

	for (size_t s = 0; s < COUNT(suggestions); s++) {
		uint64_t when = suggestions[s] > ahead ? suggestions[s] - ahead : 0;

		if (when > at)
			feed(c, &l, bytes + at, when - at);
		at = when;
		ck_assert_int_eq(chunker_suggest(c, suggestions[s], NULL), 0);
	}
	feed(c, &l, bytes + at, SIZE - at);
	if (l.open)
		end_chunk(&l);
	return l;
}

static const uint64_t aheads[] = { 0, 1, 16, 20000 };

START_TEST(a_suggestion_does_not_undo_cuts_made_before_it_was_known)
{
	static const uint32_t want[] = { 32768, 110609, 56623, 205521, 194479,
					 67665, 232335, 29809, 118767 };
	CLEANUP(freep) uint8_t *bytes = input(fill_counter);
	struct lengths l = cut_announcing(bytes, aheads[_i]);

	check_lengths(&l, want, COUNT(want));
}
END_TEST

static const struct {
	uint64_t at;
	uint32_t first;
} limits[] = {
	{ 0, MAX },   { 1, MAX },	    { MIN - 1, MAX },
	{ MIN, MIN }, { MIN + 1, MIN + 1 }, { MAX - 1, MAX - 1 },
	{ MAX, MAX }, { MAX + 1, MAX },	    { MAX + MIN - 1, MAX },
};

START_TEST(a_suggestion_counts_from_min_to_max)
{
	CLEANUP(freep) uint8_t *bytes = input(fill_zeros);
	CLEANUP(chunker_freep) struct chunker *c = new_chunker(AVG);
	struct lengths l;

	ck_assert_int_eq(chunker_suggest(c, limits[_i].at, NULL), 0);
	l = cut(c, bytes, 10000);
	ck_assert_uint_eq(l.at[0], limits[_i].first);
	ck_assert_uint_eq(l.at[1], MAX);
}
END_TEST

START_TEST(a_suggestion_must_lie_ahead_and_in_order)
{
	CLEANUP(freep) uint8_t *bytes = input(fill_zeros);
	CLEANUP(chunker_freep) struct chunker *c = new_chunker(AVG);
	struct lengths l = { 0 };
	struct error err = { 0 };

	feed(c, &l, bytes, 50000);
	ck_assert_int_eq(chunker_suggest(c, 49999, &err), -EINVAL);
	ck_assert_str_eq(err.text, "a chunk cannot end at 49999: that is before 50000");
	ck_assert_int_eq(chunker_suggest(c, 60000, NULL), 0);
	ck_assert_int_eq(chunker_suggest(c, 60000, NULL), -EINVAL);
	ck_assert_int_eq(chunker_suggest(c, 59999, NULL), -EINVAL);
	ck_assert_int_eq(chunker_suggest(c, 60001, NULL), 0);
}
END_TEST

/* As a caller does that announces every file shortly before it writes it. */
START_TEST(any_number_of_suggestions_passes_through)
{
	enum { STEP = MIN + 100, AHEAD = 1000, ROUNDS = 20000 };
	CLEANUP(freep) uint8_t *zeros = calloc(1, STEP);
	CLEANUP(chunker_freep) struct chunker *c = new_chunker(AVG);
	uint64_t announced = 0;
	bool found;

	for (uint64_t i = 0; i < ROUNDS; i++) {
		for (; announced < i + AHEAD; announced++)
			ck_assert_int_eq(chunker_suggest(c, (announced + 1) * STEP, NULL), 0);
		ck_assert_uint_eq(chunker_scan(c, zeros, STEP, &found), STEP);
		ck_assert(found);
	}
}
END_TEST

START_TEST(injected_chunks_end_a_chunk_of_any_size)
{
	CLEANUP(freep) uint8_t *bytes = input(fill_random);
	CLEANUP(chunker_freep) struct chunker *c = new_chunker(AVG);
	struct lengths l = { 0 };

	ck_assert_uint_eq(chunker_inject(c, 1000), 0);
	ck_assert_uint_eq(chunker_offset(c), 1000);
	feed(c, &l, bytes, 5);
	ck_assert_int_eq(chunker_suggest(c, 90000, NULL), 0); /* in what is injected */
	ck_assert_uint_eq(chunker_inject(c, 500000), 5);
	ck_assert_uint_eq(chunker_offset(c), 501005);
	l.open = 0;

	/* From here on it is cut as if nothing had been before. */
	ck_assert_int_eq(chunker_suggest(c, 501005 + 16517 + 50000, NULL), 0);
	feed(c, &l, bytes, 16517 + 78080 - 1);
	ck_assert_uint_eq(l.n, 1);
	ck_assert_uint_eq(l.at[0], 66517);
	ck_assert_uint_eq(chunker_inject(c, 0), 28079);
	l = (struct lengths){ 0 };
	feed(c, &l, bytes, 16517 + 78080);
	check_lengths(&l, vectors[2].lengths, 2);
}
END_TEST

static const struct {
	uint64_t avg;
	int want;
} averages[] = {
	{ 64 << 10, 0 },
	{ 128 << 10, 0 },
	{ 512 << 10, 0 },
	{ 4 << 20, 0 },
	{ 0, -EINVAL },
	{ 1, -EINVAL },
	{ 32 << 10, -EINVAL },
	{ 8 << 20, -EINVAL },
	{ 65537, -EINVAL },
	{ 100000, -EINVAL },
	{ UINT64_C(1) << 48, -EINVAL },
};

START_TEST(averages_are_powers_of_two_within_bounds)
{
	CLEANUP(freep) uint8_t *zeros = calloc(1, 16 << 20);
	struct chunker *c = NULL;
	struct error err = { 0 };
	bool found;

	ck_assert_msg(chunker_new(&c, averages[_i].avg, &err) == averages[_i].want, "%s", err.text);
	if (c) {
		ck_assert_uint_eq(chunker_scan(c, zeros, 16 << 20, &found), averages[_i].avg * 4);
		ck_assert(found);
	}
	chunker_free(c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("chunker");
	TCase *tc = tcase_create("chunker");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, vectors_are_met_in_pieces_of_any_size, 0, COUNT(vectors));
	tcase_add_test(tc, random_pieces_make_no_difference);
	tcase_add_test(tc, chunking_can_be_resumed_at_any_cut);
	tcase_add_test(tc, suggestions_that_are_known_ahead_are_met_in_pieces_of_any_size);
	tcase_add_loop_test(tc, a_suggestion_does_not_undo_cuts_made_before_it_was_known, 0,
			    COUNT(aheads));
	tcase_add_loop_test(tc, a_suggestion_counts_from_min_to_max, 0, COUNT(limits));
	tcase_add_test(tc, a_suggestion_must_lie_ahead_and_in_order);
	tcase_add_test(tc, any_number_of_suggestions_passes_through);
	tcase_add_test(tc, injected_chunks_end_a_chunk_of_any_size);
	tcase_add_loop_test(tc, averages_are_powers_of_two_within_bounds, 0, COUNT(averages));
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
