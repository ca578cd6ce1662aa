/*
 * walk.h - one pass over an archive's metadata
 *
 * Counts what no single entry can tell: how many names each file has, how much there is in all,
 * and whether any entry has extended attributes. It descends as a reader of the mount would, so
 * it counts exactly what is shown, and what is damaged costs only itself. Only targets that have
 * links are kept.
 */
#ifndef CORE_WALK_H
#define CORE_WALK_H

#include <stdatomic.h>

#include "core/accessor.h"

struct walk_totals {
	uint64_t entries; /* of all kinds, the root included */
	uint64_t bytes;	  /* content of files, each counted once */
	uint64_t damaged; /* entries and directories that could not be read */
	bool attributes;  /* some entry has extended attributes, inode flags or a project id */
};

struct walk;

/* Asked before each directory: may take its time, so that others get theirs. */
struct walk_pace {
	void (*rest)(void *arg);
	void *arg;
};

/* Walks the whole archive; waits as long as it takes, or until *stop is set: -ECANCELED. pace may
   be NULL. */
int walk_run(struct walk **out, struct accessor *a, const atomic_bool *stop,
	     const struct walk_pace *pace, struct error *err);
void walk_free(struct walk *walk);
DEFINE_CLEANUP(struct walk, walk_free);

const struct walk_totals *walk_totals(const struct walk *walk);

/* How many names the file with this number has, at least 1. */
uint32_t walk_links(const struct walk *walk, uint64_t number);

#endif
