#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/encoder.h"

/* A sink that keeps what it is given, and fails once it was called often enough. */
struct memory {
	struct sink sink;
	struct buffer b;
	unsigned calls, fail_at;
};

static int memory_write(struct sink *sink, const void *bytes, size_t n, struct error *err)
{
	struct memory *m = (struct memory *)sink;

	if (m->fail_at && ++m->calls >= m->fail_at)
		return error_set(err, ENOSPC, "full");
	buffer_add(&m->b, bytes, n);
	return buffer_finish(&m->b, err);
}

static struct memory meta, payload;

static void setup(void)
{
	meta = payload = (struct memory){ .sink.write = memory_write };
}

static void teardown(void)
{
	buffer_release(&meta.b);
	buffer_release(&payload.b);
}

static struct encoder_meta with_mode(uint64_t mode, uint32_t owner)
{
	return (struct encoder_meta){
		.stat = { .mode = mode,
			  .uid = owner,
			  .gid = owner,
			  .mtime_sec = 1430487000,
			  .mtime_nsec = 5 },
	};
}

static struct encoder *open_encoder(bool split, const char *prelude)
{
	struct encoder_meta root = with_mode(040755, 0);
	struct encoder *e = NULL;

	ck_assert_int_eq(encoder_open(&e, &meta.sink, split ? &payload.sink : NULL, prelude,
				      prelude ? strlen(prelude) : 0, &root, NULL),
			 0);
	return e;
}

static uint64_t put_file(struct encoder *e, const char *name, const struct encoder_meta *m,
			 const char *text)
{
	uint64_t start = 0;

	ck_assert_int_eq(encoder_begin_file(e, name, m, strlen(text), &start, NULL), 0);
	ck_assert_int_eq(encoder_data(e, text, strlen(text), NULL), 0);
	ck_assert_int_eq(encoder_end_file(e, NULL), 0);
	return start;
}

static void check_bytes(const struct buffer *b, const char *hex)
{
	char pair[3];

	ck_assert_uint_eq(b->len, strlen(hex) / 2);
	for (size_t i = 0; i < b->len; i++) {
		snprintf(pair, sizeof(pair), "%02x", b->bytes[i]);
		ck_assert_msg(!memcmp(pair, hex + 2 * i, 2), "byte %zu is %s, not %.2s", i, pair,
			      hex + 2 * i);
	}
}

/* The item header at the offset says this type and size. */
static void check_item(const struct buffer *b, size_t offset, uint64_t type, uint64_t size)
{
	struct format_header h;

	ck_assert_uint_le(offset + FORMAT_HEADER_SIZE, b->len);
	ck_assert_int_eq(format_decode_header(b->bytes + offset, &h, NULL), 0);
	ck_assert_msg(h.type == type && h.size == size, "at %zu: %s of %llu bytes", offset,
		      format_type_name(h.type), (unsigned long long)h.size);
}

static struct format_record record_at(const struct buffer *b, size_t offset)
{
	struct cursor c = cursor_init(b->bytes + offset, FORMAT_RECORD_SIZE);
	struct format_record record;

	format_decode_record(&c, &record);
	return record;
}

START_TEST(a_unified_archive_is_as_the_reference_writes_it)
{
	static const char golden[] =
		"efac88e5746495d53800000000000000ed4100000000000000000000000000000000000000000000"
		"d87f4355000000000500000000000000b3173906211170161600000000000000622e74787400efac"
		"88e5746495d53800000000000000a4810000000000000000000000000000e8030000e8030000d87f"
		"4355000000000500000000000000251a7c0b1b7a1428160000000000000068656c6c6f0ab3173906"
		"2111701612000000000000006400efac88e5746495d53800000000000000c0410000000000000000"
		"000000000000e8030000e8030000d87f4355000000000500000000000000b3173906211170161200"
		"00000000000068007572bd22849c26511e00000000000000ae00000000000000622e747874001d73"
		"d542a64fec2f4000000000000000008069b2b217b5fc300000000000000030000000000000005515"
		"3e755bed5eef68000000000000004000000000000000b31739062111701612000000000000007300"
		"efac88e5746495d53800000000000000ffa100000000000000000000000000000000000000000000"
		"d87f43550000000005000000000000005fdcf5dbe771f9271600000000000000622e747874001d73"
		"d542a64fec2f70000000000000006123299d8c54aecc60000000000000006000000000000000c347"
		"2fbc6c1db6251a01000000000000ba000000000000000db83f0c507437f97e010000000000006400"
		"00000000000055153e755bed5eefb6010000000000007000000000000000";
	struct encoder_meta file = with_mode(0100644, 1000), dir = with_mode(040700, 1000);
	struct encoder_meta link = with_mode(0120777, 0);
	CLEANUP(encoder_freep) struct encoder *e = open_encoder(false, NULL);
	uint64_t b = put_file(e, "b.txt", &file, "hello\n");

	ck_assert_uint_eq(b, 56);
	ck_assert_int_eq(encoder_begin_dir(e, "d", &dir, NULL), 0);
	ck_assert_int_eq(encoder_hardlink(e, "h", b, "b.txt", NULL), 0);
	ck_assert_int_eq(encoder_end_dir(e, NULL), 0);
	ck_assert_int_eq(encoder_symlink(e, "s", &link, "b.txt", NULL), 0);
	ck_assert_int_eq(encoder_finish(e, NULL), 0);
	check_bytes(&meta.b, golden);
}
END_TEST

