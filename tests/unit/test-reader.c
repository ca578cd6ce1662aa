/*
 * An archive of small chunks in stores that are arrays. The clock and one allocation are the
 * test's own: the linker redirects calls to the functions below.
 */
#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "chunkcache/reader.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define DYNAMIC_MAGIC UINT64_C(0xcdb3ba19a54e911c)

enum {
	CHUNKS = 24,
	LEN_MAX = 40,
	SMOOTH = 7, /* a chunk that is stored compressed */
	AHEAD = 3,
	LARGE = 64 << 20, /* bytes of a cache that holds all */
	THREADS = 8,
};

uint64_t __wrap_uv_hrtime(void);
void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);

static _Atomic uint64_t now_ms = 1000000;
static size_t refused_size; /* of allocations */

uint64_t __wrap_uv_hrtime(void)
{
	return now_ms * 1000000;
}

void *__wrap_malloc(size_t n)
{
	return n == refused_size && n ? NULL : __real_malloc(n);
}

static const struct io waits = { .may_wait = true }, hurries = { .may_wait = false };

/* A store of what was put into it. */
struct shelf {
	struct store store;
	struct stored {
		struct digest id;
		uint8_t *bytes; /* NULL: missing */
		size_t n;
		struct store_state state;
		bool bad_seen;
		int code; /* of a load that fails */
		atomic_uint loads;
	} chunks[CHUNKS];
	uv_sem_t *entered, *go; /* loads of workers are held */
	uv_thread_t main;
};

static struct stored *find_stored(struct shelf *shelf, const struct digest *id)
{
	size_t i = 0;

	while (i < CHUNKS && !digest_equal(&shelf->chunks[i].id, id))
		i++;
	ck_assert_uint_lt(i, CHUNKS);
	return &shelf->chunks[i];
}

static int shelf_load(struct store *store, const struct digest *id, struct buffer *bytes,
		      struct store_state *state, bool *bad_seen, struct error *err)
{
	struct shelf *shelf = (struct shelf *)store;
	struct stored *stored = find_stored(shelf, id);
	uv_thread_t self = uv_thread_self();

	stored->loads++;
	if (shelf->entered && !uv_thread_equal(&self, &shelf->main)) {
		uv_sem_post(shelf->entered);
		uv_sem_wait(shelf->go);
	}
	if (stored->code)
		return error_set(err, stored->code, "told to fail");
	*bad_seen = stored->bad_seen;
	if (!stored->bytes)
		return 1;
	*state = stored->state;
	buffer_reset(bytes);
	buffer_add(bytes, stored->bytes, stored->n);
	return buffer_finish(bytes, err);
}

static const struct store_ops shelf_ops = { shelf_load, NULL };

/* The world of a test. */
static struct shelf first, second;
static struct store *const stores[] = { &first.store, &second.store };
static struct blob_context *encoder;
static struct crypt *key;
static uint8_t archive[CHUNKS * LEN_MAX];
static size_t starts[CHUNKS + 1]; /* of the chunks */
static struct index *ind;
static struct cache *cache;
static struct source *reader;
static uv_loop_t loop;
static struct pool *pool;
static atomic_uint reports;
static struct error reported;

static void on_report(void *arg, const struct error *err)
{
	ck_assert_ptr_eq(arg, &reports);
	reports++;
	reported = *err;
}

static void on_idle(void *arg)
{
	(void)arg;
}

static void put(struct shelf *shelf, size_t i, const struct crypt *crypt, const void *bytes,
		size_t n)
{
	struct stored *stored = &shelf->chunks[i];
	const uint8_t *encoded;

	ck_assert_int_eq(blob_encode(encoder, crypt, i % 2, bytes, n, &encoded, &stored->n, NULL),
			 0);
	free(stored->bytes);
	stored->bytes = malloc(stored->n);
	memcpy(stored->bytes, encoded, stored->n);
	stored->state = (struct store_state){ .known = true, .inode = i, .size = stored->n };
}

static void put_original(struct shelf *shelf, size_t i, const struct crypt *crypt)
{
	put(shelf, i, crypt, archive + starts[i], starts[i + 1] - starts[i]);
}

static void take_away(struct shelf *shelf, size_t i)
{
	free(shelf->chunks[i].bytes);
	shelf->chunks[i].bytes = NULL;
}

static struct index *make_index(const struct digest *const *digests, const size_t *ends, size_t n)
{
	static const uint8_t zeros[INDEX_HEADER_SIZE];
	struct buffer entries = { 0 }, all = { 0 };
	struct digest checksum;
	struct index *index;

