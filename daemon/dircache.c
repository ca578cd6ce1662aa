#include "daemon/dircache.h"

#include <stdlib.h>
#include <uv.h>

#include "daemon/log.h"

enum {
	BUCKETS = 4096,
	WANTED = 256,	   /* directories whose single lookups are remembered */
	WANTED_AFTER = 16, /* lookups */
};

struct slot {
	struct cached_dir public;
	struct dir *dir;
	uint64_t number;
	unsigned refs; /* protected by dircache->lock, like all below */
	bool cached;   /* in bucket and LRU list; else freed with its last reference */
	struct slot *next_in_bucket;
	struct slot *newer, *older;
};

struct dircache {
	struct accessor *accessor;
	size_t budget;
	uv_mutex_t lock;
	size_t bytes, count; /* protected by lock, like all below */
	struct slot *newest, *oldest;
	struct slot *buckets[BUCKETS];
	struct {
		uint64_t number;
		unsigned lookups;
	} wanted[WANTED];
};

static size_t hash(uint64_t number, size_t n)
{
	return (size_t)((number * UINT64_C(0x9e3779b97f4a7c15)) >> 40) % n;
}

int dircache_new(struct dircache **out, struct accessor *a, size_t budget_bytes, struct error *err)
{
	struct dircache *c = calloc(1, sizeof(*c));

	if (!c || uv_mutex_init(&c->lock)) {
		free(c);
		return error_set(err, ENOMEM, "out of memory");
	}
	c->accessor = a;
	c->budget = budget_bytes;
	*out = c;
	return 0;
}

static void free_slot(struct slot *slot)
{
	dir_free(slot->dir);
	free(slot);
}

static struct slot **bucket_of(struct dircache *c, uint64_t number)
{
	return &c->buckets[hash(number, BUCKETS)];
}

static void unlink_lru_locked(struct dircache *c, struct slot *slot)
{
	*(slot->newer ? &slot->newer->older : &c->newest) = slot->older;
	*(slot->older ? &slot->older->newer : &c->oldest) = slot->newer;
}

static void link_newest_locked(struct dircache *c, struct slot *slot)
{
	slot->newer = NULL;
	slot->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = slot;
	c->newest = slot;
}

static void evict_locked(struct dircache *c, struct slot *slot)
{
	struct slot **at = bucket_of(c, slot->number);

	while (*at != slot)
		at = &(*at)->next_in_bucket;
	*at = slot->next_in_bucket;
	unlink_lru_locked(c, slot);
	c->bytes -= slot->dir->bytes;
	c->count--;
	slot->cached = false;
	if (!slot->refs)
		free_slot(slot);
}

void dircache_free(struct dircache *c)
{
	if (!c)
		return;
	while (c->oldest)
		evict_locked(c, c->oldest);
	uv_mutex_destroy(&c->lock);
	free(c);
}

static struct slot *find_locked(struct dircache *c, uint64_t number)
{
	struct slot *slot = *bucket_of(c, number);

	while (slot && slot->number != number)
		slot = slot->next_in_bucket;
	if (!slot)
		return NULL;
	slot->refs++;
	if (slot != c->newest) {
		unlink_lru_locked(c, slot);
		link_newest_locked(c, slot);
	}
	return slot;
}

static void insert_locked(struct dircache *c, struct slot *slot)
{
	struct slot **bucket = bucket_of(c, slot->number);

	slot->next_in_bucket = *bucket;
	*bucket = slot;
	link_newest_locked(c, slot);
	slot->cached = true;
	c->bytes += slot->dir->bytes;
	c->count++;
	while (c->bytes > c->budget && c->oldest != slot)
		evict_locked(c, c->oldest);
}

struct cached_dir *dircache_find(struct dircache *c, uint64_t number)
{
	struct slot *slot;

	uv_mutex_lock(&c->lock);
	slot = find_locked(c, number);
	uv_mutex_unlock(&c->lock);
	return slot ? &slot->public : NULL;
}

static void report(const struct dir *dir)
{
	if (dir->hidden || dir->damaged)
		log_error("directory %#llx: %u entries cannot be shown, %u cannot be read: %s",
			  (unsigned long long)dir->self.number, dir->hidden, dir->damaged,
			  dir->why.text);
	if (dir->duplicates)
		log_warn("directory %#llx: %u entries have the name of another",
			 (unsigned long long)dir->self.number, dir->duplicates);
}

static int decode(struct dircache *c, const struct io *io, uint64_t number, struct slot **out,
		  struct error *err)
{
	CLEANUP(dir_freep) struct dir *dir = NULL;
	struct slot *slot;
	int r;

	r = accessor_dir(c->accessor, io, number, &dir, err);
	if (r)
		return r;
	report(dir);
	slot = calloc(1, sizeof(*slot));
	if (!slot)
		return error_set(err, ENOMEM, "out of memory");
	slot->number = number;
	slot->refs = 1;
	slot->public.dir = dir;
	slot->dir = TAKE(dir);
	*out = slot;
	return 0;
}

int dircache_get(struct dircache *c, const struct io *io, uint64_t number, struct cached_dir **out,
		 struct error *err)
{
	struct slot *slot = NULL, *other;
	int r;

	*out = dircache_find(c, number);
	if (*out)
		return 0;
	r = decode(c, io, number, &slot, err);
	if (r)
		return r;
	if (!slot->dir->transient) {
		uv_mutex_lock(&c->lock);
		other = find_locked(c, number); /* somebody may have been faster */
		if (!other)
			insert_locked(c, slot);
		uv_mutex_unlock(&c->lock);
		if (other) {
			free_slot(slot);
			slot = other;
		}
	}
	*out = &slot->public;
	return 0;
}

void dircache_put(struct dircache *c, struct cached_dir *cached)
{
	struct slot *slot = (struct slot *)cached;
	bool last;

	if (!cached)
		return;
	uv_mutex_lock(&c->lock);
	last = --slot->refs == 0 && !slot->cached;
	uv_mutex_unlock(&c->lock);
	if (last)
		free_slot(slot);
}

bool dircache_is_wanted(struct dircache *c, uint64_t number)
{
	size_t at = hash(number, WANTED);
	bool wanted;

	uv_mutex_lock(&c->lock);
	if (c->wanted[at].number != number) {
		c->wanted[at].number = number;
		c->wanted[at].lookups = 0;
	}
	wanted = ++c->wanted[at].lookups > WANTED_AFTER;
	if (wanted) /* where that decoding hangs, most others still get on without */
		c->wanted[at].lookups = 0;
	uv_mutex_unlock(&c->lock);
	return wanted;
}

struct dircache_stats dircache_stats(struct dircache *c)
{
	struct dircache_stats stats;

	uv_mutex_lock(&c->lock);
	stats = (struct dircache_stats){ .bytes = c->bytes, .dirs = c->count };
	uv_mutex_unlock(&c->lock);
	return stats;
}
