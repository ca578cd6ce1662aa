#include "daemon/fs.h"

#include <stdlib.h>

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
	scan_free(fs->scan);
	inodes_free(fs->inodes);
	dircache_free(fs->dirs);
	reply_buffers_free(fs->buffers);
	archive_free(fs->archive);
	free(fs);
}

void fs_settle(struct fs *fs, int scan_wait_ms)
{
	const struct walk *walk;

	if (scan_wait_ms < 0)
		scan_wait_end(fs->scan);
	else
		scan_wait(fs->scan, (unsigned)scan_wait_ms);
	walk = scan_result(fs->scan);
	fs->no_attributes = walk && !walk_totals(walk)->attributes && !walk_totals(walk)->damaged;
}
