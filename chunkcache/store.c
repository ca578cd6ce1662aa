#define _GNU_SOURCE
#include "chunkcache/store.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "chunkcache/file.h"

enum { FOLDER_SIZE = 4 + 1 }; /* the folder of a chunk: the first digits of its name, and a NUL */

bool store_state_equal(const struct store_state *a, const struct store_state *b)
{
	return a->known && b->known && a->device == b->device && a->inode == b->inode &&
	       a->size == b->size && a->ctime.tv_sec == b->ctime.tv_sec &&
	       a->ctime.tv_nsec == b->ctime.tv_nsec;
}

struct local {
	struct store store;
	int chunks;
	char name[];
};

static struct store_state state_of(const struct stat *st)
{
	return (struct store_state){
		.known = true,
		.device = st->st_dev,
		.inode = st->st_ino,
		.size = (uint64_t)st->st_size,
		.ctime = st->st_ctim,
	};
}

static bool was_set_aside(const struct local *local, const char *path)
{
	char name[FOLDER_SIZE + DIGEST_TEXT_SIZE + 6];
	struct stat st;

	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "%s.%d.bad", path, i);
		if (fstatat(local->chunks, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	}
	return false;
}

static int local_load(struct store *store, const struct digest *id, struct buffer *bytes,
		      struct store_state *state, bool *bad_seen, struct error *err)
{
	struct local *local = (struct local *)store;
	char hex[DIGEST_TEXT_SIZE], path[FOLDER_SIZE + DIGEST_TEXT_SIZE];
	CLEANUP(closep) int fd = -1;
	struct store_state after;
	struct stat st;
	int r;

	digest_format(id, hex);
	snprintf(path, sizeof(path), "%.4s/%s", hex, hex);
	r = file_open_regular(&fd, local->chunks, path, &st, err);
	if (r == -ENOENT) {
		*bad_seen = was_set_aside(local, path);
		return 1;
	}
	if (r < 0)
		return r;
	if (!st.st_size)
		return error_set(err, EUCLEAN, "an empty file");
	r = file_read(fd, (uint64_t)st.st_size, STORE_CHUNK_MAX, bytes, err);
	if (r < 0)
		return r;
	/* Bytes that changed while they were read belong to neither state. */
	*state = state_of(&st);
	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "stat: %m");
	after = state_of(&st);
	state->known = store_state_equal(state, &after);
	return 0;
}

static void local_free(struct store *store)
{
	struct local *local = (struct local *)store;

	closep(&local->chunks);
	free(local);
}

static const struct store_ops local_ops = { local_load, local_free };

int store_new_local(struct store **out, int base, const char *name, struct error *err)
{
	struct local *local = calloc(1, sizeof(*local) + strlen(name) + 1);
	int r;

	if (!local)
		return error_set(err, ENOMEM, "out of memory");
	local->store = (struct store){ &local_ops, strcpy(local->name, name) };
	r = file_open(&local->chunks, base, ".chunks", O_PATH | O_DIRECTORY, err);
	if (r < 0) {
		free(local);
		return error_wrap(err, "%s", name);
	}
	*out = &local->store;
	return 0;
}

void store_free(struct store *store)
{
	if (store)
		store->ops->free(store);
}

struct store_search store_search_init(struct store *const *stores, size_t n,
				      const struct digest *id)
{
	return (struct store_search){ .stores = stores, .n = n, .id = id };
}

void store_search_reject(struct store_search *search, const struct error *why)
{
	if (search->why.code)
		return;
	search->why = *why;
	error_wrap(&search->why, "%s", search->stores[search->next - 1]->name);
}

/* All stores were asked. */
static int search_ended(const struct store_search *search, struct error *err)
{
	char hex[DIGEST_TEXT_SIZE];

	digest_format(search->id, hex);
	if (!search->why.code)
		return error_set(err, EIO, "chunk %s is missing%s", hex,
				 search->bad_seen ? ", set aside as corrupt (.bad)" : "");
	if (err)
		*err = search->why;
	error_wrap(err, "chunk %s", hex);
	return search->why.code;
}

int store_search_next(struct store_search *search, struct buffer *bytes, struct store_state *state,
		      struct error *err)
{
	while (search->next < search->n) {
		struct store *store = search->stores[search->next++];
		struct error why = { 0 };
		bool bad_seen = false;
		int r;

		r = store->ops->load(store, search->id, bytes, state, &bad_seen, &why);
		search->bad_seen |= bad_seen;
		search->found |= r != 1;
		if (r == 0)
			return 0;
		if (r < 0)
			store_search_reject(search, &why);
		if (r == -ENOMEM)
			break;
	}
	return search_ended(search, err);
}

static const struct timespec mark_as_used[2] = { { .tv_nsec = UTIME_NOW },
						 { .tv_nsec = UTIME_OMIT } };

struct store_writer {
	int chunks, lock;
	bool sync;
};

