#include "daemon/inodes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* Enough for what a listing brings before its reader asks about each. */
enum { RECENT = 16384 };

struct recent {
	uint64_t number; /* that was asked for: a hardlink's own, while entry is its target's */
	struct entry entry;
	bool checked; /* its place in the payload file */
};

struct inodes {
	struct accessor *accessor;
	struct dircache *dirs;
	uv_mutex_t lock;
	struct recent recent[RECENT]; /* protected by lock */
};

int inodes_new(struct inodes **out, struct accessor *a, struct dircache *dirs, struct error *err)
{
	struct inodes *inodes = calloc(1, sizeof(*inodes));

	if (!inodes || uv_mutex_init(&inodes->lock)) {
		free(inodes);
		return error_set(err, ENOMEM, "out of memory");
	}
	inodes->accessor = a;
	inodes->dirs = dirs;
	*out = inodes;
	return 0;
}

void inodes_free(struct inodes *inodes)
{
	if (!inodes)
		return;
	uv_mutex_destroy(&inodes->lock);
	free(inodes);
}

static struct recent *place_of(struct inodes *inodes, uint64_t number)
{
	return &inodes->recent[(number * UINT64_C(0x9e3779b97f4a7c15)) >> 40 & (RECENT - 1)];
}

static bool recall(struct inodes *inodes, uint64_t number, struct recent *out)
{
	struct recent *recent = place_of(inodes, number);
	bool found;

	uv_mutex_lock(&inodes->lock);
	found = number && recent->number == number; /* 0: nothing is remembered there yet */
	if (found)
		*out = *recent;
	uv_mutex_unlock(&inodes->lock);
	return found;
}

static void remember(struct inodes *inodes, const struct recent *entry)
{
	struct recent *recent = place_of(inodes, entry->number);

	uv_mutex_lock(&inodes->lock);
	*recent = *entry;
	uv_mutex_unlock(&inodes->lock);
}

static int resolve(struct inodes *inodes, const struct io *io, uint64_t number,
		   struct recent *found, struct error *err)
{
	int r;

	/* A hardlink's own number is remembered for inodes_follow() alone. */
	if (recall(inodes, number, found) && found->entry.number == number)
		return 0;
	*found = (struct recent){ .number = number };
	r = accessor_entry(inodes->accessor, io, number, &found->entry, NULL, err);
	if (r == -EUCLEAN && err)
		r = err->code = -ESTALE;
	if (!r)
		remember(inodes, found);
	return r;
}

int inodes_entry(struct inodes *inodes, const struct io *io, uint64_t number, struct entry *e,
		 struct error *err)
{
	struct recent found;
	int r = resolve(inodes, io, number, &found, err);

	if (!r)
		*e = found.entry;
	return r;
}

int inodes_content(struct inodes *inodes, const struct io *io, uint64_t number, struct entry *e,
		   struct error *err)
{
	struct recent found;
	int r = resolve(inodes, io, number, &found, err);

	if (r)
		return r;
	*e = found.entry;
	if (found.checked || e->kind != ENTRY_FILE)
		return 0;
	r = accessor_check(inodes->accessor, io, e, err);
	if (r)
		return r;
	found.checked = true;
	remember(inodes, &found);
	return 0;
}

void inodes_note(struct inodes *inodes, const struct entry *e)
{
	struct recent *recent = place_of(inodes, e->number);

	uv_mutex_lock(&inodes->lock);
	if (recent->number != e->number)
		*recent = (struct recent){ .number = e->number, .entry = *e };
	uv_mutex_unlock(&inodes->lock);
}

/* One step down: the child of the directory in which the offset lies. */
static int step(struct inodes *inodes, const struct io *io, uint64_t number, uint64_t offset,
		struct cached_dir **dir, const struct dir_entry **child, struct error *err)
{
	int r = dircache_get(inodes->dirs, io, number, dir, err);

