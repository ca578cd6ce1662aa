#include "daemon/fs.h"

#include <stdlib.h>

#include "daemon/log.h"

enum { STOP_MS = 1000 }; /* what the walk gets to notice that it is not wanted any more */

/* Not lost: a walk that hangs uses it until the process has ended. */
static struct fs *volatile left_in_use;

int fs_new(struct fs **out, struct archive *archive, size_t dir_cache_bytes, bool scan,
	   struct error *err)
{
	CLEANUP(fs_freep) struct fs *fs = calloc(1, sizeof(*fs));
	int r;

	if (!fs) {
		archive_free(archive);
		return error_set(err, ENOMEM, "out of memory");
	}
	fs->archive = archive;
	r = reply_buffers_new(&fs->buffers, err);
	if (!r)
		r = dircache_new(&fs->dirs, archive->accessor, dir_cache_bytes, err);
	if (!r)
		r = inodes_new(&fs->inodes, archive->accessor, fs->dirs, err);
	if (!r)
		r = scan_start(&fs->scan, archive->accessor, scan, err);
	if (r < 0)
		return r;
	*out = TAKE(fs);
	return 0;
}

void fs_free(struct fs *fs)
{
	if (!fs)
		return;
	if (fs->scan && !scan_stop(fs->scan, STOP_MS)) {
		log_warn("counting links hangs; ending without it");
		left_in_use = fs;
		return;
	}
	scan_free(fs->scan);
	inodes_free(fs->inodes);
	dircache_free(fs->dirs);
	reply_buffers_free(fs->buffers);
	archive_free(fs->archive);
	free(fs);
}

bool fs_has_no_attributes(const struct fs *fs)
{
	const struct walk *walk = scan_result(fs->scan);

	return walk && !walk_totals(walk)->attributes && !walk_totals(walk)->damaged;
}
