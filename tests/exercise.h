/*
 * exercise.h - everything that can be read of an archive, and whether it makes sense
 *
 * Reads an archive as a mount would, all of it, and aborts with a message when what it is told
 * does not hold together: a name that Linux cannot show or that is listed twice, a listing that
 * lookups do not agree with, a walk that counts otherwise, more entries than there is room for.
 * Tests and fuzz targets run it over archives of every sort, damaged ones above all. It knows
 * nothing of what should be in the archive.
 */
#ifndef TESTS_EXERCISE_H
#define TESTS_EXERCISE_H

#include "core/accessor.h"

struct exercise {
	uint64_t entries; /* all that were listed, the root included */
	uint64_t damaged; /* entries and directories that could not be read, and hidden entries */
	uint64_t failed;  /* reads of link targets, attributes and contents */
};

/* 0, or what accessor_open() said. payload may be NULL; metadata alone will then do. */
int exercise_archive(struct source *meta, struct source *payload, struct exercise *seen,
		     struct error *err);

/* The same for bytes in memory; payload NULL for a unified archive. */
int exercise_memory(const void *meta, size_t meta_len, const void *payload, size_t payload_len,
		    struct exercise *seen, struct error *err);

#endif
