#define _GNU_SOURCE
#include "tools/pack-snapshot.h"

#include <stdio.h>
#include <sys/stat.h>

#include "chunkcache/catalog.h"
#include "tools/pack-key.h"
#include "tools/pack-snapdir.h"
#include "tools/pack-stream.h"
#include "tools/pack-tree.h"

#define CATALOG_NAME "catalog.pcat1.didx"
#define KEY_NAME "rsa-encrypted.key.blob"

enum { META, PAYLOAD, CATALOG, STREAMS };

struct snapshot_work {
	struct options *options;
	struct pack_key key;
	int base;
	struct pack_store store;
	struct pack_snapdir dir;
	struct pack_stream streams[STREAMS];
	char names[STREAMS][SNAPSHOT_NAME_MAX + 1]; /* empty: there is no such stream */
	struct catalog_writer *catalog;
};

static int open_stream(struct snapshot_work *w, int which, const char *ending, struct error *err)
{
	uint64_t avg = which == CATALOG ? CHUNKER_AVG_CATALOG : w->options->chunk_size;
	char *name = w->names[which];

	snprintf(name, sizeof(w->names[which]), "%s%s", which == CATALOG ? "" : w->options->archive,
		 ending);
	return pack_stream_open(&w->streams[which], &w->store, w->dir.dir, name, avg, err);
}

/* The metadata of a split archive serves as its catalog. */
static int open_streams(struct snapshot_work *w, struct error *err)
{
	int r;

	if (w->options->split) {
		r = open_stream(w, META, ".mpxar.didx", err);
		return r < 0 ? r : open_stream(w, PAYLOAD, ".ppxar.didx", err);
	}
	r = open_stream(w, META, ".pxar.didx", err);
	if (r == 0)
		r = open_stream(w, CATALOG, CATALOG_NAME, err);
	if (r == 0)
		r = catalog_writer_new(&w->catalog, &w->streams[CATALOG].sink, err);
	return r < 0 ? r : catalog_writer_begin_archive(w->catalog, w->names[META], err);
}

static int work_open(struct snapshot_work *w, struct report *report, struct error *err)
{
	const struct options *o = w->options;
	int r = 0;

	if (o->keyfile)
		r = pack_key_load(&w->key, o->keyfile, report, err);
	if (r == 0 && o->create_store)
		r = pack_store_create(o->store, err);
	if (r == 0)
		r = snapshot_open_base(&w->base, o->store, err);
	if (r < 0)
		return r;
	r = pack_store_init(&w->store, w->base, w->key.crypt, !o->no_compress, err);
	if (r < 0)
		return error_wrap(err, "%s", o->store);
	r = pack_snapdir_open(&w->dir, w->base, &o->id, o->owner, report, err);
	if (r < 0)
		return error_wrap(err, "%s in %s", o->snapshot, o->store);
	return open_streams(w, err);
}

static void work_release(struct snapshot_work *w)
{
	catalog_writer_free(w->catalog);
	for (int i = 0; i < STREAMS; i++)
		pack_stream_release(&w->streams[i]);
	pack_snapdir_release(&w->dir);
	pack_store_release(&w->store);
	closep(&w->base);
	pack_key_release(&w->key);
}

static int announce_file(void *arg, struct error *err)
{
	return pack_stream_suggest(arg, err);
}

static int pack_tree(struct snapshot_work *w, const volatile sig_atomic_t *stop,
		     struct report *report, struct error *err)
{
	struct tree_job job = { .options = w->options,
				.meta = &w->streams[META].sink,
				.catalog = w->catalog,
				.stop = stop,
				.report = report };
	struct output_id skip;
	struct stat st;
	int r;

	if (fstat(w->base, &st) < 0)
		return error_set(err, errno, "stat %s: %m", w->options->store);
	skip = (struct output_id){ st.st_dev, st.st_ino };
	job.skip = &skip;
	job.n_skip = 1;
	if (w->options->split) {
		job.payload = &w->streams[PAYLOAD].sink;
		job.before_payload = announce_file;
		job.arg = &w->streams[PAYLOAD];
	}
	r = tree_pack(&job, err);
	if (r == 0 && w->catalog)
		r = catalog_writer_end_dir(w->catalog, err);
	if (r == 0 && w->catalog)
		r = catalog_writer_finish(w->catalog, err);
	for (int i = 0; r == 0 && i < STREAMS; i++)
		r = *w->names[i] ? pack_stream_end(&w->streams[i], err) : 0;
	return r;
}

static int publish_stream(struct snapshot_work *w, int which, struct error *err)
{
	enum manifest_mode mode = w->key.crypt ? MANIFEST_ENCRYPT : MANIFEST_NONE;
	struct digest checksum;
	uint64_t size;
	int r;

	r = pack_stream_publish(&w->streams[which], &checksum, &size, err);
	return r < 0 ? r
		     : manifest_add(w->dir.manifest, w->names[which], mode, size, &checksum, err);
}

/* The backup's key for who has the master key, so that losing it does not lose the backup. The
   blob is plain: what is in it is encrypted already. */
static int add_wrapped_key(struct snapshot_work *w, struct error *err)
{
	CLEANUP(buffer_release) struct buffer block = { 0 };
	const uint8_t *encoded;
	size_t n;
	int r;

	r = pack_key_wrap(&w->key, w->options->master_pubkey, &block, err);
	if (r == 0)
		r = blob_encode(w->store.context, NULL, false, block.bytes, block.len, &encoded, &n,
				err);
	return r < 0 ? r
		     : pack_snapdir_add_blob(&w->dir, KEY_NAME, MANIFEST_ENCRYPT, encoded, n, err);
}

static int publish(struct snapshot_work *w, struct error *err)
{
	static const int order[] = { CATALOG, META, PAYLOAD }; /* as the reference lists them */
	int r;

	r = pack_store_sync(&w->store, err);
	for (size_t i = 0; r == 0 && i < STREAMS; i++)
		if (*w->names[order[i]])
			r = publish_stream(w, order[i], err);
	if (r == 0 && w->options->master_pubkey)
		r = add_wrapped_key(w, err);
	return r < 0 ? r : pack_snapdir_publish(&w->dir, w->key.crypt, w->store.context, err);
}

static void tell(const struct snapshot_work *w, struct report *report)
{
	report->chunks_written = w->store.written;
	report->chunks_reused = w->store.reused;
	report->stored_bytes = w->store.stored_bytes;
	snapshot_text(&w->dir.id, report->snapshot);
}

int pack_snapshot(struct options *options, const volatile sig_atomic_t *stop, struct report *report,
		  struct error *err)
{
	CLEANUP(work_release)
	struct snapshot_work w = { .options = options,
				   .base = -1,
				   .store = PACK_STORE_CLOSED,
				   .dir = PACK_SNAPDIR_CLOSED };
	int r;

	r = work_open(&w, report, err);
	if (r == 0)
		r = pack_tree(&w, stop, report, err);
	if (r == 0 && *stop)
		r = error_set(err, EINTR, "interrupted");
	if (r == 0)
		r = publish(&w, err);
	if (r == 0)
		tell(&w, report);
	return r;
}
