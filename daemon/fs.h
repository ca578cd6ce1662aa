/*
 * fs.h - a mounted archive and everything that serves it
 *
 * Threads: complete before the first handler runs and immutable then, but for what its parts
 * protect themselves; freed after the last handler has ended.
 */
#ifndef DAEMON_FS_H
#define DAEMON_FS_H

#include "daemon/archive.h"
#include "daemon/inodes.h"
#include "daemon/reply.h"
#include "daemon/scan.h"

struct fs {
	struct archive *archive;
	struct dircache *dirs;
	struct inodes *inodes;
	struct scan *scan;
	struct reply_buffers *buffers;
	bool pxar_xattrs; /* user.pxar.* are listed */
};

/* Takes over the archive, also when it fails. */
int fs_new(struct fs **out, struct archive *archive, size_t dir_cache_bytes, bool scan,
	   struct error *err);

/* The process is about to end: where the walk hangs in the archive, what it uses is left alone. */
void fs_free(struct fs *fs);
DEFINE_CLEANUP(struct fs, fs_free);

/* Nothing in the archive has attributes, as far as is known: the kernel may stop asking. */
bool fs_has_no_attributes(const struct fs *fs);

#endif
