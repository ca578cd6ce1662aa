/*
 * dir.h - one directory, decoded
 *
 * All entries of a directory in archive order (the offset of their FILENAME), so that whoever
 * follows a listing reads forward. Of equal names the lowest offset wins. An entry that has a
 * name but cannot be decoded otherwise is kept, marked ENTRY_DAMAGED; one whose name cannot be
 * shown is counted as hidden. Immutable once decoded, one allocation for entries, one for names.
 */
#ifndef CORE_DIR_H
#define CORE_DIR_H

#include "core/entry.h"
#include "core/goodbye.h"

struct dir_entry {
	struct entry entry;
	uint64_t start; /* of the FILENAME */
	uint32_t name;	/* into names */
	uint8_t name_len;
};

struct dir {
	struct entry self;
	struct goodbye goodbye;
	struct dir_entry *entries;
	uint32_t count;
	uint32_t hidden;     /* entries without a name that could be shown */
	uint32_t duplicates; /* entries hidden behind one of the same name */
	bool transient;	     /* something was unreadable, not malformed: worth another try */
	char *names;	     /* each with its NUL */
	uint32_t *by_name;   /* order by name; NULL when archive order is that order */
	size_t bytes;	     /* memory that it takes */
	struct error why;    /* the first reason for hidden or damaged entries; code 0: none */
};

/* Decodes the directory that ends at end. 0 and *out, the caller's; 1 would wait; < 0. */
int dir_decode(struct dir **out, struct source *meta, const struct io *io, uint64_t end, bool split,
	       struct error *err);
void dir_free(struct dir *dir);
DEFINE_CLEANUP(struct dir, dir_free);

/* The entry of that name, or NULL. */
const struct dir_entry *dir_find(const struct dir *dir, const char *name, size_t len);

/* The entry in which the offset lies (from its FILENAME on), or NULL. */
const struct dir_entry *dir_at(const struct dir *dir, uint64_t offset);

#endif
