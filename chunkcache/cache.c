#include "chunkcache/cache.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	BUCKETS = 4096,
	FAILURE_MS = 500, /* how long a failed load is remembered */
	SPARES = 8,
	SIZE_STEPS = 4, /* sizes of buffers between two powers of two */
	SIZE_MIN = 64 * 1024,
};

enum state { LOADING, READY, FAILED };

struct slot {
	struct chunk public;
	struct digest id;
	enum cache_class class;
	enum state state; /* protected by cache->lock, like all below */
	unsigned refs;
	uint8_t *bytes;
	size_t room;
	struct job *waiting; /* parked, linked by next */
	uint64_t failed_at_ms;
	struct error why; /* of a failure */
	struct slot *next_in_bucket;
	struct slot *newer, *older; /* in the LRU list of its class, when READY and not lent; in the
				       list of failures, when FAILED */
};

struct lru {
	struct slot *newest, *oldest;
	size_t bytes; /* of all READY ones of a class, lent or not */
};

struct cache {
	size_t budget;
	uv_mutex_t lock;
	uv_cond_t loaded;	       /* for callers that are no job */
	struct slot *buckets[BUCKETS]; /* protected by lock, like all below */
	struct lru lru[2];	       /* by class */
	struct lru failures;
	struct {
		uint8_t *bytes;
		size_t room;
	} spares[SPARES];
	unsigned n_spares;
	struct cache_stats stats;
};

int cache_new(struct cache **out, size_t budget_bytes, struct error *err)
{
	struct cache *cache = calloc(1, sizeof(*cache));

	if (!cache || uv_mutex_init(&cache->lock))
		goto no_lock;
	if (uv_cond_init(&cache->loaded))
		goto no_cond;
	cache->budget = budget_bytes;
	*out = cache;
	return 0;
no_cond:
	uv_mutex_destroy(&cache->lock);
no_lock:
	free(cache);
	return error_set(err, ENOMEM, "out of memory");
}

/* Sizes a quarter of a power of two apart, so that buffers fit again and waste at most a fifth. */
static size_t round_up(size_t len)
{
	size_t power = SIZE_MIN, step;

	if (len <= SIZE_MIN)
		return SIZE_MIN;
	while (power * 2 < len)
		power *= 2;
	step = power / SIZE_STEPS;
	return (len + step - 1) / step * step;
}

static struct slot **bucket_of(struct cache *cache, const struct digest *id)
{
	uint32_t hash;

	memcpy(&hash, id->bytes, sizeof(hash)); /* any bytes of a digest are as good as a hash */
	return &cache->buckets[hash % BUCKETS];
}

static struct slot *find_locked(struct cache *cache, const struct digest *id)
{
	struct slot *slot = *bucket_of(cache, id);

	while (slot && memcmp(&slot->id, id, sizeof(*id)) != 0)
		slot = slot->next_in_bucket;
	return slot;
}

static void unlink_locked(struct cache *cache, struct slot *slot)
{
	struct slot **at = bucket_of(cache, &slot->id);

	while (*at != slot)
		at = &(*at)->next_in_bucket;
	*at = slot->next_in_bucket;
}

static struct lru *list_of(struct cache *cache, const struct slot *slot)
{
	return slot->state == FAILED ? &cache->failures : &cache->lru[slot->class];
}

static void lru_add_locked(struct cache *cache, struct slot *slot)
{
	struct lru *lru = list_of(cache, slot);

	slot->newer = NULL;
	slot->older = lru->newest;
	*(lru->newest ? &lru->newest->newer : &lru->oldest) = slot;
	lru->newest = slot;
}

static void lru_remove_locked(struct cache *cache, struct slot *slot)
{
	struct lru *lru = list_of(cache, slot);

	*(slot->newer ? &slot->newer->older : &lru->newest) = slot->older;
	*(slot->older ? &slot->older->newer : &lru->oldest) = slot->newer;
	slot->newer = slot->older = NULL;
}

static void free_buffer_locked(struct cache *cache, uint8_t *bytes, size_t room)
{
	cache->stats.bytes -= room;
	free(bytes);
}

static void keep_buffer_locked(struct cache *cache, uint8_t *bytes, size_t room)
{
	if (cache->n_spares == SPARES) {
		free_buffer_locked(cache, bytes, room);
		return;
	}
	cache->spares[cache->n_spares].bytes = bytes;
	cache->spares[cache->n_spares++].room = room;
}

