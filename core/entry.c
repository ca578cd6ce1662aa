#include "core/entry.h"

#include <inttypes.h>
#include <sys/stat.h>

int entry_decode_header(struct window *w, uint64_t offset, uint64_t limit,
			struct format_header *header, struct error *err)
{
	const uint8_t *bytes;
	int r;

	if (offset > limit || limit - offset < FORMAT_HEADER_SIZE)
		return error_set(err, EUCLEAN,
				 "item at %" PRIu64 ": no room for it before %" PRIu64, offset,
				 limit);
	r = window_get(w, offset, FORMAT_HEADER_SIZE, &bytes, err);
	if (r)
		return r < 0 ? error_wrap(err, "item at %" PRIu64, offset) : r;
	r = format_decode_header(bytes, header, err);
	if (r < 0)
		return error_wrap(err, "item at %" PRIu64, offset);
	if (header->size > limit - offset)
		return error_set(err, EUCLEAN,
				 "%s at %" PRIu64 ": its %" PRIu64 " bytes reach past %" PRIu64,
				 format_type_name(header->type), offset, header->size, limit);
	return 0;
}

/* A cursor over the content of the item, which is small enough to be read whole. */
static int item_content(struct window *w, uint64_t offset, const struct format_header *header,
			struct cursor *c, struct error *err)
{
	size_t n = (size_t)(header->size - FORMAT_HEADER_SIZE);
	const uint8_t *bytes = NULL;
	int r;

	r = window_get(w, offset + FORMAT_HEADER_SIZE, n, &bytes, err);
	if (r)
		return r;
	*c = cursor_init(bytes, n);
	return 0;
}

int entry_decode_name(struct window *w, uint64_t offset, uint64_t limit, struct format_string *name,
		      uint64_t *end, struct error *err)
{
	struct format_header header;
	struct cursor c;
	int r;

	r = entry_decode_header(w, offset, limit, &header, err);
	if (r)
		return r;
	if (header.type != FORMAT_FILENAME)
		return error_set(err, EUCLEAN, "%s at %" PRIu64 " where a FILENAME should be",
				 format_type_name(header.type), offset);
	r = item_content(w, offset, &header, &c, err);
	if (r)
		return r;
	r = format_decode_filename(&c, name, err);
	if (r < 0)
		return error_wrap(err, "item at %" PRIu64, offset);
	*end = offset + header.size;
	return 0;
}

int entry_decode_link(struct window *w, uint64_t offset, uint64_t limit, uint64_t *delta,
		      struct format_string *path, struct error *err)
{
	struct format_header header;
	struct cursor c;
	int r;

	r = entry_decode_header(w, offset, limit, &header, err);
	if (r)
		return r;
	if (header.type != FORMAT_HARDLINK)
		return error_set(err, EUCLEAN, "%s at %" PRIu64 " where a HARDLINK should be",
				 format_type_name(header.type), offset);
	r = item_content(w, offset, &header, &c, err);
	if (r)
		return r;
	r = format_decode_hardlink(&c, delta, path, err);
	return r < 0 ? error_wrap(err, "item at %" PRIu64, offset) : 0;
}

/* An entry being put together. */
struct decoding {
	struct window *w;
	uint64_t limit;
	bool split;
	struct entry *e;
	struct entry_more *more;
	bool has_group_obj, has_projid;
};

static int decode_stat(struct decoding *d, uint64_t offset, const struct format_header *header,
		       struct error *err)
{
	struct format_stat st;
	struct cursor c;
	int r;

	r = item_content(d->w, offset, header, &c, err);
	if (r)
		return r;
	r = header->type == FORMAT_ENTRY ? format_decode_stat(&c, &st, err)
					 : format_decode_stat_v1(&c, &st, err);
	if (r < 0)
		return error_wrap(err, "item at %" PRIu64, offset);
	d->e->mode = (uint16_t)st.mode;
	d->e->uid = st.uid;
	d->e->gid = st.gid;
	d->e->mtime_sec = st.mtime_sec;
	d->e->mtime_nsec = st.mtime_nsec;
	d->more->inode_flags = st.flags;
	if (st.flags)
		d->e->flags |= ENTRY_EXTRA;
	return 0;
}

static int repeated(uint64_t type, uint64_t offset, struct error *err)
{
	return error_set(err, EUCLEAN, "%s at %" PRIu64 ": the entry has one already",
			 format_type_name(type), offset);
}

static int decode_projid(struct decoding *d, uint64_t offset, const struct format_header *header,
			 struct error *err)
{
	struct cursor c;
	int r;

