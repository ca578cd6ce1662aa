#define FUSE_USE_VERSION 314
#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_log.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "daemon/log.h"

enum { CAPTURE_SIZE = 1 << 18 };

static int real_stderr, captured;

/* From here on standard error goes to memory. */
static void capture_start(void)
{
	real_stderr = dup(STDERR_FILENO);
	captured = memfd_create("log", MFD_CLOEXEC);
	ck_assert_int_ge(captured, 0);
	dup2(captured, STDERR_FILENO);
}

/* What was written, without a NUL inside; in a buffer that the next call overwrites. */
static const char *capture_end(void)
{
	static char text[CAPTURE_SIZE];
	ssize_t n;

	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	n = pread(captured, text, sizeof(text) - 1, 0);
	ck_assert_int_ge(n, 0);
	close(captured);
	text[n] = '\0';
	ck_assert_uint_eq(strlen(text), (size_t)n);
	return text;
}

static unsigned count_lines(const char *text)
{
	unsigned n = 0;

	for (; (text = strchr(text, '\n')); text++)
		n++;
	return n;
}

static const struct {
	const char *bytes, *text;
} names[] = {
	{ "plain", "plain" },
	{ "", "" },
	{ "a b'\"", "a b'\"" },
	{ "\n\r\t\x1b[2J\x7f", "\\x0a\\x0d\\x09\\x1b[2J\\x7f" },
	{ "\\x0a", "\\x5cx0a" },
	{ "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7",
	  "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7" },
	{ "\xff\xfe", "\\xff\\xfe" },
	{ "\xc3", "\\xc3" },				/* cut */
	{ "\xc3(", "\\xc3(" },				/* not continued */
	{ "\x80", "\\x80" },				/* continues nothing */
	{ "\xc0\x80", "\\xc0\\x80" },			/* overlong NUL */
	{ "\xe0\x80\xaf", "\\xe0\\x80\\xaf" },		/* overlong slash */
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },		/* half a surrogate pair */
	{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" }, /* past U+10FFFF */
	{ "\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80" },
	{ "\xc2\x9b", "\\xc2\\x9b" },	       /* CSI in one character */
	{ "\xe2\x80\xae", "\\xe2\\x80\\xae" }, /* right-to-left override */
	{ "\xe2\x80\xa8", "\\xe2\\x80\\xa8" }, /* line separator */
	{ "\xef\xbb\xbf", "\\xef\\xbb\\xbf" }, /* byte order mark */
};

START_TEST(names_are_printable)
{
	char text[LOG_NAME_SIZE];

	ck_assert_str_eq(log_name(text, sizeof(text), names[_i].bytes, strlen(names[_i].bytes)),
			 names[_i].text);
}
END_TEST

START_TEST(a_nul_is_a_byte_like_others)
{
	char text[LOG_NAME_SIZE];

	ck_assert_str_eq(log_name(text, sizeof(text), "a\0b", 3), "a\\x00b");
}
END_TEST

