/*
 * pack-tree.h - a directory tree into an archive
 *
 * Children are visited in the order of their names' bytes, depth first, each opened relative to
 * its parent and never through a symbolic link, so that nothing that happens to the tree
 * meanwhile leads out of it. What cannot be read is reported and left out.
 */
#ifndef TOOLS_PACK_TREE_H
#define TOOLS_PACK_TREE_H

#include <signal.h>

#include "chunkcache/catalog.h"
#include "tools/pack-options.h"
#include "tools/pack-output.h"
#include "tools/pack-report.h"

/* What no walk descends below: readers have the same limit. */
enum { TREE_DEPTH_MAX = 1024 };

struct tree_job {
	struct options *options;     /* its excludes are added to, and taken back */
	struct sink *meta, *payload; /* payload: NULL for a unified archive */
	/* Called before a file's content goes into the payload; NULL: nobody wants to know. */
	int (*before_payload)(void *arg, struct error *err);
	void *arg;
	struct catalog_writer *catalog; /* in the archive's root; NULL: there is none */
	const struct output_id *skip;	/* what to leave out: the archive itself, the datastore */
	size_t n_skip;
	const volatile sig_atomic_t *stop; /* set: give up, -EINTR */
	struct report *report;
};

int tree_pack(const struct tree_job *job, struct error *err);

#endif
