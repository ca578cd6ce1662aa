#include "core/encoder.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "core/goodbye.h"
#include "core/siphash.h"

/* How much of a goodbye table is put together before it is written. */
enum { TABLE_SLICE = 4096 };

struct level {
	uint64_t start;	     /* of the directory's FILENAME */
	uint64_t entry;	     /* of its ENTRY, as its tail says: 0 for the root whatever is before */
	uint64_t hash;	     /* of its name */
	size_t first_record; /* of its children */
};

struct encoder {
	struct sink *meta, *payload;
	uint64_t pos, payload_pos; /* bytes written to each */
	struct buffer items;	   /* being put together */

	struct level *levels; /* the directories that are open, the root first */
	size_t n_levels, room_levels;

	/* The children so far of all open directories; the offset of each is that of its
	   FILENAME until its directory ends. */
	struct format_record *records;
	size_t n_records, room_records;

	bool in_file;
	struct format_record file; /* the one that is open */
	uint64_t file_size, file_left;
};

/* Room for one more of n things of this size. */
static int make_room(void *array, size_t *room, size_t n, size_t size, struct error *err)
{
	size_t want = *room ? 2 * *room : 16;
	void **at = array, *grown;

	if (n < *room)
		return 0;
	grown = reallocarray(*at, want, size);
	if (!grown)
		return error_set(err, ENOMEM, "out of memory for %zu entries", want);
	*at = grown;
	*room = want;
	return 0;
}

static int flush(struct encoder *e, struct error *err)
{
	size_t n = e->items.len;
	int r;

	r = buffer_finish(&e->items, err);
	if (r < 0)
		return r;
	r = n ? e->meta->write(e->meta, e->items.bytes, n, err) : 0;
	e->pos += n;
	buffer_reset(&e->items);
	return r;
}

static int write_payload(struct encoder *e, const void *bytes, size_t n, struct error *err)
{
	struct sink *sink = e->payload ? e->payload : e->meta;

	*(e->payload ? &e->payload_pos : &e->pos) += n;
	return sink->write(sink, bytes, n, err);
}

static int write_payload_header(struct encoder *e, uint64_t type, uint64_t size, struct error *err)
{
	CLEANUP(buffer_release) struct buffer b = { 0 };
	int r;

	format_encode_header(&b, type, size);
	r = buffer_finish(&b, err);
	return r < 0 ? r : write_payload(e, b.bytes, b.len, err);
}

static int check_attributes(const struct encoder_meta *m, mode_t type, struct error *err)
{
	if ((m->stat.mode & S_IFMT) != type)
		return error_set(err, EINVAL, "mode %#" PRIo64 " where a type of %#o is due",
				 m->stat.mode, (unsigned)type);
	for (size_t i = 0; i < m->n_xattrs; i++) {
		const struct encoder_xattr *x = &m->xattrs[i];
		size_t name_len = strlen(x->name);

		/* An item may not be larger than this, though each of its parts may. */
		if (!name_len || name_len > FORMAT_XATTR_NAME_MAX ||
		    x->value_len > FORMAT_XATTR_VALUE_MAX ||
		    name_len + 1 + x->value_len > FORMAT_XATTR_NAME_MAX + FORMAT_XATTR_VALUE_MAX)
			return error_set(err, EINVAL, "an xattr of %zu bytes of name, %zu of value",
					 name_len, x->value_len);
	}
	if (m->fcaps_len > FORMAT_XATTR_VALUE_MAX)
		return error_set(err, EINVAL, "file capabilities of %zu bytes", m->fcaps_len);
	return 0;
}

static int add_attributes(struct encoder *e, const struct encoder_meta *m, mode_t type,
			  struct error *err)
{
	int r = check_attributes(m, type, err);

	if (r < 0)
		return r;
	format_encode_stat(&e->items, &m->stat);
	for (size_t i = 0; i < m->n_xattrs; i++)
		format_encode_xattr(&e->items, m->xattrs[i].name, strlen(m->xattrs[i].name),
				    m->xattrs[i].value, m->xattrs[i].value_len);
	if (m->acl)
		acl_encode_items(m->acl, &e->items);
	if (m->fcaps)
		format_encode_bytes(&e->items, FORMAT_FCAPS, m->fcaps, m->fcaps_len);
	if (m->projid)
		format_encode_u64(&e->items, FORMAT_QUOTA_PROJID, m->projid);
	return 0;
}

/* Begins a child of the directory that is open; the record's size is not known yet. */
static int add_name(struct encoder *e, const char *name, struct format_record *record,
		    struct error *err)
{
	size_t len = strlen(name);

