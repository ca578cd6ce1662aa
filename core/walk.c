#include "core/walk.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"

/* A file and how many links lead to it: by the offset of its FILENAME while walking, as links say
   it; by number afterwards, as readers ask. */
struct target {
	uint64_t key;
	uint32_t links;
};

struct walk {
	struct walk_totals totals;
	struct target *targets;
	size_t n_targets;
};

struct pending {
	uint64_t number;
	unsigned depth;
};

struct walking {
	struct accessor *a;
	const atomic_bool *stop;
	struct walk *walk;
	size_t targets_room;
	struct pending *stack;
	size_t n_stack, stack_room;
};

static const struct io waiting = { .may_wait = true };

static void release_stack(struct walking *w)
{
	free(w->stack);
}

static int by_key(const void *a, const void *b)
{
	const struct target *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

/* Sorts the targets and adds up those with the same key. A sorted array needs no hashing, so no
   archive can be made that is slow here. */
static void merge_targets(struct walk *walk)
{
	size_t kept = 0;

	if (!walk->n_targets)
		return;
	qsort(walk->targets, walk->n_targets, sizeof(*walk->targets), by_key);
	for (size_t i = 1; i < walk->n_targets; i++) {
		if (walk->targets[kept].key == walk->targets[i].key)
			walk->targets[kept].links += walk->targets[i].links;
		else
			walk->targets[++kept] = walk->targets[i];
	}
	walk->n_targets = kept + 1;
}

static int add_target(struct walking *w, uint64_t key, struct error *err)
{
	struct walk *walk = w->walk;
	struct target *targets;
	size_t room;

	if (walk->n_targets == w->targets_room) {
		merge_targets(walk);
		if (walk->n_targets >= w->targets_room / 4 * 3) {
			room = w->targets_room ? w->targets_room * 2 : 64;
			targets = realloc(walk->targets, room * sizeof(*targets));
			if (!targets)
				return error_set(err, ENOMEM, "out of memory for %zu links", room);
			walk->targets = targets;
			w->targets_room = room;
		}
	}
	walk->targets[walk->n_targets++] = (struct target){ key, 1 };
	return 0;
}

static int push(struct walking *w, uint64_t number, unsigned depth, struct error *err)
{
	struct pending *stack;
	size_t room;

	if (w->n_stack == w->stack_room) {
		room = w->stack_room ? w->stack_room * 2 : 64;
		stack = realloc(w->stack, room * sizeof(*stack));
		if (!stack)
			return error_set(err, ENOMEM, "out of memory for %zu directories", room);
		w->stack = stack;
		w->stack_room = room;
	}
	w->stack[w->n_stack++] = (struct pending){ number, depth };
	return 0;
}

static int count_entry(struct walking *w, const struct entry *e, unsigned depth, struct error *err)
{
	struct walk_totals *totals = &w->walk->totals;

	totals->entries++;
	if (e->flags & ENTRY_DAMAGED)
		return 0;
	if (e->flags)
		totals->attributes = true;
	switch (e->kind) {
	case ENTRY_FILE:
		totals->bytes += e->size;
		return 0;
	case ENTRY_HARDLINK:
		return add_target(w, e->size, err);
	case ENTRY_DIRECTORY:
		if (depth < DIR_DEPTH_MAX)
			return push(w, e->number, depth + 1, err);
		totals->damaged++;
		return 0;
	default:
		return 0;
	}
}

static int walk_directory(struct walking *w, struct error *err)
{
	struct walk_totals *totals = &w->walk->totals;
	struct pending at = w->stack[--w->n_stack];
	CLEANUP(dir_freep) struct dir *dir = NULL;
	struct error why = { 0 };
	int r;

	r = accessor_dir(w->a, &waiting, at.number, &dir, &why);
	if (r == -ENOMEM)
		return error_set(err, -r, "%s", why.text);
	if (r < 0) {
		totals->damaged++;
		return 0;
	}
	totals->damaged += dir->damaged + dir->hidden;
	if (at.number == ENTRY_ROOT && dir->self.flags)
		totals->attributes = true;
	for (uint32_t i = dir->count; i-- > 0;) { /* pushed backwards, walked in archive order */
		r = count_entry(w, &dir->entries[i].entry, at.depth, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int stopped(struct error *err)
{
	return error_set(err, ECANCELED, "stopped");
}

/* Turns FILENAME offsets into numbers. Nobody asks for one that is no file's. */
static int number_targets(struct walking *w, struct error *err)
{
	struct walk *walk = w->walk;
	size_t kept = 0;

	merge_targets(walk);
	for (size_t i = 0; i < walk->n_targets; i++) {
		struct error why;
		int r;

		if (*w->stop)
			return stopped(err);
		r = accessor_number_at(w->a, &waiting, walk->targets[i].key, &walk->targets[i].key,
				       &why);

		if (r == -ENOMEM)
			return error_set(err, -r, "%s", why.text);
		if (!r)
			walk->targets[kept++] = walk->targets[i];
	}
	walk->n_targets = kept; /* numbers ascend as offsets did */
	return 0;
}

int walk_run(struct walk **out, struct accessor *a, const atomic_bool *stop,
	     const struct walk_pace *pace, struct error *err)
{
	CLEANUP(walk_freep) struct walk *walk = calloc(1, sizeof(*walk));
	CLEANUP(release_stack) struct walking w = { .a = a, .stop = stop, .walk = walk };
	int r;

	if (!walk)
		return error_set(err, ENOMEM, "out of memory");
	walk->totals.entries = 1;
	r = push(&w, ENTRY_ROOT, 0, err);
	while (r == 0 && w.n_stack) {
		if (pace)
			pace->rest(pace->arg);
		if (*stop)
			return stopped(err);
		r = walk_directory(&w, err);
	}
	if (r == 0)
		r = number_targets(&w, err);
	if (r < 0)
		return r;
	*out = TAKE(walk);
	return 0;
}

void walk_free(struct walk *walk)
{
	if (!walk)
		return;
	free(walk->targets);
	free(walk);
}

const struct walk_totals *walk_totals(const struct walk *walk)
{
	return &walk->totals;
}

uint32_t walk_links(const struct walk *walk, uint64_t number)
{
	struct target key = { .key = number };
	const struct target *found;

	if (!walk->n_targets)
		return 1;
	found = bsearch(&key, walk->targets, walk->n_targets, sizeof(key), by_key);
	return found ? found->links + 1 : 1;
}
