/*
 * log.h - the only place that prints
 *
 * One event is one printable line, written by one write(2): "pxar-mount: ..." on standard error,
 * or a syslog(3) record once the daemon is in the background. Control bytes and what is not UTF-8
 * come out as \xNN, whatever was put in.
 *
 * Each call site may write ten lines a second; what it has beyond that is counted, and the count
 * is written later. Debug messages are exempt: they were asked for. A line that could not be
 * written is counted likewise.
 *
 * Threads: every function may be called from any thread, once log_open() has returned.
 */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers of syslog(3), which are libfuse's as well. */
enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARN = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

enum log_target {
	LOG_TO_STDERR,
	LOG_TO_SYSLOG,
};

enum {
	LOG_PER_SECOND = 10,
	LOG_NAME_SIZE = 257, /* room for what log_name() makes of a field of archive data */
};

/* How often one call site has written in the current second. */
struct log_rate {
	uint64_t since_ms; /* when that second began */
	unsigned written;
	uint64_t suppressed;
};

struct log_site {
	struct log_rate rate;  /* protected by the log's lock, as is next */
	struct log_site *next; /* sites that have ever suppressed anything */
	bool listed;
	const char *file;
	int line;
};

/* Messages above level are dropped. Also ignores SIGPIPE: a closed log must not end a mount. */
void log_open(enum log_target target, enum log_level level);

/* Changes where lines go, and nothing else. */
void log_switch(enum log_target target);

/* Writes the counts that are still owed. */
void log_close(void);

#define log_error(...) LOG_AT_SITE_(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) LOG_AT_SITE_(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) LOG_AT_SITE_(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) LOG_AT_SITE_(LOG_LEVEL_DEBUG, __VA_ARGS__)

#define LOG_AT_SITE_(level, ...)                                                                \
	do {                                                                                    \
		static struct log_site log_site_ = { .file = __FILE_NAME__, .line = __LINE__ }; \
		log_write(&log_site_, level, __VA_ARGS__);                                      \
	} while (0)

/* What the macros above call. errno is kept, and may be printed with %m. */
void log_write(struct log_site *site, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Routes libfuse's messages here. Quiet: those that are not debug messages become such, for the
   time in which somebody else explains what went wrong, which is the mount. */
void log_fuse(bool quiet);

/* Copies n raw bytes, such as a name from an archive, printably into text: \xNN for control bytes,
   backslashes and what is not UTF-8; "..." at the end when the room did not do. */
const char *log_name(char *text, size_t size, const void *bytes, size_t n);

/* Whether a line may be written at this time; if so, how many before it were suppressed. Their
   report counts as a line. */
bool log_rate_pass(struct log_rate *rate, uint64_t now_ms, uint64_t *suppressed);

#endif