static int take_lock(struct store_writer *w, int base, struct error *err)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };

	w->lock = openat(base, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (w->lock < 0)
		return error_set(err, errno, "open .lock: %m");
	if (fcntl(w->lock, F_SETLK, &lock) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return error_set(err, EBUSY, "the datastore is locked: garbage is being collected");
	return error_set(err, errno, "lock .lock: %m");
}

int store_writer_new(struct store_writer **out, int base, bool sync, struct error *err)
{
	CLEANUP(store_writer_freep) struct store_writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return error_set(err, ENOMEM, "out of memory");
	*w = (struct store_writer){ .chunks = -1, .lock = -1, .sync = sync };
	r = take_lock(w, base, err);
	if (r == 0)
		r = file_open(&w->chunks, base, ".chunks", O_RDONLY | O_DIRECTORY, err);
	if (r < 0)
		return r;
	*out = TAKE(w);
	return 0;
}

/* The folders are made with the datastore, so this makes one only where they got lost. */
static int open_folder(int *out, struct store_writer *w, const char *hex, struct error *err)
{
	char name[FOLDER_SIZE];
	int r;

	snprintf(name, sizeof(name), "%.4s", hex);
	r = file_open(out, w->chunks, name, O_RDONLY | O_DIRECTORY, err);
	if (r != -ENOENT)
		return r;
	if (mkdirat(w->chunks, name, 0750) < 0 && errno != EEXIST)
		return error_set(err, errno, "create .chunks/%s: %m", name);
	if (w->sync && fsync(w->chunks) < 0)
		return error_set(err, errno, "sync .chunks: %m");
	return file_open(out, w->chunks, name, O_RDONLY | O_DIRECTORY, err);
}

/* Whether a blob may be kept that is stored, with another size, under the name of a new one. What
   is encrypted differs each time, so there sizes only depend on the compression. */
static int compare_stored(int folder, const char *hex, uint64_t stored_size, const uint8_t *bytes,
			  size_t n, struct error *err)
{
	CLEANUP(closep) int fd = -1;
	enum blob_kind kind, stored_kind;
	uint8_t magic[BLOB_MAGIC_SIZE];
	struct stat st;
	int r;

	r = blob_kind(&kind, bytes, n, err);
	if (r < 0)
		return r;
	if (!blob_is_encrypted(kind))
		return stored_size < n ? STORE_KEPT : STORE_WRITTEN;
	r = file_open_regular(&fd, folder, hex, &st, err);
	if (r == 0)
		r = file_pread(fd, 0, magic, sizeof(magic), err);
	if (r == 0)
		r = blob_kind(&stored_kind, magic, sizeof(magic), err);
	if (r < 0)
		return r;
	if (!blob_is_encrypted(stored_kind))
		return error_set(err, EUCLEAN, "it is stored unencrypted");
	if (!blob_is_compressed(stored_kind) && !blob_is_compressed(kind))
		return error_set(err, EUCLEAN, "it is stored with %" PRIu64 " bytes and has %zu",
				 stored_size, n);
	return STORE_KEPT;
}

/* Looks at what has the name, and marks it as used so that it is not taken for garbage. */
static int check_stored(int folder, const char *hex, const void *bytes, size_t n, struct error *err)
{
	struct stat st;

	/* Asking whether it is there is left to the marking: in between it could go away. */
	if (utimensat(folder, hex, mark_as_used, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fstatat(folder, hex, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? STORE_WRITTEN : error_set(err, errno, "touch it: %m");
	if (!S_ISREG(st.st_mode))
		return error_set(err, EUCLEAN, "what is stored is not a regular file");
	if ((uint64_t)st.st_size == n)
		return STORE_KEPT;
	if (!st.st_size)
		return STORE_WRITTEN;
	return compare_stored(folder, hex, (uint64_t)st.st_size, bytes, n, err);
}

int store_writer_insert(struct store_writer *w, const struct digest *id, const void *bytes,
			size_t n, struct error *err)
{
	CLEANUP(closep) int folder = -1;
	char hex[DIGEST_TEXT_SIZE];
	int r;

	digest_format(id, hex);
	r = open_folder(&folder, w, hex, err);
	if (r < 0)
		return r;
	r = check_stored(folder, hex, bytes, n, err);
	if (r == STORE_WRITTEN)
		r = file_replace(folder, hex, bytes, n, w->sync, err);
	if (r < 0)
		error_wrap(err, "chunk %s", hex);
	return r;
}

/* Only what is marked as used is sure to stay until it is looked at. */
static int mark_and_look(const struct store_writer *w, const char *path, bool encrypted,
			 struct error *err)
{
	CLEANUP(closep) int fd = -1;
	uint8_t magic[BLOB_MAGIC_SIZE];
	enum blob_kind kind;
	struct stat st;
	int r;

	if (utimensat(w->chunks, path, mark_as_used, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : error_set(err, errno, "touch it: %m");
	r = file_open_regular(&fd, w->chunks, path, &st, err);
	if (r < 0)
		return r;
	if (!st.st_size)
		return 0;
	if (st.st_size < BLOB_HEADER_SIZE)
		return error_set(err, EUCLEAN, "it is stored with %" PRIi64 " bytes",
				 (int64_t)st.st_size);
	r = file_pread(fd, 0, magic, sizeof(magic), err);
	if (r == 0)
		r = blob_kind(&kind, magic, sizeof(magic), err);
	if (r < 0)
		return r;
	if (blob_is_encrypted(kind) != encrypted)
		return error_set(err, EUCLEAN, "it is stored %s",
				 encrypted ? "unencrypted" : "encrypted");
	return STORE_KEPT;
}

int store_writer_keep(struct store_writer *w, const struct digest *id, bool encrypted,
		      struct error *err)
{
	char hex[DIGEST_TEXT_SIZE], path[FOLDER_SIZE + DIGEST_TEXT_SIZE];
	int r;

	digest_format(id, hex);
	snprintf(path, sizeof(path), "%.4s/%s", hex, hex);
	r = mark_and_look(w, path, encrypted, err);
	return r < 0 ? error_wrap(err, "chunk %s", hex) : r;
}

void store_writer_free(struct store_writer *w)
{
	if (!w)
		return;
	closep(&w->chunks);
	closep(&w->lock);
	free(w);
}
