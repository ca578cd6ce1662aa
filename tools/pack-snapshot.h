/*
 * pack-snapshot.h - a directory tree as a snapshot in a datastore
 *
 * In this order, for a crash must not leave a snapshot that looks whole and is not: all chunks on
 * the disk, the indexes, other blobs, the manifest.
 */
#ifndef TOOLS_PACK_SNAPSHOT_H
#define TOOLS_PACK_SNAPSHOT_H

#include <signal.h>

#include "tools/pack-options.h"
#include "tools/pack-report.h"

int pack_snapshot(struct options *options, const volatile sig_atomic_t *stop, struct report *report,
		  struct error *err);

#endif
