#define _GNU_SOURCE
#include "tools/pack-tree.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "core/source.h"
#include "tools/pack-attrs.h"
#include "tools/pack-copy.h"
#include "tools/pack-exclude.h"
#include "tools/pack-links.h"
#include "tools/pack-list.h"

#define EXCLUDE_FILE ".pxarexclude"
#define CLI_FILE ".pxarexclude-cli"
#define FLAG_NODUMP UINT64_C(0x100000)

/* A directory that is open. */
struct level {
	int fd;
	struct list list;
	size_t next;	   /* of the list */
	size_t path_len;   /* of the directory's path, a slash behind it unless it is the root */
	size_t n_patterns; /* before its .pxarexclude */
	dev_t dev;
	long magic; /* of the file system */
};

struct tree {
	const struct tree_job *job;
	struct report *report;
	struct pattern_list *patterns;
	struct encoder *encoder;
	struct buffer path; /* of what is visited, a NUL behind it */
	struct level *levels;
	size_t n_levels, room_levels;
	struct attrs attrs;
	struct copy copy;
	struct links links;
	dev_t dev; /* of the root */
};

static const char *path(const struct tree *t)
{
	return (const char *)t->path.bytes;
}

/* The path of what is in the directory of that level. */
static int set_path(struct tree *t, const struct level *level, const char *name, struct error *err)
{
	t->path.len = level->path_len;
	buffer_add(&t->path, name, strlen(name) + 1);
	return buffer_finish(&t->path, err);
}

/* Mostly for atime: reading for a backup is no use of a file. Only its owner may ask for that. */
static int open_at(int dir_fd, const char *name, int flags)
{
	int fd;

	flags |= O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	fd = openat(dir_fd, name, flags | O_NOATIME);
	if (fd < 0 && errno == EPERM)
		fd = openat(dir_fd, name, flags);
	return fd;
}

/* File systems whose content is made up as it is read. */
static bool is_virtual(long magic)
{
	static const long magics[] = {
		BINFMTFS_MAGIC,	    CGROUP2_SUPER_MAGIC, CGROUP_SUPER_MAGIC, DEBUGFS_MAGIC,
		DEVPTS_SUPER_MAGIC, EFIVARFS_MAGIC,	 HUGETLBFS_MAGIC,    PROC_SUPER_MAGIC,
		PSTOREFS_MAGIC,	    SECURITYFS_MAGIC,	 SELINUX_MAGIC,	     SMACK_MAGIC,
		SYSFS_MAGIC,	    0x62656570, /* configfs */
		0x65735543,			/* fusectl */
		0x19800202,			/* mqueue */
		0x6e667364,			/* nfsd */
		0x67596969,			/* rpc_pipefs */
	};

	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
		if (magics[i] == magic)
			return true;
	return false;
}

static int get_magic(int fd, long *magic, struct error *err)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return error_set(err, errno, "statfs: %m");
	*magic = (long)fs.f_type;
	return 0;
}

static bool is_skipped(const struct tree *t, const struct stat *st)
{
	for (size_t i = 0; i < t->job->n_skip; i++)
		if (t->job->skip[i].dev == st->st_dev && t->job->skip[i].ino == st->st_ino)
			return true;
	return false;
}

static bool tick(void *arg, size_t n)
{
	struct tree *t = arg;

	t->report->bytes += n;
	report_progress(t->report);
	return !*t->job->stop;
}

/* Reads the attributes of what was opened; 1 when it is to be left out. */
static int read_attrs(struct tree *t, long magic, int fd, const struct stat *st, struct error *err)
{
	int r = attrs_read(&t->attrs, fd, st, magic, err);

	if (r < 0)
		return r;
	if (r == ATTRS_PARTLY)
		report_warn(t->report, path(t), "stored without all attributes: %s", err->text);
	return t->job->options->skip_nodump && (t->attrs.meta.stat.flags & FLAG_NODUMP);
}

/* Opens what lstat() has seen and looks again: it may be another one by now. 1: left out. */
static int open_entry(struct tree *t, const struct level *level, const char *name, struct stat *st,
		      int *fd)
{
	mode_t type = st->st_mode & S_IFMT;

	*fd = open_at(level->fd, name, type == S_IFDIR ? O_DIRECTORY : 0);
	if (*fd < 0 || fstat(*fd, st) < 0) {
		report_warn(t->report, path(t), "left out: %m");
		return 1;
	}
	if ((st->st_mode & S_IFMT) != type) {
		report_warn(t->report, path(t), "left out: replaced while it was opened");
		return 1;
	}
	return 0;
}

