/*
 * archive.h - decides which sources make up what is to be mounted, and opens them
 *
 * ARCHIVE is a .pxar, or an .mpxar whose payload is given, or lies beside it under the same name
 * with .ppxar; or one in a datastore.
 *
 * Threads: immutable once open.
 */
#ifndef DAEMON_ARCHIVE_H
#define DAEMON_ARCHIVE_H

#include "core/accessor.h"

struct datastore;
struct datastore_spec;

struct archive {
	struct source *meta, *payload; /* payload is NULL for a unified archive */
	struct accessor *accessor;
	struct datastore *datastore; /* what the sources read from; NULL: files */
};

/* payload is NULL unless the user named one. */
int archive_open(struct archive **out, const char *path, const char *payload, bool metadata_only,
		 struct error *err);

/* See datastore.h. */
int archive_open_datastore(struct archive **out, const struct datastore_spec *spec,
			   struct error *err);

/* The same from sources that are open already, which it takes over also when it fails. */
int archive_open_sources(struct archive **out, struct source *meta, struct source *payload,
			 bool metadata_only, struct error *err);
void archive_free(struct archive *archive);
DEFINE_CLEANUP(struct archive, archive_free);

#endif