/* Takes the slot, of which nobody has a reference, out of everything. */
static void discard_locked(struct cache *cache, struct slot *slot)
{
	unlink_locked(cache, slot);
	if (slot->bytes)
		keep_buffer_locked(cache, slot->bytes, slot->room);
	free(slot);
}

static bool evict_one_locked(struct cache *cache)
{
	struct lru *metadata = &cache->lru[CACHE_METADATA], *payload = &cache->lru[CACHE_PAYLOAD];
	struct slot *victim = payload->oldest;

	if (metadata->oldest && (!victim || metadata->bytes > cache->budget / 2))
		victim = metadata->oldest;
	if (!victim)
		return false;
	lru_remove_locked(cache, victim);
	cache->lru[victim->class].bytes -= victim->room;
	cache->stats.chunks--;
	cache->stats.evictions++;
	discard_locked(cache, victim);
	return true;
}

static uint8_t *take_spare_locked(struct cache *cache, size_t room)
{
	for (unsigned i = 0; i < cache->n_spares; i++) {
		uint8_t *bytes = cache->spares[i].bytes;

		if (cache->spares[i].room != room)
			continue;
		cache->spares[i] = cache->spares[--cache->n_spares];
		return bytes;
	}
	return NULL;
}

/* Gives up a spare buffer, or makes one of a chunk that is not lent out. */
static bool shrink_locked(struct cache *cache)
{
	if (!cache->n_spares)
		return evict_one_locked(cache);
	cache->n_spares--;
	free_buffer_locked(cache, cache->spares[cache->n_spares].bytes,
			   cache->spares[cache->n_spares].room);
	return true;
}

/* Back to the budget as far as what is lent out allows, whenever something of that comes back. */
static void trim_locked(struct cache *cache)
{
	while (cache->stats.bytes > cache->budget && shrink_locked(cache))
		;
}

/* Memory for a chunk, within the budget as far as what is lent out allows. */
static int reserve_locked(struct cache *cache, struct slot *slot, size_t len, struct error *err)
{
	slot->room = round_up(len);
	slot->bytes = take_spare_locked(cache, slot->room);
	while (!slot->bytes && cache->stats.bytes + slot->room > cache->budget &&
	       shrink_locked(cache))
		slot->bytes = take_spare_locked(cache, slot->room);
	if (slot->bytes)
		return 0;
	slot->bytes = malloc(slot->room);
	if (!slot->bytes)
		return error_set(err, ENOMEM, "out of memory for a chunk of %zu bytes", len);
	cache->stats.bytes += slot->room;
	return 0;
}

/* Not under the lock: the pool has one of its own. */
static void wake(struct job *job)
{
	struct job *next;

	for (; job; job = next) {
		next = job->next;
		pool_wake(job);
	}
}

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static void forget_failures_locked(struct cache *cache)
{
	struct slot *slot;

	while ((slot = cache->failures.oldest) && now_ms() - slot->failed_at_ms >= FAILURE_MS) {
		lru_remove_locked(cache, slot);
		discard_locked(cache, slot);
	}
}

static void lend_locked(struct cache *cache, struct slot *slot)
{
	if (slot->refs++ == 0)
		lru_remove_locked(cache, slot);
}

static void fail_locked(struct cache *cache, struct slot *slot, const struct error *why)
{
	cache->stats.failures++;
	/* That says nothing of the chunk: who waited for it is to try by himself. */
	if (why->code == -ENOMEM) {
		discard_locked(cache, slot);
		trim_locked(cache);
		return;
	}
	slot->state = FAILED;
	slot->failed_at_ms = now_ms();
	slot->why = *why;
	if (slot->bytes)
		keep_buffer_locked(cache, slot->bytes, slot->room);
	slot->bytes = NULL;
	lru_add_locked(cache, slot);
	trim_locked(cache);
}

/* Loads in this thread, with the lock released meanwhile. *waiting is who has to be woken. */
static int load_locked(struct cache *cache, struct slot *slot, const struct cache_loader *loader,
		       struct job **waiting, struct error *err)
{
	struct error why = { 0 };
	int r;

	cache->stats.loads++;
	uv_mutex_unlock(&cache->lock);
	r = loader->load(loader->arg, slot->bytes, slot->public.len, &why);
	uv_mutex_lock(&cache->lock);
	*waiting = slot->waiting;
	slot->waiting = NULL;
	uv_cond_broadcast(&cache->loaded);
	if (r < 0) {
		fail_locked(cache, slot, &why);
		return error_set(err, r, "%s", why.text);
	}
	slot->state = READY;
	slot->refs = 1;
	cache->lru[slot->class].bytes += slot->room;
	cache->stats.chunks++;
	return 0;
}