	for (size_t i = 0; i < n; i++) {
		buffer_le64(&entries, ends[i]);
		buffer_add(&entries, digests[i]->bytes, DIGEST_SIZE);
	}
	digest_sha256(&checksum, entries.bytes, entries.len);
	buffer_le64(&all, DYNAMIC_MAGIC);
	buffer_add(&all, zeros, 16 + 8);
	buffer_add(&all, checksum.bytes, DIGEST_SIZE);
	buffer_add(&all, zeros, INDEX_HEADER_SIZE - all.len);
	buffer_add(&all, entries.bytes, entries.len);
	ck_assert_int_eq(index_decode(&index, all.bytes, all.len, INDEX_DYNAMIC, NULL), 0);
	buffer_release(&entries);
	buffer_release(&all);
	return index;
}

static void fill_world(const struct crypt *crypt)
{
	const struct digest *digests[CHUNKS];

	for (size_t i = 0; i < CHUNKS; i++) {
		size_t len = i == SMOOTH ? LEN_MAX : 1 + i * 5 % 12;
		struct digest id;

		starts[i + 1] = starts[i] + len;
		for (size_t at = starts[i]; at < starts[i + 1]; at++)
			archive[at] = i == SMOOTH ? SMOOTH : (uint8_t)random();
		archive[starts[i]] = (uint8_t)i; /* lest two of one byte are equal */
		blob_digest(crypt, archive + starts[i], len, &id);
		first.chunks[i].id = second.chunks[i].id = id;
		put_original(&first, i, crypt);
		digests[i] = &first.chunks[i].id;
	}
	index_free(ind);
	ind = make_index(digests, starts + 1, CHUNKS);
}

static void setup(void)
{
	static const uint8_t raw[CRYPT_KEY_SIZE] = { 1, 2, 3 };

	first = (struct shelf){ .store = { &shelf_ops, "first" }, .main = uv_thread_self() };
	second = (struct shelf){ .store = { &shelf_ops, "second" } };
	reports = 0;
	srandom(1);
	ck_assert_int_eq(blob_context_new(&encoder, NULL), 0);
	ck_assert_int_eq(crypt_new(&key, raw, NULL), 0);
	fill_world(NULL);
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	ck_assert_int_eq(pool_new(&pool, &loop, on_idle, NULL, NULL), 0);
	pool_open(pool);
}

static void settle(void)
{
	while (pool_busy(pool))
		uv_run(&loop, UV_RUN_ONCE);
}

static void close_reader(void)
{
	settle();
	source_free(reader);
	cache_free(cache);
	reader = NULL;
	cache = NULL;
}

static void teardown(void)
{
	close_reader();
	pool_free(pool);
	uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	for (size_t i = 0; i < CHUNKS; i++) {
		take_away(&first, i);
		take_away(&second, i);
	}
	index_free(ind);
	ind = NULL;
	crypt_free(key);
	blob_context_free(encoder);
}

static struct reader_config basic_config(void)
{
	return (struct reader_config){
		.index = ind,
		.stores = stores,
		.n_stores = COUNT(stores),
		.class = CACHE_PAYLOAD,
		.report = on_report,
		.arg = &reports,
	};
}

static void open_reader(struct reader_config config, size_t budget)
{
	close_reader();
	ck_assert_int_eq(cache_new(&cache, budget, NULL), 0);
	config.cache = cache;
	ck_assert_int_eq(reader_new(&reader, &config, NULL), 0);
}

static void open_reader_ahead(void)
{
	struct reader_config config = basic_config();

	config.pool = pool;
	config.ahead_max = AHEAD;
	open_reader(config, LARGE);
}

/* Reads a whole chunk. */
static int read_chunk(size_t i, const struct io *io, struct error *err)
{
	uint8_t got[LEN_MAX];
	size_t len = starts[i + 1] - starts[i];
	int r = source_read(reader, io, starts[i], got, len, err);

	if (r == 0)
		ck_assert_mem_eq(got, archive + starts[i], len);
	return r;
}

static void expect_chunk(size_t i)
{
	struct error err = { 0 };

	ck_assert_msg(read_chunk(i, &waits, &err) == 0, "%s", err.text);
}

