#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <openssl/crypto.h>

#include "chunkcache/secret.h"

static char dir[] = "/tmp/test-secret-XXXXXX";
static char path[64];

static void setup(void)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/file", dir);
}

static void teardown(void)
{
	unlink(path);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void put(const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

START_TEST(memory_is_zeroed_and_locked)
{
	uint8_t zeros[5000] = { 0 };
	uint8_t *secret = secret_new(sizeof(zeros));

	ck_assert_ptr_nonnull(secret);
	ck_assert_mem_eq(secret, zeros, sizeof(zeros));
	ck_assert_uint_eq((uintptr_t)secret % _Alignof(max_align_t), 0);
	memset(secret, 1, sizeof(zeros));
	secret_free(secret);
	ck_assert_ptr_null(secret_new(SIZE_MAX - 4));
	secret_free(NULL);
}
END_TEST

/* The part of /proc/self/smaps that is about the mapping which holds this address. */
static bool mapping_has(const void *at, const char *line, const char *word)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long from = 0, to = 0;
	bool here = false, has = false;
	char text[512];

	ck_assert_ptr_nonnull(f);
	while (fgets(text, sizeof(text), f)) {
		if (sscanf(text, "%lx-%lx ", &from, &to) == 2)
			here = (uintptr_t)at >= from && (uintptr_t)at < to;
		else if (here && strncmp(text, line, strlen(line)) == 0)
			has = strstr(text, word);
	}
	fclose(f);
	return has;
}

START_TEST(memory_stays_out_of_core_dumps_and_swap)
{
	char *secret = secret_new(10);
	void *page = mmap(NULL, 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert(mapping_has(secret, "VmFlags:", " dd"));
	/* As much as can be had: sanitizers let nobody lock memory. */
	ck_assert(secret_is_locked(secret) == (mlock(page, 1) == 0));
	ck_assert(mapping_has(secret, "VmFlags:", " lo") == mapping_has(page, "VmFlags:", " lo"));
	munmap(page, 1);
	secret_free(secret);
}
END_TEST

START_TEST(without_the_right_to_lock_there_is_still_memory)
{
	struct rlimit none = { 0, 0 }, before;
	uint8_t *secret;

	getrlimit(RLIMIT_MEMLOCK, &before);
	none.rlim_max = before.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &none), 0);
	secret = secret_new(100);
	ck_assert_ptr_nonnull(secret);
	if (geteuid() != 0)
		ck_assert(!secret_is_locked(secret));
	secret_free(secret);
	setrlimit(RLIMIT_MEMLOCK, &before);
}
END_TEST

START_TEST(the_secure_heap_is_used_where_there_is_one)
{
	char *small, *large;

	ck_assert_int_eq(CRYPTO_secure_malloc_init(16384, 32), 1);
	small = secret_new(100);
	large = secret_new(100000); /* more than the heap has */
	ck_assert_int_eq(CRYPTO_secure_allocated(small - 32), 1);
	ck_assert(secret_is_locked(small));
	ck_assert_int_eq(CRYPTO_secure_allocated(large - 32), 0);
	memset(large, 1, 100000);
	secret_free(large);
	secret_free(small);
	ck_assert_int_eq(CRYPTO_secure_malloc_done(), 1);
}
END_TEST

START_TEST(a_file_is_read_whole_and_its_mode_is_told)
{
	static const struct {
		mode_t mode;
		bool readable, writable;
	} modes[] = {
		{ 0600, false, false }, { 0400, false, false }, { 0640, true, false },
		{ 0604, true, false },	{ 0620, false, true },	{ 0666, true, true },
	};
	struct secret_read how = { .max = 6, .wait_ms = 1000 };
	struct secret_bytes *secret;
	struct error err = { 0 };

	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		put("a\r\nb\nc", modes[i].mode);
		ck_assert_msg(secret_read(&secret, path, &how, &err) == 0, "%s", err.text);
		ck_assert_str_eq((char *)secret->bytes, "a\r\nb\nc");
		ck_assert_uint_eq(secret->len, 6);
		ck_assert(how.readable == modes[i].readable && how.writable == modes[i].writable);
		secret_free(secret);
	}
}
END_TEST

START_TEST(the_first_line_ends_at_its_newline)
{
	static const struct {
		const char *text, *line;
	} lines[] = {
		{ "word", "word" },	{ "word\n", "word" },	    { "word\r\nmore", "word" },
		{ "word\r", "word\r" }, { "\nword", "" },	    { "", "" },
		{ "\r\n", "" },		{ " word \n\n", " word " },
	};
	struct secret_read how = { .max = 100, .wait_ms = 1000, .line_only = true };
	struct secret_bytes *secret;
	struct error err = { 0 };

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		put(lines[i].text, 0600);
		ck_assert_int_eq(secret_read(&secret, path, &how, &err), 0);
		ck_assert_uint_eq(secret->len, strlen(lines[i].line));
		ck_assert_str_eq((char *)secret->bytes, lines[i].line);
		secret_free(secret);
	}
}
END_TEST

