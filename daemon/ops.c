#include "daemon/ops.h"

#include <inttypes.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "core/xattr.h"
#include "daemon/log.h"

enum {
	DOTS = 2, /* "." and ".." come first in a listing */
	BLOCK = 4096,
	OVERFLOW_ID = 65534, /* stands for an id that cannot be */
};

/* While links are being counted; then the kernel asks again. */
#define UNTIL_COUNTED 1.0

static uint32_t count_links(const struct fs *fs, const struct entry *e, double *timeout)
{
	const struct walk *walk;

	*timeout = REPLY_FOREVER;
	if (e->kind == ENTRY_DIRECTORY)
		return 2;
	if (e->kind != ENTRY_FILE)
		return 1;
	/* The state first: a walk that ends between the two gives the count, only for a while. */
	if (scan_state(fs->scan) == SCAN_RUNNING)
		*timeout = UNTIL_COUNTED;
	walk = scan_result(fs->scan);
	/* Not known: a copier that is told 2 looks whether it has met the file before. */
	return walk ? walk_links(walk, e->number) : 2;
}

static uid_t valid_id(uint32_t id)
{
	return id == UINT32_MAX ? OVERFLOW_ID : id;
}

static void fill_stat(const struct fs *fs, const struct entry *e, struct stat *st, double *timeout)
{
	*st = (struct stat){
		.st_ino = e->number,
		.st_mode = e->mode,
		.st_nlink = count_links(fs, e, timeout),
		.st_uid = valid_id(e->uid),
		.st_gid = valid_id(e->gid),
		.st_size = (off_t)e->size,
		.st_blocks = (blkcnt_t)(e->size / 512 + (e->size % 512 != 0)),
		.st_blksize = BLOCK,
		.st_mtim = { .tv_sec = e->mtime_sec, .tv_nsec = e->mtime_nsec },
	};
	st->st_atim = st->st_ctim = st->st_mtim;
	if (e->kind == ENTRY_DEVICE)
		st->st_rdev = makedev((unsigned)(e->place >> 32), (unsigned)e->place);
}

static int found(struct fs *fs, const struct io *io, struct entry *e, struct reply *reply,
		 struct error *err)
{
	int r = inodes_follow(fs->inodes, io, e, err);

	if (r)
		return r;
	inodes_note(fs->inodes, e);
	reply->kind = REPLY_ENTRY;
	fill_stat(fs, e, &reply->st, &reply->attr_timeout);
	return 0;
}

/* Looks in a decoded directory. */
static int look_in(struct fs *fs, const struct io *io, const struct dir *dir, const char *name,
		   struct reply *reply, struct error *err)
{
	const struct dir_entry *child = dir_find(dir, name, strlen(name));
	struct entry e;

	if (child && child->entry.flags & ENTRY_DAMAGED)
		return error_set(err, EUCLEAN, "directory %#" PRIx64 " has damage: %s",
				 dir->self.number, dir->why.text);
	if (!child && dir->hidden)
		return error_set(err, EUCLEAN,
				 "directory %#" PRIx64 " has entries whose names are damaged: %s",
				 dir->self.number, dir->why.text);
	if (!child) {
		reply->kind = REPLY_ENTRY; /* st_ino 0: the kernel may remember that it is not */
		return 0;
	}
	e = child->entry;
	return found(fs, io, &e, reply, err);
}

/* Finds a name without decoding the directory. DIR_NONE: it takes the whole to be sure. */
static int look_alone(struct fs *fs, const struct io *io, const struct request *rq,
		      struct reply *reply, struct error *err)
{
	struct dir_entry child;
	int r;

	/* In memory, decoding the whole costs little and serves those who come next. */
	if (!io->may_wait || dircache_is_wanted(fs->dirs, rq->number))
		return DIR_NONE;
	r = accessor_find(fs->archive->accessor, io, rq->number, rq->name, strlen(rq->name), &child,
			  err);
	return r ? r : found(fs, io, &child.entry, reply, err);
}

static int lookup(struct fs *fs, const struct io *io, const struct request *rq, struct reply *reply,
		  struct error *err)
{
	struct cached_dir *dir = dircache_find(fs->dirs, rq->number);
	int r;

	if (!dir) {
		r = look_alone(fs, io, rq, reply, err);
		if (r != DIR_NONE)
			return r;
		r = dircache_get(fs->dirs, io, rq->number, &dir, err);
		if (r)
			return r;
	}
	r = look_in(fs, io, dir->dir, rq->name, reply, err);
	dircache_put(fs->dirs, dir);
	return r;
}

int ops_lookup(struct fs *fs, const struct io *io, const struct request *rq, struct reply *reply,
	       struct error *err)
{
	char name[LOG_NAME_SIZE];
	int r;

	if (strlen(rq->name) > FORMAT_NAME_MAX)
		return error_set(err, ENAMETOOLONG, "a name of %zu bytes", strlen(rq->name));
	r = lookup(fs, io, rq, reply, err);
	if (r < 0)
		error_wrap(err, "lookup of '%s'",
			   log_name(name, sizeof(name), rq->name, strlen(rq->name)));
	return r;
}

