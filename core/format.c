#include "core/format.h"

#include <inttypes.h>
#include <string.h>

/* What each type may have as content. */
static const struct item_type {
	uint64_t type;
	const char *name;
	uint64_t min, max;
} item_types[] = {
	{ FORMAT_VERSION, "FORMAT_VERSION", 8, 8 },
	{ FORMAT_PRELUDE, "PRELUDE", 0, UINT64_MAX },
	{ FORMAT_ENTRY, "ENTRY", 40, 40 },
	{ FORMAT_ENTRY_V1, "ENTRY_V1", 32, 32 },
	{ FORMAT_FILENAME, "FILENAME", 0, FORMAT_PATH_MAX + 1 },
	{ FORMAT_SYMLINK, "SYMLINK", 2, FORMAT_PATH_MAX + 1 },
	{ FORMAT_DEVICE, "DEVICE", 16, 16 },
	{ FORMAT_XATTR, "XATTR", 1, FORMAT_XATTR_NAME_MAX + FORMAT_XATTR_VALUE_MAX },
	{ FORMAT_ACL_USER, "ACL_USER", 16, 16 },
	{ FORMAT_ACL_GROUP, "ACL_GROUP", 16, 16 },
	{ FORMAT_ACL_GROUP_OBJ, "ACL_GROUP_OBJ", 8, 8 },
	{ FORMAT_ACL_DEFAULT, "ACL_DEFAULT", 32, 32 },
	{ FORMAT_ACL_DEFAULT_USER, "ACL_DEFAULT_USER", 16, 16 },
	{ FORMAT_ACL_DEFAULT_GROUP, "ACL_DEFAULT_GROUP", 16, 16 },
	{ FORMAT_FCAPS, "FCAPS", 0, FORMAT_XATTR_NAME_MAX + FORMAT_XATTR_VALUE_MAX },
	{ FORMAT_QUOTA_PROJID, "QUOTA_PROJID", 8, 8 },
	{ FORMAT_HARDLINK, "HARDLINK", 10, 8 + FORMAT_PATH_MAX + 1 },
	{ FORMAT_PAYLOAD, "PAYLOAD", 0, UINT64_MAX },
	{ FORMAT_PAYLOAD_REF, "PAYLOAD_REF", 16, 16 },
	{ FORMAT_GOODBYE, "GOODBYE", 0, UINT64_MAX },
	{ FORMAT_PAYLOAD_START, "PAYLOAD_START_MARKER", 0, 0 },
	{ FORMAT_PAYLOAD_TAIL, "PAYLOAD_TAIL_MARKER", 0, 0 },
};

static const struct item_type *find_type(uint64_t type)
{
	for (size_t i = 0; i < sizeof(item_types) / sizeof(item_types[0]); i++)
		if (item_types[i].type == type)
			return &item_types[i];
	return NULL;
}

const char *format_type_name(uint64_t type)
{
	const struct item_type *t = find_type(type);

	return t ? t->name : "unknown item";
}

int format_decode_header(const void *bytes, struct format_header *header, struct error *err)
{
	struct cursor c = cursor_init(bytes, FORMAT_HEADER_SIZE);
	const struct item_type *t;
	uint64_t content;

	header->type = cursor_le64(&c);
	header->size = cursor_le64(&c);
	t = find_type(header->type);
	if (!t)
		return error_set(err, EUCLEAN, "no item has the type %#018" PRIx64, header->type);
	if (!checked_sub(header->size, FORMAT_HEADER_SIZE, &content) || content < t->min ||
	    content > t->max)
		return error_set(err, EUCLEAN, "%s item of %" PRIu64 " bytes", t->name,
				 header->size);
	return 0;
}

int format_decode_version(struct cursor *c, uint64_t *version, struct error *err)
{
	*version = cursor_le64(c);
	return cursor_finish(c, err, "FORMAT_VERSION");
}

static int check_stat(const struct format_stat *st, struct error *err, const char *what)
{
	if (st->mode & ~UINT64_C(0177777))
		return error_set(err, EUCLEAN, "%s: mode is %#" PRIo64, what, st->mode);
	if (st->mtime_nsec >= 1000000000)
		return error_set(err, EUCLEAN, "%s: mtime has %" PRIu32 " ns", what,
				 st->mtime_nsec);
	return 0;
}

int format_decode_stat(struct cursor *c, struct format_stat *st, struct error *err)
{
	int r;

	st->mode = cursor_le64(c);
	st->flags = cursor_le64(c);
	st->uid = cursor_le32(c);
	st->gid = cursor_le32(c);
	st->mtime_sec = (int64_t)cursor_le64(c);
	st->mtime_nsec = cursor_le32(c);
	(void)cursor_le32(c); /* padding */
	r = cursor_finish(c, err, "ENTRY");
	return r < 0 ? r : check_stat(st, err, "ENTRY");
}

