/*
 * scan.h - the walk that counts links, in the background
 *
 * One thread walks the archive's metadata once (core/walk.h). Mounting waits for it a while, which
 * makes small archives exact from the first stat on; after that, whoever asks gets what is known.
 *
 * Threads: scan_start(), scan_wait() and scan_free() belong to one thread; the rest to any.
 */
#ifndef DAEMON_SCAN_H
#define DAEMON_SCAN_H

#include "core/walk.h"

struct scan;

enum scan_state {
	SCAN_RUNNING,
	SCAN_DONE,
	SCAN_OFF, /* not wanted, or it failed: there will be no counts */
};

/* Borrows the accessor. When not wanted, the state is SCAN_OFF from the start. */
int scan_start(struct scan **out, struct accessor *a, bool wanted, struct error *err);

/* Tells the walk to stop, and whether it has within that time. One that hangs in the archive does
   not, and goes on using the accessor. */
bool scan_stop(struct scan *scan, unsigned timeout_ms);

/* Stops the walk and waits for its thread. */
void scan_free(struct scan *scan);
DEFINE_CLEANUP(struct scan, scan_free);

/* Waits until the walk is over, or for that long. */
enum scan_state scan_wait(struct scan *scan, unsigned timeout_ms);
void scan_wait_end(struct scan *scan);

/* Somebody reads a file: the walk rests meanwhile, for a while. */
void scan_give_way(struct scan *scan);

enum scan_state scan_state(const struct scan *scan);

/* What the walk found; NULL unless SCAN_DONE. Valid as long as the scan. */
const struct walk *scan_result(const struct scan *scan);

#endif