	if (e->in_file || !e->n_levels)
		return error_set(err, EINVAL, "an entry begins where none can");
	if (!len || len > FORMAT_NAME_MAX || strchr(name, '/') || !strcmp(name, ".") ||
	    !strcmp(name, ".."))
		return error_set(err, EINVAL, "no entry can have this name of %zu bytes", len);
	*record = (struct format_record){ .hash = siphash_name(name, len), .offset = e->pos };
	format_encode_string(&e->items, FORMAT_FILENAME, name, len);
	return 0;
}

static int add_record(struct encoder *e, struct format_record record, struct error *err)
{
	int r = make_room(&e->records, &e->room_records, e->n_records, sizeof(record), err);

	if (r < 0)
		return r;
	e->records[e->n_records++] = record;
	return 0;
}

/* Writes the items of an entry that they make up completely. */
static int end_entry(struct encoder *e, struct format_record record, struct error *err)
{
	int r = flush(e, err);

	if (r < 0)
		return r;
	record.size = e->pos - record.offset;
	return add_record(e, record, err);
}

int encoder_open(struct encoder **out, struct sink *meta, struct sink *payload, const void *prelude,
		 size_t prelude_len, const struct encoder_meta *root, struct error *err)
{
	CLEANUP(encoder_freep) struct encoder *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return error_set(err, ENOMEM, "out of memory");
	e->meta = meta;
	e->payload = payload;
	if (payload) {
		r = write_payload_header(e, FORMAT_PAYLOAD_START, 0, err);
		if (r < 0)
			return r;
		format_encode_version(&e->items, 2);
		if (prelude)
			format_encode_bytes(&e->items, FORMAT_PRELUDE, prelude, prelude_len);
	}
	r = make_room(&e->levels, &e->room_levels, 0, sizeof(*e->levels), err);
	if (r < 0)
		return r;
	e->levels[e->n_levels++] = (struct level){ 0 };
	r = add_attributes(e, root, S_IFDIR, err);
	if (r < 0)
		return error_wrap(err, "root");
	r = flush(e, err);
	if (r < 0)
		return r;
	*out = TAKE(e);
	return 0;
}

void encoder_free(struct encoder *e)
{
	if (!e)
		return;
	buffer_release(&e->items);
	free(e->levels);
	free(e->records);
	free(e);
}

int encoder_begin_dir(struct encoder *e, const char *name, const struct encoder_meta *m,
		      struct error *err)
{
	struct format_record record;
	struct level level;
	int r;

	r = add_name(e, name, &record, err);
	if (r < 0)
		return r;
	level = (struct level){ record.offset, e->pos + e->items.len, record.hash, e->n_records };
	r = make_room(&e->levels, &e->room_levels, e->n_levels, sizeof(level), err);
	if (r < 0)
		return r;
	e->levels[e->n_levels++] = level;
	r = add_attributes(e, m, S_IFDIR, err);
	if (r < 0)
		return r;
	return flush(e, err);
}

/* Writes the table of the directory that was begun last, and closes that directory. */
static int end_level(struct encoder *e, struct error *err)
{
	const struct level level = e->levels[--e->n_levels];
	struct format_record *records = e->records + level.first_record;
	size_t n = e->n_records - level.first_record;
	uint64_t goodbye = e->pos, content = (n + 1) * FORMAT_RECORD_SIZE;
	struct format_record tail = { FORMAT_GOODBYE_TAIL, goodbye - level.entry,
				      FORMAT_HEADER_SIZE + content };
	int r;

	for (size_t i = 0; i < n; i++)
		records[i].offset = goodbye - records[i].offset;
	r = goodbye_build(records, n, err);
	if (r < 0)
		return r;
	format_encode_header(&e->items, FORMAT_GOODBYE, content);
	for (size_t i = 0; i < n; i++) {
		format_encode_record(&e->items, &records[i]);
		r = i % TABLE_SLICE ? 0 : flush(e, err);
		if (r < 0)
			return r;
	}
	format_encode_record(&e->items, &tail);
	e->n_records = level.first_record;
	return flush(e, err);
}

int encoder_end_dir(struct encoder *e, struct error *err)
{
	struct level level;
	int r;

	if (e->in_file || e->n_levels < 2)
		return error_set(err, EINVAL, "no directory ends here");
	level = e->levels[e->n_levels - 1];
	r = end_level(e, err);
	if (r < 0)
		return r;
	return add_record(
		e, (struct format_record){ level.hash, level.start, e->pos - level.start }, err);
}