static int from_hex(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

static size_t unescape(const char *text, uint8_t *bytes)
{
	size_t n = 0;

	for (; *text; text++) {
		if (*text == '\\') {
			bytes[n++] = (uint8_t)(from_hex(text[2]) << 4 | from_hex(text[3]));
			text += 3;
		} else {
			bytes[n++] = (uint8_t)*text;
		}
	}
	return n;
}

/* Whatever is named comes out without control bytes and can be told from anything else. */
START_TEST(escaping_loses_nothing)
{
	uint8_t bytes[40], back[256];
	char text[LOG_NAME_SIZE];
	size_t n;

	srand(1);
	for (int round = 0; round < 20000; round++) {
		n = (size_t)rand() % sizeof(bytes);
		for (size_t i = 0; i < n; i++)
			bytes[i] = rand() % 3 ? (uint8_t)(0x80 + rand() % 128) : (uint8_t)rand();
		log_name(text, sizeof(text), bytes, n);
		for (const char *c = text; *c; c++)
			ck_assert((uint8_t)*c >= 0x20 && *c != 0x7f);
		ck_assert_uint_eq(unescape(text, back), n);
		ck_assert_int_eq(memcmp(back, bytes, n), 0);
	}
}
END_TEST

START_TEST(long_names_are_cut_at_a_character)
{
	char text[LOG_NAME_SIZE], bytes[1000];
	size_t len;

	memset(bytes, 0xff, sizeof(bytes));
	log_name(text, sizeof(text), bytes, sizeof(bytes));
	ck_assert_uint_le(strlen(text), 256);
	ck_assert_str_eq(text + strlen(text) - 7, "\\xff...");
	for (size_t i = 0; i < sizeof(bytes); i += 2)
		memcpy(bytes + i, "\xc3\xbc", 2);
	for (size_t size = 4; size < sizeof(text); size++) {
		log_name(text, size, bytes, sizeof(bytes));
		len = strlen(text);
		ck_assert_uint_lt(len, size);
		ck_assert_uint_eq((len - 3) % 2, 0);
		ck_assert_str_eq(text + len - 3, "...");
	}
}
END_TEST

START_TEST(ten_lines_pass_in_a_second)
{
	struct log_rate rate = { 0 };
	uint64_t suppressed, passed = 0, reported = 0;
	const uint64_t start = 123456;

	/* An hour's worth, a message each millisecond. */
	for (uint64_t ms = 0; ms < 3600 * 1000; ms++) {
		if (!log_rate_pass(&rate, start + ms, &suppressed)) {
			ck_assert_uint_eq(suppressed, 0);
			continue;
		}
		passed += suppressed ? 2 : 1; /* the report is a line as well */
		reported += suppressed;
		ck_assert_uint_le(passed, LOG_PER_SECOND * (ms / 1000 + 1));
	}
	ck_assert_uint_eq(passed, LOG_PER_SECOND * 3600);
	/* Each message was written or is accounted for. */
	ck_assert_uint_eq(passed - 3599 + reported + rate.suppressed, 3600 * 1000);
}
END_TEST

START_TEST(slow_messages_all_pass)
{
	struct log_rate rate = { 0 };
	uint64_t suppressed;

	for (uint64_t ms = 0; ms < 1000000; ms += 100) {
		ck_assert(log_rate_pass(&rate, ms, &suppressed));
		ck_assert_uint_eq(suppressed, 0);
	}
}
END_TEST

START_TEST(one_event_is_one_line)
{
	log_open(LOG_TO_STDERR, LOG_LEVEL_INFO);
	capture_start();
	log_error("%s", "two\nlines\x1b[2J \xff gr\xc3\xbc\xc3\x9f \\ end");
	ck_assert_str_eq(capture_end(), "pxar-mount: two\\x0alines\\x1b[2J \\xff gr\xc3\xbc\xc3\x9f"
					" \\ end\n");
}
END_TEST

START_TEST(a_long_event_is_one_line)
{
	char text[5000];
	const char *line;

	memset(text, '\n', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	capture_start();
	log_error("%s", text);
	line = capture_end();
	ck_assert_uint_eq(count_lines(line), 1);
	ck_assert_uint_le(strlen(line), 2048);
}
END_TEST

START_TEST(errno_is_there_to_print_and_is_kept)
{
	capture_start();
	errno = ENOENT;
	log_warn("open: %m");
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_str_eq(capture_end(), "pxar-mount: open: No such file or directory\n");
}
END_TEST

START_TEST(messages_above_the_level_are_dropped)
{
	log_open(LOG_TO_STDERR, LOG_LEVEL_WARN);
	capture_start();
	log_error("e");
	log_warn("w");
	log_info("i");
	log_debug("d");
	ck_assert_str_eq(capture_end(), "pxar-mount: e\npxar-mount: w\n");
}
END_TEST

static void complain(int i)
{
	log_error("complaint %d", i);
}

START_TEST(a_flood_is_ten_lines_and_its_count)
{
	const char *text, *last;
	struct timespec second = { .tv_sec = 1, .tv_nsec = 10000000 };

	log_open(LOG_TO_STDERR, LOG_LEVEL_INFO);
	nanosleep(&second, NULL); /* whatever began a second at this site is over */
	capture_start();
	for (int i = 0; i < 1000; i++)
		complain(i);
	log_info("another site is not held up");
	log_close();
	text = capture_end();
	ck_assert_uint_eq(count_lines(text), LOG_PER_SECOND + 2);
	ck_assert_ptr_nonnull(strstr(text, "complaint 9\n"));
	ck_assert_ptr_null(strstr(text, "complaint 10\n"));
	ck_assert_ptr_nonnull(strstr(text, "held up\n"));
	last = strstr(text, "990 more suppressed (test-log.c:");
	ck_assert_ptr_nonnull(last);
}
END_TEST

START_TEST(debug_messages_are_not_held_up)
{
	log_open(LOG_TO_STDERR, LOG_LEVEL_DEBUG);
	capture_start();
	for (int i = 0; i < 100; i++)
		log_debug("%d", i);
	ck_assert_uint_eq(count_lines(capture_end()), 100);
}
END_TEST

START_TEST(a_closed_pipe_loses_lines_and_counts_them)
{
	int fds[2], saved = dup(STDERR_FILENO);

	log_open(LOG_TO_STDERR, LOG_LEVEL_INFO);
	ck_assert_int_eq(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	close(fds[0]);
	close(fds[1]);
	log_error("nobody reads this");
	log_error("nor this");
	dup2(saved, STDERR_FILENO);
	close(saved);
	capture_start();
	log_error("but this");
	ck_assert_str_eq(capture_end(), "pxar-mount: but this\n"
					"pxar-mount: 2 lines could not be written\n");
}
END_TEST

START_TEST(a_full_pipe_loses_lines_and_holds_nobody_up)
{
	static const char filling[4096];
	int fds[2], saved = dup(STDERR_FILENO);

	log_open(LOG_TO_STDERR, LOG_LEVEL_INFO);
	ck_assert_int_eq(pipe2(fds, O_NONBLOCK), 0);
	while (write(fds[1], filling, sizeof(filling)) > 0)
		;
	ck_assert_int_eq(fcntl(fds[1], F_SETFL, 0), 0); /* as whoever starts it hands it over */
	dup2(fds[1], STDERR_FILENO);
	alarm(10);
	log_error("nobody reads this");
	alarm(0);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[0]);
	close(fds[1]);
	capture_start();
	log_error("but this");
	ck_assert_str_eq(capture_end(), "pxar-mount: but this\n"
					"pxar-mount: 1 lines could not be written\n");
}
END_TEST

START_TEST(libfuse_speaks_through_the_log)
{
	log_open(LOG_TO_STDERR, LOG_LEVEL_INFO);
	capture_start();
	log_fuse(true);
	fuse_log(FUSE_LOG_ERR, "fuse: explained elsewhere\n");
	log_fuse(false);
	fuse_log(FUSE_LOG_ERR, "fuse: %d\n%s\n", 1, "two");
	fuse_log(FUSE_LOG_DEBUG, "fuse: request\n");
	fuse_set_log_func(NULL);
	ck_assert_str_eq(capture_end(), "pxar-mount: fuse: 1\\x0atwo\n");
}
END_TEST

enum { WRITERS = 8, LINES = 200 };

static void *write_many(void *arg)
{
	for (int i = 0; i < LINES; i++) {
		log_debug("%s", (const char *)arg);
		log_error("%s", (const char *)arg);
	}
	return NULL;
}

/* Under a thread sanitizer this also shows that the counters are locked. */
START_TEST(lines_of_threads_do_not_mix)
{
	static const char line[] = "a line of its own that is long enough to be torn";
	CLEANUP(freep) char *copy = NULL;
	pthread_t threads[WRITERS];
	char *rest, *at;
	unsigned n = 0;

	log_open(LOG_TO_STDERR, LOG_LEVEL_DEBUG);
	capture_start();
	fcntl(STDERR_FILENO, F_SETFL, O_APPEND);
	for (size_t i = 0; i < WRITERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, write_many, (void *)line), 0);
	for (size_t i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	log_close();
	copy = strdup(capture_end());
	rest = copy;
	while ((at = strsep(&rest, "\n")) && *at) {
		ck_assert_int_eq(strncmp(at, "pxar-mount: ", 12), 0);
		if (strstr(at, "suppressed"))
			continue;
		ck_assert_str_eq(at + 12, line);
		n++;
	}
	ck_assert_uint_ge(n, WRITERS * LINES + LOG_PER_SECOND);
	log_open(LOG_TO_STDERR, LOG_LEVEL_INFO);
}
END_TEST

static TCase *escaping(void)
{
	TCase *tc = tcase_create("escaping");

	tcase_add_loop_test(tc, names_are_printable, 0, (int)(sizeof(names) / sizeof(*names)));
	tcase_add_test(tc, a_nul_is_a_byte_like_others);
	tcase_add_test(tc, escaping_loses_nothing);
	tcase_add_test(tc, long_names_are_cut_at_a_character);
	return tc;
}

static TCase *lines(void)
{
	TCase *tc = tcase_create("lines");

	tcase_add_test(tc, ten_lines_pass_in_a_second);
	tcase_add_test(tc, slow_messages_all_pass);
	tcase_add_test(tc, one_event_is_one_line);
	tcase_add_test(tc, a_long_event_is_one_line);
	tcase_add_test(tc, errno_is_there_to_print_and_is_kept);
	tcase_add_test(tc, messages_above_the_level_are_dropped);
	tcase_add_test(tc, a_flood_is_ten_lines_and_its_count);
	tcase_add_test(tc, debug_messages_are_not_held_up);
	tcase_add_test(tc, a_closed_pipe_loses_lines_and_counts_them);
	tcase_add_test(tc, a_full_pipe_loses_lines_and_holds_nobody_up);
	tcase_add_test(tc, libfuse_speaks_through_the_log);
	tcase_add_test(tc, lines_of_threads_do_not_mix);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("log");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, escaping());
	suite_add_tcase(s, lines());
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
