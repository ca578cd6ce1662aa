#include "tests/unit/archives.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/goodbye.h"
#include "core/siphash.h"

struct memory {
	struct sink sink;
	struct buffer *bytes;
};

static int memory_write(struct sink *sink, const void *bytes, size_t n, struct error *err)
{
	struct buffer *b = ((struct memory *)sink)->bytes;

	buffer_add(b, bytes, n);
	return buffer_finish(b, err);
}

static void ok(int r)
{
	ck_assert_int_eq(r, 0);
}

/* An archive being written. */
struct writing {
	struct archive archive;
	struct memory meta, payload;
	struct encoder *e;
};

static struct encoder_meta with_mode(uint64_t mode)
{
	return (struct encoder_meta){
		.stat = { .mode = mode,
			  .uid = 1000,
			  .gid = 100,
			  .mtime_sec = 1430487000,
			  .mtime_nsec = 5 },
	};
}

static void begin(struct writing *w, bool split, const struct encoder_meta *root)
{
	static const char prelude[] = "{\"exclude-patterns\":\"*.o\"}";

	*w = (struct writing){ .archive.split = split };
	w->meta = (struct memory){ { memory_write }, &w->archive.meta };
	w->payload = (struct memory){ { memory_write }, &w->archive.payload };
	ok(encoder_open(&w->e, &w->meta.sink, split ? &w->payload.sink : NULL, prelude,
			strlen(prelude), root, NULL));
}

static struct archive end(struct writing *w)
{
	ok(encoder_finish(w->e, NULL));
	encoder_free(w->e);
	return w->archive;
}

static uint64_t put_file(struct writing *w, const char *name, const struct encoder_meta *m,
			 const char *content)
{
	uint64_t start;

	ok(encoder_begin_file(w->e, name, m, strlen(content), &start, NULL));
	ok(encoder_data(w->e, content, strlen(content), NULL));
	ok(encoder_end_file(w->e, NULL));
	return start;
}

/* Attributes of every sort. */
static struct encoder_meta dressed(uint64_t mode)
{
	static const struct encoder_xattr xattrs[] = { { "user.comment", "none", 4 },
						       { "trusted.x", "\0\1", 2 },
						       { "user.empty", "", 0 } };
	static struct format_acl users[] = { { 1, 6 }, { 7, 4 } }, groups[] = { { 100, 5 } };
	static const struct acl access = { .user = { users, 2, 2, 0 },
					   .group = { groups, 1, 1, 0 },
					   .has_group_obj = true,
					   .group_obj = 4 };
	static const struct acl both = { .user = { users, 1, 1, 0 },
					 .default_user = { users, 2, 2, 0 },
					 .default_group = { groups, 1, 1, 0 },
					 .has_default = true,
					 .base = { 7, 5, 1, 7 } };
	struct encoder_meta m = with_mode(mode);

	m.xattrs = xattrs;
	m.n_xattrs = 3;
	m.acl = S_ISDIR(mode) ? &both : &access;
	m.fcaps = "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
	m.fcaps_len = S_ISREG(mode) ? 20 : 0;
	if (!S_ISREG(mode))
		m.fcaps = NULL;
	m.projid = 77;
	m.stat.flags = 0x410000;
	return m;
}

static void put_special(struct writing *w)
{
	struct encoder_meta chr = with_mode(S_IFCHR | 0600), blk = with_mode(S_IFBLK | 0660);
	struct encoder_meta fifo = with_mode(S_IFIFO | 0644), sock = with_mode(S_IFSOCK | 0755);
	struct encoder_meta link = with_mode(S_IFLNK | 0777);

	ok(encoder_device(w->e, "block", &blk, 8, 1048575, NULL));
	ok(encoder_device(w->e, "char", &chr, 1, 3, NULL));
	ok(encoder_fifo_or_socket(w->e, "fifo", &fifo, NULL));
	ok(encoder_symlink(w->e, "link", &link, "../elsewhere", NULL));
	ok(encoder_fifo_or_socket(w->e, "socket", &sock, NULL));
}

