/*
 * pack-report.h - all that pxar-pack says while it works
 *
 * On stderr: a line for each thing that could not be stored as it was found, a line of progress
 * that is overwritten if stderr is a terminal, and the account at the end. Paths are relative to
 * the packed directory and are escaped.
 */
#ifndef TOOLS_PACK_REPORT_H
#define TOOLS_PACK_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "chunkcache/snapshot.h"

struct report {
	bool quiet;    /* neither progress nor notes nor account */
	bool terminal; /* there is someone to see progress */
	uint64_t files, dirs, links, special;
	uint64_t bytes;					      /* of files' content */
	uint64_t trouble;				      /* warnings so far */
	char snapshot[SNAPSHOT_PATH_SIZE];		      /* that was made; empty: none */
	uint64_t chunks_written, chunks_reused, stored_bytes; /* for it */
	struct timespec start, shown;
	bool line_shown;
};

void report_init(struct report *r, bool quiet);

/* Something is left out or is not as it was found: counts. */
void report_warn(struct report *r, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Something is left out on purpose: does not count. */
void report_note(struct report *r, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Shows progress, at most four times a second; to be called often. */
void report_progress(struct report *r);

/* Takes the line of progress away. */
void report_clear(struct report *r);

/* "3 files, 1 directory, 2 links, 8.789 KiB; 1 could not be stored as found", and for a snapshot
   "host/web/2024-06-01T02:00:00Z: 2 new chunks, 7 reused, 1.25 MiB stored" */
void report_account(struct report *r);

#endif
