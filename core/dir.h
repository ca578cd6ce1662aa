/*
 * dir.h - one directory, decoded
 *
 * All entries of a directory in archive order (the offset of their FILENAME), so that whoever
 * follows a listing reads forward. Of equal names the lowest offset wins. An entry that has a
 * name but cannot be decoded otherwise is kept, marked ENTRY_DAMAGED; one whose name cannot be
 * shown is counted as hidden. Children must lie in their directory side by side: what overlaps
 * what came before it is damaged, so a record cannot make an entry out of a file's content, and
 * descending always ends. Immutable once decoded.
 */
#ifndef CORE_DIR_H
#define CORE_DIR_H

#include "core/entry.h"
#include "core/goodbye.h"

/* Decoding more entries than this takes long enough to count as waiting. */
enum { DIR_INLINE_MAX = 2048 };

/* How deep a tree is shown. PATH_MAX does not bound it, and an archive can be made of nothing else.
 */
enum { DIR_DEPTH_MAX = 1024 };

/* What one has to know of the archive to decode a part of it. */
struct dir_archive {
	struct source *meta;
	uint64_t root; /* offset of the root's ENTRY */
	bool split;
};

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
	char *names;	   /* each with its NUL */
	uint32_t *by_name; /* order by name; NULL when archive order is that order */
	uint32_t count;
	uint32_t hidden;     /* entries without a name that could be shown */
	uint32_t damaged;    /* entries that are kept, but cannot be used */
	uint32_t duplicates; /* entries behind one of the same name */
	bool transient;	     /* something was unreadable, not malformed: worth another try */
	size_t bytes;	     /* memory that it takes */
	struct error why;    /* the first reason for a hidden or damaged entry; code 0: none */
};

/* Decodes the directory that ends at end. 0 and *out, the caller's; 1 would wait; < 0. */
int dir_decode(struct dir **out, const struct dir_archive *archive, const struct io *io,
	       uint64_t end, struct error *err);
void dir_free(struct dir *dir);
DEFINE_CLEANUP(struct dir, dir_free);

/* Finds one name by the goodbye table and decodes only that entry; *found has no name. 0; 1 would
   wait; DIR_NONE when the table does not lead there, or not beyond doubt, which a damaged or forged
   one may not although the name exists; < 0. */
enum { DIR_NONE = 2 };
int dir_decode_one(const struct dir_archive *archive, const struct io *io, uint64_t end,
		   const char *name, size_t len, struct dir_entry *found, struct error *err);

/* The entry of that name, or NULL. */
const struct dir_entry *dir_find(const struct dir *dir, const char *name, size_t len);

/* The last good entry that begins, with its FILENAME, at or before the offset, or NULL. If any one
   holds the offset, it is this one. */
const struct dir_entry *dir_at(const struct dir *dir, uint64_t offset);

#endif
