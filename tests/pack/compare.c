/*
 * compare.c - an archive against the directory that it was made of, item by item
 *
 * usage: compare DIR ARCHIVE [PAYLOAD]
 *
 * Every entry must be in the directory with the same type, mode, owner, time, content, target,
 * device number, xattrs, ACLs, inode flags and project id; links must be links there. Prints how
 * many of each kind there were, for the caller to see that nothing is missing.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "core/decoder.h"
#include "core/xattr.h"

enum { PIECE = 1 << 16, VALUE_MAX = 1 << 16 };

static const struct io io = { .may_wait = true };

struct run {
	struct source *meta, *payload;
	struct window window;
	int dirs[DECODER_DEPTH_MAX + 1];
	unsigned counts[ENTRY_HARDLINK + 1];
};

static int differ(struct error *err, const char *what)
{
	return error_set(err, EUCLEAN, "not the same: %s", what);
}

static int compare_content(struct run *run, int fd, const struct entry *e, struct error *err)
{
	struct source *from = run->payload ? run->payload : run->meta;
	uint64_t place = e->place + (run->payload ? FORMAT_HEADER_SIZE : 0);
	uint8_t ours[PIECE], theirs[PIECE];

	for (uint64_t at = 0; at < e->size;) {
		ssize_t n = pread(fd, theirs, PIECE, (off_t)at);

		if (n <= 0 || (uint64_t)n > e->size - at)
			return differ(err, "size of the content");
		if (source_read(from, &io, place + at, ours, (size_t)n, err) < 0)
			return err->code;
		if (memcmp(ours, theirs, (size_t)n) != 0)
			return differ(err, "content");
		at += (uint64_t)n;
	}
	return 0;
}

static int compare_xattrs(struct run *run, int fd, const struct decoder_item *item,
			  struct error *err)
{
	const struct xattr_view view = { .trusted = true };
	CLEANUP(buffer_release) struct buffer names = { 0 }, value = { 0 };
	static char theirs[VALUE_MAX];
	unsigned ours_n = 0, theirs_n = 0;
	const char *name, *end;
	ssize_t n;

	if (xattr_list(&run->window, &item->entry, &item->more, &view, &names, err) < 0)
		return err->code;
	end = (const char *)names.bytes + names.len;
	for (name = (const char *)names.bytes; name < end; name += strlen(name) + 1, ours_n++) {
		buffer_reset(&value);
		if (xattr_get(&run->window, &item->entry, &item->more, &view, name, &value, err))
			return differ(err, name);
		n = fgetxattr(fd, name, theirs, sizeof(theirs));
		if (n < 0 || (size_t)n != value.len || memcmp(theirs, value.bytes, value.len) != 0)
			return differ(err, name);
	}
	n = flistxattr(fd, theirs, sizeof(theirs));
	for (name = theirs; name < theirs + n; name += strlen(name) + 1)
		theirs_n += strcmp(name, "security.selinux") != 0;
	return ours_n == theirs_n ? 0 : differ(err, "number of xattrs");
}

static int compare_extra(int fd, const struct decoder_item *item, struct error *err)
{
	struct fsxattr fsx = { 0 };
	int flags = 0;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 &&
	    format_flags_from_chattr((uint32_t)flags) != item->more.inode_flags)
		return differ(err, "inode flags");
	if (ioctl(fd, FS_IOC_FSGETXATTR, &fsx) == 0 && fsx.fsx_projid != item->more.projid)
		return differ(err, "project id");
	return 0;
}

static int compare_opened(struct run *run, int fd, const struct decoder_item *item,
			  struct error *err)
{
	int r = compare_xattrs(run, fd, item, err);

	r = r < 0 ? r : compare_extra(fd, item, err);
	if (r < 0 || item->entry.kind == ENTRY_DIRECTORY)
		return r;
	return compare_content(run, fd, &item->entry, err);
}

static int compare_target(struct run *run, int dir, const char *name, const struct entry *e,
			  struct error *err)
{
	char ours[FORMAT_LINK_MAX + 1], theirs[FORMAT_LINK_MAX + 1];
	ssize_t n = readlinkat(dir, name, theirs, sizeof(theirs));

	if (n < 0 || (uint64_t)n != e->size)
		return differ(err, "length of the target");
	if (source_read(run->meta, &io, e->place, ours, (size_t)n, err) < 0)
		return err->code;
	return memcmp(ours, theirs, (size_t)n) == 0 ? 0 : differ(err, "target");
}

static int compare_link(struct run *run, const struct stat *st, const struct format_string *path,
			struct error *err)
{
	char target[FORMAT_PATH_MAX + 1] = "";
	struct stat first;

	memcpy(target, path->bytes, path->len);
	if (fstatat(run->dirs[0], target, &first, AT_SYMLINK_NOFOLLOW) < 0)
		return differ(err, "no target of the hardlink");
	return first.st_ino == st->st_ino && first.st_dev == st->st_dev
		       ? 0
		       : differ(err, "target of the hardlink");
}

static int compare_stat(const struct entry *e, const struct stat *st, struct error *err)
{
	if (e->mode != st->st_mode)
		return error_set(err, EUCLEAN, "mode %#o, not %#o", e->mode, st->st_mode);
	if (e->uid != st->st_uid || e->gid != st->st_gid)
		return differ(err, "owner");
	if (e->mtime_sec != st->st_mtim.tv_sec || e->mtime_nsec != (uint64_t)st->st_mtim.tv_nsec)
		return differ(err, "mtime");
	if (e->kind == ENTRY_FILE && e->size != (uint64_t)st->st_size)
		return differ(err, "size");
	if (e->kind == ENTRY_DEVICE &&
	    makedev((unsigned)(e->place >> 32), (unsigned)e->place) != st->st_rdev)
		return differ(err, "device number");
	return 0;
}

static int compare_entry(struct run *run, const struct decoder_item *item, const char *name,
			 struct error *err)
{
	int dir = run->dirs[item->depth ? item->depth - 1 : 0], r;
	const struct entry *e = &item->entry;
	CLEANUP(closep) int fd = -1;
	struct stat st;

	run->counts[e->kind]++;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return differ(err, "it is not there");
	if (e->kind == ENTRY_HARDLINK)
		return compare_link(run, &st, &item->path, err);
	r = compare_stat(e, &st, err);
	if (r == 0 && e->kind == ENTRY_SYMLINK)
		return compare_target(run, dir, name, e, err);
	if (r < 0 || (e->kind != ENTRY_FILE && e->kind != ENTRY_DIRECTORY))
		return r;
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, errno, "open: %m");
	r = compare_opened(run, fd, item, err);
	if (e->kind == ENTRY_DIRECTORY && item->depth)
		run->dirs[item->depth] = take_fd(&fd);
	return r;
}

static int compare(struct run *run, struct decoder *d, struct error *err)
{
	struct decoder_item item;
	char name[FORMAT_NAME_MAX + 1], text[1024];
	int r;

	while ((r = decoder_next(d, &item, err)) == 0 && item.event != DECODER_END) {
		if (item.event == DECODER_LEAVE) {
			if (item.depth)
				close(run->dirs[item.depth]);
			continue;
		}
		memset(name, 0, sizeof(name));
		memcpy(name, item.depth ? (const char *)item.name.bytes : ".",
		       item.depth ? item.name.len : 1);
		r = compare_entry(run, &item, name, err);
		if (r < 0)
			return error_wrap(err, "'%s' at depth %u",
					  error_name(text, sizeof(text), name, strlen(name)),
					  item.depth);
	}
	return r;
}

int main(int argc, char **argv)
{
	static struct run run;
	struct decoder *d = NULL;
	struct error err = { 0 };
	int r = argc == 3 || argc == 4 ? 0 : error_set(&err, EINVAL, "DIR ARCHIVE [PAYLOAD]");

	if (r == 0 && (run.dirs[0] = open(argv[1], O_RDONLY | O_DIRECTORY)) < 0)
		r = error_set(&err, errno, "open %s: %m", argv[1]);
	if (r == 0)
		r = source_open_file(&run.meta, argv[2], &err);
	if (r == 0 && argc == 4)
		r = source_open_file(&run.payload, argv[3], &err);
	run.window = window_init(run.meta, &io, 4096);
	if (r == 0)
		r = decoder_open(&d, run.meta, run.payload, &io, &err);
	if (r == 0)
		r = compare(&run, d, &err);
	if (r < 0)
		fprintf(stderr, "compare: %s\n", err.text);
	printf("%u files %u directories %u symlinks %u devices %u fifos %u sockets %u hardlinks\n",
	       run.counts[ENTRY_FILE], run.counts[ENTRY_DIRECTORY], run.counts[ENTRY_SYMLINK],
	       run.counts[ENTRY_DEVICE], run.counts[ENTRY_FIFO], run.counts[ENTRY_SOCKET],
	       run.counts[ENTRY_HARDLINK]);
	decoder_free(d);
	window_release(&run.window);
	source_free(run.meta);
	source_free(run.payload);
	return r < 0;
}