static int copy_content(struct tree *t, struct error *err)
{
	int r = copy_run(&t->copy, t->encoder, err);

	if (r == COPY_SHRANK)
		report_warn(t->report, path(t), "shrank while it was read: zeros at its end");
	else if (r == COPY_GREW)
		report_warn(t->report, path(t), "grew while it was read: cut to its first size");
	else if (r == COPY_DAMAGED)
		report_warn(t->report, path(t), "zeros from where it failed: %s", err->text);
	return r < 0 ? r : encoder_end_file(t->encoder, err);
}

/* What is neither file nor directory, in the catalog. */
static int list_other(struct tree *t, enum catalog_type type, const char *name, struct error *err)
{
	return t->job->catalog ? catalog_writer_other(t->job->catalog, type, name, err) : 0;
}

static int list_file(struct tree *t, const char *name, uint64_t size, int64_t mtime,
		     struct error *err)
{
	return t->job->catalog ? catalog_writer_file(t->job->catalog, name, size, mtime, err) : 0;
}

static int begin_dir(struct tree *t, const char *name, struct error *err)
{
	int r = encoder_begin_dir(t->encoder, name, &t->attrs.meta, err);

	if (r == 0 && t->job->catalog)
		r = catalog_writer_begin_dir(t->job->catalog, name, err);
	return r;
}

static int end_dir(struct tree *t, struct error *err)
{
	int r = encoder_end_dir(t->encoder, err);

	if (r == 0 && t->job->catalog)
		r = catalog_writer_end_dir(t->job->catalog, err);
	return r;
}

static int begin_file(struct tree *t, const char *name, const struct encoder_meta *m, uint64_t size,
		      uint64_t *start, struct error *err)
{
	int r = 0;

	if (t->job->before_payload)
		r = t->job->before_payload(t->job->arg, err);
	if (r == 0)
		r = encoder_begin_file(t->encoder, name, m, size, start, err);
	return r < 0 ? r : list_file(t, name, size, m->stat.mtime_sec, err);
}

static int visit_link(struct tree *t, const struct links_entry *first, const char *name,
		      struct error *err)
{
	int r = encoder_hardlink(t->encoder, name, first->start, first->path, err);

	t->report->links++;
	return r < 0 ? r : list_other(t, CATALOG_HARDLINK, name, err);
}

static int visit_file(struct tree *t, const struct level *level, const char *name, struct stat *st,
		      struct error *err)
{
	CLEANUP(closep) int fd = -1;
	const struct links_entry *first;
	uint64_t size, start;
	int r;

	first = st->st_nlink > 1 ? links_find(&t->links, st->st_dev, st->st_ino) : NULL;
	if (first)
		return visit_link(t, first, name, err);
	if (open_entry(t, level, name, st, &fd))
		return 0;
	r = read_attrs(t, level->magic, fd, st, err);
	if (r)
		return r < 0 ? r : 0;
	size = (uint64_t)st->st_size;
	r = copy_begin(&t->copy, fd, size, st->st_blocks < st->st_size / 512, err);
	if (r < 0) {
		report_warn(t->report, path(t), "left out: %s", err->text);
		return 0;
	}
	r = begin_file(t, name, &t->attrs.meta, size, &start, err);
	if (r < 0)
		return r;
	r = copy_content(t, err);
	if (r < 0)
		return r;
	t->report->files++;
	/* Where the path does not fit a HARDLINK item, the links are files of their own. */
	if (st->st_nlink > 1 && strlen(path(t)) <= FORMAT_PATH_MAX)
		return links_add(&t->links, st->st_dev, st->st_ino, start, path(t), err);
	return 0;
}

static int visit_symlink(struct tree *t, const struct level *level, const char *name,
			 struct error *err)
{
	char target[FORMAT_LINK_MAX + 2];
	ssize_t n = readlinkat(level->fd, name, target, sizeof(target));
	int r;

	if (n < 0) {
		report_warn(t->report, path(t), "left out: %m");
		return 0;
	}
	if (!n || n > FORMAT_LINK_MAX) {
		report_warn(t->report, path(t), "left out: a target of %zd bytes", n);
		return 0;
	}
	target[n] = '\0';
	t->report->links++;
	r = encoder_symlink(t->encoder, name, &t->attrs.meta, target, err);
	return r < 0 ? r : list_other(t, CATALOG_SYMLINK, name, err);
}

static int visit_device(struct tree *t, const char *name, const struct stat *st, struct error *err)
{
	int r = encoder_device(t->encoder, name, &t->attrs.meta, major(st->st_rdev),
			       minor(st->st_rdev), err);

	t->report->special++;
	return r < 0 ? r
		     : list_other(t,
				  S_ISBLK(st->st_mode) ? CATALOG_BLOCK_DEVICE : CATALOG_CHAR_DEVICE,
				  name, err);
}