/* Which chunks were loaded, each of them once. */
static void check_loaded(const char *loaded)
{
	char were[CHUNKS + 1] = "";

	for (size_t i = 0; i < CHUNKS; i++) {
		ck_assert_uint_le(first.chunks[i].loads, 1);
		were[i] = first.chunks[i].loads ? 'x' : '.';
	}
	while (strlen(loaded) < strlen(were))
		were[strlen(were) - 1] = '\0';
	ck_assert_str_eq(were, loaded);
}

static void check_all_ranges(void)
{
	uint8_t got[sizeof(archive)];

	ck_assert_uint_eq(reader->size, starts[CHUNKS]);
	for (size_t from = 0; from < reader->size; from++)
		for (size_t to = from + 1; to <= reader->size; to++) {
			memset(got, 0, sizeof(got));
			ck_assert_int_eq(source_read(reader, &waits, from, got, to - from, NULL),
					 0);
			ck_assert_mem_eq(got, archive + from, to - from);
			ck_assert_uint_eq(got[to - from], 0);
		}
}

START_TEST(every_range_reads_as_it_was_and_each_chunk_is_loaded_once)
{
	open_reader(basic_config(), LARGE);
	check_all_ranges();
	check_loaded("xxxxxxxxxxxxxxxxxxxxxxxx");
	ck_assert_uint_eq(reports, 0);
}
END_TEST

START_TEST(encrypted_chunks_read_with_their_key)
{
	struct reader_config config;

	fill_world(key);
	config = basic_config();
	config.terms = (struct blob_terms){ .crypt = key, .expect = BLOB_ENCRYPTED };
	open_reader(config, LARGE);
	check_all_ranges();
	check_loaded("xxxxxxxxxxxxxxxxxxxxxxxx");
}
END_TEST

START_TEST(encrypted_chunks_do_not_read_without_their_key)
{
	static const uint8_t raw[CRYPT_KEY_SIZE] = { 9 };
	CLEANUP(crypt_freep) struct crypt *other = NULL;
	struct reader_config config;
	struct error err;

	fill_world(key);
	open_reader(basic_config(), LARGE);
	ck_assert_int_eq(read_chunk(0, &waits, &err), -ENOKEY);

	ck_assert_int_eq(crypt_new(&other, raw, NULL), 0);
	config = basic_config();
	config.terms = (struct blob_terms){ .crypt = other, .expect = BLOB_ENCRYPTED };
	open_reader(config, LARGE);
	ck_assert_int_eq(read_chunk(0, &waits, &err), -EBADMSG);
}
END_TEST

START_TEST(what_should_be_encrypted_is_refused_when_it_is_not)
{
	struct reader_config config;
	struct error err;

	fill_world(key);
	put_original(&first, 3, NULL);
	config = basic_config();
	config.terms = (struct blob_terms){ .crypt = key, .expect = BLOB_ENCRYPTED };
	open_reader(config, LARGE);
	expect_chunk(2);
	ck_assert_int_eq(read_chunk(3, &waits, &err), -EUCLEAN);
}
END_TEST

START_TEST(a_cache_without_room_is_read_through)
{
	open_reader(basic_config(), 0);
	for (unsigned round = 1; round <= 2; round++)
		for (size_t i = 0; i < CHUNKS; i++) {
			expect_chunk(i);
			ck_assert_uint_eq(first.chunks[i].loads, round);
			ck_assert_uint_eq(cache_stats(cache).bytes, 0);
		}
}
END_TEST

START_TEST(who_may_not_wait_is_told_so)
{
	uint8_t got[2 * LEN_MAX];

	open_reader(basic_config(), LARGE);
	ck_assert_int_eq(read_chunk(1, &hurries, NULL), 1);
	check_loaded("...");
	expect_chunk(1);
	ck_assert_int_eq(read_chunk(1, &hurries, NULL), 0);
	ck_assert_int_eq(source_read(reader, &hurries, starts[1], got, starts[3] - starts[1], NULL),
			 1);
	check_loaded(".x.");
}
END_TEST

START_TEST(one_digest_for_many_chunks_is_one_load)
{
	enum { MANY = 1000 };
	static const struct digest *digests[MANY];
	static size_t ends[MANY];
	struct reader_config config;
	size_t len = starts[3] - starts[2];
	uint8_t got[LEN_MAX];

	for (size_t i = 0; i < MANY; i++) {
		digests[i] = &first.chunks[2].id;
		ends[i] = (i + 1) * len;
	}
	index_free(ind);
	ind = make_index(digests, ends, MANY);
	config = basic_config();
	open_reader(config, LARGE);
	for (size_t i = 0; i < MANY; i++) {
		ck_assert_int_eq(source_read(reader, &waits, i * len, got, len, NULL), 0);
		ck_assert_mem_eq(got, archive + starts[2], len);
	}
	check_loaded("..x");
	ck_assert_uint_eq(cache_stats(cache).chunks, 1);
}
END_TEST

