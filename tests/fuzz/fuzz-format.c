/*
 * fuzz-format.c - a row of items, each decoded and encoded again
 *
 * What a decoder accepts, its encoder gives back byte for byte; only the padding of ENTRY is free.
 */
#include <stdlib.h>
#include <string.h>

#include "core/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Decodes the content and appends the whole item; 1 when the decoder refuses it. */
static int recode_stat(uint64_t type, struct cursor *c, struct buffer *out)
{
	struct format_stat st;

	if (type == FORMAT_ENTRY) {
		if (format_decode_stat(c, &st, NULL) < 0)
			return 1;
		format_encode_stat(out, &st);
	} else {
		if (format_decode_stat_v1(c, &st, NULL) < 0)
			return 1;
		format_encode_stat_v1(out, &st);
	}
	if (st.mode > 0177777 || st.mtime_nsec > 999999999)
		abort();
	return 0;
}

static void check_text(const struct format_string *s, size_t max)
{
	if (!s->len || s->len > max || memchr(s->bytes, 0, s->len))
		abort();
}

static int recode_text(uint64_t type, struct cursor *c, struct buffer *out)
{
	struct format_string s;

	if (type == FORMAT_FILENAME) {
		if (format_decode_filename(c, &s, NULL) < 0)
			return 1;
		check_text(&s, FORMAT_NAME_MAX);
		if (memchr(s.bytes, '/', s.len))
			abort();
	} else {
		if (format_decode_symlink(c, &s, NULL) < 0)
			return 1;
		check_text(&s, FORMAT_LINK_MAX);
	}
	format_encode_string(out, type, s.bytes, s.len);
	return 0;
}

static int recode_hardlink(struct cursor *c, struct buffer *out)
{
	struct format_string path;
	uint64_t delta;

	if (format_decode_hardlink(c, &delta, &path, NULL) < 0)
		return 1;
	check_text(&path, FORMAT_PATH_MAX);
	format_encode_hardlink(out, delta, path.bytes, path.len);
	return 0;
}

static int recode_xattr(struct cursor *c, struct buffer *out)
{
	struct format_string name, value;

	if (format_decode_xattr(c, &name, &value, NULL) < 0)
		return 1;
	if (value.len > FORMAT_XATTR_VALUE_MAX)
		abort();
	format_encode_xattr(out, name.bytes, name.len, value.bytes, value.len);
	return 0;
}

static int recode_acl(uint64_t type, struct cursor *c, struct buffer *out)
{
	struct format_acl_default base;
	struct format_acl acl;

	if (type == FORMAT_ACL_DEFAULT) {
		if (format_decode_acl_default(c, &base, NULL) < 0)
			return 1;
		format_encode_acl_default(out, &base);
	} else {
		if (format_decode_acl(c, &acl, NULL) < 0)
			return 1;
		format_encode_acl(out, type, &acl);
	}
	return 0;
}

static int recode_device(struct cursor *c, struct buffer *out)
{
	uint64_t dev_major, dev_minor;

	if (format_decode_device(c, &dev_major, &dev_minor, NULL) < 0)
		return 1;
	format_encode_device(out, dev_major, dev_minor);
	return 0;
}

static int recode_ref(struct cursor *c, struct buffer *out)
{
	struct format_ref ref;

	if (format_decode_ref(c, &ref, NULL) < 0)
		return 1;
	if (ref.offset > INT64_MAX || ref.size > INT64_MAX || ref.offset + ref.size > INT64_MAX)
		abort();
	format_encode_ref(out, &ref);
	return 0;
}

static int recode_number(uint64_t type, struct cursor *c, struct buffer *out)
{
	uint64_t value;

	if (type == FORMAT_VERSION) {
		if (format_decode_version(c, &value, NULL) < 0)
			return 1;
		format_encode_version(out, value);
	} else {
		if (format_decode_u64(c, &value, NULL) < 0)
			return 1;
		format_encode_u64(out, type, value);
	}
	return 0;
}

static int recode_table(struct cursor *c, struct buffer *out)
{
	struct format_record record;

	if (cursor_left(c) % FORMAT_RECORD_SIZE)
		return 1;
	format_encode_header(out, FORMAT_GOODBYE, cursor_left(c));
	while (cursor_left(c)) {
		format_decode_record(c, &record);
		format_encode_record(out, &record);
	}
	return 0;
}

static int recode(uint64_t type, struct cursor *c, struct buffer *out)
{
	size_t n = cursor_left(c);

	switch (type) {
	case FORMAT_ENTRY:
	case FORMAT_ENTRY_V1:
		return recode_stat(type, c, out);
	case FORMAT_FILENAME:
	case FORMAT_SYMLINK:
		return recode_text(type, c, out);
	case FORMAT_HARDLINK:
		return recode_hardlink(c, out);
	case FORMAT_XATTR:
		return recode_xattr(c, out);
	case FORMAT_ACL_USER:
	case FORMAT_ACL_GROUP:
	case FORMAT_ACL_DEFAULT:
	case FORMAT_ACL_DEFAULT_USER:
	case FORMAT_ACL_DEFAULT_GROUP:
		return recode_acl(type, c, out);
	case FORMAT_DEVICE:
		return recode_device(c, out);
	case FORMAT_PAYLOAD_REF:
		return recode_ref(c, out);
	case FORMAT_VERSION:
	case FORMAT_ACL_GROUP_OBJ:
	case FORMAT_QUOTA_PROJID:
		return recode_number(type, c, out);
	case FORMAT_GOODBYE:
		return recode_table(c, out);
	default:
		format_encode_bytes(out, type, cursor_bytes(c, n), n);
		return 0;
	}
}

static void check_item(const struct format_header *header, const uint8_t *item)
{
	size_t n = (size_t)(header->size - FORMAT_HEADER_SIZE);
	size_t padding = header->type == FORMAT_ENTRY ? 4 : 0;
	uint8_t *content = malloc(n ? n : 1); /* its own block: the first byte past it shows */
	struct buffer out = { 0 };
	struct cursor c;

	if (!content)
		abort();
	memcpy(content, item + FORMAT_HEADER_SIZE, n);
	c = cursor_init(content, n);
	if (!recode(header->type, &c, &out)) {
		if (out.len != header->size || memcmp(out.bytes, item, out.len - padding))
			abort();
	}
	buffer_release(&out);
	free(content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct format_header header;
	struct error err = { 0 };

	while (size >= FORMAT_HEADER_SIZE) {
		if (format_decode_header(data, &header, &err) < 0) {
			if (err.code != -EUCLEAN || !*err.text)
				abort();
			break;
		}
		if (header.size > size)
			break;
		check_item(&header, data);
		data += header.size;
		size -= header.size;
	}
	return 0;
}
