/*
 * datastore.h - an archive in a datastore, as sources
 *
 * Everything between what the user names and the bytes of the archive: it finds the indexes, holds
 * them against the manifest and the manifest against the key, and reads the first chunk, so that
 * what cannot be read is refused before anything is mounted.
 *
 * What nothing vouches for, an index outside of any snapshot, is opened with a warning.
 *
 * Threads: immutable once open; the sources as any.
 */
#ifndef DAEMON_DATASTORE_H
#define DAEMON_DATASTORE_H

#include "chunkcache/reader.h"

struct datastore_spec {
	const char *didx;	  /* the path of an index, or NULL */
	const char *payload_didx; /* that of its payload; NULL: beside it */
	const char *snapshot; /* TYPE/ID/TIME/ARCHIVE in the first store, unless didx is given */
	const char *ns;	      /* its namespace; may be NULL */
	const char *const *stores; /* at least one; chunks are looked for in this order */
	size_t n_stores;
	bool metadata_only;
	bool require_signature, require_encryption;
	const char *keyfile;  /* NULL: none named */
	int keyfd;	      /* -1: likewise */
	uint64_t cache_bytes; /* 0: what fits this machine */
	enum reader_verify verify;
	struct pool *pool; /* for reading ahead; borrowed; NULL: there is none */
	unsigned ahead_max;
};

struct datastore;

/* Keeps nothing of spec but the pool. *payload is NULL for a unified archive, and for metadata
   alone. The datastore lives longer than the sources; as long as it does, the snapshot is locked
   against removal where that is possible. Also takes the password out of the environment, so it
   comes before there are other threads. */
int datastore_open(struct datastore **out, const struct datastore_spec *spec, struct source **meta,
		   struct source **payload, struct error *err);

/* Whether all of the archive's metadata is decoded at less cost than all of its contents, or all
   of it fits the cache. */
bool datastore_is_cheap_to_walk(const struct datastore *d);
void datastore_free(struct datastore *d);
DEFINE_CLEANUP(struct datastore, datastore_free);

#endif