static int new_slot_locked(struct cache *cache, const struct digest *id, size_t len,
			   enum cache_class class, struct slot **out, struct error *err)
{
	struct slot *slot = calloc(1, sizeof(*slot)), **bucket;
	int r;

	if (!slot)
		return error_set(err, ENOMEM, "out of memory");
	r = reserve_locked(cache, slot, len, err);
	if (r < 0) {
		free(slot);
		return r;
	}
	slot->id = *id;
	slot->class = class;
	slot->state = LOADING;
	slot->public.bytes = slot->bytes;
	slot->public.len = len;
	bucket = bucket_of(cache, id);
	slot->next_in_bucket = *bucket;
	*bucket = slot;
	*out = slot;
	return 0;
}

/* On one thing at a time: a job that goes on reading after it was parked will run again anyway. */
static void park_locked(struct slot *slot, struct job *job)
{
	if (job->parked)
		return;
	job->parked = true;
	job->next = slot->waiting;
	slot->waiting = job;
}

/* 0 and *out; 1 would wait or parked; < 0. */
static int get_locked(struct cache *cache, const struct digest *id, size_t len,
		      enum cache_class class, const struct io *io,
		      const struct cache_loader *loader, struct slot **out, struct job **waiting,
		      struct error *err)
{
	struct slot *slot;
	int r;

	forget_failures_locked(cache);
	while ((slot = find_locked(cache, id)) && slot->state == LOADING) {
		if (!io->may_wait)
			return 1;
		if (io->job) {
			park_locked(slot, io->job);
			return 1;
		}
		uv_cond_wait(&cache->loaded, &cache->lock);
	}
	/* One index with a wrong length is not to spoil the chunk for another. */
	if (slot && slot->state == FAILED && slot->public.len != len) {
		lru_remove_locked(cache, slot);
		discard_locked(cache, slot);
		slot = NULL;
	}
	*out = slot;
	if (slot && slot->state == FAILED)
		return error_set(err, slot->why.code, "%s", slot->why.text);
	if (slot && slot->public.len != len)
		return error_set(err, EUCLEAN,
				 "an index gives a chunk %zu bytes, another gives it %zu", len,
				 slot->public.len);
	if (slot) {
		cache->stats.hits++;
		lend_locked(cache, slot);
		return 0;
	}
	if (!io->may_wait)
		return 1;
	r = new_slot_locked(cache, id, len, class, out, err);
	return r < 0 ? r : load_locked(cache, *out, loader, waiting, err);
}

int cache_get(struct cache *cache, const struct digest *id, size_t len, enum cache_class class,
	      const struct io *io, const struct cache_loader *loader, struct chunk **out,
	      struct error *err)
{
	struct job *waiting = NULL;
	struct slot *slot = NULL;
	int r;

	uv_mutex_lock(&cache->lock);
	r = get_locked(cache, id, len, class, io, loader, &slot, &waiting, err);
	uv_mutex_unlock(&cache->lock);
	wake(waiting);
	if (!r)
		*out = &slot->public;
	return r;
}

void cache_put(struct cache *cache, struct chunk *chunk)
{
	struct slot *slot = (struct slot *)chunk;

	if (!chunk)
		return;
	uv_mutex_lock(&cache->lock);
	if (--slot->refs == 0) {
		lru_add_locked(cache, slot);
		trim_locked(cache);
	}
	uv_mutex_unlock(&cache->lock);
}

bool cache_has(struct cache *cache, const struct digest *id)
{
	struct slot *slot;
	bool has;

	uv_mutex_lock(&cache->lock);
	slot = find_locked(cache, id);
	has = slot && slot->state != FAILED;
	uv_mutex_unlock(&cache->lock);
	return has;
}

struct cache_stats cache_stats(struct cache *cache)
{
	struct cache_stats stats;

	uv_mutex_lock(&cache->lock);
	stats = cache->stats;
	uv_mutex_unlock(&cache->lock);
	return stats;
}

void cache_free(struct cache *cache)
{
	if (!cache)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		while (cache->buckets[i])
			discard_locked(cache, cache->buckets[i]);
	while (cache->n_spares)
		free(cache->spares[--cache->n_spares].bytes);
	uv_cond_destroy(&cache->loaded);
	uv_mutex_destroy(&cache->lock);
	free(cache);
}