START_TEST(more_than_the_limit_is_refused_however_much_it_is)
{
	struct secret_read how = { .max = 5, .wait_ms = 1000 };
	struct secret_bytes *secret;
	struct error err = { 0 };

	put("123456", 0600);
	ck_assert_int_eq(secret_read(&secret, path, &how, &err), -EFBIG);
	ck_assert_int_eq(truncate(path, (off_t)1 << 40), 0);
	ck_assert_int_eq(secret_read(&secret, path, &how, &err), -EFBIG);
	ck_assert_int_eq(secret_read(&secret, "/dev/zero", &how, &err), -EFBIG);
}
END_TEST

START_TEST(what_holds_no_secret_is_refused)
{
	struct secret_read how = { .max = 5, .wait_ms = 1000 };
	struct secret_bytes *secret;
	struct error err = { 0 };

	ck_assert_int_eq(secret_read(&secret, dir, &how, &err), -EISDIR);
	ck_assert_int_eq(secret_read(&secret, path, &how, &err), -ENOENT);
	ck_assert_int_eq(secret_read_fd(&secret, 9999, &how, &err), -EBADF);
}
END_TEST

START_TEST(a_fifo_without_writer_is_not_waited_for_for_ever)
{
	struct secret_read how = { .max = 5, .wait_ms = 50 };
	struct secret_bytes *secret;
	struct error err = { 0 };

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(secret_read(&secret, path, &how, &err), -ETIMEDOUT);
}
END_TEST

START_TEST(a_pipe_is_read_to_its_end_and_stays_open)
{
	struct secret_read how = { .max = 50, .wait_ms = 1000 };
	struct secret_bytes *secret;
	struct error err = { 0 };
	char name[32];
	int pipes[2];

	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	ck_assert_int_eq(write(pipes[1], "one\ntwo", 7), 7);
	how.line_only = true; /* the writer is still there, but the line is */
	ck_assert_int_eq(secret_read_fd(&secret, pipes[0], &how, &err), 0);
	ck_assert_str_eq((char *)secret->bytes, "one");
	secret_free(secret);
	ck_assert_int_eq(write(pipes[1], "three", 5), 5);
	close(pipes[1]);
	how.line_only = false;
	snprintf(name, sizeof(name), "/dev/fd/%d", pipes[0]);
	ck_assert_int_eq(secret_read(&secret, name, &how, &err), 0);
	ck_assert_str_eq((char *)secret->bytes, "three");
	secret_free(secret);
	ck_assert_int_ne(fcntl(pipes[0], F_GETFD), -1);
	close(pipes[0]);
}
END_TEST

START_TEST(a_file_without_a_name_has_no_mode_to_speak_of)
{
	struct secret_read how = { .max = 50, .wait_ms = 1000 };
	int fd = memfd_create("key", MFD_CLOEXEC); /* its mode is 0777 */
	struct secret_bytes *secret;
	struct error err = { 0 };

	ck_assert_int_eq(pwrite(fd, "word", 4, 0), 4);
	ck_assert_int_eq(secret_read_fd(&secret, fd, &how, &err), 0);
	ck_assert(!how.writable && !how.readable);
	ck_assert_str_eq((char *)secret->bytes, "word");
	secret_free(secret);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("secret");
	TCase *tc = tcase_create("secret");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, memory_is_zeroed_and_locked);
	tcase_add_test(tc, memory_stays_out_of_core_dumps_and_swap);
	tcase_add_test(tc, without_the_right_to_lock_there_is_still_memory);
	tcase_add_test(tc, the_secure_heap_is_used_where_there_is_one);
	tcase_add_test(tc, a_file_is_read_whole_and_its_mode_is_told);
	tcase_add_test(tc, the_first_line_ends_at_its_newline);
	tcase_add_test(tc, more_than_the_limit_is_refused_however_much_it_is);
	tcase_add_test(tc, what_holds_no_secret_is_refused);
	tcase_add_test(tc, a_fifo_without_writer_is_not_waited_for_for_ever);
	tcase_add_test(tc, a_pipe_is_read_to_its_end_and_stays_open);
	tcase_add_test(tc, a_file_without_a_name_has_no_mode_to_speak_of);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