START_TEST(a_split_archive_is_as_the_reference_writes_it)
{
	static const char golden_payload[] =
		"d24e4a19c2684c831000000000000000251a7c0b1b7a14281300000000000000616263"
		"251a7c0b1b7a14281000000000000000b5814c988bb7726c1000000000000000";
	struct encoder_meta file = with_mode(0100644, 0);
	CLEANUP(encoder_freep)
	struct encoder *e = open_encoder(true, "{\"exclude-patterns\":\"x\\n\"}");
	struct format_record r;

	put_file(e, "a", &file, "abc");
	put_file(e, "e", &file, "");
	ck_assert_int_eq(encoder_finish(e, NULL), 0);
	check_bytes(&payload.b, golden_payload);

	ck_assert_uint_eq(meta.b.len, 422);
	check_item(&meta.b, 0, FORMAT_VERSION, 24);
	check_item(&meta.b, 24, FORMAT_PRELUDE, 42);
	check_item(&meta.b, 66, FORMAT_ENTRY, 56);
	check_item(&meta.b, 122, FORMAT_FILENAME, 18);
	check_item(&meta.b, 140, FORMAT_ENTRY, 56);
	check_item(&meta.b, 196, FORMAT_PAYLOAD_REF, 32);
	check_item(&meta.b, 228, FORMAT_FILENAME, 18);
	check_item(&meta.b, 246, FORMAT_ENTRY, 56);
	check_item(&meta.b, 302, FORMAT_PAYLOAD_REF, 32);
	check_item(&meta.b, 334, FORMAT_GOODBYE, 88);
	r = record_at(&meta.b, 350);
	ck_assert(r.hash == UINT64_C(0x88fcc5ee2e1f5699) && r.offset == 106 && r.size == 106);
	r = record_at(&meta.b, 374);
	ck_assert(r.hash == UINT64_C(0x0c26e9067c2c7bcf) && r.offset == 212 && r.size == 109);
	r = record_at(&meta.b, 398);
	ck_assert(r.hash == FORMAT_GOODBYE_TAIL && r.offset == 334 && r.size == 88);
}
END_TEST

static struct encoder_meta everything(struct encoder_xattr *xattr, struct acl *acl,
				      const uint8_t *fcaps)
{
	struct encoder_meta m = with_mode(0100664, 0);

	*xattr = (struct encoder_xattr){ "user.k", "v1", 2 };
	acl->has_group_obj = true;
	acl->group_obj = 4;
	m.stat.mtime_sec = -1;
	m.stat.mtime_nsec = 999000000;
	m.xattrs = xattr;
	m.n_xattrs = 1;
	m.acl = acl;
	m.fcaps = fcaps;
	m.fcaps_len = 20;
	m.projid = 7;
	return m;
}