START_TEST(who_goes_on_gets_what_follows_ahead)
{
	open_reader_ahead();
	expect_chunk(0);
	settle();
	check_loaded("x.........");
	expect_chunk(1);
	settle();
	check_loaded("xxxxx.....");
	for (size_t i = 2; i + 1 < CHUNKS; i++) {
		ck_assert_int_eq(read_chunk(i, &hurries, NULL), 0);
		settle();
		ck_assert(i + AHEAD >= CHUNKS || first.chunks[i + AHEAD].loads == 1);
		ck_assert(i + AHEAD + 1 >= CHUNKS || first.chunks[i + AHEAD + 1].loads == 0);
	}
	expect_chunk(CHUNKS - 1);
	settle();
	check_loaded("xxxxxxxxxxxxxxxxxxxxxxxx");
}
END_TEST

START_TEST(who_jumps_about_gets_nothing_ahead)
{
	static const size_t order[] = { 0, 5, 2, 9, 4, 4, 11, 7, 6, 5, 23 };

	open_reader_ahead();
	for (size_t i = 0; i < COUNT(order); i++) {
		expect_chunk(order[i]);
		settle();
	}
	check_loaded("x.x.xxxx.x.x...........x");
}
END_TEST

START_TEST(no_more_is_read_ahead_at_a_time_than_allowed)
{
	uv_sem_t entered, go;

	ck_assert_int_eq(uv_sem_init(&entered, 0), 0);
	ck_assert_int_eq(uv_sem_init(&go, 0), 0);
	open_reader_ahead();
	first.entered = &entered;
	first.go = &go;
	expect_chunk(0);
	expect_chunk(1);
	for (unsigned i = 0; i < AHEAD; i++)
		while (uv_sem_trywait(&entered))
			uv_run(&loop, UV_RUN_NOWAIT);
	expect_chunk(10); /* is not held up */
	expect_chunk(11);
	source_expect(reader, starts[20], 100);
	ck_assert_uint_eq(pool_busy(pool), AHEAD);
	ck_assert_int_eq(read_chunk(2, &hurries, NULL), 1);
	for (unsigned i = 0; i < 2 * AHEAD; i++)
		uv_sem_post(&go);
	settle();
	check_loaded("xxxxx.....xx............");
	uv_sem_destroy(&entered);
	uv_sem_destroy(&go);
}
END_TEST

START_TEST(nothing_is_read_ahead_once_the_pool_is_closed)
{
	open_reader_ahead();
	pool_close(pool);
	expect_chunk(0);
	expect_chunk(1);
	source_expect(reader, starts[4], 1);
	ck_assert_uint_eq(pool_busy(pool), 0);
	pool_open(pool);
	expect_chunk(2);
	settle();
	check_loaded("xxxxxx....");
}
END_TEST

START_TEST(what_is_expected_is_loaded_ahead)
{
	open_reader_ahead();
	source_expect(reader, starts[4], starts[5] - starts[4] + 1);
	settle();
	check_loaded("....xx....");
	source_expect(reader, starts[CHUNKS - 1], UINT64_MAX);
	source_expect(reader, starts[CHUNKS], 1);
	settle();
	check_loaded("....xx.................x");
	source_expect(reader, 0, UINT64_MAX);
	settle();
	check_loaded("xxx.xx.................x");
}
END_TEST

START_TEST(what_fails_ahead_fails_when_it_is_read)
{
	struct error err;

	first.chunks[3].code = EIO;
	open_reader_ahead();
	expect_chunk(0);
	expect_chunk(1);
	settle();
	check_loaded("xxxxx.....");
	ck_assert_uint_eq(reports, 1);
	expect_chunk(2);
	ck_assert_int_eq(read_chunk(3, &waits, &err), -EIO);
	ck_assert_uint_eq(reports, 1); /* of one load */
}
END_TEST

/* What may be wrong with a chunk in the first store, and what is said of it. */
enum fault { MISSING, SET_ASIDE, UNREADABLE, CHANGED, SWAPPED };

static const struct {
	enum fault fault;
	int code;
	const char *text; /* NULL: that is nothing to speak of */
} faults[] = {
	{ MISSING, -EIO, NULL },
	{ SET_ASIDE, -EIO, "set aside as corrupt (.bad)" },
	{ UNREADABLE, -EACCES, "first: told to fail" },
	{ CHANGED, -EBADMSG, "first: " },
	{ SWAPPED, -EBADMSG, "first: " },
};

