/*
 * listing.h - what the kernel would find in a reply to readdir or readdirplus
 */
#ifndef TESTS_UNIT_LISTING_H
#define TESTS_UNIT_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct listing_line {
	char name[256];
	uint64_t ino, next;
	unsigned type; /* DT_... */

	/* With readdirplus: */
	uint64_t nodeid;		  /* 0: not to be taken as looked up */
	uint64_t entry_valid, attr_valid; /* seconds */
	uint64_t attr_ino, size;
	uint32_t mode, nlink;
};

/* Takes the first line off the bytes: 1; 0 at the end; -1 when the kernel would not take it. */
int listing_next(const char **bytes, size_t *n, bool plus, struct listing_line *line);

#endif