	if (d->has_projid)
		return repeated(header->type, offset, err);
	d->has_projid = true;
	r = item_content(d->w, offset, header, &c, err);
	if (r)
		return r;
	r = format_decode_u64(&c, &d->more->projid, err);
	if (!r && d->more->projid)
		d->e->flags |= ENTRY_EXTRA;
	return r;
}

/* Only what makes the whole entry wrong is looked at; values are xattr.c's. */
static int decode_attribute(struct decoding *d, uint64_t offset, const struct format_header *header,
			    struct error *err)
{
	struct format_string name, value;
	struct cursor c;
	int r;

	switch (header->type) {
	case FORMAT_XATTR:
		d->e->flags |= ENTRY_XATTR;
		r = item_content(d->w, offset, header, &c, err);
		if (r)
			return r;
		r = format_decode_xattr(&c, &name, &value, err);
		return r < 0 ? error_wrap(err, "item at %" PRIu64, offset) : 0;
	case FORMAT_ACL_GROUP_OBJ:
		if (d->has_group_obj)
			return repeated(header->type, offset, err);
		d->has_group_obj = true;
		d->e->flags |= ENTRY_ACL;
		return 0;
	case FORMAT_ACL_USER:
	case FORMAT_ACL_GROUP:
		d->e->flags |= ENTRY_ACL;
		return 0;
	case FORMAT_ACL_DEFAULT:
		if (d->e->flags & ENTRY_ACL_DEFAULT)
			return repeated(header->type, offset, err);
		d->e->flags |= ENTRY_ACL_DEFAULT;
		return 0;
	case FORMAT_ACL_DEFAULT_USER:
	case FORMAT_ACL_DEFAULT_GROUP:
		return 0;
	case FORMAT_FCAPS:
		if (d->e->flags & ENTRY_FCAPS)
			return repeated(header->type, offset, err);
		d->e->flags |= ENTRY_FCAPS;
		return 0;
	case FORMAT_QUOTA_PROJID:
		return decode_projid(d, offset, header, err);
	default:
		return error_set(err, EUCLEAN, "%s at %" PRIu64 " inside an entry",
				 format_type_name(header->type), offset);
	}
}

static bool is_attribute(uint64_t type)
{
	switch (type) {
	case FORMAT_XATTR:
	case FORMAT_ACL_USER:
	case FORMAT_ACL_GROUP:
	case FORMAT_ACL_GROUP_OBJ:
	case FORMAT_ACL_DEFAULT:
	case FORMAT_ACL_DEFAULT_USER:
	case FORMAT_ACL_DEFAULT_GROUP:
	case FORMAT_FCAPS:
	case FORMAT_QUOTA_PROJID:
		return true;
	default:
		return false;
	}
}

static int mode_disagrees(const struct decoding *d, const char *terminal, struct error *err)
{
	return error_set(err, EUCLEAN, "entry at %" PRIu64 ": its mode is %#o, but it has %s",
			 d->e->number & ~ENTRY_NON_DIRECTORY, (unsigned)d->e->mode, terminal);
}

static int decode_nothing(struct decoding *d, struct error *err)
{
	switch (d->e->mode & S_IFMT) {
	case S_IFIFO:
		d->e->kind = ENTRY_FIFO;
		return 0;
	case S_IFSOCK:
		d->e->kind = ENTRY_SOCKET;
		return 0;
	case S_IFDIR:
		d->e->kind = ENTRY_DIRECTORY;
		d->e->number = 0;
		return 0;
	default:
		return mode_disagrees(d, "no content", err);
	}
}

static int decode_payload(struct decoding *d, uint64_t offset, const struct format_header *header,
			  struct error *err)
{
	struct format_ref ref;
	struct cursor c;
	int r;

	if (!S_ISREG(d->e->mode))
		return mode_disagrees(d, "file content", err);
	d->e->kind = ENTRY_FILE;
	if ((header->type == FORMAT_PAYLOAD_REF) != d->split)
		return error_set(err, EUCLEAN, "%s at %" PRIu64 " in a %s archive",
				 format_type_name(header->type), offset,
				 d->split ? "split" : "unified");
	if (!d->split) {
		d->e->place = offset + FORMAT_HEADER_SIZE;
		d->e->size = header->size - FORMAT_HEADER_SIZE;
		return 0;
	}
	r = item_content(d->w, offset, header, &c, err);
	if (r)
		return r;
	r = format_decode_ref(&c, &ref, err);
	if (r < 0)
		return error_wrap(err, "item at %" PRIu64, offset);
	d->e->place = ref.offset;
	d->e->size = ref.size;
	return 0;
}

static int decode_symlink(struct decoding *d, uint64_t offset, const struct format_header *header,
			  struct error *err)
{
	struct format_string target;
	struct cursor c;
	int r;