int format_decode_stat_v1(struct cursor *c, struct format_stat *st, struct error *err)
{
	uint64_t ns;
	int r;

	st->mode = cursor_le64(c);
	st->flags = cursor_le64(c);
	st->uid = cursor_le32(c);
	st->gid = cursor_le32(c);
	ns = cursor_le64(c);
	st->mtime_sec = (int64_t)(ns / 1000000000);
	st->mtime_nsec = (uint32_t)(ns % 1000000000);
	r = cursor_finish(c, err, "ENTRY_V1");
	return r < 0 ? r : check_stat(st, err, "ENTRY_V1");
}

/* Text with a NUL at its end and none before it. */
static int decode_string(struct cursor *c, struct format_string *s, size_t max, struct error *err,
			 const char *what)
{
	size_t n = cursor_left(c);

	if (n < 2)
		return error_set(err, EUCLEAN, "%s: empty", what);
	s->len = n - 1;
	s->bytes = cursor_bytes(c, n);
	if (s->bytes[s->len])
		return error_set(err, EUCLEAN, "%s: not terminated", what);
	if (memchr(s->bytes, 0, s->len))
		return error_set(err, EUCLEAN, "%s: NUL inside", what);
	if (s->len > max)
		return error_set(err, EUCLEAN, "%s: %zu bytes, more than %zu", what, s->len, max);
	return 0;
}

int format_decode_filename(struct cursor *c, struct format_string *name, struct error *err)
{
	int r = decode_string(c, name, FORMAT_NAME_MAX, err, "FILENAME");

	if (r < 0)
		return r;
	if (memchr(name->bytes, '/', name->len))
		return error_set(err, EUCLEAN, "FILENAME: '/' inside");
	if (name->bytes[0] == '.' && (name->len == 1 || (name->len == 2 && name->bytes[1] == '.')))
		return error_set(err, EUCLEAN, "FILENAME: '.' or '..'");
	return 0;
}

int format_decode_symlink(struct cursor *c, struct format_string *target, struct error *err)
{
	return decode_string(c, target, FORMAT_LINK_MAX, err, "SYMLINK");
}

int format_decode_device(struct cursor *c, uint64_t *dev_major, uint64_t *dev_minor,
			 struct error *err)
{
	*dev_major = cursor_le64(c);
	*dev_minor = cursor_le64(c);
	return cursor_finish(c, err, "DEVICE");
}

int format_decode_hardlink(struct cursor *c, uint64_t *delta, struct format_string *path,
			   struct error *err)
{
	*delta = cursor_le64(c);
	return decode_string(c, path, FORMAT_PATH_MAX, err, "HARDLINK");
}

int format_decode_xattr(struct cursor *c, struct format_string *name, struct format_string *value,
			struct error *err)
{
	size_t n = cursor_left(c);
	const uint8_t *bytes = cursor_bytes(c, n);
	const uint8_t *nul = n ? memchr(bytes, 0, n) : NULL;

	if (!nul)
		return error_set(err, EUCLEAN, "XATTR: no NUL after the name");
	*name = (struct format_string){ bytes, (size_t)(nul - bytes) };
	*value = (struct format_string){ nul + 1, n - name->len - 1 };
	if (value->len > FORMAT_XATTR_VALUE_MAX)
		return error_set(err, EUCLEAN, "XATTR: a value of %zu bytes", value->len);
	return 0;
}

int format_decode_acl(struct cursor *c, struct format_acl *acl, struct error *err)
{
	acl->id = cursor_le64(c);
	acl->permissions = cursor_le64(c);
	return cursor_finish(c, err, "ACL item");
}

int format_decode_acl_default(struct cursor *c, struct format_acl_default *acl, struct error *err)
{
	acl->user_obj = cursor_le64(c);
	acl->group_obj = cursor_le64(c);
	acl->other = cursor_le64(c);
	acl->mask = cursor_le64(c);
	return cursor_finish(c, err, "ACL_DEFAULT");
}

int format_decode_u64(struct cursor *c, uint64_t *value, struct error *err)
{
	*value = cursor_le64(c);
	return cursor_finish(c, err, "number item");
}

int format_decode_ref(struct cursor *c, struct format_ref *ref, struct error *err)
{
	uint64_t end;
	int r;

	ref->offset = cursor_le64(c);
	ref->size = cursor_le64(c);
	r = cursor_finish(c, err, "PAYLOAD_REF");
	if (r < 0)
		return r;
	if (!checked_add(ref->offset, FORMAT_HEADER_SIZE, &end) ||
	    !checked_add(end, ref->size, &end) || end > INT64_MAX)
		return error_set(err, EUCLEAN, "PAYLOAD_REF: %" PRIu64 " bytes at %" PRIu64,
				 ref->size, ref->offset);
	return 0;
}

void format_decode_record(struct cursor *c, struct format_record *record)
{
	record->hash = cursor_le64(c);
	record->offset = cursor_le64(c);
	record->size = cursor_le64(c);
}

void format_encode_header(struct buffer *b, uint64_t type, uint64_t content_size)
{
	buffer_le64(b, type);
	buffer_le64(b, FORMAT_HEADER_SIZE + content_size);
}

void format_encode_version(struct buffer *b, uint64_t version)
{
	format_encode_u64(b, FORMAT_VERSION, version);
}

