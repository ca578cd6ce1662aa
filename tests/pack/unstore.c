/*
 * unstore.c - an archive out of a datastore, for tests: all its bytes, and all that can be checked
 *
 * usage: unstore STORE NS TYPE/ID/TIME NAME.didx KEYFILE OUT
 *
 * NS and KEYFILE may be empty. Prints the digests of the chunks, in their order.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>

#include "chunkcache/file.h"
#include "chunkcache/keyfile.h"
#include "chunkcache/manifest.h"
#include "chunkcache/reader.h"

enum { PIECE = 1 << 20, BUDGET = 64 << 20 };

struct work {
	int base, dir, out;
	struct crypt *crypt;
	struct manifest *manifest;
	const struct manifest_file *file;
	struct index *index;
	struct store *store;
	struct cache *cache;
	struct source *source;
};

static void release(struct work *w)
{
	source_free(w->source);
	cache_free(w->cache);
	store_free(w->store);
	index_free(w->index);
	manifest_free(w->manifest);
	crypt_free(w->crypt);
	closep(&w->out);
	closep(&w->dir);
	closep(&w->base);
}

static int load_key(struct work *w, const char *path, struct error *err)
{
	CLEANUP(keyfile_freep) struct keyfile *k = NULL;
	bool exposed;
	int r;

	if (!*path)
		return 0;
	r = keyfile_read(&k, path, &exposed, err);
	return r < 0 ? r : keyfile_unlock(&w->crypt, k, NULL, err);
}

static int open_snapshot(struct work *w, char **argv, struct error *err)
{
	CLEANUP(blob_context_freep) struct blob_context *c = NULL;
	struct snapshot id;
	const char *rest;
	int r;

	r = snapshot_open_base(&w->base, argv[1], err);
	if (r == 0)
		r = snapshot_parse(&id, argv[2], argv[3], &rest, err);
	if (r == 0)
		r = snapshot_open(&w->dir, w->base, &id, err);
	if (r == 0)
		r = blob_context_new(&c, err);
	if (r == 0)
		r = manifest_read(&w->manifest, w->dir, c, err);
	if (r == 0)
		r = manifest_check_snapshot(w->manifest, &id, err);
	if (r < 0)
		return r;
	w->file = manifest_find(w->manifest, argv[4]);
	return w->file ? 0 : error_set(err, ENOENT, "no %s in the manifest", argv[4]);
}

static int check(struct work *w, struct error *err)
{
	int r;

	if (w->crypt) {
		r = manifest_verify(w->manifest, w->crypt, err);
		if (r)
			return r < 0 ? r : error_set(err, EBADMSG, "not signed");
	}
	r = index_open(&w->index, w->dir, w->file->name, INDEX_DYNAMIC, err);
	return r < 0 ? r
		     : manifest_check_file(w->file, index_checksum(w->index), index_size(w->index),
					   err);
}

static int open_source(struct work *w, struct error *err)
{
	struct reader_config config = {
		.stores = &w->store,
		.n_stores = 1,
		.terms = { w->crypt, w->crypt ? BLOB_ENCRYPTED : BLOB_CLEAR },
		.verify = READER_VERIFY_ALWAYS,
	};
	int r;

	r = store_new_local(&w->store, w->base, "store", err);
	if (r == 0)
		r = cache_new(&w->cache, BUDGET, err);
	config.index = w->index;
	config.cache = w->cache;
	return r < 0 ? r : reader_new(&w->source, &config, err);
}

static int copy(struct work *w, const char *path, struct error *err)
{
	static const struct io waiting = { .may_wait = true };
	static uint8_t piece[PIECE];
	uint64_t left;
	int r = 0;

	w->out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (w->out < 0)
		return error_set(err, errno, "create %s: %m", path);
	for (uint64_t at = 0; r == 0 && (left = w->source->size - at); at += PIECE) {
		size_t n = left < PIECE ? (size_t)left : PIECE;

		r = source_read(w->source, &waiting, at, piece, n, err);
		if (r == 0)
			r = file_write(w->out, piece, n, err);
		if (left < PIECE)
			break;
	}
	return r;
}

int main(int argc, char **argv)
{
	CLEANUP(release) struct work w = { .base = -1, .dir = -1, .out = -1 };
	struct error err = { 0 };
	char hex[DIGEST_TEXT_SIZE];
	int r;

	if (argc != 7)
		return 2;
	r = load_key(&w, argv[5], &err);
	if (r == 0)
		r = open_snapshot(&w, argv, &err);
	if (r == 0)
		r = check(&w, &err);
	if (r == 0)
		r = open_source(&w, &err);
	if (r == 0)
		r = copy(&w, argv[6], &err);
	if (r < 0) {
		fprintf(stderr, "unstore: %s\n", err.text);
		return 1;
	}
	for (size_t i = 0; i < index_count(w.index); i++)
		puts(digest_format(index_chunk(w.index, i).digest, hex));
	return 0;
}
