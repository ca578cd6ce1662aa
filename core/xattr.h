/*
 * xattr.h - an entry's extended attributes as Linux shows them
 *
 * XATTR items as stored; FCAPS as security.capability; ACL items as system.posix_acl_access and
 * system.posix_acl_default (acl.h). Inode flags and project id, which no kernel interface of a
 * read-only mount could show, can be asked for as
 *
 *     user.pxar.flags   the archive's flag bits, as 0x...
 *     user.pxar.chattr  those that chattr(1) has letters for, in the order of lsattr(1): "ia"
 *     user.pxar.projid  the project id, decimal
 *
 * each where it is not zero, and unless the entry has stored names of its own that begin so. A
 * stored name that Linux cannot show (empty, over 255 bytes, outside user., trusted. and
 * security., repeated, or one that is rebuilt from other items) is left out; the first of equal
 * names wins.
 *
 * Only what entry_decode() accepted may be asked about. What an entry's flags rule out is
 * answered without reading.
 */
#ifndef CORE_XATTR_H
#define CORE_XATTR_H

#include "core/entry.h"

struct xattr_view {
	bool trusted;	/* trusted.* are shown: the caller is privileged */
	bool list_pxar; /* user.pxar.* are in listings, not only there when asked for */
};

enum {
	XATTR_NONE = 2,		/* no such attribute */
	XATTR_NAMES_MAX = 65536 /* what a listing may take in Linux */
};

/* Appends the names, each with its NUL: stored ones in their order, then those that are rebuilt.
   0; 1 would wait; -E2BIG; other < 0. */
int xattr_list(struct window *w, const struct entry *e, const struct entry_more *more,
	       const struct xattr_view *view, struct buffer *names, struct error *err);

/* Appends the value. 0; 1 would wait; XATTR_NONE; -EUCLEAN for an ACL that cannot be rebuilt. */
int xattr_get(struct window *w, const struct entry *e, const struct entry_more *more,
	      const struct xattr_view *view, const char *name, struct buffer *value,
	      struct error *err);

#endif
