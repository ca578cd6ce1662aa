/*
 * pack-links.h - files that may turn up again under another name
 */
#ifndef TOOLS_PACK_LINKS_H
#define TOOLS_PACK_LINKS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/error.h"

struct links_entry {
	dev_t dev;
	ino_t ino;
	uint64_t start; /* in the archive, for encoder_hardlink() */
	char *path;	/* NULL: a free place */
};

/* A zeroed struct is an empty table. */
struct links {
	struct links_entry *at;
	size_t n, room; /* a power of two, or 0 */
};

/* The file as it was first seen, or NULL. */
const struct links_entry *links_find(const struct links *links, dev_t dev, ino_t ino);

/* Remembers a file that is not there yet. */
int links_add(struct links *links, dev_t dev, ino_t ino, uint64_t start, const char *path,
	      struct error *err);
void links_release(struct links *links);

#endif
