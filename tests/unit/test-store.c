#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "chunkcache/store.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define HEX "00010203000000000000000000000000000000000000000000000000000000ff"
#define FOLDER ".chunks/0001"
#define CHUNK FOLDER "/" HEX

static const struct digest id = { .bytes = { 0, 1, 2, 3, [31] = 255 } };
static char dir[] = "/tmp/test-store-XXXXXX";
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
	ck_assert_int_eq(mkdirat(base, FOLDER, 0755), 0);
}

static void teardown(void)
{
	close(base);
	nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *path, const void *bytes, size_t n)
{
	CLEANUP(closep) int fd = openat(base, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
}

static struct store *open_store(void)
{
	struct error err = { 0 };
	struct store *store;

	ck_assert_msg(store_new_local(&store, base, "store", &err) == 0, "%s", err.text);
	return store;
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

START_TEST(a_chunk_is_loaded_as_it_is_stored)
{
	CLEANUP(buffer_release) struct buffer bytes = { 0 };
	CLEANUP(store_freep) struct store *store = open_store();
	static const size_t sizes[] = { 1, 5000, 20, 300000 };
	struct store_state state;
	bool bad_seen = false;
	uint8_t *stored = malloc(300000);

	for (size_t i = 0; i < 300000; i++)
		stored[i] = (uint8_t)(i * 7 + i / 251);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		put(CHUNK, stored, sizes[i]);
		ck_assert_int_eq(store->ops->load(store, &id, &bytes, &state, &bad_seen, NULL), 0);
		ck_assert_uint_eq(bytes.len, sizes[i]);
		ck_assert_mem_eq(bytes.bytes, stored, sizes[i]);
		ck_assert_uint_eq(state.size, sizes[i]);
		ck_assert(!bad_seen);
	}
	free(stored);
}
END_TEST

START_TEST(a_state_is_that_of_one_unchanged_file)
{
	CLEANUP(buffer_release) struct buffer bytes = { 0 };
	CLEANUP(store_freep) struct store *store = open_store();
	struct store_state first, again, none = { 0 };
	bool bad_seen;

	put(CHUNK, "abc", 3);
	ck_assert_int_eq(store->ops->load(store, &id, &bytes, &first, &bad_seen, NULL), 0);
	ck_assert_int_eq(store->ops->load(store, &id, &bytes, &again, &bad_seen, NULL), 0);
	ck_assert(store_state_equal(&first, &again));
	ck_assert(!store_state_equal(&none, &none));
	ck_assert_int_eq(renameat(base, CHUNK, base, "old"), 0);
	put(CHUNK, "abc", 3);
	ck_assert_int_eq(store->ops->load(store, &id, &bytes, &again, &bad_seen, NULL), 0);
	ck_assert(!store_state_equal(&first, &again));
}
END_TEST

START_TEST(a_missing_chunk_is_an_outcome_of_its_own)
{
	CLEANUP(buffer_release) struct buffer bytes = { 0 };
	CLEANUP(store_freep) struct store *store = open_store();
	struct store_state state;
	bool bad_seen = false;

	ck_assert_int_eq(store->ops->load(store, &id, &bytes, &state, &bad_seen, NULL), 1);
	ck_assert(!bad_seen);
	put(CHUNK ".9.bad", "x", 1);
	ck_assert_int_eq(store->ops->load(store, &id, &bytes, &state, &bad_seen, NULL), 1);
	ck_assert(bad_seen);
	unlinkat(base, CHUNK ".9.bad", 0);
	unlinkat(base, FOLDER, AT_REMOVEDIR);
	ck_assert_int_eq(store->ops->load(store, &id, &bytes, &state, &bad_seen, NULL), 1);
	ck_assert(!bad_seen);
}
END_TEST

static void make_fifo(void)
{
	ck_assert_int_eq(mkfifoat(base, CHUNK, 0600), 0);
}

static void make_link(void)
{
	put("chunk", "abc", 3);
	ck_assert_int_eq(symlinkat("../../chunk", base, CHUNK), 0);
}

static void make_folder_link(void)
{
	ck_assert_int_eq(unlinkat(base, FOLDER, AT_REMOVEDIR), 0);
	ck_assert_int_eq(mkdirat(base, "folder", 0755), 0);
	put("folder/" HEX, "abc", 3);
	ck_assert_int_eq(symlinkat("../folder", base, FOLDER), 0);
}

static void make_directory(void)
{
	ck_assert_int_eq(mkdirat(base, CHUNK, 0755), 0);
}

static void make_empty(void)
{
	put(CHUNK, "", 0);
}

static void make_huge(void)
{
	CLEANUP(closep) int fd = -1;

	put(CHUNK, "abc", 3);
	fd = openat(base, CHUNK, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(ftruncate(fd, (off_t)1 << 40), 0);
}

static void make_one_too_large(void)
{
	CLEANUP(closep) int fd = -1;

	put(CHUNK, "abc", 3);
	fd = openat(base, CHUNK, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(ftruncate(fd, STORE_CHUNK_MAX + 1), 0);
}

static const struct {
	void (*make)(void);
	int want;
} others[] = {
	{ make_fifo, -EUCLEAN },	  { make_link, -ELOOP },    { make_folder_link, -ELOOP },
	{ make_directory, -EUCLEAN },	  { make_empty, -EUCLEAN }, { make_huge, -EUCLEAN },
	{ make_one_too_large, -EUCLEAN },
};

START_TEST(what_is_not_a_chunk_is_refused_before_it_is_read)
{
	CLEANUP(buffer_release) struct buffer bytes = { 0 };
	CLEANUP(store_freep) struct store *store = NULL;
	struct store_state state;
	struct error err = { 0 };
	int fds = count_fds();
	bool bad_seen;

	others[_i].make();
	store = open_store();
	ck_assert_msg(store->ops->load(store, &id, &bytes, &state, &bad_seen, &err) ==
			      others[_i].want,
		      "%d: %s", _i, err.text);
	ck_assert_uint_eq(bytes.room, 0);
	ck_assert_int_eq(count_fds(), fds + 1);
}
END_TEST

START_TEST(a_store_outlives_its_descriptor_and_its_name)
{
	CLEANUP(buffer_release) struct buffer bytes = { 0 };
	CLEANUP(store_freep) struct store *store = open_store();
	struct store_state state;
	char other[64];
	bool bad_seen;

	put(CHUNK, "abc", 3);
	snprintf(other, sizeof(other), "%s-renamed", dir);
	ck_assert_int_eq(rename(dir, other), 0);
	ck_assert_int_eq(store->ops->load(store, &id, &bytes, &state, &bad_seen, NULL), 0);
	ck_assert_int_eq(rename(other, dir), 0);
}
END_TEST

/* A store that answers what it is told to. */
struct told {
	struct store store;
	int answer;
	bool bad_seen;
	unsigned loads;
};

static int told_load(struct store *store, const struct digest *digest, struct buffer *bytes,
		     struct store_state *state, bool *bad_seen, struct error *err)
{
	struct told *told = (struct told *)store;

	(void)digest;
	told->loads++;
	*bad_seen = told->bad_seen;
	*state = (struct store_state){ 0 };
	buffer_reset(bytes);
	if (told->answer == 0)
		buffer_add(bytes, store->name, strlen(store->name));
	return told->answer < 0 ? error_set(err, told->answer, "told so") : told->answer;
}

static const struct store_ops told_ops = { told_load, NULL };

static struct told tells(const char *name, int answer)
{
	return (struct told){ .store = { &told_ops, name }, .answer = answer };
}

static int next(struct store_search *search, struct buffer *bytes, struct error *err)
{
	struct store_state state;

	return store_search_next(search, bytes, &state, err);
}

START_TEST(stores_are_asked_in_order_until_one_is_good)
{
	CLEANUP(buffer_release) struct buffer bytes = { 0 };
	struct told told[] = { tells("A", 1), tells("B", 0), tells("C", -EIO), tells("D", 0),
			       tells("E", 0) };
	struct store *stores[] = { &told[0].store, &told[1].store, &told[2].store, &told[3].store,
				   &told[4].store };
	struct store_search search = store_search_init(stores, COUNT(stores), &id);
	struct error bad;

	ck_assert_int_eq(next(&search, &bytes, NULL), 0);
	ck_assert_mem_eq(bytes.bytes, "B", 1);
	error_set(&bad, EBADMSG, "checksum");
	store_search_reject(&search, &bad);
	ck_assert_int_eq(next(&search, &bytes, NULL), 0);
	ck_assert_mem_eq(bytes.bytes, "D", 1);
	ck_assert_uint_eq(told[4].loads, 0); /* that one was good */
}
END_TEST

static const struct {
	int answers[2];
	bool bad_seen, rejected;
	int want;
	const char *text;
} ends[] = {
	{ { 1, 1 }, false, false, -EIO, "chunk " HEX " is missing" },
	{ { 1, 1 }, true, false, -EIO, "chunk " HEX " is missing, set aside as corrupt (.bad)" },
	{ { -EACCES, 1 }, false, false, -EACCES, "chunk " HEX ": A: told so" },
	{ { 1, -EUCLEAN }, false, false, -EUCLEAN, "chunk " HEX ": B: told so" },
	{ { -EUCLEAN, -EIO }, false, false, -EUCLEAN, "chunk " HEX ": A: told so" },
	{ { 0, 1 }, false, true, -EBADMSG, "chunk " HEX ": A: checksum" },
	{ { 0, -EIO }, false, true, -EBADMSG, "chunk " HEX ": A: checksum" },
	{ { -ENOMEM, 0 }, false, false, -ENOMEM, "chunk " HEX ": A: told so" },
};

START_TEST(a_search_that_fails_says_what_was_wrong_first)
{
	CLEANUP(buffer_release) struct buffer bytes = { 0 };
	struct told a = tells("A", ends[_i].answers[0]), b = tells("B", ends[_i].answers[1]);
	struct store *stores[] = { &a.store, &b.store };
	struct store_search search = store_search_init(stores, 2, &id);
	struct error bad, err = { 0 };

	b.bad_seen = ends[_i].bad_seen;
	if (ends[_i].rejected) {
		ck_assert_int_eq(next(&search, &bytes, &err), 0);
		error_set(&bad, EBADMSG, "checksum");
		store_search_reject(&search, &bad);
	}
	ck_assert_int_eq(next(&search, &bytes, &err), ends[_i].want);
	ck_assert_str_eq(err.text, ends[_i].text);
	ck_assert_int_eq(err.code, ends[_i].want);
	ck_assert_int_eq(search.bad_seen, ends[_i].bad_seen);
	ck_assert_int_eq(search.found, ends[_i].answers[0] != 1 || ends[_i].answers[1] != 1);
}
END_TEST

START_TEST(without_a_store_every_chunk_is_missing)
{
	CLEANUP(buffer_release) struct buffer bytes = { 0 };
	struct store_search search = store_search_init(NULL, 0, &id);

	ck_assert_int_eq(next(&search, &bytes, NULL), -EIO);
	ck_assert(!search.found);
}
END_TEST

/* Blobs that differ from their magic on do not matter here: n bytes of one of the kinds. */
static const uint8_t *blob(enum blob_kind kind, size_t n)
{
	static const uint8_t magics[][8] = {
		[BLOB_PLAIN] = { 0x42, 0xab, 0x38, 0x07, 0xbe, 0x83, 0x70, 0xa1 },
		[BLOB_ZSTD] = { 0x31, 0xb9, 0x58, 0x42, 0x6f, 0xb6, 0xa3, 0x7f },
		[BLOB_CRYPT] = { 0x7b, 0x67, 0x85, 0xbe, 0x22, 0x2d, 0x4c, 0xf0 },
		[BLOB_ZSTD_CRYPT] = { 0xe6, 0x59, 0x1b, 0xbf, 0x0b, 0xbf, 0xd8, 0x0b },
	};
	static uint8_t bytes[1000];

	ck_assert_uint_le(n, sizeof(bytes));
	memset(bytes, (int)n, sizeof(bytes));
	memcpy(bytes, magics[kind], 8);
	return bytes;
}

static struct stat stat_chunk(void)
{
	struct stat st;

	ck_assert_int_eq(fstatat(base, CHUNK, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

static int insert(const void *bytes, size_t n, struct error *err)
{
	CLEANUP(store_writer_freep) struct store_writer *w = NULL;

	ck_assert_int_eq(store_writer_new(&w, base, true, NULL), 0);
	return store_writer_insert(w, &id, bytes, n, err);
}

START_TEST(what_is_inserted_can_be_loaded)
{
	CLEANUP(buffer_release) struct buffer bytes = { 0 };
	CLEANUP(store_freep) struct store *store = open_store();
	struct store_state state;
	bool bad_seen;

	ck_assert_int_eq(unlinkat(base, FOLDER, AT_REMOVEDIR), 0); /* it makes a lost folder */
	ck_assert_int_eq(insert(blob(BLOB_PLAIN, 100), 100, NULL), STORE_WRITTEN);
	ck_assert_int_eq(store->ops->load(store, &id, &bytes, &state, &bad_seen, NULL), 0);
	ck_assert_uint_eq(bytes.len, 100);
	ck_assert_mem_eq(bytes.bytes, blob(BLOB_PLAIN, 100), 100);
	ck_assert_int_eq(stat_chunk().st_mode & 0777, 0644);
}
END_TEST

static const struct {
	enum blob_kind stored;
	size_t stored_size;
	enum blob_kind kind;
	size_t size;
	int want;
} meetings[] = {
	{ BLOB_PLAIN, 100, BLOB_PLAIN, 100, STORE_KEPT },
	{ BLOB_CRYPT, 100, BLOB_CRYPT, 100, STORE_KEPT },
	{ BLOB_PLAIN, 0, BLOB_PLAIN, 100, STORE_WRITTEN },
	{ BLOB_PLAIN, 0, BLOB_CRYPT, 100, STORE_WRITTEN },
	{ BLOB_PLAIN, 100, BLOB_CRYPT, 120, -EUCLEAN },
	{ BLOB_ZSTD, 100, BLOB_ZSTD_CRYPT, 120, -EUCLEAN },
	{ BLOB_CRYPT, 100, BLOB_CRYPT, 120, -EUCLEAN },
	{ BLOB_CRYPT, 100, BLOB_ZSTD_CRYPT, 80, STORE_KEPT },
	{ BLOB_ZSTD_CRYPT, 100, BLOB_CRYPT, 120, STORE_KEPT },
	{ BLOB_ZSTD_CRYPT, 100, BLOB_ZSTD_CRYPT, 80, STORE_KEPT },
	{ BLOB_PLAIN, 100, BLOB_ZSTD, 80, STORE_WRITTEN },
	{ BLOB_ZSTD, 80, BLOB_PLAIN, 100, STORE_KEPT },
	{ BLOB_ZSTD, 80, BLOB_ZSTD, 70, STORE_WRITTEN },
};

START_TEST(a_chunk_that_is_there_is_kept_or_replaced)
{
	size_t size =
		meetings[_i].want == STORE_WRITTEN ? meetings[_i].size : meetings[_i].stored_size;
	struct timespec times[2] = { { 1000, 1 }, { 2000, 2 } };
	struct error err = { 0 };
	struct stat st;

	put(CHUNK, blob(meetings[_i].stored, meetings[_i].stored_size), meetings[_i].stored_size);
	ck_assert_int_eq(utimensat(base, CHUNK, times, 0), 0);
	ck_assert_msg(insert(blob(meetings[_i].kind, meetings[_i].size), meetings[_i].size, &err) ==
			      meetings[_i].want,
		      "%d: %s", _i, err.text);
	st = stat_chunk();
	ck_assert_int_eq(st.st_size, (off_t)size);
	ck_assert_int_gt(st.st_atim.tv_sec, 1000); /* or it would be garbage */
	ck_assert(meetings[_i].want == STORE_WRITTEN || st.st_mtim.tv_sec == 2000);
}
END_TEST

START_TEST(nothing_but_a_file_is_replaced)
{
	struct error err = { 0 };

	make_link();
	ck_assert_int_eq(insert(blob(BLOB_PLAIN, 100), 100, &err), -EUCLEAN);
	ck_assert_msg(strstr(err.text, HEX) != NULL, "%s", err.text);
	ck_assert(S_ISLNK(stat_chunk().st_mode));
}
END_TEST

START_TEST(no_temporary_file_is_left)
{
	ck_assert_int_eq(insert(blob(BLOB_PLAIN, 100), 100, NULL), STORE_WRITTEN);
	ck_assert_int_eq(insert(blob(BLOB_ZSTD, 50), 50, NULL), STORE_WRITTEN);
	ck_assert_int_eq(unlinkat(base, CHUNK, 0), 0);
	ck_assert_int_eq(unlinkat(base, FOLDER, AT_REMOVEDIR), 0); /* it is empty */
}
END_TEST

/* Whether another process could begin to collect garbage. */
static bool can_collect(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		int fd = openat(base, ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0644);

		_exit(fcntl(fd, F_SETLK, &lock) == 0 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status) == 0;
}

START_TEST(no_garbage_is_collected_while_a_writer_lives)
{
	struct store_writer *w;

	ck_assert(can_collect());
	ck_assert_int_eq(store_writer_new(&w, base, false, NULL), 0);
	ck_assert(!can_collect());
	store_writer_free(w);
	ck_assert(can_collect());
	store_writer_free(NULL);
}
END_TEST

/* Returns once the child holds the lock; it ends when the pipe is closed. */
static pid_t collect(int hold[2])
{
	int ready[2];
	char byte;
	pid_t pid;

	ck_assert(pipe(hold) == 0 && pipe(ready) == 0);
	pid = fork();
	if (pid == 0) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		int fd = openat(base, ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0644);

		close(hold[1]);
		if (fcntl(fd, F_SETLK, &lock) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		_exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
	}
	close(hold[0]);
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

START_TEST(while_garbage_is_collected_nothing_is_written)
{
	struct store_writer *w;
	struct error err = { 0 };
	int hold[2];
	pid_t pid = collect(hold);

	ck_assert_int_eq(store_writer_new(&w, base, false, &err), -EBUSY);
	ck_assert_msg(strstr(err.text, "garbage") != NULL, "%s", err.text);
	close(hold[1]);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(store_writer_new(&w, base, false, &err), 0);
	store_writer_free(w);
}
END_TEST

static const struct {
	const char *name;
	const char *stored; /* NULL: nothing */
	size_t n;
	bool encrypted;
	int want;
} keeps[] = {
	{ "nothing is there", NULL, 0, false, 0 },
	{ "lost in a crash", "", 0, false, 0 },
	{ "plain", "\x42\xab\x38\x07\xbe\x83\x70\xa1....x", 13, false, STORE_KEPT },
	{ "plain, to be encrypted", "\x42\xab\x38\x07\xbe\x83\x70\xa1....x", 13, true, -EUCLEAN },
	{ "encrypted", "\x7b\x67\x85\xbe\x22\x2d\x4c\xf0....x", 13, true, STORE_KEPT },
	{ "encrypted, to be plain", "\x7b\x67\x85\xbe\x22\x2d\x4c\xf0....x", 13, false, -EUCLEAN },
	{ "no blob", "nonsense nonsense", 17, false, -EUCLEAN },
	{ "shorter than a header", "\x42\xab\x38", 3, false, -EUCLEAN },
};

START_TEST(a_chunk_that_is_there_need_not_be_encoded)
{
	CLEANUP(store_writer_freep) struct store_writer *w = NULL;
	static const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	struct error err = { 0 };
	struct stat st;

	ck_assert_int_eq(store_writer_new(&w, base, false, NULL), 0);
	if (keeps[_i].stored) {
		put(CHUNK, keeps[_i].stored, keeps[_i].n);
		ck_assert_int_eq(utimensat(base, CHUNK, old, 0), 0);
	}
	ck_assert_msg(store_writer_keep(w, &id, keeps[_i].encrypted, &err) == keeps[_i].want,
		      "%s: %s", keeps[_i].name, err.text);
	if (keeps[_i].want < 0)
		ck_assert_msg(strstr(err.text, HEX) != NULL, "%s", err.text);
	if (keeps[_i].want != STORE_KEPT)
		return;
	ck_assert_int_eq(fstatat(base, CHUNK, &st, 0), 0);
	ck_assert_int_gt(st.st_atim.tv_sec, 1000);
	ck_assert_int_eq(st.st_mtim.tv_sec, 1000);
}
END_TEST

static TCase *load_case(void)
{
	TCase *tc = tcase_create("load");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_chunk_is_loaded_as_it_is_stored);
	tcase_add_test(tc, a_state_is_that_of_one_unchanged_file);
	tcase_add_test(tc, a_missing_chunk_is_an_outcome_of_its_own);
	tcase_add_loop_test(tc, what_is_not_a_chunk_is_refused_before_it_is_read, 0, COUNT(others));
	tcase_add_test(tc, a_store_outlives_its_descriptor_and_its_name);
	tcase_add_test(tc, stores_are_asked_in_order_until_one_is_good);
	tcase_add_loop_test(tc, a_search_that_fails_says_what_was_wrong_first, 0, COUNT(ends));
	tcase_add_test(tc, without_a_store_every_chunk_is_missing);
	return tc;
}

static TCase *insert_case(void)
{
	TCase *tc = tcase_create("insert");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_is_inserted_can_be_loaded);
	tcase_add_loop_test(tc, a_chunk_that_is_there_is_kept_or_replaced, 0, COUNT(meetings));
	tcase_add_loop_test(tc, a_chunk_that_is_there_need_not_be_encoded, 0, COUNT(keeps));
	tcase_add_test(tc, nothing_but_a_file_is_replaced);
	tcase_add_test(tc, no_temporary_file_is_left);
	tcase_add_test(tc, no_garbage_is_collected_while_a_writer_lives);
	tcase_add_test(tc, while_garbage_is_collected_nothing_is_written);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("store");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, load_case());
	suite_add_tcase(s, insert_case());
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
