#define _GNU_SOURCE
#include "tools/pack-snapdir.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "chunkcache/file.h"

#define OWNER_FILE "owner"
#define DEFAULT_OWNER "root@pam"

/* Replaces the open directory by the one in it with this name, which is made if need be. */
static int enter(int *dir, const char *name, struct error *err)
{
	int fd = -1, r;

	if (mkdirat(*dir, name, 0755) < 0 && errno != EEXIST)
		return error_set(err, errno, "create %s: %m", name);
	r = file_open(&fd, *dir, name, O_RDONLY | O_DIRECTORY, err);
	if (r < 0)
		return r;
	closep(dir);
	*dir = fd;
	return 0;
}

static int read_owner(int group, char *text, size_t size, struct error *err)
{
	CLEANUP(closep) int fd = -1;
	struct stat st;
	size_t n;
	int r;

	r = file_open_regular(&fd, group, OWNER_FILE, &st, err);
	if (r < 0)
		return r;
	n = (size_t)st.st_size < size - 1 ? (size_t)st.st_size : size - 1;
	r = file_pread(fd, 0, text, n, err);
	text[r < 0 ? 0 : n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return r;
}

/* A group belongs to who made its first snapshot. */
static int check_owner(int group, const char *auth_id, struct error *err)
{
	char found[256], line[256], shown[256];
	int r;

	r = read_owner(group, found, sizeof(found), err);
	if (r == -ENOENT) {
		snprintf(line, sizeof(line), "%s\n", auth_id ? auth_id : DEFAULT_OWNER);
		return file_replace(group, OWNER_FILE, line, strlen(line), true, err);
	}
	if (r < 0)
		return r;
	if (auth_id && strcmp(found, auth_id) != 0)
		return error_set(err, EACCES, "the backup group belongs to %s, not to %s",
				 error_name(shown, sizeof(shown), found, strlen(found)), auth_id);
	return 0;
}

/* Goes down to the snapshot, and makes what is missing on the way. */
static int make_path(struct pack_snapdir *d, const char *auth_id, struct error *err)
{
	CLEANUP(closep) int fd = -1;
	char path[SNAPSHOT_PATH_SIZE], *name = path, *slash;
	int r = 0;

	snapshot_path(&d->id, path);
	fd = openat(d->base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, errno, "open the datastore: %m");
	while (r == 0 && (slash = strchr(name, '/'))) {
		*slash = '\0';
		r = enter(&fd, name, err);
		name = slash + 1;
	}
	if (r == 0)
		r = check_owner(fd, auth_id, err);
	if (r == 0)
		r = enter(&fd, name, err);
	if (r == 0)
		d->dir = take_fd(&fd);
	return r;
}

static int take_lock(struct pack_snapdir *d, struct report *report, struct error *err)
{
	char text[SNAPSHOT_PATH_SIZE];
	int r;

	r = snaplock_take_exclusive(&d->lock, d->base, d->dir, SNAPLOCK_RUN, NULL, &d->id, err);
	if (r < 0)
		return r;
	if (r == SNAPLOCK_BUSY)
		return -EBUSY;
	if (r == SNAPLOCK_NOT_HERE) {
		snapshot_text(&d->id, text);
		report_note(report, text, "not locked for servers of version 4: %s", err->text);
	}
	return 0;
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Removes what is in the directory. */
static int clear(int dirfd, struct error *err)
{
	CLEANUP(closep) int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(closedirp) DIR *dir = NULL;
	struct dirent *entry;

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return error_set(err, errno, "list the snapshot's directory: %m");
	take_fd(&fd);
	while ((errno = 0, entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (unlinkat(dirfd, entry->d_name, 0) < 0)
			return error_set(err, errno, "remove %s, left by an earlier attempt: %m",
					 entry->d_name);
	}
	return errno ? error_set(err, errno, "list the snapshot's directory: %m") : 0;
}

static int refuse_finished(const struct pack_snapdir *d, struct error *err)
{
	struct stat st;

	if (fstatat(d->dir, SNAPSHOT_MANIFEST, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return error_set(err, EEXIST, "there is such a snapshot");
	return errno == ENOENT ? 0 : error_set(err, errno, "stat " SNAPSHOT_MANIFEST ": %m");
}

int pack_snapdir_open(struct pack_snapdir *d, int base, const struct snapshot *id,
		      const char *auth_id, struct report *report, struct error *err)
{
	int r;

	*d = (struct pack_snapdir)PACK_SNAPDIR_CLOSED;
	d->base = base;
	d->id = *id;
	r = pack_owner_of(&d->owner, base, err);
	if (r < 0)
		return r;
	pack_owner_begin(&d->owner);
	r = make_path(d, auth_id, err);
	pack_owner_end(&d->owner);
	if (r == 0)
		r = take_lock(d, report, err);
	if (r == 0)
		r = refuse_finished(d, err);
	if (r < 0)
		return r;
	d->ours = true;
	r = clear(d->dir, err);
	return r < 0 ? r : manifest_new(&d->manifest, &d->id, err);
}

/* Of a snapshot that is given up nothing is left but chunks, which are garbage. */
static void remove_unfinished(struct pack_snapdir *d)
{
	char path[SNAPSHOT_PATH_SIZE];

	snapshot_path(&d->id, path);
	unlinkat(d->dir, SNAPSHOT_MANIFEST, 0); /* first: the rest must not look whole */
	if (clear(d->dir, NULL) == 0)
		unlinkat(d->base, path, AT_REMOVEDIR);
}

void pack_snapdir_release(struct pack_snapdir *d)
{
	if (d->ours)
		remove_unfinished(d);
	snaplock_release(&d->lock);
	closep(&d->dir);
	manifest_free(d->manifest);
}

static int write_file(struct pack_snapdir *d, const char *name, const void *bytes, size_t n,
		      struct error *err)
{
	int r;

	pack_owner_begin(&d->owner);
	r = file_replace(d->dir, name, bytes, n, true, err);
	pack_owner_end(&d->owner);
	return r;
}

int pack_snapdir_add_blob(struct pack_snapdir *d, const char *name, enum manifest_mode mode,
			  const void *bytes, size_t n, struct error *err)
{
	struct digest csum;
	int r;

	digest_sha256(&csum, bytes, n);
	r = manifest_add(d->manifest, name, mode, n, &csum, err);
	return r < 0 ? r : write_file(d, name, bytes, n, err);
}

int pack_snapdir_publish(struct pack_snapdir *d, const struct crypt *crypt, struct blob_context *c,
			 struct error *err)
{
	CLEANUP(buffer_release) struct buffer json = { 0 };
	const uint8_t *encoded;
	size_t n;
	int r = 0;

	if (crypt)
		r = manifest_sign(d->manifest, crypt, err);
	if (r == 0)
		r = manifest_encode(d->manifest, &json, err);
	/* Not encrypted: who has no key may know which one is needed. */
	if (r == 0)
		r = blob_encode(c, NULL, true, json.bytes, json.len, &encoded, &n, err);
	if (r < 0)
		return r;
	r = write_file(d, SNAPSHOT_MANIFEST, encoded, n, err);
	if (r == 0)
		d->ours = false;
	return r;
}