	if (r)
		return r;
	*child = dir_at((*dir)->dir, offset);
	if (!*child || (*child)->entry.flags & ENTRY_DAMAGED)
		return error_set(err, EUCLEAN, "nothing in the tree leads to offset %" PRIu64,
				 offset);
	return 0;
}

/* Takes the next component off the path if it is this one, and the slashes after it. */
static bool take_component(const char **path, const char *name, size_t len)
{
	if (strncmp(*path, name, len) || ((*path)[len] && (*path)[len] != '/'))
		return false;
	*path += len;
	while (**path == '/')
		(*path)++;
	return true;
}

/* Whether the child, which lies on the way to the target, is the target or a directory above it. */
static int check_step(const struct dir *dir, const struct dir_entry *child, uint64_t target,
		      const char **path, struct error *err)
{
	if (!take_component(path, dir->names + child->name, child->name_len))
		return error_set(err, EUCLEAN, "its path leads elsewhere than to offset %" PRIu64,
				 target);
	if (child->start != target) {
		if (child->entry.kind == ENTRY_DIRECTORY && target < child->entry.number)
			return 0;
		return error_set(err, EUCLEAN, "its target %" PRIu64 " is not an entry", target);
	}
	if (child->entry.kind != ENTRY_FILE || **path)
		return error_set(err, EUCLEAN, "its target at %" PRIu64 " is not a regular file",
				 target);
	return 0;
}

static int find_target(struct inodes *inodes, const struct io *io, uint64_t target,
		       const char *path, struct entry *out, struct error *err)
{
	uint64_t number = ENTRY_ROOT;

	while (*path == '/')
		path++;
	for (unsigned depth = 0; depth < DIR_DEPTH_MAX; depth++) {
		struct cached_dir *dir = NULL;
		const struct dir_entry *child;
		bool there = false;
		int r = step(inodes, io, number, target, &dir, &child, err);

		if (!r)
			r = check_step(dir->dir, child, target, &path, err);
		if (!r) {
			there = child->start == target;
			*out = child->entry;
			number = child->entry.number;
		}
		dircache_put(inodes->dirs, dir);
		if (r || there)
			return r;
	}
	return error_set(err, ELOOP, "its target is more than %d levels deep", DIR_DEPTH_MAX);
}

int inodes_follow(struct inodes *inodes, const struct io *io, struct entry *e, struct error *err)
{
	char path[FORMAT_PATH_MAX + 1];
	struct recent found;
	int r;

	if (e->kind != ENTRY_HARDLINK)
		return 0;
	if (!recall(inodes, e->number, &found)) {
		found = (struct recent){ .number = e->number };
		r = accessor_link_path(inodes->accessor, io, e->number, path, err);
		if (!r)
			r = find_target(inodes, io, e->size, path, &found.entry, err);
		if (r)
			return r < 0 ? error_wrap(err, "hardlink %#" PRIx64, e->number) : r;
		remember(inodes, &found);
	}
	*e = found.entry;
	return 0;
}

int inodes_parent(struct inodes *inodes, const struct io *io, uint64_t number, uint64_t *parent,
		  struct error *err)
{
	uint64_t at = ENTRY_ROOT;

	*parent = ENTRY_ROOT;
	for (unsigned depth = 0; at != number; depth++) {
		struct cached_dir *dir = NULL;
		const struct dir_entry *child;
		int r;

		if (depth == DIR_DEPTH_MAX)
			return error_set(err, ELOOP,
					 "directory %#" PRIx64 " is over %d levels deep", number,
					 DIR_DEPTH_MAX);
		*parent = at;
		r = step(inodes, io, at, number - 1, &dir, &child, err);
		if (!r && child->entry.kind != ENTRY_DIRECTORY)
			r = error_set(err, ESTALE, "%#" PRIx64 " is no directory", number);
		if (!r)
			at = child->entry.number;
		dircache_put(inodes->dirs, dir);
		if (r)
			return r;
		if (at < number)
			return error_set(err, ESTALE, "%#" PRIx64 " is no directory", number);
	}
	return 0;
}
