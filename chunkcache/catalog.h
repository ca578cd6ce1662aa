/*
 * catalog.h - the names, sizes and times of a snapshot's unified archives
 *
 *     | magic [8] | block | block | ... | offset of the root's block u64 |
 *
 *     block := length of the rest, number of entries, entry*     a directory, after those in it
 *     entry := type [1], length of the name, name, and
 *              directory: how far before this block its own begins
 *              file: size, mtime in seconds
 *
 * Numbers in blocks are written in groups of 7 bits, the least first, with bit 7 set in all but
 * the last; for a negative one it is set in all groups of the magnitude, and a 0 byte follows. The
 * root has a directory for each archive, with the archive's name.
 *
 * Threads: an open catalog may be used from any thread. A writer is used by one.
 */
#ifndef CHUNKCACHE_CATALOG_H
#define CHUNKCACHE_CATALOG_H

#include "core/encoder.h"
#include "core/source.h"

enum {
	CATALOG_NAME_MAX = 4095,
	CATALOG_BLOCK_MAX = 64 << 20, /* bytes of a directory that is read */
};

enum catalog_type {
	CATALOG_DIRECTORY = 'd',
	CATALOG_FILE = 'f',
	CATALOG_SYMLINK = 'l',
	CATALOG_HARDLINK = 'h',
	CATALOG_BLOCK_DEVICE = 'b',
	CATALOG_CHAR_DEVICE = 'c',
	CATALOG_FIFO = 'p',
	CATALOG_SOCKET = 's',
};

struct catalog_entry {
	enum catalog_type type;
	struct format_string name;
	uint64_t block; /* of a directory */
	uint64_t size;	/* of a file */
	int64_t mtime;	/* likewise */
};

struct catalog;

/* Borrows the source. -EUCLEAN when it is no catalog. 1 would wait. */
int catalog_open(struct catalog **out, struct source *source, const struct io *io,
		 struct error *err);
void catalog_free(struct catalog *c);
DEFINE_CLEANUP(struct catalog, catalog_free);

/* The root's block. */
uint64_t catalog_root(const struct catalog *c);

/* One directory. All of it was checked before a part of it is shown. */
struct catalog_block {
	size_t count;	      /* of entries */
	struct cursor cursor; /* before the next one */
	uint8_t *bytes;
	uint64_t start;
};

/* Reads the directory whose block is at the offset, to be released. Blocks of the directories in
   it come before it, so that descending always ends; but some can be shared, so whoever walks over
   all of them has to count. 0; 1 would wait; -EUCLEAN; -ENOMEM; or what reading said. */
int catalog_read(struct catalog *c, const struct io *io, uint64_t offset,
		 struct catalog_block *block, struct error *err);
void catalog_block_release(struct catalog_block *block);

/* The next entry, its name lent by the block; false at the end. */
bool catalog_next(struct catalog_block *block, struct catalog_entry *entry);

/* What is at a path that begins with an archive's name, without a slash in front or behind; the
   first of equal names. "" is the root. The entry's name is the path's last part. 0; 1 would wait;
   CATALOG_NONE; < 0. */
enum { CATALOG_NONE = 2 };
int catalog_find(struct catalog *c, const struct io *io, const char *path,
		 struct catalog_entry *entry, struct error *err);

/*
 * Writing: calls follow the archives, depth first. Names that no reader would take and calls that
 * do not fit what was begun are -EINVAL. Memory: the directories that are open.
 */
struct catalog_writer;

/* Borrows the sink. */
int catalog_writer_new(struct catalog_writer **out, struct sink *sink, struct error *err);
void catalog_writer_free(struct catalog_writer *w);
DEFINE_CLEANUP(struct catalog_writer, catalog_writer_free);

/* An archive, by its name on the server, and its root; ended like a directory. */
int catalog_writer_begin_archive(struct catalog_writer *w, const char *name, struct error *err);
int catalog_writer_begin_dir(struct catalog_writer *w, const char *name, struct error *err);
int catalog_writer_end_dir(struct catalog_writer *w, struct error *err);
int catalog_writer_file(struct catalog_writer *w, const char *name, uint64_t size, int64_t mtime,
			struct error *err);

/* Anything else. */
int catalog_writer_other(struct catalog_writer *w, enum catalog_type type, const char *name,
			 struct error *err);

/* Ends the root, when all archives have ended; the catalog is complete. */
int catalog_writer_finish(struct catalog_writer *w, struct error *err);

#endif
