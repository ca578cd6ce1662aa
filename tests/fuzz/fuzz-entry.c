/*
 * fuzz-entry.c - one entry, one name, one hardlink
 *
 * Input: a byte of options, then an entry from its ENTRY or HARDLINK item on, or a FILENAME. What
 * is accepted is consistent, and its stat is written back as it was read.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct io io = { .may_wait = true };

struct input {
	const uint8_t *bytes;
	size_t size;
	bool split;
	struct window w;
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

static bool kind_agrees(const struct entry *e)
{
	switch (e->mode & S_IFMT) {
	case S_IFREG:
		return e->kind == ENTRY_FILE;
	case S_IFDIR:
		return e->kind == ENTRY_DIRECTORY;
	case S_IFLNK:
		return e->kind == ENTRY_SYMLINK;
	case S_IFCHR:
	case S_IFBLK:
		return e->kind == ENTRY_DEVICE;
	case S_IFIFO:
		return e->kind == ENTRY_FIFO;
	case S_IFSOCK:
		return e->kind == ENTRY_SOCKET;
	default:
		return e->kind == ENTRY_HARDLINK && !e->mode;
	}
}

static void check_stat(const struct input *in, const struct entry *e, const struct entry_more *more)
{
	struct format_stat st = {
		.mode = e->mode,
		.flags = more->inode_flags,
		.uid = e->uid,
		.gid = e->gid,
		.mtime_sec = e->mtime_sec,
		.mtime_nsec = e->mtime_nsec,
	};
	struct buffer b = { 0 };

	if (more->attrs.start == FORMAT_ENTRY_SIZE)
		format_encode_stat(&b, &st);
	else
		format_encode_stat_v1(&b, &st);
	require(!buffer_finish(&b, NULL));
	if (more->attrs.start == FORMAT_ENTRY_SIZE)
		b.len -= 4; /* padding */
	require(!memcmp(b.bytes, in->bytes, b.len));
	buffer_release(&b);
}

static void check_place(const struct input *in, const struct entry *e,
			const struct entry_more *more)
{
	struct range all = { 0, more->end };

	require(more->attrs.start <= more->attrs.end && more->attrs.end <= more->end);
	require(more->end <= in->size);
	if (e->kind == ENTRY_SYMLINK)
		require(e->size && e->size <= FORMAT_LINK_MAX &&
			range_holds(all, e->place, e->size + 1));
	if (e->kind == ENTRY_FILE && in->split)
		require(e->place <= INT64_MAX && e->size <= INT64_MAX - e->place);
	if (e->kind == ENTRY_FILE && !in->split)
		require(range_holds(all, e->place, e->size) && e->place + e->size == more->end);
}

static void check_entry(struct input *in)
{
	struct entry e, again;
	struct entry_more more;

	if (entry_decode(&in->w, 0, in->size, in->split, &e, &more, NULL))
		return;
	require(kind_agrees(&e));
	require(e.number == (e.kind == ENTRY_DIRECTORY ? 0 : ENTRY_NON_DIRECTORY));
	check_place(in, &e, &more);
	if (e.kind != ENTRY_HARDLINK)
		check_stat(in, &e, &more);
	/* It needs nothing beyond its end. */
	require(!entry_decode(&in->w, 0, more.end, in->split, &again, NULL, NULL));
	require(again.kind == e.kind && again.size == e.size && again.flags == e.flags);
}

static void check_name(struct input *in)
{
	struct format_string name;
	uint64_t end;

	if (entry_decode_name(&in->w, 0, in->size, &name, &end, NULL))
		return;
	require(name.len && name.len <= FORMAT_NAME_MAX && end <= in->size);
	require(!memchr(name.bytes, '/', name.len) && !memchr(name.bytes, 0, name.len));
	require(name.len > 2 || memcmp(name.bytes, "..", name.len));
}

static void check_link(struct input *in)
{
	struct format_string path;
	uint64_t delta;

	if (entry_decode_link(&in->w, 0, in->size, &delta, &path, NULL))
		return;
	require(path.len && path.len <= FORMAT_PATH_MAX && !memchr(path.bytes, 0, path.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source *source;
	struct input in;

	if (!size)
		return 0;
	in = (struct input){ .bytes = data + 1, .size = size - 1, .split = data[0] & 1 };
	require(!source_new_memory(&source, in.bytes, in.size, NULL));
	in.w = window_init(source, &io, data[0] & 2 ? 16 : 512);
	check_entry(&in);
	check_name(&in);
	check_link(&in);
	window_release(&in.w);
	source_free(source);
	return 0;
}
