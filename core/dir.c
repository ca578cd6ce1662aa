#define _GNU_SOURCE
#include "core/dir.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/siphash.h"

enum {
	ITEM_AHEAD = 512, /* what an entry without attributes fits in */
	NEAR = 4096,	  /* entries this close are fetched together */
	FETCH_MAX = 128 * 1024,
	EXPECT_NEAR = 128 * 1024, /* gaps up to this are cheaper to read than to seek over */
	EXPECT_MAX = 2 * 1024 * 1024,
	SAME_HASH_MAX = 16,
	WASTE_MAX = 512 * 1024,
};

/* A directory of which entries are being decoded. */
struct decoding {
	const struct dir_archive *archive;
	const struct io *io;
	struct window w;
	struct goodbye g;
	struct entry self;
	uint64_t children; /* where they begin */
};

static void release_window(struct decoding *d)
{
	window_release(&d->w);
}

/* What says that bytes are wrong, as opposed to bytes that could not be had. */
static bool is_malformed(int r)
{
	return r == -EUCLEAN;
}

/* An entry's own flaw, or trouble with reading it; anything else is not about this entry. */
static bool is_entrys_own(int r)
{
	return is_malformed(r) || r == -EIO || r == -EBADMSG;
}

static int open_directory(struct decoding *d, uint64_t end, struct error *err)
{
	struct entry_more more;
	uint64_t offset;
	int r;

	r = goodbye_open(&d->w, end, &d->g, err);
	if (r)
		return r;
	offset = d->g.entry ? d->g.entry : d->archive->root;
	r = entry_decode(&d->w, offset, d->g.offset, d->archive->split, &d->self, &more, err);
	if (r)
		return r < 0 ? error_wrap(err, "directory at %" PRIu64, offset) : r;
	if (d->self.kind != ENTRY_DIRECTORY)
		return error_set(err, EUCLEAN, "entry at %" PRIu64 " is not a directory", offset);
	d->self.number = end == d->archive->meta->size ? ENTRY_ROOT : end;
	d->self.size = end - d->g.offset;
	d->children = more.end;
	return 0;
}

/* A child directory's table must lead back to the child. */
static int check_directory(struct decoding *d, uint64_t offset, uint64_t end, struct entry *e,
			   struct error *err)
{
	struct goodbye g;
	int r;

	r = goodbye_peek(&d->w, end, &g, err);
	if (r)
		return r;
	if (g.entry != offset)
		return error_set(err, EUCLEAN,
				 "directory at %" PRIu64
				 ": the table at its end belongs to the one at %" PRIu64,
				 offset, g.entry);
	e->number = end;
	e->size = end - g.offset;
	return 0;
}

static int check_hardlink(struct decoding *d, uint64_t offset, uint64_t start, struct entry *e,
			  struct error *err)
{
	struct format_string path;
	uint64_t delta;
	int r;

	r = entry_decode_link(&d->w, offset, d->g.offset, &delta, &path, err);
	if (r)
		return r;
	if (!delta || !checked_sub(start, delta, &e->size))
		return error_set(err, EUCLEAN,
				 "HARDLINK at %" PRIu64 ": its target is %" PRIu64 " bytes back",
				 offset, delta);
	return 0;
}

/* Decodes the child whose FILENAME ends at offset; *end is where it ends. */
static int decode_child(struct decoding *d, const struct goodbye_child *child, uint64_t offset,
			struct entry *e, struct entry_more *more, uint64_t *end, struct error *err)
{
	bool split = d->archive->split;
	int r;

	r = entry_decode(&d->w, offset, d->g.offset, split, e, more, err);
	if (r)
		return r;
	if (split && e->kind == ENTRY_FILE) {
		/* Its recorded size may count data that lies in the payload file. */
		*end = more->end;
		return 0;
	}
	if (!checked_add(child->start, child->size, end) || *end > d->g.offset ||
	    (*end != more->end && e->kind != ENTRY_DIRECTORY))
		return error_set(err, EUCLEAN,
				 "entry at %" PRIu64 ": its record gives it %" PRIu64
				 " bytes from %" PRIu64 " on",
				 offset, child->size, child->start);
	if (e->kind == ENTRY_DIRECTORY)
		return check_directory(d, offset, *end, e, err);
	if (e->kind == ENTRY_HARDLINK)
		return check_hardlink(d, offset, child->start, e, err);
	return 0;
}