	if (!S_ISLNK(d->e->mode))
		return mode_disagrees(d, "a link target", err);
	d->e->kind = ENTRY_SYMLINK;
	r = item_content(d->w, offset, header, &c, err);
	if (r)
		return r;
	r = format_decode_symlink(&c, &target, err);
	if (r < 0)
		return error_wrap(err, "item at %" PRIu64, offset);
	d->e->place = offset + FORMAT_HEADER_SIZE;
	d->e->size = target.len;
	return 0;
}

static int decode_device(struct decoding *d, uint64_t offset, const struct format_header *header,
			 struct error *err)
{
	uint64_t dev_major, dev_minor;
	struct cursor c;
	int r;

	if (!S_ISCHR(d->e->mode) && !S_ISBLK(d->e->mode))
		return mode_disagrees(d, "device numbers", err);
	d->e->kind = ENTRY_DEVICE;
	r = item_content(d->w, offset, header, &c, err);
	if (r)
		return r;
	r = format_decode_device(&c, &dev_major, &dev_minor, err);
	if (r < 0)
		return r;
	if (dev_major > UINT32_MAX || dev_minor > UINT32_MAX)
		return error_set(err, EUCLEAN,
				 "DEVICE at %" PRIu64 ": numbers %" PRIu64 ":%" PRIu64, offset,
				 dev_major, dev_minor);
	d->e->place = dev_major << 32 | dev_minor;
	return 0;
}

static int decode_terminal(struct decoding *d, uint64_t offset, const struct format_header *header,
			   struct error *err)
{
	switch (header->type) {
	case FORMAT_PAYLOAD:
	case FORMAT_PAYLOAD_REF:
		return decode_payload(d, offset, header, err);
	case FORMAT_SYMLINK:
		return decode_symlink(d, offset, header, err);
	case FORMAT_DEVICE:
		return decode_device(d, offset, header, err);
	default:
		return error_set(err, EUCLEAN, "%s at %" PRIu64 " inside an entry",
				 format_type_name(header->type), offset);
	}
}

/* Attributes and terminal item, from the end of the ENTRY on. */
static int decode_items(struct decoding *d, uint64_t at, struct error *err)
{
	struct format_header header;
	int r;

	d->more->attrs.start = at;
	for (;; at += header.size) {
		d->more->attrs.end = d->more->end = at;
		if (at == d->limit)
			return decode_nothing(d, err);
		header.type = 0;
		r = entry_decode_header(d->w, at, d->limit, &header, err);
		/* What is wrong with the next entry, or with the table, costs only that. */
		if (header.type == FORMAT_FILENAME || header.type == FORMAT_GOODBYE)
			return decode_nothing(d, err);
		if (r)
			return r;
		if (!is_attribute(header.type))
			break;
		r = decode_attribute(d, at, &header, err);
		if (r)
			return r;
	}
	d->more->end = at + header.size;
	return decode_terminal(d, at, &header, err);
}

static int decode_hardlink(struct decoding *d, uint64_t offset, const struct format_header *header,
			   struct error *err)
{
	struct format_string path;
	uint64_t delta;

	d->e->kind = ENTRY_HARDLINK;
	d->more->attrs.start = d->more->attrs.end = offset;
	d->more->end = offset + header->size;
	return entry_decode_link(d->w, offset, d->limit, &delta, &path, err);
}

int entry_decode(struct window *w, uint64_t offset, uint64_t limit, bool split, struct entry *e,
		 struct entry_more *more, struct error *err)
{
	struct entry_more scratch;
	struct decoding d = { .w = w, .limit = limit, .split = split, .e = e };
	struct format_header header;
	int r;

	d.more = more ? more : &scratch;
	*d.more = (struct entry_more){ 0 };
	*e = (struct entry){ .number = offset | ENTRY_NON_DIRECTORY };
	r = entry_decode_header(w, offset, limit, &header, err);
	if (r)
		return r;
	if (header.type == FORMAT_HARDLINK)
		return decode_hardlink(&d, offset, &header, err);
	if (header.type != FORMAT_ENTRY && header.type != FORMAT_ENTRY_V1)
		return error_set(err, EUCLEAN, "%s at %" PRIu64 " where an ENTRY should be",
				 format_type_name(header.type), offset);
	r = decode_stat(&d, offset, &header, err);
	if (r)
		return r;
	r = decode_items(&d, offset + header.size, err);
	if (!r && e->kind != ENTRY_DIRECTORY) /* a default ACL means nothing there */
		e->flags &= (uint8_t)~ENTRY_ACL_DEFAULT;
	return r;
}
