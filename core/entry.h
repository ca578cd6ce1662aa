/*
 * entry.h - one object of an archive, decoded
 *
 * An entry is what stat needs, small and of fixed size, so that directories of any size can be
 * kept decoded. Its number is the inode number and leads back to the archive: a directory's is
 * its end offset, anything else's the offset of its ENTRY (or HARDLINK) item with bit 63 set; the
 * root's is 1. Decoding checks everything that the entry alone can tell, terminal item and mode
 * agreeing included: one that breaks a rule is refused whole.
 */
#ifndef CORE_ENTRY_H
#define CORE_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/format.h"
#include "core/window.h"

#define ENTRY_NON_DIRECTORY (UINT64_C(1) << 63)
#define ENTRY_ROOT UINT64_C(1)

enum entry_kind {
	ENTRY_FILE,
	ENTRY_DIRECTORY,
	ENTRY_SYMLINK,
	ENTRY_DEVICE,
	ENTRY_FIFO,
	ENTRY_SOCKET,
	ENTRY_HARDLINK, /* stat fields are zero: those of its target count */
};

/* Which attributes there are, so that asking for one that is not costs no read. */
enum entry_flags {
	ENTRY_XATTR = 1,
	ENTRY_ACL = 2,
	ENTRY_ACL_DEFAULT = 4,
	ENTRY_FCAPS = 8,
	ENTRY_EXTRA = 16,   /* inode flags or a project id */
	ENTRY_DAMAGED = 32, /* in a directory: listed by name, refused otherwise */
};

struct entry {
	uint64_t number;
	uint64_t size;	/* st_size; hardlink: offset of the target's FILENAME */
	uint64_t place; /* file: of the data, split: of the PAYLOAD header in the payload file;
			   symlink: of the target; device: major << 32 | minor */
	int64_t mtime_sec;
	uint32_t mtime_nsec;
	uint32_t uid, gid;
	uint16_t mode;
	uint8_t kind;
	uint8_t flags;
};

/* What only some requests need. */
struct entry_more {
	uint64_t end;	    /* after the terminal item; directory: where its children begin */
	struct range attrs; /* the attribute items */
	uint64_t inode_flags;
	uint64_t projid;
};

/* Decodes the entry whose ENTRY or HARDLINK item is at the offset; nothing of it but a split
   file's data may lie beyond the limit. A directory's number and size are left 0, and so is a
   hardlink's size: they depend on what is around. more may be NULL.
   0; 1 would wait; -EUCLEAN; or what reading said. */
int entry_decode(struct window *w, uint64_t offset, uint64_t limit, bool split, struct entry *e,
		 struct entry_more *more, struct error *err);

/* The HARDLINK item at the offset: how far back the target's FILENAME is, and its path, which is
   borrowed from the window. */
int entry_decode_link(struct window *w, uint64_t offset, uint64_t limit, uint64_t *delta,
		      struct format_string *path, struct error *err);

/* The FILENAME item at the offset and where the next item begins. The name is borrowed from the
   window. -EUCLEAN also for a name that cannot be shown. */
int entry_decode_name(struct window *w, uint64_t offset, uint64_t limit, struct format_string *name,
		      uint64_t *end, struct error *err);

/* Reads the item header at the offset; the item must end at or before the limit. */
int entry_decode_header(struct window *w, uint64_t offset, uint64_t limit,
			struct format_header *header, struct error *err);

#endif
