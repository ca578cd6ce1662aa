#define _GNU_SOURCE
#include "tools/pack-store.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "chunkcache/file.h"

enum { FOLDERS = 65536 };

static bool is_empty(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	int n = 0;

	if (!dir) {
		closep(&copy);
		return false;
	}
	while (n < 3 && readdir(dir))
		n++;
	closedir(dir);
	return n == 2; /* itself and its parent */
}

static int make_folders(int base, struct error *err)
{
	CLEANUP(closep) int chunks = -1;
	char name[8];

	if (mkdirat(base, ".chunks", 0750) < 0)
		return error_set(err, errno, "create .chunks: %m");
	chunks = openat(base, ".chunks", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (chunks < 0)
		return error_set(err, errno, "open .chunks: %m");
	for (unsigned i = 0; i < FOLDERS; i++) {
		snprintf(name, sizeof(name), "%04x", i);
		if (mkdirat(chunks, name, 0750) < 0)
			return error_set(err, errno, "create .chunks/%s: %m", name);
	}
	return 0;
}

int pack_store_create(const char *path, struct error *err)
{
	CLEANUP(closep) int base = -1;
	struct pack_owner owner;
	struct stat st;
	int r;

	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return error_set(err, errno, "create %s: %m", path);
	base = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (base < 0)
		return error_set(err, errno, "open %s: %m", path);
	if (fstatat(base, ".chunks", &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (!is_empty(base))
		return error_set(err, ENOTEMPTY, "%s is neither a datastore nor empty", path);
	r = pack_owner_of(&owner, base, err);
	if (r < 0)
		return r;
	pack_owner_begin(&owner);
	r = make_folders(base, err);
	pack_owner_end(&owner);
	return r < 0 ? error_wrap(err, "%s", path) : 0;
}

int pack_store_init(struct pack_store *s, int base, const struct crypt *crypt, bool compress,
		    struct error *err)
{
	int r;

	*s = (struct pack_store){
		.base = base, .chunks = -1, .crypt = crypt, .compress = compress
	};
	r = pack_owner_of(&s->owner, base, err);
	if (r == 0)
		r = blob_context_new(&s->context, err);
	if (r < 0)
		return r;
	pack_owner_begin(&s->owner);
	/* Open from the beginning: a sync tells of what was lost since then. */
	r = file_open(&s->chunks, base, ".chunks", O_RDONLY | O_DIRECTORY, err);
	/* One sync at the end takes an eighth of the time that one for each chunk of 64 KiB does.
	 */
	if (r == 0)
		r = store_writer_new(&s->writer, base, false, err);
	pack_owner_end(&s->owner);
	return r;
}

void pack_store_release(struct pack_store *s)
{
	store_writer_free(s->writer);
	blob_context_free(s->context);
	closep(&s->chunks);
	free(s->known);
}

/* Where the digest is in the table, or would be; digests of zeros are free places. */
static struct digest *find_place(const struct pack_store *s, const struct digest *id)
{
	static const struct digest none;
	size_t at;

	memcpy(&at, id->bytes, sizeof(at));
	for (;; at++) {
		struct digest *place = &s->known[at & (s->room - 1)];

		if (memcmp(place, id, sizeof(*id)) == 0 || memcmp(place, &none, sizeof(none)) == 0)
			return place;
	}
}

static bool is_known(const struct pack_store *s, const struct digest *id)
{
	return s->room && memcmp(find_place(s, id), id, sizeof(*id)) == 0;
}

static int grow(struct pack_store *s, struct error *err)
{
	struct pack_store larger = { .room = s->room ? 2 * s->room : 1024 };

	larger.known = calloc(larger.room, sizeof(*larger.known));
	if (!larger.known)
		return error_set(err, ENOMEM, "out of memory for %zu chunks", larger.room);
	for (size_t i = 0; i < s->room; i++)
		*find_place(&larger, &s->known[i]) = s->known[i];
	free(s->known);
	s->known = larger.known;
	s->room = larger.room;
	return 0;
}

static int remember(struct pack_store *s, const struct digest *id, struct error *err)
{
	if (s->n_known >= s->room / 2) {
		int r = grow(s, err);

		if (r < 0)
			return r;
	}
	*find_place(s, id) = *id;
	s->n_known++;
	return 0;
}

static int write_chunk(struct pack_store *s, const void *bytes, size_t n, const struct digest *id,
		       struct error *err)
{
	const uint8_t *encoded;
	size_t encoded_n;
	int r;

	r = blob_encode(s->context, s->crypt, s->compress, bytes, n, &encoded, &encoded_n, err);
	if (r < 0)
		return r;
	r = store_writer_insert(s->writer, id, encoded, encoded_n, err);
	if (r < 0)
		return r;
	/* Kept: another writer has been faster. */
	if (r == STORE_KEPT) {
		s->reused++;
	} else {
		s->written++;
		s->stored_bytes += encoded_n;
	}
	return 0;
}

static int insert_unknown(struct pack_store *s, const void *bytes, size_t n,
			  const struct digest *id, struct error *err)
{
	int r = store_writer_keep(s->writer, id, s->crypt, err);

	if (r < 0)
		return r;
	if (r == STORE_KEPT) {
		s->reused++;
		return 0;
	}
	return write_chunk(s, bytes, n, id, err);
}

int pack_store_insert(struct pack_store *s, const void *bytes, size_t n, struct digest *id,
		      struct error *err)
{
	int r;

	blob_digest(s->crypt, bytes, n, id);
	if (is_known(s, id)) {
		s->reused++;
		return 0;
	}
	pack_owner_begin(&s->owner);
	r = insert_unknown(s, bytes, n, id, err);
	pack_owner_end(&s->owner);
	return r < 0 ? r : remember(s, id, err);
}

int pack_store_sync(struct pack_store *s, struct error *err)
{
	/* Chunks can be on a file system of their own. */
	if (syncfs(s->chunks) < 0 || syncfs(s->base) < 0)
		return error_set(err, errno, "sync the datastore: %m");
	return 0;
}