/* A directory that is being filled. */
struct filling {
	struct decoding *d;
	struct dir *dir;
	struct goodbye_child *children; /* by start */
	struct buffer names;
	uint64_t cover;		 /* where the last good entry ended */
	uint64_t waste;		 /* bytes of items decoded for entries that turned out damaged */
	uint64_t near, expected; /* up to where reading together, and a hint, have been arranged */
};

static void release_filling(struct filling *f)
{
	free(f->children);
	buffer_release(&f->names);
}

/* Fetch what lies close together at once, and let storage know what is coming. */
static void look_ahead(struct filling *f, uint64_t i)
{
	uint64_t count = f->d->g.count, start = f->children[i].start;
	uint64_t j = i;

	if (start >= f->near) {
		while (j + 1 < count && f->children[j + 1].start - f->children[j].start <= NEAR &&
		       f->children[j + 1].start - start < FETCH_MAX)
			j++;
		f->near = f->children[j].start + ITEM_AHEAD;
		f->d->w.fill = (size_t)(f->near - start);
	}
	if (start >= f->expected && f->d->io->may_wait) {
		for (j = i; j + 1 < count &&
			    f->children[j + 1].start - f->children[j].start <= EXPECT_NEAR &&
			    f->children[j + 1].start - start < EXPECT_MAX;)
			j++;
		f->expected = f->children[j].start + ITEM_AHEAD;
		if (j > i)
			source_expect(f->d->archive->meta, start, f->expected - start);
	}
}

static int pass_on(struct error *err, const struct error *why, int r)
{
	if (err)
		*err = *why;
	return r;
}

static void note(struct filling *f, const struct error *why, uint64_t at)
{
	struct dir *dir = f->dir;

	if (!is_malformed(why->code))
		dir->transient = true;
	if (dir->why.code)
		return;
	dir->why = *why;
	error_wrap(&dir->why, "record for %" PRIu64, at);
}

static int add_name(struct filling *f, const struct format_string *name, struct dir_entry *e,
		    struct error *err)
{
	if (f->names.len > UINT32_MAX - FORMAT_NAME_MAX)
		return error_set(err, ENOMEM, "the names of one directory take over 4 GiB");
	e->name = (uint32_t)f->names.len;
	e->name_len = (uint8_t)name->len;
	buffer_add(&f->names, name->bytes, name->len);
	buffer_add(&f->names, "", 1);
	return buffer_finish(&f->names, err);
}

static void fill_damaged(struct dir_entry *e, uint64_t offset)
{
	e->entry = (struct entry){ .number = offset | ENTRY_NON_DIRECTORY, .flags = ENTRY_DAMAGED };
}

static void hide(struct filling *f, const struct error *why, uint64_t at)
{
	f->dir->hidden++;
	note(f, why, at);
}

/* Good entries lie side by side, so decoding them takes time in proportion to their bytes. Damaged
   ones may be made to share a long row of items, which WASTE_MAX bounds. */
static int decode_beside(struct filling *f, const struct goodbye_child *child, uint64_t offset,
			 struct entry *e, struct error *err)
{
	struct entry_more more = { 0 };
	uint64_t end;
	int r;

	if (child->start < f->cover)
		return error_set(err, EUCLEAN,
				 "it lies inside the entry before it, which ends at %" PRIu64,
				 f->cover);
	if (f->waste > WASTE_MAX)
		return error_set(err, EUCLEAN, "too much was damaged before it");
	r = decode_child(f->d, child, offset, e, &more, &end, err);
	if (r)
		f->waste += more.attrs.end - more.attrs.start;
	else
		f->cover = end;
	return r;
}

static int add_child(struct filling *f, const struct goodbye_child *child, struct error *err)
{
	struct dir *dir = f->dir;
	struct dir_entry *e = &dir->entries[dir->count];
	struct error why = { 0 };
	struct format_string name;
	uint64_t offset;
	int r;

	if (child->start < f->d->children) {
		error_set(&why, EUCLEAN, "outside of the directory's children");
		hide(f, &why, child->start);
		return 0;
	}
	r = entry_decode_name(&f->d->w, child->start, f->d->g.offset, &name, &offset, &why);
	if (is_malformed(r)) {
		hide(f, &why, child->start);
		return 0;
	}
	if (r) /* a name that cannot be read now may be there the next time: list nothing */
		return pass_on(err, &why, r);
	e->start = child->start;
	r = add_name(f, &name, e, err);
	if (r)
		return r;
	r = decode_beside(f, child, offset, &e->entry, &why);
	if (r && !is_entrys_own(r))
		return pass_on(err, &why, r);
	if (r) {
		fill_damaged(e, offset);
		dir->damaged++;
		note(f, &why, child->start);
	}
	dir->count++;
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct goodbye_child *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->size < y->size ? -1 : x->size > y->size;
}

