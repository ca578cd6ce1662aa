#include "tests/exercise.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/walk.h"
#include "core/xattr.h"

/* Unlike assert() it stays in builds without assertions: it is what this file is for. */
#define HOLDS(condition)                                                                  \
	do {                                                                              \
		if (!(condition)) {                                                       \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, \
				#condition);                                              \
			abort();                                                          \
		}                                                                         \
	} while (0)

enum {
	SAMPLE = 64, /* bytes of content, at each end; attributes of an entry */
	FINDS = 256, /* single lookups in one directory: each may read the whole table */
};

static const struct io waiting = { .may_wait = true };
static const struct xattr_view everything = { .trusted = true, .list_pxar = true };

struct exercising {
	struct accessor *a;
	struct source *meta;
	struct exercise *seen;
};

/* Counts an outcome that an archive may have, and says whether there is something to look at. */
static bool came(struct exercising *x, int r)
{
	HOLDS(r <= 0);
	if (r < 0)
		x->seen->failed++;
	return r == 0;
}

static void check_name(const char *name, size_t len)
{
	HOLDS(len > 0 && len <= FORMAT_NAME_MAX);
	HOLDS(strlen(name) == len);
	HOLDS(!strchr(name, '/') && strcmp(name, ".") && strcmp(name, ".."));
}

static bool same_entry(const struct entry *a, const struct entry *b)
{
	return a->number == b->number && a->size == b->size && a->place == b->place &&
	       a->mtime_sec == b->mtime_sec && a->mtime_nsec == b->mtime_nsec && a->uid == b->uid &&
	       a->gid == b->gid && a->mode == b->mode && a->kind == b->kind && a->flags == b->flags;
}

static void read_xattr(struct exercising *x, uint64_t number, const char *name)
{
	CLEANUP(buffer_release) struct buffer value = { 0 };
	int r = accessor_getxattr(x->a, &waiting, number, &everything, name, &value, NULL);

	HOLDS(r != XATTR_NONE); /* it was listed */
	came(x, r);
}

static void read_xattrs(struct exercising *x, uint64_t number)
{
	CLEANUP(buffer_release) struct buffer names = { 0 };
	size_t len, at = 0;

	if (!came(x, accessor_listxattr(x->a, &waiting, number, &everything, &names, NULL)))
		return;
	HOLDS(names.len <= XATTR_NAMES_MAX);
	for (unsigned n = 0; at < names.len; at += len + 1, n++) {
		const char *name = (const char *)names.bytes + at;

		len = strnlen(name, names.len - at);
		HOLDS(len > 0 && len <= FORMAT_XATTR_NAME_MAX && at + len < names.len);
		if (n < SAMPLE)
			read_xattr(x, number, name);
	}
}

static void read_content(struct exercising *x, const struct entry *e)
{
	uint8_t bytes[SAMPLE];
	size_t n = e->size < sizeof(bytes) ? (size_t)e->size : sizeof(bytes);

	HOLDS(accessor_is_split(x->a) ||
	      range_holds((struct range){ 0, x->meta->size }, e->place, e->size));
	if (!came(x, accessor_check(x->a, &waiting, e, NULL)))
		return;
	came(x, accessor_read(x->a, &waiting, e, 0, bytes, n, NULL));
	came(x, accessor_read(x->a, &waiting, e, e->size - n, bytes, n, NULL));
}

static void __attribute__((noinline)) read_symlink(struct exercising *x, const struct entry *e)
{
	char target[FORMAT_LINK_MAX + 1];

	if (came(x, accessor_readlink(x->a, &waiting, e, target, NULL)))
		HOLDS(e->size > 0 && strlen(target) == e->size);
}

static void __attribute__((noinline)) read_hardlink(struct exercising *x, const struct entry *e)
{
	char path[FORMAT_PATH_MAX + 1];
	struct entry target;
	uint64_t number;

	if (came(x, accessor_link_path(x->a, &waiting, e->number, path, NULL)))
		HOLDS(*path);
	if (came(x, accessor_number_at(x->a, &waiting, e->size, &number, NULL)) &&
	    came(x, accessor_entry(x->a, &waiting, number, &target, NULL, NULL)) &&
	    target.kind != ENTRY_FILE)
		x->seen->failed++;
}

/* What a directory says of an entry is what its number says. */
static void check_number(struct exercising *x, const struct entry *e)
{
	struct entry again;

	if (came(x, accessor_entry(x->a, &waiting, e->number, &again, NULL, NULL)))
		HOLDS(same_entry(e, &again));
}

static void check_entry(struct exercising *x, const struct dir *dir, const struct entry *e)
{
	switch (e->kind) {
	case ENTRY_HARDLINK:
		HOLDS(e->size < (e->number & ~ENTRY_NON_DIRECTORY));
		read_hardlink(x, e);
		return;
	case ENTRY_DIRECTORY:
		HOLDS(e->number <= dir->goodbye.offset);
		break;
	case ENTRY_FILE:
		read_content(x, e);
		break;
	case ENTRY_SYMLINK:
		read_symlink(x, e);
		break;
	default:
		break;
	}
	check_number(x, e);
	read_xattrs(x, e->number);
}

