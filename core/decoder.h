/*
 * decoder.h - reading an archive from front to back
 *
 * The other way through an archive: no goodbye table leads anywhere, one item follows another.
 * It refuses an archive at its first flaw. That makes it the judge of what the accessor shows in
 * tests, and the reader for whoever wants a whole archive in order.
 *
 * Two things are not held against an archive: equal names in one directory, and a hardlink that
 * leads into the middle of an item where what it finds looks like a file, for telling would take
 * the names or the offsets of all files. Memory: what goodbye tables must say of the directories
 * that are open, and one table.
 */
#ifndef CORE_DECODER_H
#define CORE_DECODER_H

#include "core/entry.h"

struct decoder;

enum { DECODER_DEPTH_MAX = 1024 };

enum decoder_event {
	DECODER_ENTRY, /* an object; a directory's children follow */
	DECODER_LEAVE, /* the end of the directory that was entered last */
	DECODER_END,   /* the archive is complete */
};

struct decoder_item {
	enum decoder_event event;
	unsigned depth;		   /* 0 for the root */
	uint64_t start;		   /* of the FILENAME; 0 for the root */
	struct format_string name; /* empty for the root, and on leaving */
	struct format_string path; /* a hardlink's target */
	struct entry entry;	   /* a directory's number and size come with DECODER_LEAVE */
	struct entry_more more;	   /* on leaving: zero */
};

/* payload is NULL for a unified archive, and only then. Borrows the sources and io. */
int decoder_open(struct decoder **out, struct source *meta, struct source *payload,
		 const struct io *io, struct error *err);

/* The next event; strings in it are valid until the next call. Checks each goodbye table against
   the children that were seen, payload references against the payload file. 0; 1 would wait: the
   same call can be made again; -ELOOP deeper than DECODER_DEPTH_MAX; other < 0. */
int decoder_next(struct decoder *d, struct decoder_item *item, struct error *err);
void decoder_free(struct decoder *d);
DEFINE_CLEANUP(struct decoder, decoder_free);

#endif
