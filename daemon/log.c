#define FUSE_USE_VERSION 314
#include "daemon/log.h"

#include <assert.h>
#include <errno.h>
#include <fuse_log.h>
#include <pthread.h>
#include <signal.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static const char prefix[] = "pxar-mount: ";

enum {
	TEXT_SIZE = 1024, /* of a message before escaping */
	LINE_SIZE = 2048, /* less than PIPE_BUF, so that lines of several programs do not mix */
	SECOND_MS = 1000,
};

static _Atomic enum log_target target = LOG_TO_STDERR;
static _Atomic enum log_level highest = LOG_LEVEL_INFO;
static _Atomic uint64_t lost; /* lines that could not be written */
static _Atomic bool fuse_is_quiet;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_site *sites; /* protected by lock */

/* Characters that a terminal obeys or hides instead of showing them: C1 controls, line and
   paragraph separators, changes of writing direction, the byte order mark. */
static bool is_shown(uint32_t c)
{
	return !((c >= 0x80 && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f ||
		 (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff);
}

/* The length of the printable character that the bytes begin with; 0 when it is none. */
static size_t character(const uint8_t *b, size_t n)
{
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 }; /* else overlong */
	size_t len;
	uint32_t c;

	if (b[0] < 0x80)
		return b[0] >= 0x20 && b[0] != 0x7f ? 1 : 0;
	len = b[0] < 0xc0 ? 0 : b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : b[0] < 0xf8 ? 4 : 0;
	if (!len || len > n)
		return 0;
	c = b[0] & (0x7fU >> len);
	for (size_t i = 1; i < len; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (b[i] & 0x3f);
	}
	if (c < lowest[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return is_shown(c) ? len : 0;
}

/* Returns the length of the text, which ends in a NUL. */
static size_t printable(char *text, size_t size, const uint8_t *b, size_t n, bool keep_backslash)
{
	static const char hex[] = "0123456789abcdef";
	size_t at = 0;

	assert(size >= sizeof("..."));
	for (size_t i = 0; i < n;) {
		size_t len = b[i] == '\\' && !keep_backslash ? 0 : character(b + i, n - i);

		if (at + (len ? len : 4) + sizeof("...") > size) {
			memcpy(text + at, "...", 3);
			at += 3;
			break;
		}
		if (len) {
			memcpy(text + at, b + i, len);
			at += len;
			i += len;
			continue;
		}
		text[at++] = '\\';
		text[at++] = 'x';
		text[at++] = hex[b[i] >> 4];
		text[at++] = hex[b[i++] & 15];
	}
	text[at] = '\0';
	return at;
}

const char *log_name(char *text, size_t size, const void *bytes, size_t n)
{
	printable(text, size, bytes, n, false);
	return text;
}

/* A pipe that nobody reads must not stop the mount. What is writable takes a line whole. */
static bool is_writable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) == 1 && p.revents & POLLOUT;
}

/* False when the line is lost. Syslog keeps its own counsel. */
static bool write_line(enum log_level level, const char *text)
{
	char line[LINE_SIZE];
	size_t n;

	memcpy(line, prefix, sizeof(prefix));
	n = sizeof(prefix) - 1;
	n += printable(line + n, sizeof(line) - n - 1, (const uint8_t *)text, strlen(text), true);
	if (target == LOG_TO_SYSLOG) {
		syslog((int)level, "%s", line + sizeof(prefix) - 1);
		return true;
	}
	line[n++] = '\n';
	return is_writable(STDERR_FILENO) && write(STDERR_FILENO, line, n) == (ssize_t)n;
}

static void emit(enum log_level level, const char *text)
{
	char report[64];
	uint64_t before;

	if (!write_line(level, text)) {
		lost++;
		return;
	}
	before = atomic_exchange(&lost, 0);
	if (!before)
		return;
	snprintf(report, sizeof(report), "%llu lines could not be written",
		 (unsigned long long)before);
	if (!write_line(LOG_LEVEL_WARN, report))
		lost += before;
}

static void report_suppressed(const struct log_site *site, uint64_t n)
{
	char text[128];

	snprintf(text, sizeof(text), "%llu more suppressed (%s:%d)", (unsigned long long)n,
		 site->file, site->line);
	emit(LOG_LEVEL_WARN, text);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND_MS + (uint64_t)ts.tv_nsec / 1000000;
}

bool log_rate_pass(struct log_rate *rate, uint64_t now, uint64_t *suppressed)
{
	*suppressed = 0;
	if (!rate->written || now - rate->since_ms >= SECOND_MS) {
		*suppressed = rate->suppressed;
		*rate = (struct log_rate){ .since_ms = now, .written = *suppressed ? 1 : 0 };
	}
	if (rate->written >= LOG_PER_SECOND) {
		rate->suppressed++;
		return false;
	}
	rate->written++;
	return true;
}

static bool site_pass(struct log_site *site, uint64_t now, uint64_t *suppressed)
{
	bool pass;

	pthread_mutex_lock(&lock);
	pass = log_rate_pass(&site->rate, now, suppressed);
	if (!pass && !site->listed) {
		site->listed = true;
		site->next = sites;
		sites = site;
	}
	pthread_mutex_unlock(&lock);
	return pass;
}

/* A site that owes a report of what it suppressed before this time; its debt is taken over. */
static const struct log_site *take_owing(uint64_t before_ms, uint64_t *suppressed)
{
	struct log_site *site;

	pthread_mutex_lock(&lock);
	for (site = sites; site; site = site->next)
		if (site->rate.suppressed && site->rate.since_ms <= before_ms)
			break;
	if (site) {
		*suppressed = site->rate.suppressed;
		site->rate.suppressed = 0;
	}
	pthread_mutex_unlock(&lock);
	return site;
}

static void report_owing(uint64_t before_ms)
{
	const struct log_site *site;
	uint64_t suppressed;

	while ((site = take_owing(before_ms, &suppressed)))
		report_suppressed(site, suppressed);
}

void log_open(enum log_target to, enum log_level level)
{
	signal(SIGPIPE, SIG_IGN);
	highest = level;
	log_switch(to);
}

void log_switch(enum log_target to)
{
	/* Connected now: later the daemon may have no right to. */
	if (to == LOG_TO_SYSLOG)
		openlog("pxar-mount", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	target = to;
}

void log_close(void)
{
	report_owing(UINT64_MAX);
	if (target == LOG_TO_SYSLOG)
		closelog();
}

void log_write(struct log_site *site, enum log_level level, const char *fmt, ...)
{
	uint64_t now, suppressed = 0;
	char text[TEXT_SIZE];
	int saved = errno;
	va_list ap;

	if (level > highest)
		return;
	if (level < LOG_LEVEL_DEBUG) {
		now = now_ms();
		if (!site_pass(site, now, &suppressed)) {
			errno = saved;
			return;
		}
		if (suppressed)
			report_suppressed(site, suppressed);
		report_owing(now - SECOND_MS);
	}
	errno = saved; /* for %m */
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	emit(level, text);
	errno = saved;
}

static void take_fuse_message(enum fuse_log_level given, const char *fmt, va_list ap)
{
	static struct log_site site = { .file = "libfuse" };
	enum log_level level;
	char text[TEXT_SIZE];
	size_t n;

	vsnprintf(text, sizeof(text), fmt, ap);
	n = strlen(text);
	if (n && text[n - 1] == '\n')
		text[n - 1] = '\0';
	if (given == FUSE_LOG_DEBUG || fuse_is_quiet)
		level = LOG_LEVEL_DEBUG;
	else if (given >= FUSE_LOG_NOTICE)
		level = LOG_LEVEL_INFO;
	else
		level = given == FUSE_LOG_WARNING ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR;
	log_write(&site, level, "%s", text);
}

void log_fuse(bool quiet)
{
	fuse_is_quiet = quiet;
	fuse_set_log_func(take_fuse_message);
}
