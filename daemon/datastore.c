#define _GNU_SOURCE
#include "daemon/datastore.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "chunkcache/manifest.h"
#include "chunkcache/snaplock.h"
#include "daemon/keys.h"
#include "daemon/log.h"
#include "daemon/memory.h"
#include "daemon/place.h"

/* The parts of an archive; a unified one has the first alone. */
enum part { META, PAYLOAD, PARTS };

struct datastore {
	struct snaplock lock;
	struct store **stores;
	size_t n_stores;
	struct index *index[PARTS]; /* NULL where there is no such part */
	struct crypt *crypt;	    /* NULL without a key */
	struct cache *cache;
	uint64_t cache_bytes;
	unsigned ahead_max; /* chunks, of each part */
	bool is_split;
	bool open; /* until then, what is wrong is in the error that opening ends with */
};

/* What is known on the way. */
struct opening {
	const struct datastore_spec *spec;
	struct datastore *d;
	struct place place;
	struct manifest *manifest; /* NULL for a loose index */
	struct manifest_choice choice;
};

static int hint(struct error *err, const char *text)
{
	size_t n;

	if (!err)
		return -ENOKEY;
	n = strlen(err->text);
	snprintf(err->text + n, sizeof(err->text) - n, "%s", text);
	return err->code;
}

static int hint_at_key(struct error *err)
{
	return hint(err, "; name its key file with --keyfile FILE or --keyfd FD (a password is "
			 "taken from PBS_ENCRYPTION_PASSWORD)");
}

static bool ends_with(const char *name, const char *ending)
{
	size_t n = strlen(name), m = strlen(ending);

	return n > m && !strcmp(name + n - m, ending);
}

static int open_stores(struct datastore *d, const struct datastore_spec *spec, struct error *err)
{
	if (!spec->n_stores)
		return error_set(err, EINVAL, "no datastore is given: --store DIR is missing");
	d->stores = calloc(spec->n_stores, sizeof(struct store *));
	if (!d->stores)
		return error_set(err, ENOMEM, "out of memory");
	while (d->n_stores < spec->n_stores) {
		const char *path = spec->stores[d->n_stores];
		CLEANUP(closep) int base = -1;
		int r;

		r = snapshot_open_base(&base, path, err);
		if (r == 0)
			r = store_new_local(&d->stores[d->n_stores], base, path, err);
		if (r < 0)
			return r;
		d->n_stores++;
	}
	return 0;
}

static int find_place(struct opening *o, struct error *err)
{
	const struct datastore_spec *spec = o->spec;
	char text[SNAPSHOT_PATH_SIZE];
	int r;

	if (spec->didx)
		return place_of_index(&o->place, spec->didx, err);
	r = place_of_snapshot(&o->place, spec->stores[0], spec->ns, spec->snapshot, err);
	if (r < 0)
		return r;
	snapshot_text(&o->place.snapshot, text);
	if (strncmp(spec->snapshot, text, strlen(text)) != 0)
		log_info("the latest snapshot is %s", text);
	return 0;
}

/* Without the lock everything can be read as well, until somebody removes it. */
static int lock_snapshot(struct opening *o, struct error *err)
{
	const struct place *place = &o->place;
	char name[SNAPSHOT_NAME_MAX + 1];
	struct error why = { 0 };
	bool named;
	int r;

	if (!place->is_snapshot || place->base < 0)
		return 0;
	named = place_find_store_name(place, PLACE_SERVER_CONFIG, name);
	r = snaplock_take(&o->d->lock, place->base, place->dir, SNAPLOCK_RUN, named ? name : NULL,
			  &place->snapshot, &why);
	if (r == SNAPLOCK_NOT_HERE)
		log_warn("the snapshot is not locked against removal: %s", why.text);
	if (r != SNAPLOCK_BUSY && r >= 0)
		return 0;
	return error_set(err, -why.code, "the snapshot cannot be mounted now: %s", why.text);
}

