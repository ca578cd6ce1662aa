/*
 * accessor.h - random access to an archive, unified or split
 *
 * Everything is found from numbers (entry.h), so an accessor keeps no state but its sources.
 * Functions return 0; 1 when io does not allow to wait and it would; or < 0.
 *
 * Threads: may be used from any thread. Ownership: borrows its sources, which live longer.
 */
#ifndef CORE_ACCESSOR_H
#define CORE_ACCESSOR_H

#include "core/dir.h"

struct accessor;

/* Checks what an archive must have before anything of it is shown: version, prelude, the root's
   table and entry, the payload file's start. payload is NULL for a unified archive; a split one
   without payload is refused unless metadata_only. */
int accessor_open(struct accessor **out, struct source *meta, struct source *payload,
		  bool metadata_only, struct error *err);
void accessor_free(struct accessor *a);
DEFINE_CLEANUP(struct accessor, accessor_free);

bool accessor_is_split(const struct accessor *a);

/* The bytes of the PRELUDE, empty if there is none. */
struct range accessor_prelude(const struct accessor *a);

/* The directory with this number. */
int accessor_dir(struct accessor *a, const struct io *io, uint64_t number, struct dir **out,
		 struct error *err);

/* The entry with this number; hardlinks have none of their own. more may be NULL. */
int accessor_entry(struct accessor *a, const struct io *io, uint64_t number, struct entry *e,
		   struct entry_more *more, struct error *err);

/* One name of a directory without decoding the rest of it, see dir_decode_one(). */
int accessor_find(struct accessor *a, const struct io *io, uint64_t number, const char *name,
		  size_t len, struct dir_entry *found, struct error *err);

/* The number that a regular file has whose FILENAME is at the offset. Whether there is a file
   behind that name is not looked at: it can take long, and only an entry that is shown tells. */
int accessor_number_at(struct accessor *a, const struct io *io, uint64_t start, uint64_t *number,
		       struct error *err);

/* A hardlink's stored path, with its NUL; path has FORMAT_PATH_MAX + 1 bytes. */
int accessor_link_path(struct accessor *a, const struct io *io, uint64_t number, char *path,
		       struct error *err);

/* Checks that a split file's reference leads to a PAYLOAD of its size. Once per file is enough. */
int accessor_check(struct accessor *a, const struct io *io, const struct entry *e,
		   struct error *err);

/* Exactly n bytes of a file's content, which the caller has held against its size. */
int accessor_read(struct accessor *a, const struct io *io, const struct entry *e, uint64_t offset,
		  void *buf, size_t n, struct error *err);

/* A symlink's target with a NUL; buf has FORMAT_LINK_MAX + 1 bytes. */
int accessor_readlink(struct accessor *a, const struct io *io, const struct entry *e, char *buf,
		      struct error *err);

/* The names of extended attributes, or the value of one: xattr.h says what is shown. */
struct xattr_view;
int accessor_listxattr(struct accessor *a, const struct io *io, uint64_t number,
		       const struct xattr_view *view, struct buffer *names, struct error *err);
int accessor_getxattr(struct accessor *a, const struct io *io, uint64_t number,
		      const struct xattr_view *view, const char *name, struct buffer *value,
		      struct error *err);

#endif