int encoder_begin_file(struct encoder *e, const char *name, const struct encoder_meta *m,
		       uint64_t size, uint64_t *start, struct error *err)
{
	struct format_ref ref = { e->payload_pos, size };
	uint64_t end;
	int r;

	r = add_name(e, name, &e->file, err);
	if (r < 0)
		return r;
	r = add_attributes(e, m, S_IFREG, err);
	if (r < 0)
		return r;
	if (!checked_add(e->pos + e->payload_pos, size, &end) || end > INT64_MAX)
		return error_set(err, EFBIG, "a file of %" PRIu64 " bytes", size);
	if (e->payload) {
		r = write_payload_header(e, FORMAT_PAYLOAD, size, err);
		if (r < 0)
			return r;
		format_encode_ref(&e->items, &ref);
	} else {
		format_encode_header(&e->items, FORMAT_PAYLOAD, size);
	}
	e->in_file = true;
	e->file_size = e->file_left = size;
	if (start)
		*start = e->file.offset;
	return flush(e, err);
}

int encoder_data(struct encoder *e, const void *bytes, size_t n, struct error *err)
{
	if (!e->in_file || n > e->file_left)
		return error_set(err, EINVAL, "%zu bytes of data where %" PRIu64 " are due", n,
				 e->in_file ? e->file_left : 0);
	e->file_left -= n;
	return n ? write_payload(e, bytes, n, err) : 0;
}

int encoder_end_file(struct encoder *e, struct error *err)
{
	if (!e->in_file || e->file_left)
		return error_set(err, EINVAL, "%" PRIu64 " bytes of %" PRIu64 " are missing",
				 e->file_left, e->file_size);
	e->in_file = false;
	e->file.size = e->pos - e->file.offset;
	/* The reference counts the data in, though in a split archive it is in the other file. */
	if (e->payload)
		e->file.size += e->file_size;
	return add_record(e, e->file, err);
}

int encoder_symlink(struct encoder *e, const char *name, const struct encoder_meta *m,
		    const char *target, struct error *err)
{
	struct format_record record;
	size_t len = strlen(target);
	int r;

	if (!len || len > FORMAT_LINK_MAX)
		return error_set(err, EINVAL, "a link target of %zu bytes", len);
	r = add_name(e, name, &record, err);
	if (r < 0)
		return r;
	r = add_attributes(e, m, S_IFLNK, err);
	if (r < 0)
		return r;
	format_encode_string(&e->items, FORMAT_SYMLINK, target, len);
	return end_entry(e, record, err);
}

int encoder_device(struct encoder *e, const char *name, const struct encoder_meta *m,
		   uint64_t dev_major, uint64_t dev_minor, struct error *err)
{
	struct format_record record;
	int r;

	r = add_name(e, name, &record, err);
	if (r < 0)
		return r;
	r = add_attributes(e, m, S_ISBLK(m->stat.mode) ? S_IFBLK : S_IFCHR, err);
	if (r < 0)
		return r;
	format_encode_device(&e->items, dev_major, dev_minor);
	return end_entry(e, record, err);
}

int encoder_fifo_or_socket(struct encoder *e, const char *name, const struct encoder_meta *m,
			   struct error *err)
{
	struct format_record record;
	int r;

	r = add_name(e, name, &record, err);
	if (r < 0)
		return r;
	r = add_attributes(e, m, S_ISSOCK(m->stat.mode) ? S_IFSOCK : S_IFIFO, err);
	if (r < 0)
		return r;
	return end_entry(e, record, err);
}

int encoder_hardlink(struct encoder *e, const char *name, uint64_t target_start,
		     const char *target_path, struct error *err)
{
	struct format_record record;
	size_t len = strlen(target_path);
	int r;

	if (!len || len > FORMAT_PATH_MAX)
		return error_set(err, EINVAL, "a hardlink's target path of %zu bytes", len);
	if (target_start >= e->pos)
		return error_set(err, EINVAL,
				 "a hardlink at %" PRIu64 " to %" PRIu64 ", not before it", e->pos,
				 target_start);
	r = add_name(e, name, &record, err);
	if (r < 0)
		return r;
	format_encode_hardlink(&e->items, record.offset - target_start, target_path, len);
	return end_entry(e, record, err);
}

int encoder_finish(struct encoder *e, struct error *err)
{
	int r;

	if (e->in_file || e->n_levels != 1)
		return error_set(err, EINVAL, "the archive ends with %zu directories open",
				 e->n_levels);
	r = end_level(e, err);
	if (r < 0 || !e->payload)
		return r;
	return write_payload_header(e, FORMAT_PAYLOAD_TAIL, 0, err);
}