static void break_chunk(struct shelf *shelf, size_t i, enum fault fault)
{
	struct stored *stored = &shelf->chunks[i];
	uint8_t other[LEN_MAX] = { 0 };

	switch (fault) {
	case SET_ASIDE:
		stored->bad_seen = true;
		/* fallthrough */
	case MISSING:
		take_away(shelf, i);
		break;
	case UNREADABLE:
		stored->code = EACCES;
		break;
	case CHANGED:
		stored->bytes[stored->n - 1] ^= 1;
		break;
	case SWAPPED:
		put(shelf, i, NULL, other, starts[i + 1] - starts[i]);
		break;
	}
}

START_TEST(what_is_bad_in_one_store_comes_from_the_next)
{
	char hex[DIGEST_TEXT_SIZE];

	break_chunk(&first, 5, faults[_i].fault);
	put_original(&second, 5, NULL);
	open_reader(basic_config(), LARGE);
	for (unsigned i = 0; i < 3; i++)
		expect_chunk(5);
	ck_assert_uint_eq(first.chunks[5].loads, 1);
	ck_assert_uint_eq(second.chunks[5].loads, 1);
	ck_assert_uint_eq(reports, !!faults[_i].text);
	if (!faults[_i].text)
		return;
	digest_format(&first.chunks[5].id, hex);
	ck_assert_ptr_nonnull(strstr(reported.text, hex));
	ck_assert_ptr_nonnull(strstr(reported.text, faults[_i].text));
	ck_assert_ptr_null(strstr(reported.text, "second"));
}
END_TEST

START_TEST(what_is_bad_everywhere_fails_until_it_is_repaired)
{
	char hex[DIGEST_TEXT_SIZE];
	struct error err;

	break_chunk(&first, 5, faults[_i].fault);
	open_reader(basic_config(), LARGE);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(read_chunk(5, &waits, &err), faults[_i].code);
	digest_format(&first.chunks[5].id, hex);
	ck_assert_msg(strncmp(err.text, "chunk 5: chunk ", 15) == 0, "%s", err.text);
	ck_assert_ptr_nonnull(strstr(err.text, hex));
	ck_assert_ptr_nonnull(strstr(err.text, faults[_i].text ? faults[_i].text : "missing"));
	ck_assert_uint_eq(reports, 1);
	ck_assert_uint_eq(first.chunks[5].loads, 1);
	ck_assert_uint_eq(second.chunks[5].loads, 1);
	expect_chunk(4); /* others are as they were */
	expect_chunk(6);

	put_original(&first, 5, NULL);
	first.chunks[5].code = 0;
	now_ms += 500;
	expect_chunk(5);
}
END_TEST

START_TEST(a_want_of_memory_is_no_store_s_fault)
{
	const struct stored *stored = &first.chunks[SMOOTH];
	struct reader_config config;
	enum blob_kind kind;
	struct error err;

	fill_world(key);
	put_original(&second, SMOOTH, key);
	ck_assert_int_eq(blob_kind(&kind, stored->bytes, stored->n, NULL), 0);
	ck_assert_int_eq(kind, BLOB_ZSTD_CRYPT);
	config = basic_config();
	config.terms = (struct blob_terms){ .crypt = key, .expect = BLOB_ENCRYPTED };
	open_reader(config, LARGE);
	refused_size = stored->n - BLOB_CRYPT_HEADER_SIZE; /* what it is decrypted into */
	ck_assert_int_eq(read_chunk(SMOOTH, &waits, &err), -ENOMEM);
	refused_size = 0;
	ck_assert_uint_eq(second.chunks[SMOOTH].loads, 0);
	expect_chunk(SMOOTH); /* without waiting for anything */
}
END_TEST

/* A chunk that reads well at first, and whose bytes are then others with a good checksum. */
static const struct {
	const char *name;
	enum reader_verify verify;
	bool known, changed;
	int want;
} verifies[] = {
	{ "once, the file as it was", READER_VERIFY_ONCE, true, false, 0 },
	{ "once, another file", READER_VERIFY_ONCE, true, true, -EBADMSG },
	{ "once, no telling", READER_VERIFY_ONCE, false, false, -EBADMSG },
	{ "always", READER_VERIFY_ALWAYS, true, false, -EBADMSG },
	{ "crc", READER_VERIFY_CRC, true, true, 0 },
};

