/*
 * pack-store.h - chunks into a datastore, each once
 *
 * A chunk that the datastore has is marked as used and neither compressed nor encrypted nor
 * written again, however often it turns up.
 */
#ifndef TOOLS_PACK_STORE_H
#define TOOLS_PACK_STORE_H

#include "chunkcache/store.h"
#include "tools/pack-owner.h"

struct pack_store {
	int base, chunks; /* directories; the base is borrowed */
	struct pack_owner owner;
	const struct crypt *crypt; /* NULL: not encrypted */
	bool compress;
	struct store_writer *writer;
	struct blob_context *context;
	struct digest *known; /* chunks that are there for certain; a hash table */
	size_t n_known, room;

	uint64_t written, reused; /* chunks, each time they turn up */
	uint64_t stored_bytes;	  /* what those that were written take */
};

/* What pack_store_release() may be called with before pack_store_init(). */
#define PACK_STORE_CLOSED    \
	{                    \
		.chunks = -1 \
	}

/* Makes a directory a datastore, if it is not one yet: with the folders of all chunks that there
   can be. -ENOTEMPTY when it is something else. */
int pack_store_create(const char *path, struct error *err);

/* The base and the key are borrowed. -EBUSY when garbage is being collected. */
int pack_store_init(struct pack_store *s, int base, const struct crypt *crypt, bool compress,
		    struct error *err);
void pack_store_release(struct pack_store *s);

int pack_store_insert(struct pack_store *s, const void *bytes, size_t n, struct digest *id,
		      struct error *err);

/* Everything that was inserted is on the disk. */
int pack_store_sync(struct pack_store *s, struct error *err);

#endif
