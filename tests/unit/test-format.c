#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/format.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A repeatable source of odd numbers: xorshift. */
static uint64_t next_random(void)
{
	static uint64_t x = 88172645463325252;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* A number of any magnitude. */
static uint64_t random_number(void)
{
	uint64_t x = next_random();

	return x >> (next_random() % 64);
}

/* Checks the header of the one item in the buffer; a cursor over its content. */
static struct cursor item(const struct buffer *b, uint64_t type)
{
	struct format_header header;

	ck_assert_int_eq(buffer_finish(b, NULL), 0);
	ck_assert_uint_ge(b->len, FORMAT_HEADER_SIZE);
	ck_assert_int_eq(format_decode_header(b->bytes, &header, NULL), 0);
	ck_assert(header.type == type);
	ck_assert_uint_eq(header.size, b->len);
	return cursor_init(b->bytes + FORMAT_HEADER_SIZE, b->len - FORMAT_HEADER_SIZE);
}

static const uint64_t kinds[] = {
	FORMAT_VERSION,	    FORMAT_ENTRY,	  FORMAT_ENTRY_V1,    FORMAT_FILENAME,
	FORMAT_SYMLINK,	    FORMAT_DEVICE,	  FORMAT_HARDLINK,    FORMAT_ACL_USER,
	FORMAT_ACL_DEFAULT, FORMAT_ACL_GROUP_OBJ, FORMAT_PAYLOAD_REF,
};

/* A good item of the kind. */
static void put(struct buffer *b, uint64_t type)
{
	static const struct format_stat st = { 0100644, 0x10000, 1000, 1001, 1430487000, 5 };

	switch (type) {
	case FORMAT_ENTRY:
		return format_encode_stat(b, &st);
	case FORMAT_ENTRY_V1:
		return format_encode_stat_v1(b, &st);
	case FORMAT_FILENAME:
	case FORMAT_SYMLINK:
		return format_encode_string(b, type, "a name", 6);
	case FORMAT_DEVICE:
		return format_encode_device(b, 8, 1);
	case FORMAT_HARDLINK:
		return format_encode_hardlink(b, 174, "b.txt", 5);
	case FORMAT_ACL_USER:
		return format_encode_acl(b, type, &(struct format_acl){ 1001, 6 });
	case FORMAT_ACL_DEFAULT:
		return format_encode_acl_default(b, &(struct format_acl_default){ 7, 5, 5, 7 });
	case FORMAT_PAYLOAD_REF:
		return format_encode_ref(b, &(struct format_ref){ 16, 3 });
	default:
		return format_encode_u64(b, type, 2);
	}
}

/* What its decoder says. */
static int decode(uint64_t type, struct cursor *c, struct error *err)
{
	struct format_acl_default base;
	struct format_string text;
	struct format_acl acl;
	struct format_stat st;
	struct format_ref ref;
	uint64_t x, y;

	switch (type) {
	case FORMAT_VERSION:
		return format_decode_version(c, &x, err);
	case FORMAT_ENTRY:
		return format_decode_stat(c, &st, err);
	case FORMAT_ENTRY_V1:
		return format_decode_stat_v1(c, &st, err);
	case FORMAT_FILENAME:
		return format_decode_filename(c, &text, err);
	case FORMAT_SYMLINK:
		return format_decode_symlink(c, &text, err);
	case FORMAT_DEVICE:
		return format_decode_device(c, &x, &y, err);
	case FORMAT_HARDLINK:
		return format_decode_hardlink(c, &x, &text, err);
	case FORMAT_ACL_USER:
		return format_decode_acl(c, &acl, err);
	case FORMAT_ACL_DEFAULT:
		return format_decode_acl_default(c, &base, err);
	case FORMAT_PAYLOAD_REF:
		return format_decode_ref(c, &ref, err);
	default:
		return format_decode_u64(c, &x, err);
	}
}

START_TEST(every_item_ends_where_its_content_does)
{
	struct error err = { 0 };
	struct buffer b = { 0 };
	struct cursor c;
	uint8_t *cut;

	put(&b, kinds[_i]);
	c = item(&b, kinds[_i]);
	ck_assert_int_eq(decode(kinds[_i], &c, &err), 0);

	for (size_t n = 0; n < b.len - FORMAT_HEADER_SIZE; n++) {
		cut = malloc(n ? n
			       : 1); /* its own block: a sanitizer sees the first byte past it */
		memcpy(cut, b.bytes + FORMAT_HEADER_SIZE, n);
		c = cursor_init(cut, n);
		ck_assert_msg(decode(kinds[_i], &c, &err) == -EUCLEAN, "%s cut to %zu",
			      format_type_name(kinds[_i]), n);
		ck_assert_int_eq(err.code, -EUCLEAN);
		free(cut);
	}
	buffer_add(&b, "", 1);
	c = cursor_init(b.bytes + FORMAT_HEADER_SIZE, b.len - FORMAT_HEADER_SIZE);
	ck_assert_msg(decode(kinds[_i], &c, &err) == -EUCLEAN, "%s with a byte too many",
		      format_type_name(kinds[_i]));
	buffer_release(&b);
}
END_TEST

static const struct {
	uint64_t type, min, max;
} limits[] = {
	{ FORMAT_VERSION, 8, 8 },
	{ FORMAT_PRELUDE, 0, UINT64_MAX - 16 },
	{ FORMAT_ENTRY, 40, 40 },
	{ FORMAT_ENTRY_V1, 32, 32 },
	{ FORMAT_FILENAME, 0, 4097 },
	{ FORMAT_SYMLINK, 2, 4097 },
	{ FORMAT_DEVICE, 16, 16 },
	{ FORMAT_XATTR, 1, 65791 },
	{ FORMAT_ACL_USER, 16, 16 },
	{ FORMAT_ACL_GROUP, 16, 16 },
	{ FORMAT_ACL_GROUP_OBJ, 8, 8 },
	{ FORMAT_ACL_DEFAULT, 32, 32 },
	{ FORMAT_ACL_DEFAULT_USER, 16, 16 },
	{ FORMAT_ACL_DEFAULT_GROUP, 16, 16 },
	{ FORMAT_FCAPS, 0, 65791 },
	{ FORMAT_QUOTA_PROJID, 8, 8 },
	{ FORMAT_HARDLINK, 10, 4105 },
	{ FORMAT_PAYLOAD, 0, UINT64_MAX - 16 },
	{ FORMAT_PAYLOAD_REF, 16, 16 },
	{ FORMAT_GOODBYE, 0, UINT64_MAX - 16 },
	{ FORMAT_PAYLOAD_START, 0, 0 },
	{ FORMAT_PAYLOAD_TAIL, 0, 0 },
};

static int decode_header(uint64_t type, uint64_t size, struct format_header *header)
{
	uint8_t bytes[FORMAT_HEADER_SIZE];
	struct error err = { 0 };
	int r;

	for (size_t i = 0; i < 8; i++) {
		bytes[i] = (uint8_t)(type >> (8 * i));
		bytes[8 + i] = (uint8_t)(size >> (8 * i));
	}
	r = format_decode_header(bytes, header, &err);
	ck_assert_int_eq(err.code, r);
	ck_assert(r == 0 || *err.text);
	return r;
}

START_TEST(headers_have_the_sizes_that_their_type_can_have)
{
	uint64_t type = limits[_i].type, min = limits[_i].min + 16, max = limits[_i].max + 16;
	struct format_header header;

	ck_assert_str_ne(format_type_name(type), "unknown item");
	for (uint64_t size = 0; size < 16; size++)
		ck_assert_int_eq(decode_header(type, size, &header), -EUCLEAN);
	ck_assert_int_eq(decode_header(type, min - 1, &header), -EUCLEAN);
	ck_assert_int_eq(decode_header(type, min, &header), 0);
	ck_assert(header.type == type && header.size == min);
	ck_assert_int_eq(decode_header(type, max, &header), 0);
	ck_assert(header.size == max);
	if (max < UINT64_MAX) {
		ck_assert_int_eq(decode_header(type, max + 1, &header), -EUCLEAN);
		ck_assert_int_eq(decode_header(type, UINT64_C(1) << 63, &header), -EUCLEAN);
		ck_assert_int_eq(decode_header(type, UINT64_MAX, &header), -EUCLEAN);
	}
}
END_TEST

START_TEST(a_type_that_is_none_is_refused)
{
	struct format_header header;

	ck_assert_int_eq(decode_header(0, 16, &header), -EUCLEAN);
	ck_assert_int_eq(decode_header(FORMAT_GOODBYE_TAIL, 40, &header), -EUCLEAN);
	ck_assert_str_eq(format_type_name(FORMAT_GOODBYE_TAIL), "unknown item");
	for (size_t i = 0; i < COUNT(limits); i++)
		for (unsigned bit = 0; bit < 64; bit++)
			ck_assert_int_eq(decode_header(limits[i].type ^ UINT64_C(1) << bit,
						       limits[i].min + 16, &header),
					 -EUCLEAN);
}
END_TEST

START_TEST(stat_comes_back_as_it_was)
{
	struct buffer b = { 0 };

	for (int i = 0; i < 1000; i++) {
		struct format_stat st = {
			.mode = next_random() & 0177777,
			.flags = random_number(),
			.uid = (uint32_t)random_number(),
			.gid = (uint32_t)random_number(),
			.mtime_sec = (int64_t)(i % 2 ? next_random() : random_number()),
			.mtime_nsec = (uint32_t)(next_random() % 1000000000),
		};
		struct format_stat out;
		struct cursor c;

		buffer_reset(&b);
		format_encode_stat(&b, &st);
		c = item(&b, FORMAT_ENTRY);
		ck_assert_int_eq(format_decode_stat(&c, &out, NULL), 0);
		ck_assert(st.mode == out.mode && st.flags == out.flags && st.uid == out.uid &&
			  st.gid == out.gid && st.mtime_sec == out.mtime_sec &&
			  st.mtime_nsec == out.mtime_nsec);
	}
	buffer_release(&b);
}
END_TEST

/* Every number of nanoseconds that it can hold, the last one included. */
START_TEST(the_old_stat_comes_back_as_it_was)
{
	static const uint64_t times[] = { 0, 1, 999999999, 1000000000, UINT64_MAX };
	struct buffer b = { 0 };

	for (size_t i = 0; i < 500; i++) {
		uint64_t ns = i < COUNT(times) ? times[i] : random_number();
		struct format_stat st = { .mode = 040755,
					  .uid = (uint32_t)next_random(),
					  .mtime_sec = (int64_t)(ns / 1000000000),
					  .mtime_nsec = (uint32_t)(ns % 1000000000) };
		struct format_stat out;
		struct cursor c;

		buffer_reset(&b);
		format_encode_stat_v1(&b, &st);
		c = item(&b, FORMAT_ENTRY_V1);
		ck_assert_int_eq(format_decode_stat_v1(&c, &out, NULL), 0);
		ck_assert(st.mode == out.mode && st.uid == out.uid &&
			  st.mtime_sec == out.mtime_sec && st.mtime_nsec == out.mtime_nsec);
	}
	buffer_release(&b);
}
END_TEST

static const struct {
	const char *what;
	struct format_stat st;
	int want;
} stats[] = {
	{ "largest mode", { .mode = 0177777 }, 0 },
	{ "a bit above the mode", { .mode = 0200000 }, -EUCLEAN },
	{ "a bit above 32", { .mode = UINT64_C(1) << 32 | 0100644 }, -EUCLEAN },
	{ "last nanosecond", { .mtime_nsec = 999999999 }, 0 },
	{ "a whole second of nanoseconds", { .mtime_nsec = 1000000000 }, -EUCLEAN },
	{ "earliest time", { .mtime_sec = INT64_MIN }, 0 },
	{ "latest time", { .mtime_sec = INT64_MAX }, 0 },
	{ "all ids", { .uid = UINT32_MAX, .gid = UINT32_MAX }, 0 },
	{ "all flags", { .flags = UINT64_MAX }, 0 },
};

START_TEST(stat_values_are_checked)
{
	struct buffer b = { 0 };
	struct format_stat out;
	struct cursor c;

	format_encode_stat(&b, &stats[_i].st);
	c = item(&b, FORMAT_ENTRY);
	ck_assert_msg(format_decode_stat(&c, &out, NULL) == stats[_i].want, "%s", stats[_i].what);
	buffer_release(&b);
}
END_TEST

START_TEST(the_old_stat_checks_its_mode_too)
{
	struct format_stat st = { .mode = 0200000 };
	struct buffer b = { 0 };
	struct cursor c;

	format_encode_stat_v1(&b, &st);
	c = item(&b, FORMAT_ENTRY_V1);
	ck_assert_int_eq(format_decode_stat_v1(&c, &st, NULL), -EUCLEAN);
	buffer_release(&b);
}
END_TEST

START_TEST(padding_does_not_matter)
{
	struct format_stat st = { 0 }, out;
	struct buffer b = { 0 };
	struct cursor c;

	format_encode_stat(&b, &st);
	memset(b.bytes + b.len - 4, 0xff, 4);
	c = item(&b, FORMAT_ENTRY);
	ck_assert_int_eq(format_decode_stat(&c, &out, NULL), 0);
	buffer_release(&b);
}
END_TEST

/* Text of n bytes, none of them special, with its NUL. */
static void fill_text(char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		text[i] = (char)(1 + (i * 73 + n) % 255);
	for (size_t i = 0; i < n; i++)
		if (text[i] == '/' || text[i] == '.')
			text[i] = 'x';
	text[n] = '\0';
}

START_TEST(strings_of_all_lengths_come_back_up_to_their_limit)
{
	char text[5000];
	struct buffer b = { 0 };
	struct format_string out;
	struct cursor c;
	uint64_t delta;
	int r;

	for (size_t n = 1; n <= FORMAT_PATH_MAX; n += n < 300 ? 1 : 37) {
		fill_text(text, n);
		buffer_reset(&b);
		format_encode_string(&b, FORMAT_FILENAME, text, n);
		c = item(&b, FORMAT_FILENAME);
		r = format_decode_filename(&c, &out, NULL);
		ck_assert_int_eq(r, n <= FORMAT_NAME_MAX ? 0 : -EUCLEAN);
		ck_assert(r < 0 || (out.len == n && !memcmp(out.bytes, text, n)));

		buffer_reset(&b);
		format_encode_string(&b, FORMAT_SYMLINK, text, n);
		c = item(&b, FORMAT_SYMLINK);
		r = format_decode_symlink(&c, &out, NULL);
		ck_assert_int_eq(r, n <= FORMAT_LINK_MAX ? 0 : -EUCLEAN);
		ck_assert(r < 0 || (out.len == n && !memcmp(out.bytes, text, n)));

		buffer_reset(&b);
		format_encode_hardlink(&b, n * 3, text, n);
		c = item(&b, FORMAT_HARDLINK);
		ck_assert_int_eq(format_decode_hardlink(&c, &delta, &out, NULL), 0);
		ck_assert_uint_eq(delta, n * 3);
		ck_assert(out.len == n && !memcmp(out.bytes, text, n));
	}
	buffer_release(&b);
}
END_TEST

START_TEST(links_of_the_longest_kernel_length_are_allowed_and_no_longer)
{
	char text[FORMAT_PATH_MAX + 2];
	struct buffer b = { 0 };
	struct format_string out;
	struct cursor c;

	for (size_t n = FORMAT_LINK_MAX - 1; n <= FORMAT_PATH_MAX; n++) {
		fill_text(text, n);
		buffer_reset(&b);
		format_encode_string(&b, FORMAT_SYMLINK, text, n);
		c = item(&b, FORMAT_SYMLINK);
		ck_assert_int_eq(format_decode_symlink(&c, &out, NULL),
				 n <= FORMAT_LINK_MAX ? 0 : -EUCLEAN);
	}
	buffer_release(&b);
}
END_TEST

static const struct {
	const char *bytes;
	size_t n;
	int name, target; /* what FILENAME and SYMLINK say */
} texts[] = {
	{ "a\0", 2, 0, 0 },
	{ "", 0, -EUCLEAN, -EUCLEAN },
	{ "\0", 1, -EUCLEAN, -EUCLEAN },
	{ "\0\0", 2, -EUCLEAN, -EUCLEAN },
	{ "ab", 2, -EUCLEAN, -EUCLEAN },
	{ "a\0b\0", 4, -EUCLEAN, -EUCLEAN },
	{ "a\0\0", 3, -EUCLEAN, -EUCLEAN },
	{ ".\0", 2, -EUCLEAN, 0 },
	{ "..\0", 3, -EUCLEAN, 0 },
	{ "...\0", 4, 0, 0 },
	{ ".a\0", 3, 0, 0 },
	{ "..a\0", 4, 0, 0 },
	{ "/\0", 2, -EUCLEAN, 0 },
	{ "a/b\0", 4, -EUCLEAN, 0 },
	{ "a/\0", 3, -EUCLEAN, 0 },
	{ "\n\033\xff\0", 4, 0, 0 },
};

START_TEST(names_are_what_linux_can_show)
{
	struct format_string out;
	struct cursor c = cursor_init(texts[_i].bytes, texts[_i].n);

	ck_assert_int_eq(format_decode_filename(&c, &out, NULL), texts[_i].name);
	c = cursor_init(texts[_i].bytes, texts[_i].n);
	ck_assert_int_eq(format_decode_symlink(&c, &out, NULL), texts[_i].target);
}
END_TEST

START_TEST(numbers_come_back_as_they_were)
{
	struct buffer b = { 0 };
	struct cursor c;

	for (int i = 0; i < 1000; i++) {
		uint64_t x = random_number(), y = random_number(), out, out2;
		struct format_acl acl = { x, y }, acl_out;

		buffer_reset(&b);
		format_encode_device(&b, x, y);
		c = item(&b, FORMAT_DEVICE);
		ck_assert_int_eq(format_decode_device(&c, &out, &out2, NULL), 0);
		ck_assert(out == x && out2 == y);

		buffer_reset(&b);
		format_encode_acl(&b, FORMAT_ACL_DEFAULT_GROUP, &acl);
		c = item(&b, FORMAT_ACL_DEFAULT_GROUP);
		ck_assert_int_eq(format_decode_acl(&c, &acl_out, NULL), 0);
		ck_assert(acl_out.id == x && acl_out.permissions == y);

		buffer_reset(&b);
		format_encode_u64(&b, FORMAT_QUOTA_PROJID, x);
		c = item(&b, FORMAT_QUOTA_PROJID);
		ck_assert_int_eq(format_decode_u64(&c, &out, NULL), 0);
		ck_assert(out == x);

		buffer_reset(&b);
		format_encode_version(&b, x);
		c = item(&b, FORMAT_VERSION);
		ck_assert_int_eq(format_decode_version(&c, &out, NULL), 0);
		ck_assert(out == x);
	}
	buffer_release(&b);
}
END_TEST

START_TEST(default_acls_and_records_come_back_as_they_were)
{
	struct buffer b = { 0 };
	struct cursor c;

	for (int i = 0; i < 200; i++) {
		struct format_acl_default acl = { random_number(), random_number(), random_number(),
						  i % 2 ? FORMAT_ACL_ABSENT : random_number() };
		struct format_record record = { next_random(), random_number(), random_number() };
		struct format_acl_default acl_out;
		struct format_record record_out;

		buffer_reset(&b);
		format_encode_acl_default(&b, &acl);
		c = item(&b, FORMAT_ACL_DEFAULT);
		ck_assert_int_eq(format_decode_acl_default(&c, &acl_out, NULL), 0);
		ck_assert(!memcmp(&acl, &acl_out, sizeof(acl)));

		buffer_reset(&b);
		format_encode_record(&b, &record);
		ck_assert_uint_eq(b.len, FORMAT_RECORD_SIZE);
		c = cursor_init(b.bytes, b.len);
		format_decode_record(&c, &record_out);
		ck_assert_int_eq(cursor_finish(&c, NULL, "record"), 0);
		ck_assert(!memcmp(&record, &record_out, sizeof(record)));
	}
	buffer_release(&b);
}
END_TEST

static const struct {
	struct format_ref ref;
	int want;
} refs[] = {
	{ { 16, 3 }, 0 },
	{ { 0, 0 }, 0 },
	{ { INT64_MAX - 16, 0 }, 0 },
	{ { INT64_MAX - 17, 1 }, 0 },
	{ { 0, INT64_MAX - 16 }, 0 },
	{ { INT64_MAX - 16, 1 }, -EUCLEAN },
	{ { UINT64_MAX - 8, 4 }, -EUCLEAN },
	{ { 16, UINT64_MAX }, -EUCLEAN },
	{ { UINT64_MAX, UINT64_MAX }, -EUCLEAN },
	{ { UINT64_C(1) << 63, 0 }, -EUCLEAN },
};

START_TEST(references_end_where_a_file_can)
{
	struct buffer b = { 0 };
	struct format_ref out;
	struct cursor c;

	format_encode_ref(&b, &refs[_i].ref);
	c = item(&b, FORMAT_PAYLOAD_REF);
	ck_assert_int_eq(format_decode_ref(&c, &out, NULL), refs[_i].want);
	ck_assert(out.offset == refs[_i].ref.offset && out.size == refs[_i].ref.size);
	buffer_release(&b);
}
END_TEST

START_TEST(attributes_come_back_as_they_were)
{
	static uint8_t value[FORMAT_XATTR_VALUE_MAX];
	static const size_t sizes[] = { 0, 1, 2, 255, 4096, 65535, 65536 };
	char name[FORMAT_XATTR_NAME_MAX + 1];
	struct format_string n, v;
	struct buffer b = { 0 };
	struct cursor c;

	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = (uint8_t)(i * 3); /* holds NULs */
	for (size_t len = 0; len < FORMAT_XATTR_NAME_MAX; len += 17) {
		for (size_t i = 0; i < COUNT(sizes); i++) {
			fill_text(name, len);
			buffer_reset(&b);
			format_encode_xattr(&b, name, len, value, sizes[i]);
			c = item(&b, FORMAT_XATTR);
			ck_assert_int_eq(format_decode_xattr(&c, &n, &v, NULL), 0);
			ck_assert(n.len == len && !memcmp(n.bytes, name, len));
			ck_assert(v.len == sizes[i] && !memcmp(v.bytes, value, v.len));
		}
	}
	buffer_release(&b);
}
END_TEST

START_TEST(attributes_need_a_nul_and_an_end)
{
	static uint8_t big[FORMAT_XATTR_VALUE_MAX + 10];
	struct format_string n, v;
	struct cursor c;

	c = cursor_init("user.x", 6);
	ck_assert_int_eq(format_decode_xattr(&c, &n, &v, NULL), -EUCLEAN);
	c = cursor_init("", 0);
	ck_assert_int_eq(format_decode_xattr(&c, &n, &v, NULL), -EUCLEAN);
	memcpy(big, "user.x", 6);
	c = cursor_init(big, 7 + FORMAT_XATTR_VALUE_MAX);
	ck_assert_int_eq(format_decode_xattr(&c, &n, &v, NULL), 0);
	c = cursor_init(big, 7 + FORMAT_XATTR_VALUE_MAX + 1);
	ck_assert_int_eq(format_decode_xattr(&c, &n, &v, NULL), -EUCLEAN);
}
END_TEST

START_TEST(raw_items_hold_their_bytes)
{
	struct buffer b = { 0 };
	struct cursor c;

	format_encode_bytes(&b, FORMAT_FCAPS, "\1\0\0\2", 4);
	c = item(&b, FORMAT_FCAPS);
	ck_assert(!memcmp(cursor_bytes(&c, 4), "\1\0\0\2", 4));
	buffer_reset(&b);
	format_encode_bytes(&b, FORMAT_PRELUDE, NULL, 0);
	c = item(&b, FORMAT_PRELUDE);
	ck_assert_uint_eq(cursor_left(&c), 0);
	buffer_release(&b);
}
END_TEST

static const struct {
	uint64_t archive;
	uint32_t chattr, fat;
} flags[] = {
	{ 0x2000, 0, 0x2 },	      { 0x4000, 0, 0x4 },    { 0x8000, 0, 0x20 },
	{ 0x10000, 0x20, 0 },	      { 0x20000, 0x80, 0 },  { 0x40000, 0x4, 0 },
	{ 0x80000, 0x800000, 0 },     { 0x100000, 0x40, 0 }, { 0x200000, 0x10000, 0 },
	{ 0x400000, 0x10, 0 },	      { 0x800000, 0x8, 0 },  { 0x1000000, 0x400, 0 },
	{ 0x2000000, 0x20000000, 0 },
};

START_TEST(each_flag_has_its_counterpart)
{
	uint64_t archive = flags[_i].archive;

	ck_assert_uint_eq(format_flags_to_chattr(archive), flags[_i].chattr);
	ck_assert_uint_eq(format_flags_from_chattr(flags[_i].chattr),
			  flags[_i].chattr ? archive : 0);
	ck_assert_uint_eq(format_flags_from_fat(flags[_i].fat), flags[_i].fat ? archive : 0);
}
END_TEST

START_TEST(flags_without_a_counterpart_are_dropped)
{
	uint64_t chattr = 0, fat = 0;

	for (size_t i = 0; i < COUNT(flags); i++)
		*(flags[i].chattr ? &chattr : &fat) |= flags[i].archive;
	ck_assert_uint_eq(format_flags_from_chattr(UINT32_MAX), chattr);
	ck_assert_uint_eq(format_flags_from_fat(UINT32_MAX), fat);
	ck_assert_uint_eq(format_flags_from_chattr(format_flags_to_chattr(UINT64_MAX)), chattr);
	ck_assert_uint_eq(format_flags_to_chattr(~chattr), 0);
}
END_TEST

static Suite *format_suite(void)
{
	Suite *s = suite_create("format");
	TCase *tc = tcase_create("format");

	suite_add_tcase(s, tc);
	tcase_add_loop_test(tc, every_item_ends_where_its_content_does, 0, COUNT(kinds));
	tcase_add_loop_test(tc, headers_have_the_sizes_that_their_type_can_have, 0, COUNT(limits));
	tcase_add_test(tc, a_type_that_is_none_is_refused);
	tcase_add_test(tc, stat_comes_back_as_it_was);
	tcase_add_test(tc, the_old_stat_comes_back_as_it_was);
	tcase_add_loop_test(tc, stat_values_are_checked, 0, COUNT(stats));
	tcase_add_test(tc, the_old_stat_checks_its_mode_too);
	tcase_add_test(tc, padding_does_not_matter);
	tcase_add_test(tc, strings_of_all_lengths_come_back_up_to_their_limit);
	tcase_add_test(tc, links_of_the_longest_kernel_length_are_allowed_and_no_longer);
	tcase_add_loop_test(tc, names_are_what_linux_can_show, 0, COUNT(texts));
	tcase_add_test(tc, numbers_come_back_as_they_were);
	tcase_add_test(tc, default_acls_and_records_come_back_as_they_were);
	tcase_add_loop_test(tc, references_end_where_a_file_can, 0, COUNT(refs));
	tcase_add_test(tc, attributes_come_back_as_they_were);
	tcase_add_test(tc, attributes_need_a_nul_and_an_end);
	tcase_add_test(tc, raw_items_hold_their_bytes);
	tcase_add_loop_test(tc, each_flag_has_its_counterpart, 0, COUNT(flags));
	tcase_add_test(tc, flags_without_a_counterpart_are_dropped);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(format_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