void format_encode_stat(struct buffer *b, const struct format_stat *st)
{
	format_encode_header(b, FORMAT_ENTRY, 40);
	buffer_le64(b, st->mode);
	buffer_le64(b, st->flags);
	buffer_le32(b, st->uid);
	buffer_le32(b, st->gid);
	buffer_le64(b, (uint64_t)st->mtime_sec);
	buffer_le32(b, st->mtime_nsec);
	buffer_le32(b, 0);
}

void format_encode_stat_v1(struct buffer *b, const struct format_stat *st)
{
	format_encode_header(b, FORMAT_ENTRY_V1, 32);
	buffer_le64(b, st->mode);
	buffer_le64(b, st->flags);
	buffer_le32(b, st->uid);
	buffer_le32(b, st->gid);
	buffer_le64(b, (uint64_t)st->mtime_sec * 1000000000 + st->mtime_nsec);
}

void format_encode_string(struct buffer *b, uint64_t type, const void *text, size_t len)
{
	format_encode_header(b, type, len + 1);
	buffer_add(b, text, len);
	buffer_add(b, "", 1);
}

void format_encode_device(struct buffer *b, uint64_t dev_major, uint64_t dev_minor)
{
	format_encode_header(b, FORMAT_DEVICE, 16);
	buffer_le64(b, dev_major);
	buffer_le64(b, dev_minor);
}

void format_encode_hardlink(struct buffer *b, uint64_t delta, const void *path, size_t len)
{
	format_encode_header(b, FORMAT_HARDLINK, 8 + len + 1);
	buffer_le64(b, delta);
	buffer_add(b, path, len);
	buffer_add(b, "", 1);
}

void format_encode_xattr(struct buffer *b, const void *name, size_t name_len, const void *value,
			 size_t value_len)
{
	format_encode_header(b, FORMAT_XATTR, name_len + 1 + value_len);
	buffer_add(b, name, name_len);
	buffer_add(b, "", 1);
	buffer_add(b, value, value_len);
}

void format_encode_bytes(struct buffer *b, uint64_t type, const void *bytes, size_t n)
{
	format_encode_header(b, type, n);
	buffer_add(b, bytes, n);
}

void format_encode_acl(struct buffer *b, uint64_t type, const struct format_acl *acl)
{
	format_encode_header(b, type, 16);
	buffer_le64(b, acl->id);
	buffer_le64(b, acl->permissions);
}

void format_encode_acl_default(struct buffer *b, const struct format_acl_default *acl)
{
	format_encode_header(b, FORMAT_ACL_DEFAULT, 32);
	buffer_le64(b, acl->user_obj);
	buffer_le64(b, acl->group_obj);
	buffer_le64(b, acl->other);
	buffer_le64(b, acl->mask);
}

void format_encode_u64(struct buffer *b, uint64_t type, uint64_t value)
{
	format_encode_header(b, type, 8);
	buffer_le64(b, value);
}

void format_encode_ref(struct buffer *b, const struct format_ref *ref)
{
	format_encode_header(b, FORMAT_PAYLOAD_REF, 16);
	buffer_le64(b, ref->offset);
	buffer_le64(b, ref->size);
}

void format_encode_record(struct buffer *b, const struct format_record *record)
{
	buffer_le64(b, record->hash);
	buffer_le64(b, record->offset);
	buffer_le64(b, record->size);
}

static const struct flag {
	uint64_t archive;
	uint32_t chattr, fat;
} flags_table[] = {
	{ 0x2000, 0, 2 },	      /* hidden */
	{ 0x4000, 0, 4 },	      /* system */
	{ 0x8000, 0, 32 },	      /* archive */
	{ 0x10000, 0x20, 0 },	      /* append only */
	{ 0x20000, 0x80, 0 },	      /* no atime */
	{ 0x40000, 0x4, 0 },	      /* compressed */
	{ 0x80000, 0x00800000, 0 },   /* no COW */
	{ 0x100000, 0x40, 0 },	      /* no dump */
	{ 0x200000, 0x00010000, 0 },  /* dirsync */
	{ 0x400000, 0x10, 0 },	      /* immutable */
	{ 0x800000, 0x8, 0 },	      /* sync */
	{ 0x1000000, 0x400, 0 },      /* no compression */
	{ 0x2000000, 0x20000000, 0 }, /* project inherit */
};

#define N_FLAGS (sizeof(flags_table) / sizeof(flags_table[0]))

uint64_t format_flags_from_chattr(uint32_t fs_flags)
{
	uint64_t flags = 0;

	for (size_t i = 0; i < N_FLAGS; i++)
		if (flags_table[i].chattr & fs_flags)
			flags |= flags_table[i].archive;
	return flags;
}

uint64_t format_flags_from_fat(uint32_t fat_attributes)
{
	uint64_t flags = 0;

	for (size_t i = 0; i < N_FLAGS; i++)
		if (flags_table[i].fat & fat_attributes)
			flags |= flags_table[i].archive;
	return flags;
}

uint32_t format_flags_to_chattr(uint64_t flags)
{
	uint32_t fs_flags = 0;

	for (size_t i = 0; i < N_FLAGS; i++)
		if (flags_table[i].archive & flags)
			fs_flags |= flags_table[i].chattr;
	return fs_flags;
}