static int compare_names(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int r = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return r ? r : (a_len > b_len) - (a_len < b_len);
}

static int compare_entries(const struct dir *dir, uint32_t a, uint32_t b)
{
	const struct dir_entry *x = &dir->entries[a], *y = &dir->entries[b];

	return compare_names(dir->names + x->name, x->name_len, dir->names + y->name, y->name_len);
}

static int by_name_then_start(const void *a, const void *b, void *dir)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int r = compare_entries(dir, x, y);

	return r ? r : (x > y) - (x < y);
}

/* Takes out entries whose name an earlier one has; by_name has them side by side. */
static void drop_duplicates(struct dir *dir)
{
	uint32_t kept = 0;

	for (uint32_t i = 1; i < dir->count; i++)
		if (!compare_entries(dir, dir->by_name[i - 1], dir->by_name[i]))
			dir->entries[dir->by_name[i]].start = 0;
	for (uint32_t i = 0; i < dir->count; i++)
		if (dir->entries[i].start)
			dir->entries[kept++] = dir->entries[i];
	dir->duplicates += dir->count - kept;
	dir->count = kept;
}

static void sort_by_name(struct dir *dir)
{
	for (uint32_t i = 0; i < dir->count; i++)
		dir->by_name[i] = i;
	qsort_r(dir->by_name, dir->count, sizeof(*dir->by_name), by_name_then_start, dir);
}

static int index_names(struct dir *dir, struct error *err)
{
	uint32_t before, i = 1;

	while (i < dir->count && compare_entries(dir, i - 1, i) < 0)
		i++;
	if (i >= dir->count)
		return 0; /* the usual case: archived in order of names */
	dir->by_name = calloc(dir->count, sizeof(*dir->by_name));
	if (!dir->by_name)
		return error_set(err, ENOMEM, "out of memory for %" PRIu32 " names", dir->count);
	sort_by_name(dir);
	before = dir->count;
	drop_duplicates(dir);
	if (dir->count != before)
		sort_by_name(dir);
	return 0;
}

static int fill(struct filling *f, struct error *err)
{
	struct dir *dir = f->dir;
	uint64_t count = f->d->g.count;
	int r;

	f->children = calloc(count, sizeof(*f->children));
	dir->entries = calloc(count, sizeof(*dir->entries));
	if (!f->children || !dir->entries)
		return error_set(err, ENOMEM, "out of memory for %" PRIu64 " entries", count);
	f->d->w.fill = 64 * 1024;
	r = goodbye_read(&f->d->w, &f->d->g, f->children, err);
	if (r)
		return r;
	qsort(f->children, count, sizeof(*f->children), by_start);
	for (uint64_t i = 0; i < count; i++) {
		if (i && f->children[i].start && f->children[i].start == f->children[i - 1].start) {
			dir->duplicates++;
			continue;
		}
		look_ahead(f, i);
		r = add_child(f, &f->children[i], err);
		if (r)
			return r;
	}
	return 0;
}

static int decode_entries(struct decoding *d, struct dir *dir, struct error *err)
{
	CLEANUP(release_filling) struct filling f = { .d = d, .dir = dir };
	char *names;
	int r;

	if (d->g.count > UINT32_MAX)
		return error_set(err, ENOMEM, "a directory of %" PRIu64 " entries", d->g.count);
	if (d->g.count) {
		r = fill(&f, err);
		if (r)
			return r;
	}
	names = realloc(f.names.bytes, f.names.len ? f.names.len : 1);
	if (!names)
		return error_set(err, ENOMEM, "out of memory");
	f.names.bytes = NULL;
	dir->names = names;
	r = index_names(dir, err);
	dir->bytes = sizeof(*dir) + d->g.count * sizeof(*dir->entries) + f.names.len +
		     (dir->by_name ? dir->count * sizeof(*dir->by_name) : 0);
	return r;
}

int dir_decode(struct dir **out, const struct dir_archive *archive, const struct io *io,
	       uint64_t end, struct error *err)
{
	CLEANUP(release_window) struct decoding d = { .archive = archive, .io = io };
	CLEANUP(dir_freep) struct dir *dir = NULL;
	int r;

	d.w = window_init(archive->meta, io, ITEM_AHEAD);
	r = open_directory(&d, end, err);
	if (r)
		return r;
	if (!io->may_wait && d.g.count > DIR_INLINE_MAX)
		return 1;
	dir = calloc(1, sizeof(*dir));
	if (!dir)
		return error_set(err, ENOMEM, "out of memory");
	dir->self = d.self;
	dir->goodbye = d.g;
	r = decode_entries(&d, dir, err);
	if (r)
		return r < 0 ? error_wrap(err, "directory that ends at %" PRIu64, end) : r;
	*out = TAKE(dir);
	return 0;
}