static int visit_fifo_or_socket(struct tree *t, const char *name, const struct stat *st,
				struct error *err)
{
	int r = encoder_fifo_or_socket(t->encoder, name, &t->attrs.meta, err);

	t->report->special++;
	return r < 0 ? r
		     : list_other(t, S_ISFIFO(st->st_mode) ? CATALOG_FIFO : CATALOG_SOCKET, name,
				  err);
}

/* Neither file nor directory. */
static int visit_special(struct tree *t, const struct level *level, const char *name,
			 const struct stat *st, struct error *err)
{
	attrs_from_stat(&t->attrs, st);
	switch (st->st_mode & S_IFMT) {
	case S_IFLNK:
		return visit_symlink(t, level, name, err);
	case S_IFCHR:
	case S_IFBLK:
		return visit_device(t, name, st, err);
	case S_IFIFO:
	case S_IFSOCK:
		return visit_fifo_or_socket(t, name, st, err);
	default:
		report_warn(t->report, path(t), "left out: its type is %#o",
			    (unsigned)(st->st_mode & S_IFMT));
		return 0;
	}
}

/* Lists the directory whose path is set, and reads its .pxarexclude. */
static int read_level(struct tree *t, struct level *level, struct error *err)
{
	size_t len = strlen(path(t));
	int r;

	r = list_read(&level->list, level->fd, err);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		report_warn(t->report, path(t), "not all of it: %s", err->text);
	t->path.len = len;
	if (len)
		buffer_add(&t->path, "/", 1);
	level->path_len = t->path.len;
	level->n_patterns = t->patterns->n;
	r = set_path(t, level, EXCLUDE_FILE, err);
	if (r < 0 || !t->job->options->exclude_files)
		return r;
	return exclude_read(t->patterns, level->fd, level->path_len, path(t), t->report, err);
}

/* Takes over the fd. */
static int push_level(struct tree *t, int fd, dev_t dev, long magic, struct error *err)
{
	struct level *level = &t->levels[t->n_levels++];

	*level = (struct level){
		.fd = fd, .dev = dev, .magic = magic, .n_patterns = t->patterns->n
	};
	t->report->dirs++;
	return read_level(t, level, err);
}

static void pop_level(struct tree *t)
{
	struct level *level = &t->levels[--t->n_levels];

	pattern_list_truncate(t->patterns, level->n_patterns);
	list_release(&level->list);
	closep(&level->fd);
}

/* A mount point that is not entered. */
static int skip_content(struct tree *t, bool is_virtual_fs, struct error *err)
{
	report_note(t->report, path(t), "content left out: %s",
		    is_virtual_fs ? "a virtual file system" : "another file system");
	t->report->dirs++;
	return end_dir(t, err);
}

static int visit_dir(struct tree *t, const struct level *level, const char *name, struct stat *st,
		     struct error *err)
{
	CLEANUP(closep) int fd = -1;
	long magic = level->magic;
	bool other_fs;
	int r;

	if (t->n_levels == TREE_DEPTH_MAX) {
		report_warn(t->report, path(t), "left out: deeper than %d levels", TREE_DEPTH_MAX);
		return 0;
	}
	if (open_entry(t, level, name, st, &fd))
		return 0;
	other_fs = st->st_dev != level->dev;
	if (other_fs && get_magic(fd, &magic, err) < 0) {
		report_warn(t->report, path(t), "left out: %s", err->text);
		return 0;
	}
	r = read_attrs(t, magic, fd, st, err);
	if (r)
		return r < 0 ? r : 0;
	r = begin_dir(t, name, err);
	if (r < 0)
		return r;
	if (other_fs &&
	    (is_virtual(magic) || (t->job->options->one_file_system && st->st_dev != t->dev)))
		return skip_content(t, is_virtual(magic), err);
	return push_level(t, take_fd(&fd), st->st_dev, magic, err);
}

