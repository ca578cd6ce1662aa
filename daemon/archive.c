#define _GNU_SOURCE
#include "daemon/archive.h"

#include <stdio.h>
#include <string.h>

#include "daemon/datastore.h"

static bool ends_with(const char *path, const char *suffix)
{
	size_t n = strlen(path), m = strlen(suffix);

	return n > m && !strcmp(path + n - m, suffix);
}

/* NAME.ppxar for NAME.mpxar; *out is NULL for any other name. */
static int payload_beside(const char *path, char **out, struct error *err)
{
	*out = NULL;
	if (!ends_with(path, ".mpxar"))
		return 0;
	*out = strdup(path);
	if (!*out)
		return error_set(err, ENOMEM, "out of memory");
	(*out)[strlen(path) - strlen("mpxar")] = 'p';
	return 0;
}

/* *out stays NULL when the archive is a unified one by its name. */
static int open_payload(struct source **out, const char *path, const char *given, struct error *err)
{
	CLEANUP(freep) char *beside = NULL;
	int r;

	if (given)
		return source_open_file(out, given, err);
	r = payload_beside(path, &beside, err);
	if (r < 0 || !beside)
		return r;
	r = source_open_file(out, beside, err);
	if (r == -ENOENT)
		return error_set(err, ENOENT,
				 "there is no %s with its contents; give --payload FILE, or "
				 "--metadata-only for names and attributes alone",
				 beside);
	return r;
}

int archive_open(struct archive **out, const char *path, const char *payload, bool metadata_only,
		 struct error *err)
{
	CLEANUP(source_freep) struct source *meta = NULL;
	CLEANUP(source_freep) struct source *contents = NULL;
	int r;

	r = source_open_file(&meta, path, err);
	if (r < 0)
		return r;
	if (!metadata_only) {
		r = open_payload(&contents, path, payload, err);
		if (r < 0)
			return error_wrap(err, "%s", path);
	}
	r = archive_open_sources(out, TAKE(meta), TAKE(contents), metadata_only, err);
	return r < 0 ? error_wrap(err, "%s", path) : 0;
}

int archive_open_datastore(struct archive **out, const struct datastore_spec *spec,
			   struct error *err)
{
	CLEANUP(datastore_freep) struct datastore *datastore = NULL;
	struct source *meta, *payload;
	int r;

	r = datastore_open(&datastore, spec, &meta, &payload, err);
	if (r < 0)
		return r;
	r = archive_open_sources(out, meta, payload, spec->metadata_only, err);
	if (r < 0)
		return error_wrap(err, "%s", spec->didx ? spec->didx : spec->snapshot);
	(*out)->datastore = TAKE(datastore);
	return 0;
}

int archive_open_sources(struct archive **out, struct source *meta, struct source *payload,
			 bool metadata_only, struct error *err)
{
	CLEANUP(archive_freep) struct archive *archive = calloc(1, sizeof(*archive));
	int r;

	if (!archive) {
		source_free(meta);
		source_free(payload);
		return error_set(err, ENOMEM, "out of memory");
	}
	archive->meta = meta;
	archive->payload = payload;
	r = accessor_open(&archive->accessor, meta, payload, metadata_only, err);
	if (r < 0)
		return r;
	*out = TAKE(archive);
	return 0;
}

void archive_free(struct archive *archive)
{
	if (!archive)
		return;
	accessor_free(archive->accessor);
	source_free(archive->payload);
	source_free(archive->meta);
	datastore_free(archive->datastore);
	free(archive);
}