int ops_getattr(struct fs *fs, const struct io *io, const struct request *rq, struct reply *reply,
		struct error *err)
{
	struct entry e;
	int r = inodes_entry(fs->inodes, io, rq->number, &e, err);

	if (r)
		return r;
	reply->kind = REPLY_ATTR;
	fill_stat(fs, &e, &reply->st, &reply->attr_timeout);
	return 0;
}

int ops_readlink(struct fs *fs, const struct io *io, const struct request *rq, struct reply *reply,
		 struct error *err)
{
	struct entry e;
	int r = inodes_entry(fs->inodes, io, rq->number, &e, err);

	if (r)
		return r;
	if (e.kind != ENTRY_SYMLINK)
		return error_set(err, EINVAL, "%#" PRIx64 " is not a symbolic link", rq->number);
	r = reply_reserve(reply, FORMAT_LINK_MAX + 1, err);
	if (!r)
		r = accessor_readlink(fs->archive->accessor, io, &e, reply->data, err);
	if (r)
		return r;
	reply->kind = REPLY_TEXT;
	return 0;
}

int ops_read(struct fs *fs, const struct io *io, const struct request *rq, struct reply *reply,
	     struct error *err)
{
	struct entry e;
	size_t n = 0;
	int r;

	scan_give_way(fs->scan);
	r = inodes_content(fs->inodes, io, rq->number, &e, err);

	if (r)
		return r < 0 ? error_wrap(err, "read of %#" PRIx64, rq->number) : r;
	if (e.kind != ENTRY_FILE)
		return error_set(err, e.kind == ENTRY_DIRECTORY ? EISDIR : EINVAL,
				 "%#" PRIx64 " is not a regular file", rq->number);
	if (rq->offset < e.size)
		n = rq->size < e.size - rq->offset ? rq->size : (size_t)(e.size - rq->offset);
	r = reply_reserve(reply, n, err);
	if (!r && n)
		r = accessor_read(fs->archive->accessor, io, &e, rq->offset, reply->data, n, err);
	if (r)
		return r < 0 ? error_wrap(err, "read of %#" PRIx64, rq->number) : r;
	reply->len = n;
	return 0;
}

/* One place of a listing. */
struct line {
	const char *name;
	struct stat st;
	double timeout;
	bool known; /* the kernel can take it as looked up */
	uint64_t next;
};

static bool add_line(struct reply *reply, const struct line *line, bool plus)
{
	if (plus)
		return reply_add_entry(reply, line->name, &line->st, line->timeout, line->known,
				       line->next);
	return reply_add_name(reply, line->name, &line->st, line->next);
}

static struct line dot(const char *name, uint64_t number, uint64_t next)
{
	return (struct line){ .name = name,
			      .st = { .st_ino = number, .st_mode = S_IFDIR },
			      .next = next };
}

/* 0; 1 would wait. What cannot be decoded is shown by name: looking it up tells why. */
static int entry_line(struct fs *fs, const struct io *io, const struct dir *dir, uint64_t i,
		      struct line *line)
{
	const struct dir_entry *child = &dir->entries[i];
	struct entry e = child->entry;
	struct error why = { 0 };
	int r;

	*line = (struct line){ .name = dir->names + child->name,
			       .st = { .st_ino = e.number },
			       .next = DOTS + i + 1 };
	r = inodes_follow(fs->inodes, io, &e, &why);
	if (r > 0)
		return r;
	if (r < 0 || e.flags & ENTRY_DAMAGED)
		return 0;
	inodes_note(fs->inodes, &e);
	fill_stat(fs, &e, &line->st, &line->timeout);
	line->known = true;
	return 0;
}

/* The next line does not fit any more. An empty reply would say that the listing has ended. */
static int end_piece(const struct request *rq, const struct reply *reply, struct error *err)
{
	return reply->len ? 0 : error_set(err, EINVAL, "no entry fits in %zu bytes", rq->size);
}

/* Fills the reply from the offset on, as far as it goes without waiting. */
static int list(struct fs *fs, const struct io *io, const struct request *rq, const struct dir *dir,
		bool plus, struct reply *reply, struct error *err)
{
	struct line line;
	uint64_t parent;
	int r;

	if (rq->offset == 0) {
		line = dot(".", rq->number, 1);
		if (!add_line(reply, &line, plus))
			return end_piece(rq, reply, err);
	}
	if (rq->offset <= 1) {
		r = inodes_parent(fs->inodes, io, rq->number, &parent, err);
		if (r)
			return r;
		line = dot("..", parent, DOTS);
		if (!add_line(reply, &line, plus))
			return end_piece(rq, reply, err);
	}
	for (uint64_t i = rq->offset > DOTS ? rq->offset - DOTS : 0; i < dir->count; i++) {
		r = entry_line(fs, io, dir, i, &line);
		if (r)
			return reply->len ? 0 : r;
		if (!add_line(reply, &line, plus))
			return end_piece(rq, reply, err);
	}
	return 0;
}