START_TEST(attributes_stand_in_the_order_of_the_reference)
{
	static const struct {
		size_t offset;
		uint64_t type, size;
	} items[] = {
		{ 0, FORMAT_ENTRY, 56 },
		{ 56, FORMAT_FILENAME, 18 },
		{ 74, FORMAT_ENTRY, 56 },
		{ 130, FORMAT_XATTR, 25 },
		{ 155, FORMAT_ACL_USER, 32 },
		{ 187, FORMAT_ACL_GROUP, 32 },
		{ 219, FORMAT_ACL_GROUP_OBJ, 24 },
		{ 243, FORMAT_FCAPS, 36 },
		{ 279, FORMAT_QUOTA_PROJID, 24 },
		{ 303, FORMAT_PAYLOAD, 16 },
		{ 319, FORMAT_FILENAME, 21 },
		{ 340, FORMAT_ENTRY, 56 },
		{ 396, FORMAT_DEVICE, 32 },
		{ 428, FORMAT_FILENAME, 18 },
		{ 446, FORMAT_ENTRY, 56 },
		{ 502, FORMAT_FILENAME, 18 },
		{ 520, FORMAT_ENTRY, 56 },
		{ 576, FORMAT_FILENAME, 18 },
		{ 594, FORMAT_ENTRY, 56 },
		{ 650, FORMAT_ACL_DEFAULT, 48 },
		{ 698, FORMAT_ACL_DEFAULT_USER, 32 },
		{ 730, FORMAT_GOODBYE, 40 },
		{ 770, FORMAT_GOODBYE, 160 },
	};
	static const uint8_t fcaps[20] = { 1, 0, 0, 2 };
	struct format_acl one = { 1001, 6 }, two = { 1002, 4 }, three = { 1003, 5 };
	struct acl acl = { .user = { .at = &one, .n = 1 }, .group = { .at = &two, .n = 1 } };
	struct acl with_default = { .has_default = true, .default_user = { .at = &three, .n = 1 } };
	struct encoder_xattr xattr;
	struct encoder_meta file = everything(&xattr, &acl, fcaps), null = with_mode(020666, 0);
	struct encoder_meta pipe = with_mode(010600, 0), socket = with_mode(0140755, 0);
	struct encoder_meta dir = with_mode(040755, 0);
	CLEANUP(encoder_freep) struct encoder *e = open_encoder(false, NULL);
	unsigned found = 0;

	put_file(e, "f", &file, "");
	ck_assert_int_eq(encoder_device(e, "null", &null, 1, 3, NULL), 0);
	ck_assert_int_eq(encoder_fifo_or_socket(e, "p", &pipe, NULL), 0);
	ck_assert_int_eq(encoder_fifo_or_socket(e, "q", &socket, NULL), 0);
	dir.acl = &with_default;
	ck_assert_int_eq(encoder_begin_dir(e, "z", &dir, NULL), 0);
	ck_assert_int_eq(encoder_end_dir(e, NULL), 0);
	ck_assert_int_eq(encoder_finish(e, NULL), 0);

	ck_assert_uint_eq(meta.b.len, 930);
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
		check_item(&meta.b, items[i].offset, items[i].type, items[i].size);
	for (size_t i = 0; i < 5; i++)
		found += record_at(&meta.b, 786 + i * FORMAT_RECORD_SIZE).size == 263;
	ck_assert_uint_eq(found, 1);
}
END_TEST

START_TEST(an_empty_archive_has_96_bytes)
{
	CLEANUP(encoder_freep) struct encoder *e = open_encoder(false, NULL);

	ck_assert_int_eq(encoder_finish(e, NULL), 0);
	ck_assert_uint_eq(meta.b.len, 96);
}
END_TEST

START_TEST(an_empty_payload_file_has_its_two_markers)
{
	CLEANUP(encoder_freep) struct encoder *e = open_encoder(true, NULL);

	ck_assert_int_eq(encoder_finish(e, NULL), 0);
	ck_assert_uint_eq(payload.b.len, 32);
	check_item(&payload.b, 0, FORMAT_PAYLOAD_START, 16);
	check_item(&payload.b, 16, FORMAT_PAYLOAD_TAIL, 16);
}
END_TEST

START_TEST(a_prelude_is_written_only_when_split)
{
	CLEANUP(encoder_freep) struct encoder *e = open_encoder(false, "x");

	ck_assert_int_eq(encoder_finish(e, NULL), 0);
	ck_assert_uint_eq(meta.b.len, 96);
}
END_TEST