void dir_free(struct dir *dir)
{
	if (!dir)
		return;
	free(dir->by_name);
	free(dir->names);
	free(dir->entries);
	free(dir);
}

/* Whether the child has this name: 0 and where its entry begins, DIR_NONE, or as ever. */
static int match_name(struct decoding *d, const struct goodbye_child *child, const char *name,
		      size_t len, uint64_t *offset, struct error *err)
{
	struct format_string stored;
	struct error why = { 0 };
	int r;

	if (child->start < d->children)
		return DIR_NONE;
	r = entry_decode_name(&d->w, child->start, d->g.offset, &stored, offset, &why);
	if (is_malformed(r))
		return DIR_NONE;
	if (r)
		return pass_on(err, &why, r);
	return stored.len == len && !memcmp(stored.bytes, name, len) ? 0 : DIR_NONE;
}

/* Whether a record says that its child goes on where this one begins. The content of a file can
   look like an entry, and a record can lead to it. Split archives have no content in between, and
   sizes that tell nothing. */
static int is_claimed(struct decoding *d, const struct goodbye_child *child, bool *claimed,
		      struct error *err)
{
	CLEANUP(freep) struct goodbye_child *all = NULL;
	int r;

	*claimed = false;
	if (d->archive->split)
		return 0;
	all = calloc(d->g.count, sizeof(*all));
	if (!all)
		return error_set(err, ENOMEM, "out of memory for %" PRIu64 " records", d->g.count);
	r = goodbye_read(&d->w, &d->g, all, err);
	for (uint64_t i = 0; !r && i < d->g.count; i++)
		if (all[i].start < child->start && child->start - all[i].start < all[i].size)
			*claimed = true;
	return r;
}

/* Decodes the child of which match_name() said that it is the one. */
static int decode_match(struct decoding *d, const struct goodbye_child *child, uint64_t offset,
			struct dir_entry *found, struct error *err)
{
	struct entry_more more;
	uint64_t end;
	bool claimed;
	int r;

	r = is_claimed(d, child, &claimed, err);
	if (r)
		return r;
	if (claimed)
		return DIR_NONE; /* decoding the directory tells which of the two is good */
	*found = (struct dir_entry){ .start = child->start };
	return decode_child(d, child, offset, &found->entry, &more, &end, err);
}

int dir_decode_one(const struct dir_archive *archive, const struct io *io, uint64_t end,
		   const char *name, size_t len, struct dir_entry *found, struct error *err)
{
	CLEANUP(release_window) struct decoding d = { .archive = archive, .io = io };
	struct goodbye_child same[SAME_HASH_MAX];
	uint64_t offset;
	size_t n;
	int r;

	d.w = window_init(archive->meta, io, ITEM_AHEAD);
	r = open_directory(&d, end, err);
	if (r)
		return r;
	r = goodbye_find(&d.w, &d.g, siphash_name(name, len), same, SAME_HASH_MAX, &n, err);
	if (r)
		return r;
	if (n == SAME_HASH_MAX)
		return DIR_NONE; /* made to collide: a full decoding costs less */
	qsort(same, n, sizeof(*same), by_start);
	for (size_t i = 0; i < n; i++) {
		r = match_name(&d, &same[i], name, len, &offset, err);
		if (r != DIR_NONE)
			return r ? r : decode_match(&d, &same[i], offset, found, err);
	}
	return DIR_NONE;
}

const struct dir_entry *dir_find(const struct dir *dir, const char *name, size_t len)
{
	uint32_t low = 0, high = dir->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		uint32_t i = dir->by_name ? dir->by_name[middle] : middle;
		const struct dir_entry *e = &dir->entries[i];
		int r = compare_names(name, len, dir->names + e->name, e->name_len);

		if (!r)
			return e;
		if (r < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct dir_entry *dir_at(const struct dir *dir, uint64_t offset)
{
	uint32_t low = 0, high = dir->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (dir->entries[middle].start <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	/* A damaged one may lie inside a good one: its record is all that there is of it. */
	while (low && dir->entries[low - 1].entry.flags & ENTRY_DAMAGED)
		low--;
	return low ? &dir->entries[low - 1] : NULL;
}