/* Lookups agree with the listing where nothing is wrong with the directory: what is, a single
   lookup need not notice. */
static void check_find(struct exercising *x, const struct dir *dir, const struct dir_entry *e)
{
	bool flawless = !dir->damaged && !dir->hidden && !dir->duplicates;
	const char *name = dir->names + e->name;
	struct dir_entry found;
	int r;

	r = accessor_find(x->a, &waiting, dir->self.number, name, e->name_len, &found, NULL);
	if (r == DIR_NONE)
		return;
	HOLDS(r <= 0);
	if (flawless)
		HOLDS(r == 0 && found.start == e->start && same_entry(&found.entry, &e->entry));
}

static void check_missing(struct exercising *x, const struct dir *dir)
{
	static const char name[] = "\377there is no such name";
	struct dir_entry found;
	int r;

	if (dir_find(dir, name, sizeof(name) - 1))
		return;
	r = accessor_find(x->a, &waiting, dir->self.number, name, sizeof(name) - 1, &found, NULL);
	HOLDS(r == DIR_NONE || r < 0);
}

static void check_dir(struct exercising *x, const struct dir *dir)
{
	uint32_t damaged = 0;

	HOLDS(dir->goodbye.end <= x->meta->size);
	HOLDS((uint64_t)dir->count + dir->hidden + dir->duplicates == dir->goodbye.count);
	HOLDS(!dir->why.code == !(dir->hidden || dir->damaged));
	for (uint32_t i = 0; i < dir->count; i++) {
		const struct dir_entry *e = &dir->entries[i];

		check_name(dir->names + e->name, e->name_len);
		HOLDS(e->start > (i ? e[-1].start : 0));
		HOLDS(dir_find(dir, dir->names + e->name, e->name_len) == e);
		if (i % (dir->count / FINDS + 1) == 0)
			check_find(x, dir, e);
		if (e->entry.flags & ENTRY_DAMAGED) {
			damaged++;
			continue;
		}
		HOLDS(dir_at(dir, e->start) == e);
		check_entry(x, dir, &e->entry);
	}
	HOLDS(damaged <= dir->damaged); /* some may have been dropped as duplicates */
	check_missing(x, dir);
}

static void descend(struct exercising *x, uint64_t number, unsigned depth)
{
	CLEANUP(dir_freep) struct dir *dir = NULL;

	if (depth > DIR_DEPTH_MAX || accessor_dir(x->a, &waiting, number, &dir, NULL) < 0) {
		x->seen->damaged++;
		return;
	}
	HOLDS(dir->self.number == number);
	check_dir(x, dir);
	x->seen->entries += dir->count;
	x->seen->damaged += dir->damaged + dir->hidden;
	HOLDS(x->seen->entries <= x->meta->size / FORMAT_HEADER_SIZE);
	for (uint32_t i = 0; i < dir->count; i++) {
		const struct entry *e = &dir->entries[i].entry;

		if (e->kind == ENTRY_DIRECTORY && !(e->flags & ENTRY_DAMAGED))
			descend(x, e->number, depth + 1);
	}
}

static void check_walk(struct exercising *x)
{
	CLEANUP(walk_freep) struct walk *walk = NULL;
	const atomic_bool stop = false;
	const struct walk_totals *totals;

	HOLDS(walk_run(&walk, x->a, &stop, NULL, NULL) == 0);
	totals = walk_totals(walk);
	HOLDS(totals->entries == x->seen->entries);
	HOLDS(totals->damaged == x->seen->damaged);
}

int exercise_archive(struct source *meta, struct source *payload, struct exercise *seen,
		     struct error *err)
{
	CLEANUP(accessor_freep) struct accessor *a = NULL;
	struct exercising x = { .meta = meta, .seen = seen };
	int r;

	*seen = (struct exercise){ .entries = 1 };
	r = accessor_open(&a, meta, payload, !payload, err);
	HOLDS(r <= 0);
	if (r < 0)
		return r;
	x.a = a;
	read_xattrs(&x, ENTRY_ROOT);
	descend(&x, ENTRY_ROOT, 0);
	check_walk(&x);
	return 0;
}

int exercise_memory(const void *meta, size_t meta_len, const void *payload, size_t payload_len,
		    struct exercise *seen, struct error *err)
{
	CLEANUP(source_freep) struct source *meta_source = NULL, *payload_source = NULL;
	int r;

	r = source_new_memory(&meta_source, meta, meta_len, err);
	if (!r && payload)
		r = source_new_memory(&payload_source, payload, payload_len, err);
	return r ? r : exercise_archive(meta_source, payload_source, seen, err);
}
