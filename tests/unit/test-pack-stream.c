#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/pack-stream.h"

static char dir[] = "/tmp/test-pack-stream-XXXXXX";
static int base = -1;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static void setup(void)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	base = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(mkdirat(base, ".chunks", 0755), 0);
}

static void teardown(void)
{
	close(base);
	nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

enum { AVG = CHUNKER_AVG_MIN, SIZE = 1 << 20 };

static uint8_t noise[SIZE];
static struct pack_store store;

static void make_noise(void)
{
	uint32_t x = 1;

	for (size_t i = 0; i < SIZE; i++) {
		x = (x * 1103515245 + 12345) & 0x7fffffff;
		noise[i] = (uint8_t)(x >> 16);
	}
}

static void set_up_all(void)
{
	setup();
	make_noise();
	ck_assert_int_eq(pack_store_init(&store, base, NULL, false, NULL), 0);
}

static void tear_down_all(void)
{
	pack_store_release(&store);
	teardown();
}

static struct index *finish(struct pack_stream *s, struct error *err)
{
	struct digest checksum;
	struct index *index;
	uint64_t size;

	ck_assert_msg(pack_stream_end(s, err) == 0, "%s", err->text);
	ck_assert_msg(pack_stream_publish(s, &checksum, &size, err) == 0, "%s", err->text);
	pack_stream_release(s);
	ck_assert_msg(index_open(&index, base, "x.didx", INDEX_DYNAMIC, err) == 0, "%s", err->text);
	ck_assert(digest_equal(index_checksum(index), &checksum));
	ck_assert_uint_eq(index_size(index), size);
	return index;
}

/* As the reference cuts these bytes; the pieces in which they come make no difference. */
static const uint32_t lengths[] = { 16517,  78080, 74677,  62559,  25383, 29462,
				    112204, 20414, 213718, 100976, 36663, 81516,
				    78960,  48356, 27179,  28020,  13892 };
static const size_t pieces[] = { 1000, 65536, 262145, SIZE };

START_TEST(a_stream_becomes_chunks_and_an_index)
{
	CLEANUP(index_freep) struct index *index = NULL;
	struct error err = { 0 };
	struct pack_stream s;
	struct digest id;

	ck_assert_int_eq(pack_stream_open(&s, &store, base, "x.didx", AVG, &err), 0);
	for (size_t at = 0, n; at < SIZE; at += n) {
		n = SIZE - at < pieces[_i] ? SIZE - at : pieces[_i];
		ck_assert_int_eq(s.sink.write(&s.sink, noise + at, n, &err), 0);
	}
	index = finish(&s, &err);
	ck_assert_uint_eq(index_count(index), sizeof(lengths) / sizeof(lengths[0]));
	for (size_t i = 0; i < index_count(index); i++) {
		struct index_chunk chunk = index_chunk(index, i);

		ck_assert_uint_eq(chunk.len, lengths[i]);
		digest_sha256(&id, noise + chunk.start, chunk.len);
		ck_assert(digest_equal(&id, chunk.digest));
	}
}
END_TEST

START_TEST(a_chunk_ends_where_that_is_suggested)
{
	CLEANUP(index_freep) struct index *index = NULL;
	struct error err = { 0 };
	struct pack_stream s;

	ck_assert_int_eq(pack_stream_open(&s, &store, base, "x.didx", AVG, &err), 0);
	ck_assert_int_eq(pack_stream_suggest(&s, &err), 0);
	ck_assert_int_eq(s.sink.write(&s.sink, noise, 16400, &err), 0);
	ck_assert_int_eq(pack_stream_suggest(&s, &err), 0);
	ck_assert_int_eq(s.sink.write(&s.sink, noise, 100, &err), 0);
	ck_assert_int_eq(pack_stream_suggest(&s, &err), 0); /* too early for a chunk */
	ck_assert_int_eq(s.sink.write(&s.sink, noise, 100, &err), 0);
	index = finish(&s, &err);
	ck_assert_uint_eq(index_count(index), 2);
	ck_assert_uint_eq(index_chunk(index, 0).len, 16400);
}
END_TEST

START_TEST(what_is_given_up_leaves_no_index)
{
	struct error err = { 0 };
	struct pack_stream s;

	ck_assert_int_eq(pack_stream_open(&s, &store, base, "x.didx", AVG, &err), 0);
	ck_assert_int_eq(s.sink.write(&s.sink, noise, SIZE, &err), 0);
	pack_stream_release(&s);
	ck_assert_int_eq(faccessat(base, "x.didx", F_OK, 0), -1);
	ck_assert_int_eq(faccessat(base, "x.tmp_didx", F_OK, 0), -1);
	ck_assert_int_eq(pack_stream_open(&s, &store, base, "x.didx", AVG + 1, &err), -EINVAL);
	pack_stream_release(&s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pack-stream");
	TCase *tc = tcase_create("pack-stream");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, set_up_all, tear_down_all);
	tcase_add_loop_test(tc, a_stream_becomes_chunks_and_an_index, 0,
			    sizeof(pieces) / sizeof(pieces[0]));
	tcase_add_test(tc, a_chunk_ends_where_that_is_suggested);
	tcase_add_test(tc, what_is_given_up_leaves_no_index);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
