/*
 * archives.h - archives for tests: made, read from tests/reference, and forged
 *
 * Whole trees come from the encoder. What no encoder would write is put together item by item
 * with struct raw, or patched in afterwards at offsets that the functions below find. Everything
 * here asserts that it works.
 */
#ifndef TESTS_UNIT_ARCHIVES_H
#define TESTS_UNIT_ARCHIVES_H

#include "core/encoder.h"
#include "core/source.h"

struct archive {
	struct buffer meta, payload;
	bool split; /* otherwise payload is empty */
};

void archive_release(struct archive *a);

/* About 4 KiB with every kind of entry and attribute, hardlinks, and nested directories. */
struct archive archive_sample(bool split);

/* A directory `many` of n files f0000, f0001, ... each with its name as content. */
struct archive archive_wide(bool split, unsigned n);

/* Directories named `d`, one in the other. */
struct archive archive_deep(unsigned depth);

/* Files t0, t1, ... whose FILENAMEs are at starts, and `links` hardlinks to each. */
struct archive archive_links(unsigned targets, unsigned links, uint64_t *starts);

/* The bytes of a file, at a path that is relative to tests/reference. */
struct buffer archive_file(const char *path);

/* A reference archive; payload NULL for a unified one. */
struct archive archive_reference(const char *meta, const char *payload);

/* In the metadata. */
uint64_t archive_get64(const struct archive *a, uint64_t offset);
void archive_put64(struct archive *a, uint64_t offset, uint64_t value);

/* Where the first item of this type is, from an item's offset on. */
uint64_t archive_item(const struct archive *a, uint64_t from, uint64_t type);

/* Where the FILENAME with this name is: the first there is. */
uint64_t archive_name(const struct archive *a, const char *name);

/* Where the GOODBYE of the directory is that has an entry with this FILENAME; *record is where in
   it that entry's record is. */
uint64_t archive_table(const struct archive *a, uint64_t start, uint64_t *record);

/* A root being written item by item: anything may go into bytes between the calls. */
struct raw {
	struct buffer bytes;
	struct format_record records[64];
	size_t n;
};

void raw_begin(struct raw *raw);

/* A child with this name, and an ENTRY of this mode; then the child is over. */
void raw_name(struct raw *raw, const void *name, size_t len);
void raw_stat(struct raw *raw, uint64_t mode);
void raw_end(struct raw *raw);

/* A whole child: a file with this content. */
void raw_file(struct raw *raw, const char *name, const char *content);

/* Writes the table; the bytes are the archive's from then on. */
struct archive raw_finish(struct raw *raw);

/* A source in memory that can fail. */
struct flaky {
	struct source source;
	const uint8_t *bytes;
	unsigned reads;	  /* so far */
	unsigned bad_one; /* this read fails, counted from 1; 0: none */
	struct range bad; /* reads that touch these bytes fail */
	int failure;	  /* with this */
	bool waits;	  /* reads that may not wait would have to */
};

struct flaky flaky_init(const struct buffer *bytes);

#endif
