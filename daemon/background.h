/*
 * background.h - becoming a daemon whose starter knows how it went
 *
 * background_start() forks before any thread exists. The child does all the work, with the
 * terminal still in place and relative paths still valid, and ends the starter's waiting with
 * background_ready() or background_fail(); the starter leaves with the exit status that says so.
 *
 * A struct that was never started stands for the foreground: ready does nothing and fail prints.
 */
#ifndef DAEMON_BACKGROUND_H
#define DAEMON_BACKGROUND_H

#include <stdbool.h>

#include "core/error.h"

struct background {
	bool started;
	int fd; /* to the starter */
};

/* Opens /dev/null for those of fds 0 to 2 that are closed, before another file takes their place
   and is written to as if it were standard error. The first thing that main does. */
void background_sanitize_fds(void);

/* Returns in the child only, 0, or < 0 when there is none. The starter waits and exits. */
int background_start(struct background *b, struct error *err);

/* The mount answers: goes to "/", standard streams to /dev/null, the log to syslog, and lets the
   starter exit 0. < 0 when the starter has been killed meanwhile: nobody wants the mount then. */
int background_ready(struct background *b, struct error *err);

/* Nothing is mounted: the starter prints the error's text and exits with this status. Returns the
   status, for main to return. */
int background_fail(struct background *b, const struct error *err, int exit_status);

#endif
