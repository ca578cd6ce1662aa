/*
 * pack-attrs.h - what the archive keeps of a file beside its content
 *
 * One struct attrs serves many files, one after the other, and keeps its memory.
 */
#ifndef TOOLS_PACK_ATTRS_H
#define TOOLS_PACK_ATTRS_H

#include <sys/stat.h>

#include "core/encoder.h"

struct attrs {
	struct encoder_meta meta; /* points into the rest; valid until the next attrs_read() */
	struct acl acl;
	struct encoder_xattr *xattrs;
	size_t room_xattrs;
	struct buffer values; /* of the xattrs, one behind the other */
	struct buffer fcaps;
	char *names, *value; /* as the kernel hands them out */
};

int attrs_init(struct attrs *a, struct error *err);
void attrs_release(struct attrs *a);

/* What lstat() tells. That is all there is to know of what is neither file nor directory: the
   reference does not look further either. */
void attrs_from_stat(struct attrs *a, const struct stat *st);

/* The same and all that can be asked from an open file or directory; magic is the f_type of its
   file system. 0; ATTRS_PARTLY with err set when something could not be had; -ENOMEM. */
enum { ATTRS_PARTLY = 1 };
int attrs_read(struct attrs *a, int fd, const struct stat *st, long magic, struct error *err);

#endif