static int read_manifest(struct opening *o, struct error *err)
{
	CLEANUP(blob_context_freep) struct blob_context *c = NULL;
	const struct place *place = &o->place;
	int r;

	if (!place->has_manifest && place->is_snapshot)
		return error_set(err, ENODATA,
				 "the snapshot that it is in has no manifest (" SNAPSHOT_MANIFEST
				 "): it is not finished, or damaged");
	if (!place->has_manifest && o->spec->require_signature)
		return error_set(err, ENODATA, "there is no manifest beside it, so no signature");
	if (!place->has_manifest) {
		log_warn("%s: not in a snapshot, so there is no manifest to hold it against",
			 o->spec->didx);
		return 0;
	}
	r = blob_context_new(&c, err);
	if (r == 0)
		r = manifest_read(&o->manifest, place->dir, c, err);
	if (r == 0 && place->is_snapshot)
		r = manifest_check_snapshot(o->manifest, &place->snapshot, err);
	return r;
}

static int choose(struct opening *o, struct error *err)
{
	const char *name = o->place.name;
	const struct manifest_choice *choice = &o->choice;
	char names[200];
	int r;

	r = manifest_choose(o->manifest, name, &o->choice, err);
	if (r < 0)
		return r;
	/* The name of a file that is there stands for itself alone. */
	if (o->place.by_path && strcmp(choice->archive->name, name) != 0 &&
	    !(choice->payload && strcmp(choice->payload->name, name) == 0))
		return error_set(err, ENOENT, "the manifest does not list %s", name);
	if (!ends_with(choice->archive->name, ".pxar.didx") && !choice->payload)
		return error_set(err, EINVAL,
				 "%s is not a file archive, whose name ends in .pxar or .mpxar; "
				 "the snapshot has: %s",
				 choice->archive->name,
				 manifest_names(o->manifest, names, sizeof(names)));
	if (o->spec->require_encryption && choice->archive->mode != MANIFEST_ENCRYPT)
		return error_set(err, EPERM, "%s is not encrypted, and that is required",
				 choice->archive->name);
	return 0;
}

static int load_key(struct opening *o, struct error *err)
{
	const struct manifest *m = o->manifest;

	return keys_load(&o->d->crypt,
			 &(struct keys_spec){
				 .keyfile = o->spec->keyfile,
				 .keyfd = o->spec->keyfd,
				 .wanted = m && m->has_fingerprint ? &m->fingerprint : NULL,
				 .needed = o->spec->require_signature ||
					   (m && o->choice.archive->mode == MANIFEST_ENCRYPT),
			 },
			 err);
}

static int check_key(struct opening *o, struct error *err)
{
	const struct crypt *crypt = o->d->crypt;
	int r;

	r = manifest_check_key(o->manifest, o->choice.archive, crypt, err);
	if (r == -ENOKEY)
		return hint_at_key(err);
	if (r == 0)
		r = manifest_verify(o->manifest, crypt, err);
	if (r == MANIFEST_UNSIGNED && o->spec->require_signature)
		return error_set(err, EBADMSG, "the manifest is not signed, and that is required");
	if (r == MANIFEST_UNCHECKED && o->spec->require_signature) {
		error_set(err, ENOKEY, "the manifest's signature cannot be checked without a key");
		return hint_at_key(err);
	}
	if (r == MANIFEST_UNSIGNED && crypt)
		log_warn("the manifest is not signed: whether it was changed, no key can tell");
	return r < 0 ? r : 0;
}

static int open_index(struct opening *o, enum part part, int dir, const char *name,
		      struct error *err)
{
	const struct manifest_file *listed = part == META ? o->choice.archive : o->choice.payload;
	const struct index *index;
	int r;

	r = index_open(&o->d->index[part], dir, name, INDEX_DYNAMIC, err);
	if (r < 0 || !listed)
		return r;
	index = o->d->index[part];
	return manifest_check_file(listed, index_checksum(index), index_size(index), err);
}

