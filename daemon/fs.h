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
	bool pxar_xattrs;   /* user.pxar.* are listed */
	bool no_attributes; /* nothing in the archive has any: let the kernel stop asking */
};

/* Takes over the archive, also when it fails. */
int fs_new(struct fs **out, struct archive *archive, size_t dir_cache_bytes, bool scan,
	   struct error *err);
void fs_free(struct fs *fs);
DEFINE_CLEANUP(struct fs, fs_free);

/* Waits for the scan that long, or for ever when it is negative, and then decides what depends on
   it. The last thing before the first request. */
void fs_settle(struct fs *fs, int scan_wait_ms);

#endif