START_TEST(data_beyond_the_announced_size_is_refused)
{
	struct encoder_meta file = with_mode(0100644, 0);
	CLEANUP(encoder_freep) struct encoder *e = open_encoder(_i, NULL);
	struct error err = { 0 };

	ck_assert_int_eq(encoder_begin_file(e, "f", &file, 3, NULL, NULL), 0);
	ck_assert_int_eq(encoder_data(e, "ab", 2, NULL), 0);
	ck_assert_int_eq(encoder_data(e, "cd", 2, &err), -EINVAL);
	ck_assert_str_eq(err.text, "2 bytes of data where 1 are due");
}
END_TEST

START_TEST(missing_data_is_refused)
{
	struct encoder_meta file = with_mode(0100644, 0);
	CLEANUP(encoder_freep) struct encoder *e = open_encoder(_i, NULL);
	struct error err = { 0 };

	ck_assert_int_eq(encoder_begin_file(e, "f", &file, 3, NULL, NULL), 0);
	ck_assert_int_eq(encoder_data(e, "ab", 2, NULL), 0);
	ck_assert_int_eq(encoder_end_file(e, &err), -EINVAL);
	ck_assert_str_eq(err.text, "1 bytes of 3 are missing");
}
END_TEST

START_TEST(calls_out_of_place_are_refused)
{
	struct encoder_meta file = with_mode(0100644, 0), dir = with_mode(040755, 0);
	CLEANUP(encoder_freep) struct encoder *e = open_encoder(false, NULL);

	ck_assert_int_eq(encoder_end_dir(e, NULL), -EINVAL);
	ck_assert_int_eq(encoder_data(e, "x", 1, NULL), -EINVAL);
	ck_assert_int_eq(encoder_end_file(e, NULL), -EINVAL);
	ck_assert_int_eq(encoder_begin_dir(e, "d", &dir, NULL), 0);
	ck_assert_int_eq(encoder_finish(e, NULL), -EINVAL);
	ck_assert_int_eq(encoder_begin_file(e, "f", &file, 1, NULL, NULL), 0);
	ck_assert_int_eq(encoder_begin_dir(e, "d", &dir, NULL), -EINVAL);
	ck_assert_int_eq(encoder_end_dir(e, NULL), -EINVAL);
	ck_assert_int_eq(encoder_finish(e, NULL), -EINVAL);
}
END_TEST