/* Wherever it is, its contents are those that the manifest lists. */
static int open_named_payload(struct opening *o, struct error *err)
{
	CLEANUP(place_release) struct place place = PLACE_NOWHERE;
	int r;

	if (o->manifest && !o->choice.payload)
		return error_set(err, EINVAL, "%s is not split: it has no payload",
				 o->choice.archive->name);
	r = place_of_index(&place, o->spec->payload_didx, err);
	return r < 0 ? r : open_index(o, PAYLOAD, place.dir, place.name, err);
}

static int open_payload(struct opening *o, const char *meta, struct error *err)
{
	CLEANUP(freep) char *name = NULL;
	int r;

	if (o->spec->payload_didx)
		return open_named_payload(o, err);
	if (!ends_with(meta, ".mpxar.didx"))
		return 0;
	name = strdup(meta);
	if (!name)
		return error_set(err, ENOMEM, "out of memory");
	name[strlen(meta) - strlen("mpxar.didx")] = 'p';
	r = open_index(o, PAYLOAD, o->place.dir, name, err);
	if (r == -ENOENT)
		return error_set(err, ENOENT,
				 "there is no %s with its contents; give --payload-didx FILE, or "
				 "--metadata-only for names and attributes alone",
				 name);
	return r;
}

static int open_indexes(struct opening *o, struct error *err)
{
	const char *meta = o->manifest ? o->choice.archive->name : o->place.name;
	int r;

	r = open_index(o, META, o->place.dir, meta, err);
	o->d->is_split = o->spec->payload_didx || ends_with(meta, ".mpxar.didx");
	if (r == 0 && !o->spec->metadata_only)
		r = open_payload(o, meta, err);
	return r;
}

static uint32_t largest_chunk(const struct index *index)
{
	uint32_t largest = 1; /* no chunk is empty */

	for (size_t i = 0; index && i < index_count(index); i++) {
		uint32_t len = index_chunk(index, i).len;

		if (len > largest)
			largest = len;
	}
	return largest;
}

static int open_cache(struct datastore *d, const struct datastore_spec *spec, struct error *err)
{
	uint64_t wanted = spec->cache_bytes;
	uint32_t meta = largest_chunk(d->index[META]), payload = largest_chunk(d->index[PAYLOAD]);
	uint32_t largest = meta > payload ? meta : payload;
	uint64_t least = (uint64_t)MEMORY_CACHE_CHUNKS * largest;

	if (!wanted)
		wanted = memory_cache_size(memory_limit(""), largest);
	if (wanted < least) {
		log_warn("a cache of %" PRIu64 " bytes is too small for chunks of %" PRIu32
			 ": it gets %" PRIu64,
			 wanted, largest, least);
		wanted = least;
	}
	d->cache_bytes = wanted;
	/* What is read ahead must not push out what it is read ahead of. */
	d->ahead_max = spec->ahead_max;
	if (d->ahead_max > wanted / largest / 4)
		d->ahead_max = (unsigned)(wanted / largest / 4);
	return cache_new(&d->cache, (size_t)wanted, err);
}

static void report(void *arg, const struct error *err)
{
	const struct datastore *d = arg;

	if (d->open)
		log_warn("%s", err->text);
}

static enum blob_expect expect(const struct opening *o)
{
	if (!o->manifest)
		return o->spec->require_encryption ? BLOB_ENCRYPTED : BLOB_ANY;
	return o->choice.archive->mode == MANIFEST_ENCRYPT ? BLOB_ENCRYPTED : BLOB_CLEAR;
}

static int open_source(const struct opening *o, enum part part, struct source **out,
		       struct error *err)
{
	const struct datastore_spec *spec = o->spec;
	struct datastore *d = o->d;
	bool is_metadata = part == META && d->is_split;

