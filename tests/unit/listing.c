#include "tests/unit/listing.h"

#include <string.h>
#include <linux/fuse.h>

static void take_entry(struct listing_line *line, const struct fuse_entry_out *entry)
{
	line->nodeid = entry->nodeid;
	line->entry_valid = entry->entry_valid;
	line->attr_valid = entry->attr_valid;
	line->attr_ino = entry->attr.ino;
	line->size = entry->attr.size;
	line->mode = entry->attr.mode;
	line->nlink = entry->attr.nlink;
}

/* As fuse_dir.c of Linux is about names. */
static bool is_good_name(const char *name, size_t n)
{
	return n && n < sizeof(((struct listing_line *)0)->name) && !memchr(name, '/', n) &&
	       !memchr(name, '\0', n);
}

int listing_next(const char **bytes, size_t *n, bool plus, struct listing_line *line)
{
	size_t before = plus ? sizeof(struct fuse_entry_out) : 0;
	struct fuse_entry_out entry;
	struct fuse_dirent dirent;
	size_t whole;

	*line = (struct listing_line){ 0 };
	if (!*n)
		return 0;
	if (*n < before + FUSE_NAME_OFFSET)
		return -1;
	if (plus) {
		memcpy(&entry, *bytes, sizeof(entry));
		take_entry(line, &entry);
	}
	memcpy(&dirent, *bytes + before, FUSE_NAME_OFFSET);
	whole = before + FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + (size_t)dirent.namelen);
	if (whole > *n || !is_good_name(*bytes + before + FUSE_NAME_OFFSET, dirent.namelen))
		return -1;
	memcpy(line->name, *bytes + before + FUSE_NAME_OFFSET, dirent.namelen);
	line->ino = dirent.ino;
	line->next = dirent.off;
	line->type = dirent.type;
	*bytes += whole;
	*n -= whole;
	return 1;
}
