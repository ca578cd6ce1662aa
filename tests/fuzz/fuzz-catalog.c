/*
 * fuzz-catalog.c - a catalog, read and written
 *
 * What can be read of it is written as a catalog of its own; that one can be read, and to write it
 * again gives the same bytes. Each of its entries, unless an equal name stands before it, is found
 * by its path.
 */
#include <stdlib.h>
#include <string.h>

#include "chunkcache/catalog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ENTRIES_MAX = 500, DEPTH_MAX = 40, PATH_MAX_LEN = 2000 };

static const struct io io = { .may_wait = true };

struct memory_sink {
	struct sink sink;
	struct buffer bytes;
};

/* A walk that writes what it sees. Blocks can be shared, so there is no end to entries. */
struct walk {
	struct catalog *catalog;
	struct catalog_writer *writer;
	unsigned entries;
	bool ours;    /* nothing of it may be refused */
	bool look_up; /* nothing equal was before on the path */
	char path[PATH_MAX_LEN];
	size_t path_len;
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

static int write_memory(struct sink *sink, const void *bytes, size_t n, struct error *err)
{
	buffer_add(&((struct memory_sink *)sink)->bytes, bytes, n);
	return buffer_finish(&((struct memory_sink *)sink)->bytes, err);
}

/* Whether an entry of this name is among the first n of the block. */
static bool is_before(struct catalog *c, uint64_t offset, size_t n, struct format_string name)
{
	struct catalog_block block;
	struct catalog_entry e;
	bool found = false;

	require(catalog_read(c, &io, offset, &block, NULL) == 0);
	while (n-- && !found && catalog_next(&block, &e))
		found = e.name.len == name.len && !memcmp(e.name.bytes, name.bytes, name.len);
	catalog_block_release(&block);
	return found;
}

/* Looks up the path of the n-th entry of the block; false when an equal name is before it, which
   then hides what is below it too. */
static bool look_up(struct walk *w, uint64_t offset, size_t n, const struct catalog_entry *e)
{
	struct catalog_entry found;

	require(catalog_find(w->catalog, &io, w->path, &found, NULL) == 0);
	require(found.name.len == e->name.len);
	require(!memcmp(found.name.bytes, e->name.bytes, e->name.len));
	if (found.type == e->type && found.size == e->size && found.mtime == e->mtime &&
	    found.block == e->block)
		return true;
	require(is_before(w->catalog, offset, n, e->name));
	return false;
}

static void walk(struct walk *w, uint64_t offset, unsigned depth);

/* Writes the entry whose path is set. */
static void copy(struct walk *w, const struct catalog_entry *e, const char *name, unsigned depth)
{
	if (e->type == CATALOG_FILE) {
		require(catalog_writer_file(w->writer, name, e->size, e->mtime, NULL) == 0);
	} else if (e->type != CATALOG_DIRECTORY) {
		require(catalog_writer_other(w->writer, e->type, name, NULL) == 0);
	} else {
		require((depth ? catalog_writer_begin_dir
			       : catalog_writer_begin_archive)(w->writer, name, NULL) == 0);
		walk(w, e->block, depth + 1);
		require(catalog_writer_end_dir(w->writer, NULL) == 0);
	}
}

/* The n-th entry of the block. */
static void visit(struct walk *w, uint64_t offset, size_t n, const struct catalog_entry *e,
		  unsigned depth)
{
	size_t len = w->path_len;
	char *name = w->path + len + (len > 0);
	bool looks_up = w->look_up;

	if (len + e->name.len + 2 > sizeof(w->path) || ++w->entries > ENTRIES_MAX)
		return;
	if (!depth && e->type != CATALOG_DIRECTORY)
		return; /* no writer puts it there */
	if (len)
		w->path[len] = '/';
	memcpy(name, e->name.bytes, e->name.len);
	name[e->name.len] = '\0';
	w->path_len = (size_t)(name - w->path) + e->name.len;
	w->look_up = looks_up && look_up(w, offset, n, e);
	copy(w, e, name, depth);
	w->look_up = looks_up;
	w->path_len = len;
	w->path[len] = '\0';
}

static void walk(struct walk *w, uint64_t offset, unsigned depth)
{
	struct catalog_block block;
	struct catalog_entry e;
	struct error err = { 0 };
	size_t n = 0;
	int r = catalog_read(w->catalog, &io, offset, &block, &err);

	if (r < 0) {
		require(r == -EUCLEAN && *err.text && !w->ours);
		return;
	}
	while (catalog_next(&block, &e)) {
		if (depth < DEPTH_MAX)
			visit(w, offset, n, &e, depth);
		n++;
	}
	require(n == block.count);
	catalog_block_release(&block);
}

/* What is written of it; nothing when it is refused, which what we wrote must not be. */
static bool rewrite(const void *bytes, size_t n, bool ours, struct memory_sink *to)
{
	struct walk w = { .ours = ours, .look_up = ours };
	struct source *source;
	int r;

	*to = (struct memory_sink){ .sink = { write_memory } };
	require(source_new_memory(&source, bytes, n, NULL) == 0);
	r = catalog_open(&w.catalog, source, &io, NULL);
	require(r == 0 || (r == -EUCLEAN && !ours));
	if (r == 0) {
		require(catalog_writer_new(&w.writer, &to->sink, NULL) == 0);
		walk(&w, catalog_root(w.catalog), 0);
		require(catalog_writer_finish(w.writer, NULL) == 0);
	}
	catalog_writer_free(w.writer);
	catalog_free(w.catalog);
	source_free(source);
	return r == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory_sink once, twice = { 0 };

	if (rewrite(data, size, false, &once)) {
		rewrite(once.bytes.bytes, once.bytes.len, true, &twice);
		require(once.bytes.len == twice.bytes.len &&
			!memcmp(once.bytes.bytes, twice.bytes.bytes, once.bytes.len));
	}
	buffer_release(&once.bytes);
	buffer_release(&twice.bytes);
	return 0;
}