	return reader_new(out,
			  &(struct reader_config){
				  .index = d->index[part],
				  .stores = d->stores,
				  .n_stores = d->n_stores,
				  .terms = { .crypt = d->crypt, .expect = expect(o) },
				  .verify = spec->verify,
				  .cache = d->cache,
				  .class = is_metadata ? CACHE_METADATA : CACHE_PAYLOAD,
				  .pool = spec->pool,
				  .ahead_max = d->ahead_max,
				  .report = report,
				  .arg = d,
			  },
			  err);
}

/* Where there is no manifest to tell, the first chunk does: a key is missing, or the wrong one. */
static int probe(const struct opening *o, struct source *meta, struct error *err)
{
	const struct io io = { .may_wait = true };
	const struct crypt *crypt = o->d->crypt;
	char text[FINGERPRINT_TEXT_SIZE];
	struct digest fingerprint;
	uint8_t byte;
	int r;

	r = source_read(meta, &io, 0, &byte, 1, err);
	if (r == -ENOKEY)
		return hint_at_key(err);
	if (r != -EBADMSG || !crypt)
		return r;
	fingerprint = crypt_fingerprint(crypt);
	return error_wrap(err, "with key %s", digest_format_fingerprint(&fingerprint, text));
}

static int open_sources(struct opening *o, struct source **meta, struct source **payload,
			struct error *err)
{
	CLEANUP(source_freep) struct source *m = NULL;
	CLEANUP(source_freep) struct source *p = NULL;
	int r;

	r = open_source(o, META, &m, err);
	if (r == 0)
		r = probe(o, m, err);
	if (r == 0 && o->d->index[PAYLOAD])
		r = open_source(o, PAYLOAD, &p, err);
	if (r < 0)
		return r;
	*meta = TAKE(m);
	*payload = TAKE(p);
	return 0;
}

static int open_archive(struct opening *o, struct source **meta, struct source **payload,
			struct error *err)
{
	int r;

	r = read_manifest(o, err);
	if (r == 0 && o->manifest)
		r = choose(o, err);
	if (r == 0)
		r = load_key(o, err);
	if (r == 0 && o->manifest)
		r = check_key(o, err);
	if (r == 0)
		r = open_indexes(o, err);
	if (r == 0)
		r = open_cache(o->d, o->spec, err);
	if (r == 0)
		r = open_sources(o, meta, payload, err);
	return r;
}

static void opening_release(struct opening *o)
{
	manifest_free(o->manifest);
	place_release(&o->place);
}

int datastore_open(struct datastore **out, const struct datastore_spec *spec, struct source **meta,
		   struct source **payload, struct error *err)
{
	CLEANUP(datastore_freep) struct datastore *d = calloc(1, sizeof(*d));
	CLEANUP(opening_release)
	struct opening o = { .spec = spec, .d = d, .place = PLACE_NOWHERE };
	int r;

	if (!d)
		return error_set(err, ENOMEM, "out of memory");
	d->lock = (struct snaplock){ -1, -1 };
	r = open_stores(d, spec, err);
	if (r == 0)
		r = find_place(&o, err);
	if (r == 0)
		r = lock_snapshot(&o, err);
	if (r < 0)
		return r;
	r = open_archive(&o, meta, payload, err);
	if (r < 0)
		return error_wrap(err, "%s", spec->didx ? spec->didx : spec->snapshot);
	d->open = true;
	*out = TAKE(d);
	return 0;
}

bool datastore_is_cheap_to_walk(const struct datastore *d)
{
	return d->is_split || index_size(d->index[META]) <= d->cache_bytes;
}

void datastore_free(struct datastore *d)
{
	if (!d)
		return;
	cache_free(d->cache);
	crypt_free(d->crypt);
	for (int i = 0; i < PARTS; i++)
		index_free(d->index[i]);
	while (d->n_stores)
		store_free(d->stores[--d->n_stores]);
	free(d->stores);
	snaplock_release(&d->lock);
	free(d);
}