struct archive archive_sample(bool split)
{
	struct encoder_meta root = dressed(S_IFDIR | 0755), dir = dressed(S_IFDIR | 02770);
	struct encoder_meta file = with_mode(S_IFREG | 0644), full = dressed(S_IFREG | 0664);
	struct encoder_meta plain = with_mode(S_IFDIR | 0700);
	struct writing w;
	uint64_t target;

	begin(&w, split, &root);
	target = put_file(&w, "a", &file, "hello\n");
	put_file(&w, "dressed", &full, "dressed up");
	ok(encoder_begin_dir(w.e, "dir", &dir, NULL));
	ok(encoder_hardlink(w.e, "a-again", target, "a", NULL));
	put_file(&w, "empty", &file, "");
	ok(encoder_begin_dir(w.e, "hollow", &plain, NULL));
	ok(encoder_end_dir(w.e, NULL));
	ok(encoder_begin_dir(w.e, "inner", &plain, NULL));
	put_file(&w, "deep", &full, "deep down");
	ok(encoder_end_dir(w.e, NULL));
	put_file(&w, "\xff\n name", &full, "odd");
	ok(encoder_end_dir(w.e, NULL));
	ok(encoder_hardlink(w.e, "hard", target, "a", NULL));
	put_special(&w);
	put_file(&w, "zero", &file, "");
	return end(&w);
}

struct archive archive_wide(bool split, unsigned n)
{
	struct encoder_meta dir = with_mode(S_IFDIR | 0755), file = with_mode(S_IFREG | 0644);
	struct writing w;
	char name[16];

	begin(&w, split, &dir);
	ok(encoder_begin_dir(w.e, "many", &dir, NULL));
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "f%04u", i);
		put_file(&w, name, &file, name);
	}
	ok(encoder_end_dir(w.e, NULL));
	return end(&w);
}

struct archive archive_deep(unsigned depth)
{
	struct encoder_meta dir = with_mode(S_IFDIR | 0755);
	struct writing w;

	begin(&w, false, &dir);
	for (unsigned i = 0; i < depth; i++)
		ok(encoder_begin_dir(w.e, "d", &dir, NULL));
	for (unsigned i = 0; i < depth; i++)
		ok(encoder_end_dir(w.e, NULL));
	return end(&w);
}

struct archive archive_links(unsigned targets, unsigned links, uint64_t *starts)
{
	struct encoder_meta dir = with_mode(S_IFDIR | 0755), file = with_mode(S_IFREG | 0644);
	struct writing w;
	char name[32], target[16];

	begin(&w, false, &dir);
	for (unsigned t = 0; t < targets; t++) {
		snprintf(target, sizeof(target), "t%u", t);
		starts[t] = put_file(&w, target, &file, "");
	}
	for (unsigned i = 0; i < targets * links; i++) { /* the links of all targets mixed */
		snprintf(target, sizeof(target), "t%u", i % targets);
		snprintf(name, sizeof(name), "link%u", i);
		ok(encoder_hardlink(w.e, name, starts[i % targets], target, NULL));
	}
	return end(&w);
}

void archive_release(struct archive *a)
{
	buffer_release(&a->meta);
	buffer_release(&a->payload);
}

struct buffer archive_file(const char *path)
{
	const char *base = getenv("REFERENCE");
	struct buffer b = { 0 };
	char full[512], piece[4096];
	size_t n;
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", base ? base : "tests/reference", path);
	f = fopen(full, "rb");
	ck_assert_msg(f != NULL, "cannot open %s", full);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		buffer_add(&b, piece, n);
	fclose(f);
	return b;
}

struct archive archive_reference(const char *meta, const char *payload)
{
	struct archive a = { .meta = archive_file(meta), .split = payload };

	if (payload)
		a.payload = archive_file(payload);
	return a;
}

uint64_t archive_get64(const struct archive *a, uint64_t offset)
{
	struct cursor c;

	ck_assert_uint_le(offset + 8, a->meta.len);
	c = cursor_init(a->meta.bytes + offset, 8);
	return cursor_le64(&c);
}

void archive_put64(struct archive *a, uint64_t offset, uint64_t value)
{
	ck_assert_uint_le(offset + 8, a->meta.len);
	for (unsigned i = 0; i < 8; i++)
		a->meta.bytes[offset + i] = (uint8_t)(value >> (8 * i));
}

