#include "tools/pack-report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "tools/human.h"

void report_init(struct report *r, bool quiet)
{
	*r = (struct report){ .quiet = quiet, .terminal = isatty(STDERR_FILENO) };
	clock_gettime(CLOCK_MONOTONIC, &r->start);
	r->shown = r->start;
}

/* Names of attributes can be as wild as those of files: all of it is escaped. */
static void say(struct report *r, const char *path, const char *fmt, va_list ap)
{
	char where[1024], text[600], escaped[1024];

	report_clear(r);
	vsnprintf(text, sizeof(text), fmt, ap);
	error_name(escaped, sizeof(escaped), text, strlen(text));
	error_name(where, sizeof(where), path, strlen(path));
	fprintf(stderr, "pxar-pack: %s: %s\n", *where ? where : ".", escaped);
}

void report_warn(struct report *r, const char *path, const char *fmt, ...)
{
	va_list ap;

	r->trouble++;
	va_start(ap, fmt);
	say(r, path, fmt, ap);
	va_end(ap);
}

void report_note(struct report *r, const char *path, const char *fmt, ...)
{
	va_list ap;

	if (r->quiet)
		return;
	va_start(ap, fmt);
	say(r, path, fmt, ap);
	va_end(ap);
}

static int64_t ms_since(const struct timespec *then, const struct timespec *now)
{
	return (now->tv_sec - then->tv_sec) * 1000 + (now->tv_nsec - then->tv_nsec) / 1000000;
}

void report_progress(struct report *r)
{
	char done[HUMAN_SIZE_MAX], rate[HUMAN_SIZE_MAX];
	struct timespec now;
	uint64_t ms;

	if (r->quiet || !r->terminal)
		return;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (ms_since(&r->shown, &now) < 250)
		return;
	r->shown = now;
	r->line_shown = true;
	ms = (uint64_t)ms_since(&r->start, &now);
	human_size(rate, (uint64_t)((double)r->bytes * 1000 / (double)(ms ? ms : 1)));
	fprintf(stderr, "\r%" PRIu64 " files, %" PRIu64 " directories, %s, %s/s\033[K", r->files,
		r->dirs, human_size(done, r->bytes), rate);
}

void report_clear(struct report *r)
{
	if (r->line_shown)
		fputs("\r\033[K", stderr);
	r->line_shown = false;
}

static void count(uint64_t n, const char *one, const char *many)
{
	fprintf(stderr, "%" PRIu64 " %s, ", n, n == 1 ? one : many);
}

void report_account(struct report *r)
{
	char done[HUMAN_SIZE_MAX];

	report_clear(r);
	if (r->quiet)
		return;
	count(r->files, "file", "files");
	count(r->dirs, "directory", "directories");
	count(r->links, "link", "links");
	if (r->special)
		count(r->special, "special file", "special files");
	fputs(human_size(done, r->bytes), stderr);
	if (r->trouble)
		fprintf(stderr, "; %" PRIu64 " could not be stored as found", r->trouble);
	fputc('\n', stderr);
	if (!*r->snapshot)
		return;
	fprintf(stderr, "%s: ", r->snapshot);
	count(r->chunks_written, "new chunk", "new chunks");
	fprintf(stderr, "%" PRIu64 " reused, %s stored\n", r->chunks_reused,
		human_size(done, r->stored_bytes));
}