static int read_directory(struct fs *fs, const struct io *io, const struct request *rq, bool plus,
			  struct reply *reply, struct error *err)
{
	struct cached_dir *dir;
	int r = reply_reserve(reply, rq->size, err);

	if (r < 0)
		return r;
	r = dircache_get(fs->dirs, io, rq->number, &dir, err);
	if (r)
		return r < 0 ? error_wrap(err, "listing of %#" PRIx64, rq->number) : r;
	r = list(fs, io, rq, dir->dir, plus, reply, err);
	dircache_put(fs->dirs, dir);
	return r < 0 ? error_wrap(err, "listing of %#" PRIx64, rq->number) : r;
}

int ops_readdir(struct fs *fs, const struct io *io, const struct request *rq, struct reply *reply,
		struct error *err)
{
	return read_directory(fs, io, rq, false, reply, err);
}

int ops_readdirplus(struct fs *fs, const struct io *io, const struct request *rq,
		    struct reply *reply, struct error *err)
{
	return read_directory(fs, io, rq, true, reply, err);
}

int ops_statfs(struct fs *fs, const struct io *io, const struct request *rq, struct reply *reply,
	       struct error *err)
{
	const struct walk *walk = scan_result(fs->scan);
	const struct archive *archive = fs->archive;
	uint64_t bytes = archive->meta->size + (archive->payload ? archive->payload->size : 0);
	uint64_t files = 1;

	(void)io;
	(void)rq;
	(void)err;
	if (walk) {
		bytes = walk_totals(walk)->bytes;
		files = walk_totals(walk)->entries;
	}
	reply->kind = REPLY_STATFS;
	reply->vfs = (struct statvfs){
		.f_bsize = BLOCK,
		.f_frsize = BLOCK,
		.f_blocks = bytes / BLOCK + 1, /* never 0: tools take that for no file system */
		.f_files = files,
		.f_namemax = FORMAT_NAME_MAX,
	};
	return 0;
}

/* A value or a list of names: its size, or itself where it fits. */
static int answer_bytes(const struct request *rq, const struct buffer *bytes, struct reply *reply,
			struct error *err)
{
	if (!rq->size) {
		reply->kind = REPLY_SIZE;
		reply->len = bytes->len;
		return 0;
	}
	if (bytes->len > rq->size)
		return error_set(err, ERANGE, "%zu bytes do not fit in %zu", bytes->len, rq->size);
	return reply_copy(reply, bytes->bytes, bytes->len, err);
}

static struct xattr_view view_for(const struct fs *fs, const struct request *rq)
{
	return (struct xattr_view){ .trusted = rq->uid == 0, .list_pxar = fs->pxar_xattrs };
}

int ops_getxattr(struct fs *fs, const struct io *io, const struct request *rq, struct reply *reply,
		 struct error *err)
{
	CLEANUP(buffer_release) struct buffer value = { 0 };
	struct xattr_view view = view_for(fs, rq);
	struct entry e;
	int r;

	/* The kernel stops asking: several questions for each file that is listed are saved. */
	if (fs_has_no_attributes(fs))
		return error_set(err, ENOSYS, "the archive has no attributes");
	r = inodes_entry(fs->inodes, io, rq->number, &e, err);
	if (r)
		return r;
	r = XATTR_NONE;
	if (e.flags)
		r = accessor_getxattr(fs->archive->accessor, io, rq->number, &view, rq->name,
				      &value, err);
	if (r == XATTR_NONE)
		return error_set(err, ENODATA, "no such attribute");
	return r ? r : answer_bytes(rq, &value, reply, err);
}

int ops_listxattr(struct fs *fs, const struct io *io, const struct request *rq, struct reply *reply,
		  struct error *err)
{
	CLEANUP(buffer_release) struct buffer names = { 0 };
	struct xattr_view view = view_for(fs, rq);
	struct entry e;
	int r;

	/* Not ENOSYS, which would make listing fail: a file without attributes has an empty list.
	 */
	if (fs_has_no_attributes(fs))
		return answer_bytes(rq, &names, reply, err);
	r = inodes_entry(fs->inodes, io, rq->number, &e, err);
	if (!r && e.flags)
		r = accessor_listxattr(fs->archive->accessor, io, rq->number, &view, &names, err);
	return r ? r : answer_bytes(rq, &names, reply, err);
}

int ops_forget(struct fs *fs, const struct io *io, const struct request *rq, struct reply *reply,
	       struct error *err)
{
	(void)fs;
	(void)io;
	(void)rq;
	(void)err;
	reply->kind = REPLY_NOTHING;
	return 0;
}

int ops_not_needed(struct fs *fs, const struct io *io, const struct request *rq,
		   struct reply *reply, struct error *err)
{
	(void)fs;
	(void)io;
	(void)rq;
	(void)reply;
	return error_set(err, ENOSYS, "not needed");
}

int ops_refuse(struct fs *fs, const struct io *io, const struct request *rq, struct reply *reply,
	       struct error *err)
{
	(void)fs;
	(void)io;
	(void)rq;
	(void)reply;
	return error_set(err, EROFS, "the file system is read-only");
}