static uint64_t item_size(const struct archive *a, uint64_t offset)
{
	uint64_t size = archive_get64(a, offset + 8);

	ck_assert(size >= FORMAT_HEADER_SIZE && size <= a->meta.len - offset);
	return size;
}

uint64_t archive_item(const struct archive *a, uint64_t from, uint64_t type)
{
	while (archive_get64(a, from) != type)
		from += item_size(a, from);
	return from;
}

uint64_t archive_name(const struct archive *a, const char *name)
{
	uint64_t at = 0, size;

	for (;; at += size) {
		at = archive_item(a, at, FORMAT_FILENAME);
		size = item_size(a, at);
		if (size == FORMAT_HEADER_SIZE + strlen(name) + 1 &&
		    !memcmp(a->meta.bytes + at + FORMAT_HEADER_SIZE, name, strlen(name)))
			return at;
	}
}

uint64_t archive_table(const struct archive *a, uint64_t start, uint64_t *record)
{
	uint64_t at = start, size;

	for (;; at += size) {
		at = archive_item(a, at, FORMAT_GOODBYE);
		size = item_size(a, at);
		for (*record = at + FORMAT_HEADER_SIZE; *record < at + size - FORMAT_RECORD_SIZE;
		     *record += FORMAT_RECORD_SIZE)
			if (at - archive_get64(a, *record + 8) == start)
				return at;
	}
}

void raw_begin(struct raw *raw)
{
	*raw = (struct raw){ 0 };
	raw_stat(raw, S_IFDIR | 0755);
}

void raw_name(struct raw *raw, const void *name, size_t len)
{
	ck_assert_uint_lt(raw->n, sizeof(raw->records) / sizeof(raw->records[0]));
	raw->records[raw->n] =
		(struct format_record){ .hash = siphash_name(name, len), .offset = raw->bytes.len };
	format_encode_string(&raw->bytes, FORMAT_FILENAME, name, len);
}

void raw_stat(struct raw *raw, uint64_t mode)
{
	struct format_stat st = { .mode = mode, .mtime_sec = 1 };

	format_encode_stat(&raw->bytes, &st);
}

void raw_end(struct raw *raw)
{
	struct format_record *record = &raw->records[raw->n++];

	record->size = raw->bytes.len - record->offset;
}

void raw_file(struct raw *raw, const char *name, const char *content)
{
	raw_name(raw, name, strlen(name));
	raw_stat(raw, S_IFREG | 0644);
	format_encode_bytes(&raw->bytes, FORMAT_PAYLOAD, content, strlen(content));
	raw_end(raw);
}

struct archive raw_finish(struct raw *raw)
{
	uint64_t at = raw->bytes.len, content = (raw->n + 1) * FORMAT_RECORD_SIZE;
	struct format_record tail = { FORMAT_GOODBYE_TAIL, at, FORMAT_HEADER_SIZE + content };

	for (size_t i = 0; i < raw->n; i++)
		raw->records[i].offset = at - raw->records[i].offset;
	ok(goodbye_build(raw->records, raw->n, NULL));
	format_encode_header(&raw->bytes, FORMAT_GOODBYE, content);
	for (size_t i = 0; i < raw->n; i++)
		format_encode_record(&raw->bytes, &raw->records[i]);
	format_encode_record(&raw->bytes, &tail);
	ok(buffer_finish(&raw->bytes, NULL));
	return (struct archive){ .meta = raw->bytes };
}

static int flaky_read(struct source *source, const struct io *io, uint64_t offset, void *buf,
		      size_t n, struct error *err)
{
	struct flaky *f = (struct flaky *)source;

	f->reads++;
	if (f->waits && !io->may_wait)
		return 1;
	if (f->reads == f->bad_one || (offset < f->bad.end && offset + n > f->bad.start))
		return error_set(err, f->failure, "made to fail");
	memcpy(buf, f->bytes + offset, n);
	return 0;
}

static const struct source_ops flaky_ops = { .read = flaky_read };

struct flaky flaky_init(const struct buffer *bytes)
{
	return (struct flaky){ .source = { &flaky_ops, bytes->len },
			       .bytes = bytes->bytes,
			       .failure = -EIO };
}