static const char name_256[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
			       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
			       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
			       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static const char *const bad_names[] = { "", ".", "..", "a/b", name_256 };

START_TEST(names_that_no_reader_takes_are_refused)
{
	struct encoder_meta pipe = with_mode(010600, 0);
	CLEANUP(encoder_freep) struct encoder *e = open_encoder(false, NULL);

	ck_assert_int_eq(encoder_fifo_or_socket(e, bad_names[_i], &pipe, NULL), -EINVAL);
}
END_TEST

/* One entry by the call that is for this type. */
static int put_entry(struct encoder *e, uint64_t type, const struct encoder_meta *m)
{
	switch (type) {
	case S_IFDIR:
		return encoder_begin_dir(e, "d", m, NULL);
	case S_IFREG:
		return encoder_begin_file(e, "f", m, 0, NULL, NULL);
	case S_IFLNK:
		return encoder_symlink(e, "s", m, "t", NULL);
	case S_IFCHR:
		return encoder_device(e, "c", m, 1, 3, NULL);
	default:
		return encoder_fifo_or_socket(e, "p", m, NULL);
	}
}

static const uint64_t types[] = { S_IFDIR, S_IFREG, S_IFLNK, S_IFCHR, S_IFIFO };

START_TEST(a_mode_of_another_type_is_refused)
{
	for (size_t i = 0; i < 5; i++) {
		CLEANUP(encoder_freep) struct encoder *e = open_encoder(false, NULL);
		struct encoder_meta m = with_mode(types[i] | 0600, 0);

		ck_assert_int_eq(put_entry(e, types[_i], &m), i == (size_t)_i ? 0 : -EINVAL);
	}
}
END_TEST

START_TEST(an_xattr_that_no_item_can_hold_is_refused)
{
	char *value = calloc(1, FORMAT_XATTR_VALUE_MAX + 1);
	struct encoder_xattr fits = { name_256 + 2, value, FORMAT_XATTR_VALUE_MAX };
	struct encoder_xattr together = { name_256 + 1, value, FORMAT_XATTR_VALUE_MAX };
	struct encoder_xattr large = { "user.x", value, FORMAT_XATTR_VALUE_MAX + 1 };
	struct encoder_meta file = with_mode(0100644, 0);
	CLEANUP(encoder_freep) struct encoder *e = open_encoder(false, NULL);

	file.n_xattrs = 1;
	file.xattrs = &fits;
	put_file(e, "fits", &file, "");
	file.xattrs = &together;
	ck_assert_int_eq(encoder_begin_file(e, "together", &file, 0, NULL, NULL), -EINVAL);
	encoder_free(e);
	e = open_encoder(false, NULL);
	file.xattrs = &large;
	ck_assert_int_eq(encoder_begin_file(e, "large", &file, 0, NULL, NULL), -EINVAL);
	free(value);
}
END_TEST

START_TEST(a_hardlink_forward_is_refused)
{
	CLEANUP(encoder_freep) struct encoder *e = open_encoder(false, NULL);

	ck_assert_int_eq(encoder_hardlink(e, "h", 56, "h", NULL), -EINVAL);
}
END_TEST

START_TEST(a_file_of_more_than_63_bits_is_refused)
{
	struct encoder_meta file = with_mode(0100644, 0);
	CLEANUP(encoder_freep) struct encoder *e = open_encoder(_i, NULL);

	ck_assert_int_eq(encoder_begin_file(e, "f", &file, UINT64_MAX, NULL, NULL), -EFBIG);
}
END_TEST

/* A small archive with one of each call; what the first failing call says. */
static int write_all(bool split, struct error *err)
{
	struct encoder_meta dir = with_mode(040755, 0), file = with_mode(0100644, 0);
	CLEANUP(encoder_freep) struct encoder *e = NULL;
	uint64_t start;
	int r;

	r = encoder_open(&e, &meta.sink, split ? &payload.sink : NULL, "x", 1, &dir, err);
	r = r < 0 ? r : encoder_begin_dir(e, "d", &dir, err);
	r = r < 0 ? r : encoder_begin_file(e, "f", &file, 1, &start, err);
	r = r < 0 ? r : encoder_data(e, "x", 1, err);
	r = r < 0 ? r : encoder_end_file(e, err);
	r = r < 0 ? r : encoder_hardlink(e, "g", start, "d/f", err);
	r = r < 0 ? r : encoder_end_dir(e, err);
	return r < 0 ? r : encoder_finish(e, err);
}

START_TEST(every_failed_write_is_reported)
{
	for (unsigned i = 1; i < 40; i++) {
		struct error err = { 0 };
		int r;

		meta.calls = payload.calls = 0;
		meta.fail_at = i;
		payload.fail_at = 0;
		r = write_all(_i, &err);
		ck_assert_msg(r == (meta.calls >= i ? -ENOSPC : 0), "write %u: %d", i, r);
		payload.calls = 0;
		meta.fail_at = 0;
		payload.fail_at = i;
		r = write_all(_i, &err);
		ck_assert_msg(r == (payload.calls >= i ? -ENOSPC : 0), "payload %u: %d", i, r);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("encoder");
	TCase *tc = tcase_create("encoder");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_unified_archive_is_as_the_reference_writes_it);
	tcase_add_test(tc, a_split_archive_is_as_the_reference_writes_it);
	tcase_add_test(tc, attributes_stand_in_the_order_of_the_reference);
	tcase_add_test(tc, an_empty_archive_has_96_bytes);
	tcase_add_test(tc, an_empty_payload_file_has_its_two_markers);
	tcase_add_test(tc, a_prelude_is_written_only_when_split);
	tcase_add_loop_test(tc, data_beyond_the_announced_size_is_refused, 0, 2);
	tcase_add_loop_test(tc, missing_data_is_refused, 0, 2);
	tcase_add_test(tc, calls_out_of_place_are_refused);
	tcase_add_loop_test(tc, names_that_no_reader_takes_are_refused, 0, 5);
	tcase_add_loop_test(tc, a_mode_of_another_type_is_refused, 0, 5);
	tcase_add_test(tc, an_xattr_that_no_item_can_hold_is_refused);
	tcase_add_test(tc, a_hardlink_forward_is_refused);
	tcase_add_loop_test(tc, a_file_of_more_than_63_bits_is_refused, 0, 2);
	tcase_add_loop_test(tc, every_failed_write_is_reported, 0, 2);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