/* The next name of the innermost directory. */
static int visit(struct tree *t, struct level *level, struct error *err)
{
	const char *name = level->list.names[level->next++];
	struct stat st;
	int r;

	r = set_path(t, level, name, err);
	if (r < 0)
		return r;
	if (t->n_levels == 1 && !strcmp(name, CLI_FILE))
		return 0; /* ours takes its place */
	if (fstatat(level->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		report_warn(t->report, path(t), "left out: %m");
		return 0;
	}
	if (pattern_list_excludes(t->patterns, path(t), strlen(path(t)), S_ISDIR(st.st_mode)))
		return 0;
	if (is_skipped(t, &st)) {
		report_note(t->report, path(t), "left out: it is the %s",
			    S_ISDIR(st.st_mode) ? "datastore" : "archive");
		return 0;
	}
	if (strlen(name) > FORMAT_NAME_MAX) {
		report_warn(t->report, path(t), "left out: a name of %zu bytes", strlen(name));
		return 0;
	}
	if (S_ISDIR(st.st_mode))
		return visit_dir(t, level, name, &st, err);
	if (S_ISREG(st.st_mode))
		return visit_file(t, level, name, &st, err);
	return visit_special(t, level, name, &st, err);
}

static int walk(struct tree *t, struct error *err)
{
	int r;

	while (t->n_levels) {
		struct level *level = &t->levels[t->n_levels - 1];

		if (!tick(t, 0))
			return error_set(err, EINTR, "interrupted");
		if (level->next < level->list.n) {
			r = visit(t, level, err);
		} else {
			pop_level(t);
			r = t->n_levels ? end_dir(t, err) : 0;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

/* The command line's patterns as a file, the last of the root's children. */
static int add_cli_file(struct tree *t, struct error *err)
{
	struct encoder_meta m = {
		.stat = { .mode = S_IFREG | 0600, .uid = getuid(), .gid = getgid() }
	};
	CLEANUP(buffer_release) struct buffer text = { 0 };
	int r;

	pattern_list_print(t->patterns, &text);
	r = buffer_finish(&text, err);
	if (r == 0)
		r = begin_file(t, CLI_FILE, &m, text.len, NULL, err);
	if (r == 0)
		r = encoder_data(t->encoder, text.bytes, text.len, err);
	return r < 0 ? r : encoder_end_file(t->encoder, err);
}

/* The bytes are opaque, as they are to readers. */
static int read_prelude(const char *path, struct buffer *prelude, struct error *err)
{
	static const struct io waiting = { .may_wait = true };
	CLEANUP(source_freep) struct source *file = NULL;
	uint8_t piece[4096];
	int r;

	r = source_open_file(&file, path, err);
	if (r < 0)
		return r;
	for (uint64_t at = 0; at < file->size; at += sizeof(piece)) {
		size_t n =
			file->size - at < sizeof(piece) ? (size_t)(file->size - at) : sizeof(piece);

		r = source_read(file, &waiting, at, piece, n, err);
		if (r < 0)
			return error_wrap(err, "%s", path);
		buffer_add(prelude, piece, n);
	}
	return 0;
}

static int open_encoder(struct tree *t, struct error *err)
{
	CLEANUP(buffer_release) struct buffer prelude = { 0 };
	const char *given = t->job->options->prelude;
	int r = 0;

	if (given)
		r = read_prelude(given, &prelude, err);
	else if (t->patterns->n)
		exclude_print_json(t->patterns, &prelude);
	if (r == 0)
		r = buffer_finish(&prelude, err);
	return r < 0 ? r
		     : encoder_open(&t->encoder, t->job->meta, t->job->payload, prelude.bytes,
				    prelude.len, &t->attrs.meta, err);
}

static int open_root(struct tree *t, struct error *err)
{
	const char *source = t->job->options->source;
	CLEANUP(closep) int fd = -1;
	struct stat st;
	long magic = 0;
	int r;

	fd = open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, errno, "open %s: %m", source);
	r = get_magic(fd, &magic, err);
	if (r < 0)
		return error_wrap(err, "%s", source);
	if (is_virtual(magic))
		return error_set(err, EINVAL, "%s is on a virtual file system", source);
	t->dev = st.st_dev;
	buffer_add(&t->path, "", 1);
	r = buffer_finish(&t->path, err);
	if (r < 0)
		return r;
	r = read_attrs(t, magic, fd, &st, err);
	if (r < 0)
		return r;
	r = open_encoder(t, err);
	return r < 0 ? r : push_level(t, take_fd(&fd), st.st_dev, magic, err);
}

static int pack(struct tree *t, struct error *err)
{
	size_t n_cli = t->patterns->n;
	int r;

	t->levels = calloc(TREE_DEPTH_MAX, sizeof(*t->levels));
	if (!t->levels)
		return error_set(err, ENOMEM, "out of memory");
	r = attrs_init(&t->attrs, err);
	if (r == 0)
		r = copy_init(&t->copy, err);
	if (r == 0)
		r = open_root(t, err);
	if (r == 0)
		r = walk(t, err);
	if (r == 0 && n_cli && !t->job->payload)
		r = add_cli_file(t, err);
	return r < 0 ? r : encoder_finish(t->encoder, err);
}

int tree_pack(const struct tree_job *job, struct error *err)
{
	struct tree t = {
		.job = job,
		.report = job->report,
		.patterns = &job->options->excludes,
		.copy = { .tick = tick, .arg = &t },
	};
	int r = pack(&t, err);

	while (t.n_levels)
		pop_level(&t);
	encoder_free(t.encoder);
	attrs_release(&t.attrs);
	copy_release(&t.copy);
	links_release(&t.links);
	buffer_release(&t.path);
	free(t.levels);
	return r;
}