START_TEST(the_digest_is_checked_when_it_should_be)
{
	struct reader_config config = basic_config();
	struct stored *stored = &first.chunks[7];
	struct store_state state = stored->state;
	uint8_t other[LEN_MAX] = { 1, 2, 3 }, got[LEN_MAX] = { 0 };
	size_t len = starts[8] - starts[7];
	struct error err;
	int r;

	config.verify = verifies[_i].verify;
	open_reader(config, 0);
	state.known = stored->state.known = verifies[_i].known;
	expect_chunk(7);
	put(&first, 7, NULL, other, len);
	stored->state = state;
	stored->state.inode += verifies[_i].changed;
	r = source_read(reader, &waits, starts[7], got, len, &err);
	ck_assert_msg(r == verifies[_i].want, "%s: %d", verifies[_i].name, r);
	if (r == 0)
		ck_assert_mem_eq(got, other, len);
	/* What was refused has not passed. */
	now_ms += 500;
	r = source_read(reader, &waits, starts[7], got, len, NULL);
	ck_assert_msg(!r == !verifies[_i].want, "%s", verifies[_i].name);
}
END_TEST

static void read_at_random(void *arg)
{
	unsigned seed = *(unsigned *)arg;
	uint8_t got[sizeof(archive)];

	for (unsigned i = 0; i < 1000; i++) {
		size_t from = (seed = seed * 1103515245 + 12345) / 65536 % starts[CHUNKS];
		size_t n = 1 + (size_t)i % (starts[CHUNKS] - from);

		ck_assert_int_eq(source_read(reader, &waits, from, got, n, NULL), 0);
		ck_assert_mem_eq(got, archive + from, n);
	}
}

START_TEST(threads_share_a_reader)
{
	struct reader_config config = basic_config();
	uv_thread_t threads[THREADS];
	unsigned seeds[THREADS];

	config.pool = pool;
	config.ahead_max = AHEAD;
	open_reader(config, 4 * 65536);
	for (unsigned i = 0; i < THREADS; i++) {
		seeds[i] = i * 7919;
		uv_thread_create(&threads[i], read_at_random, &seeds[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		uv_thread_join(&threads[i]);
	settle();
	ck_assert_uint_le(cache_stats(cache).bytes, 4 * 65536);
	ck_assert_uint_eq(reports, 0);
}
END_TEST

static TCase *reading_case(void)
{
	TCase *tc = tcase_create("reading");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, every_range_reads_as_it_was_and_each_chunk_is_loaded_once);
	tcase_add_test(tc, encrypted_chunks_read_with_their_key);
	tcase_add_test(tc, encrypted_chunks_do_not_read_without_their_key);
	tcase_add_test(tc, what_should_be_encrypted_is_refused_when_it_is_not);
	tcase_add_test(tc, a_cache_without_room_is_read_through);
	tcase_add_test(tc, who_may_not_wait_is_told_so);
	tcase_add_test(tc, one_digest_for_many_chunks_is_one_load);
	tcase_add_test(tc, threads_share_a_reader);
	return tc;
}

static TCase *ahead_case(void)
{
	TCase *tc = tcase_create("ahead");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, who_goes_on_gets_what_follows_ahead);
	tcase_add_test(tc, who_jumps_about_gets_nothing_ahead);
	tcase_add_test(tc, no_more_is_read_ahead_at_a_time_than_allowed);
	tcase_add_test(tc, nothing_is_read_ahead_once_the_pool_is_closed);
	tcase_add_test(tc, what_is_expected_is_loaded_ahead);
	tcase_add_test(tc, what_fails_ahead_fails_when_it_is_read);
	return tc;
}

static TCase *fault_case(void)
{
	TCase *tc = tcase_create("faults");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, what_is_bad_in_one_store_comes_from_the_next, 0, COUNT(faults));
	tcase_add_loop_test(tc, what_is_bad_everywhere_fails_until_it_is_repaired, 0,
			    COUNT(faults));
	tcase_add_test(tc, a_want_of_memory_is_no_store_s_fault);
	tcase_add_loop_test(tc, the_digest_is_checked_when_it_should_be, 0, COUNT(verifies));
	return tc;
}

int main(void)
{
	Suite *s = suite_create("reader");
	SRunner *sr;
	int failed;

	setenv("UV_THREADPOOL_SIZE", "4", 1);
	suite_add_tcase(s, reading_case());
	suite_add_tcase(s, ahead_case());
	suite_add_tcase(s, fault_case());
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
