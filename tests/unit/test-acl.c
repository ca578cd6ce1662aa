#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/acl.h"
#include "core/cleanup.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define ABSENT FORMAT_ACL_ABSENT

/* An entry of the kernel's form, as text such as "u1001:6" or "m:6" has it. */
static void put_entry(struct buffer *b, const char *text)
{
	static const char letters[] = "UuGgmo";
	char letter = *text++;
	char *end;
	uint32_t id =
		letter == 'u' || letter == 'g' ? (uint32_t)strtoul(text, &end, 10) : UINT32_MAX;

	text = strchr(text, ':') + 1;
	buffer_le16(b, (uint16_t)(1 << (strchr(letters, letter) - letters)));
	buffer_le16(b, (uint16_t)strtoul(text, &end, 8));
	buffer_le32(b, id);
}

/* The whole of it: "U:6 u1001:6 G:4 g1002:4 m:6 o:4". */
static void put_kernel(struct buffer *b, const char *text)
{
	char copy[200], *rest = NULL;

	ck_assert_uint_lt(strlen(text), sizeof(copy));
	strcpy(copy, text);
	buffer_le32(b, 2);
	for (char *s = strtok_r(copy, " ", &rest); s; s = strtok_r(NULL, " ", &rest))
		put_entry(b, s);
}

static void check_kernel(const struct buffer *got, const char *text)
{
	CLEANUP(buffer_release) struct buffer want = { 0 };

	if (*text)
		put_kernel(&want, text);
	ck_assert_msg(got->len == want.len &&
			      (!want.len || !memcmp(got->bytes, want.bytes, want.len)),
		      "not %s", text);
}

static int add(struct acl *acl, uint64_t type, uint64_t a, uint64_t b)
{
	CLEANUP(buffer_release) struct buffer item = { 0 };
	struct cursor c;

	if (type == FORMAT_ACL_GROUP_OBJ)
		format_encode_u64(&item, type, a);
	else
		format_encode_acl(&item, type, &(struct format_acl){ a, b });
	c = cursor_init(item.bytes + 16, item.len - 16);
	return acl_add_item(acl, type, &c, NULL);
}

static int add_default(struct acl *acl, uint64_t user, uint64_t group, uint64_t other,
		       uint64_t mask)
{
	CLEANUP(buffer_release) struct buffer item = { 0 };
	struct cursor c;

	format_encode_acl_default(&item, &(struct format_acl_default){ user, group, other, mask });
	c = cursor_init(item.bytes + 16, item.len - 16);
	return acl_add_item(acl, FORMAT_ACL_DEFAULT, &c, NULL);
}

static const uint8_t golden[52] = {
	2,    0, 0, 0,			       /* version */
	0x01, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, /* user::rw- */
	0x02, 0, 6, 0, 0xe9, 0x03, 0,	 0,    /* user:1001:rw- */
	0x04, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, /* group::r-- */
	0x08, 0, 4, 0, 0xea, 0x03, 0,	 0,    /* group:1002:r-- */
	0x10, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, /* mask::rw- */
	0x20, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, /* other::r-- */
};

START_TEST(the_worked_example_comes_out_byte_for_byte)
{
	CLEANUP(buffer_release) struct buffer out = { 0 };
	CLEANUP(acl_release) struct acl acl = { 0 };

	ck_assert_int_eq(add(&acl, FORMAT_ACL_USER, 1001, 6), 0);
	ck_assert_int_eq(add(&acl, FORMAT_ACL_GROUP, 1002, 4), 0);
	ck_assert_int_eq(add(&acl, FORMAT_ACL_GROUP_OBJ, 4, 0), 0);
	ck_assert_int_eq(acl_encode_access(&acl, 0100664, &out, NULL), 0);
	ck_assert_uint_eq(out.len, sizeof(golden));
	ck_assert(!memcmp(out.bytes, golden, sizeof(golden)));
	check_kernel(&out, "U:6 u1001:6 G:4 g1002:4 m:6 o:4");
}
END_TEST

/* Items: a user and a group, permissions 0 to 7 or none (8), and the group's own. */
static const struct {
	uint64_t user, group, group_obj, mode;
	const char *want;
} accesses[] = {
	{ 8, 8, 8, 0664, "" },
	{ 6, 8, 8, 0654, "U:6 u10:6 G:5 m:5 o:4" },
	{ 8, 6, 8, 0654, "U:6 G:5 g20:6 m:5 o:4" },
	{ 8, 8, 7, 0644, "U:6 G:7 m:4 o:4" },
	{ 6, 6, 0, 0777, "U:7 u10:6 G:0 g20:6 m:7 o:7" },
	{ 8, 8, 0, 0000, "U:0 G:0 m:0 o:0" },
	{ 1, 2, 3, 06421, "U:4 u10:1 G:3 g20:2 m:2 o:1" },
};

START_TEST(access_acls_come_from_items_and_mode)
{
	CLEANUP(buffer_release) struct buffer out = { 0 };
	CLEANUP(acl_release) struct acl acl = { 0 };

	if (accesses[_i].user < 8)
		add(&acl, FORMAT_ACL_USER, 10, accesses[_i].user);
	if (accesses[_i].group < 8)
		add(&acl, FORMAT_ACL_GROUP, 20, accesses[_i].group);
	if (accesses[_i].group_obj < 8)
		add(&acl, FORMAT_ACL_GROUP_OBJ, accesses[_i].group_obj, 0);
	add(&acl, FORMAT_ACL_DEFAULT_USER, 30, 7);
	ck_assert_int_eq(acl_encode_access(&acl, 0100000 | accesses[_i].mode, &out, NULL), 0);
	check_kernel(&out, accesses[_i].want);
}
END_TEST

static const struct {
	uint64_t user_obj, group_obj, other, mask, named; /* named: 8 for none */
	const char *want;
} defaults[] = {
	{ 7, 5, 5, ABSENT, 8, "U:7 G:5 o:5" },
	{ 7, 5, 5, 7, 8, "U:7 G:5 m:7 o:5" },
	{ 7, 5, 5, 3, 6, "U:7 u10:6 G:5 g20:6 m:3 o:5" },
	{ 7, 5, 1, ABSENT, 2, "U:7 u10:2 G:5 g20:2 m:7 o:1" },
	{ 7, 1, 1, ABSENT, 0, "U:7 u10:0 G:1 g20:0 m:1 o:1" },
	{ ABSENT, ABSENT, ABSENT, ABSENT, 8, "U:7 G:5 o:1" },
	{ ABSENT, ABSENT, ABSENT, ABSENT, 2, "U:7 u10:2 G:5 g20:2 m:7 o:1" },
	{ ABSENT, 0, 0, 0, 8, "U:7 G:0 m:0 o:0" },
};

START_TEST(default_acls_come_from_items_and_what_is_absent_is_made_up)
{
	CLEANUP(buffer_release) struct buffer out = { 0 };
	CLEANUP(acl_release) struct acl acl = { 0 };

	if (defaults[_i].named < 8) {
		add(&acl, FORMAT_ACL_DEFAULT_USER, 10, defaults[_i].named);
		add(&acl, FORMAT_ACL_DEFAULT_GROUP, 20, defaults[_i].named);
	}
	ck_assert_int_eq(add_default(&acl, defaults[_i].user_obj, defaults[_i].group_obj,
				     defaults[_i].other, defaults[_i].mask),
			 0);
	ck_assert_int_eq(acl_encode_default(&acl, 040751, &out, NULL), 0);
	check_kernel(&out, defaults[_i].want);
}
END_TEST

START_TEST(named_default_entries_alone_are_no_default_acl)
{
	CLEANUP(buffer_release) struct buffer out = { 0 };
	CLEANUP(acl_release) struct acl acl = { 0 };

	add(&acl, FORMAT_ACL_DEFAULT_USER, 10, 7);
	add(&acl, FORMAT_ACL_USER, 10, 7);
	ck_assert_int_eq(acl_encode_default(&acl, 040755, &out, NULL), 0);
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(permissions_are_cut_to_rwx)
{
	CLEANUP(buffer_release) struct buffer out = { 0 };
	CLEANUP(acl_release) struct acl acl = { 0 };

	add(&acl, FORMAT_ACL_USER, 10, UINT64_MAX);
	add(&acl, FORMAT_ACL_GROUP, 20, 0x100c);
	add(&acl, FORMAT_ACL_GROUP_OBJ, UINT64_MAX - 1, 0);
	add_default(&acl, UINT64_MAX - 1, 8, 9, 0xf000000000000005);
	ck_assert_int_eq(acl_encode_access(&acl, 0100664, &out, NULL), 0);
	check_kernel(&out, "U:6 u10:7 G:6 g20:4 m:6 o:4");
	buffer_reset(&out);
	ck_assert_int_eq(acl_encode_default(&acl, 040755, &out, NULL), 0);
	check_kernel(&out, "U:6 G:0 m:5 o:1");
}
END_TEST

START_TEST(ids_that_linux_cannot_have_never_become_another_user)
{
	static const uint64_t ids[] = { UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX,
					(UINT64_C(1) << 32) + 1000 };
	CLEANUP(buffer_release) struct buffer out = { 0 };
	CLEANUP(acl_release) struct acl acl = { 0 };

	add(&acl, FORMAT_ACL_GROUP, ids[_i], 7);
	add(&acl, FORMAT_ACL_USER, ids[_i], 7);
	add(&acl, FORMAT_ACL_USER, UINT32_MAX - 1, 7);
	ck_assert_int_eq(acl_encode_access(&acl, 0100644, &out, NULL), 0);
	check_kernel(&out, "U:6 u65534:7 u4294967294:7 G:4 g65534:7 m:4 o:4");
}
END_TEST

START_TEST(named_entries_come_out_sorted_whatever_their_order)
{
	CLEANUP(buffer_release) struct buffer out = { 0 };
	CLEANUP(acl_release) struct acl acl = { 0 };
	struct cursor c;
	uint64_t last = 0;

	for (uint64_t i = 0; i < 500; i++)
		add(&acl, i % 2 ? FORMAT_ACL_USER : FORMAT_ACL_GROUP, i * 7919 % 257, i % 8);
	ck_assert_int_eq(acl_encode_access(&acl, 0644, &out, NULL), 0);
	c = cursor_init(out.bytes, out.len);
	ck_assert_uint_eq(cursor_le32(&c), 2);
	while (cursor_left(&c)) {
		uint64_t tag = cursor_le16(&c), permissions = cursor_le16(&c);
		uint64_t id = cursor_le32(&c), key = tag << 48 | id << 8 | permissions;

		ck_assert_uint_le(last, key);
		last = key;
	}
	ck_assert_uint_eq(out.len, 4 + 8 * (4 + 500));
}
END_TEST

START_TEST(items_that_may_not_be_repeated_are_refused_the_second_time)
{
	CLEANUP(acl_release) struct acl acl = { 0 };

	ck_assert_int_eq(add(&acl, FORMAT_ACL_GROUP_OBJ, 4, 0), 0);
	ck_assert_int_eq(add(&acl, FORMAT_ACL_GROUP_OBJ, 4, 0), -EUCLEAN);
	ck_assert_int_eq(add_default(&acl, 7, 5, 5, ABSENT), 0);
	ck_assert_int_eq(add_default(&acl, 7, 5, 5, ABSENT), -EUCLEAN);
}
END_TEST

static const struct {
	uint64_t type;
	size_t size;
} sizes[] = {
	{ FORMAT_ACL_USER, 16 },	 { FORMAT_ACL_GROUP, 16 },
	{ FORMAT_ACL_DEFAULT_USER, 16 }, { FORMAT_ACL_DEFAULT_GROUP, 16 },
	{ FORMAT_ACL_GROUP_OBJ, 8 },	 { FORMAT_ACL_DEFAULT, 32 },
};

START_TEST(items_of_another_size_are_refused)
{
	static const uint8_t zeros[40];

	for (size_t n = 0; n <= sizeof(zeros); n++) {
		CLEANUP(acl_release) struct acl acl = { 0 };
		struct cursor c = cursor_init(zeros, n);

		ck_assert_int_eq(acl_add_item(&acl, sizes[_i].type, &c, NULL),
				 n == sizes[_i].size ? 0 : -EUCLEAN);
	}
}
END_TEST

START_TEST(other_items_are_no_part_of_an_acl)
{
	CLEANUP(acl_release) struct acl acl = { 0 };
	struct error err = { 0 };
	struct cursor c = cursor_init("", 0);

	ck_assert_int_eq(acl_add_item(&acl, FORMAT_FCAPS, &c, &err), -EUCLEAN);
	ck_assert_str_eq(err.text, "FCAPS is no part of an ACL");
}
END_TEST

/* Only the ACL that is too long is lost, and no more memory goes into it than its limit takes. */
START_TEST(an_acl_past_the_limit_is_counted_but_not_kept)
{
	CLEANUP(buffer_release) struct buffer out = { 0 };
	CLEANUP(acl_release) struct acl acl = { 0 };

	add_default(&acl, 7, 5, 5, 7);
	for (uint64_t i = 0; i < FORMAT_ACL_MAX - 1; i++)
		add(&acl, FORMAT_ACL_USER, i, 4);
	add(&acl, FORMAT_ACL_GROUP, 1, 4);
	ck_assert_int_eq(acl_encode_access(&acl, 0644, &out, NULL), 0);
	ck_assert_uint_eq(out.len, 4 + 8 * (4 + FORMAT_ACL_MAX));
	add(&acl, FORMAT_ACL_GROUP, 2, 4);
	ck_assert_int_eq(acl_encode_access(&acl, 0644, &out, NULL), -EUCLEAN);
	for (uint64_t i = 0; i < 100000; i++)
		ck_assert_int_eq(add(&acl, FORMAT_ACL_USER, i, 4), 0);
	ck_assert_uint_eq(acl.user.n, FORMAT_ACL_MAX);
	ck_assert_uint_le(acl.user.room, 2 * FORMAT_ACL_MAX);
	ck_assert_int_eq(acl_encode_access(&acl, 0644, &out, NULL), -EUCLEAN);
	buffer_reset(&out);
	ck_assert_int_eq(acl_encode_default(&acl, 040755, &out, NULL), 0);
	check_kernel(&out, "U:7 G:5 m:7 o:5");
}
END_TEST

static int decode(struct acl *acl, bool is_default, const void *bytes, size_t n)
{
	return is_default ? acl_decode_default(acl, bytes, n, NULL)
			  : acl_decode_access(acl, bytes, n, NULL);
}

/* The kernel's form, the mode that goes with it, and back. */
static const struct {
	bool is_default;
	uint64_t mode;
	const char *text;
} trips[] = {
	{ false, 0664, "U:6 u1001:6 G:4 g1002:4 m:6 o:4" },
	{ false, 0644, "U:6 G:7 m:4 o:4" },
	{ false, 0777, "U:7 u0:0 u1:1 u4294967294:7 G:0 g0:1 m:7 o:7" },
	{ true, 0755, "U:7 G:5 o:5" },
	{ true, 0755, "U:0 G:0 o:0" },
	{ true, 0755, "U:7 u5:5 u6:6 G:5 g7:7 m:7 o:0" },
	{ true, 0755, "U:7 G:5 m:1 o:5" },
};

START_TEST(the_kernels_bytes_survive_the_archive)
{
	CLEANUP(buffer_release) struct buffer in = { 0 }, items = { 0 }, out = { 0 };
	CLEANUP(acl_release) struct acl acl = { 0 }, again = { 0 };
	struct format_header header;

	put_kernel(&in, trips[_i].text);
	ck_assert_int_eq(decode(&acl, trips[_i].is_default, in.bytes, in.len), 0);
	acl_encode_items(&acl, &items);
	for (size_t at = 0; at < items.len; at += (size_t)header.size) {
		struct cursor c;

		ck_assert_int_eq(format_decode_header(items.bytes + at, &header, NULL), 0);
		c = cursor_init(items.bytes + at + 16, (size_t)header.size - 16);
		ck_assert_int_eq(acl_add_item(&again, header.type, &c, NULL), 0);
	}
	ck_assert_int_eq((trips[_i].is_default ? acl_encode_default : acl_encode_access)(
				 &again, trips[_i].mode, &out, NULL),
			 0);
	check_kernel(&out, trips[_i].text);
}
END_TEST

START_TEST(an_access_acl_without_mask_is_only_the_mode)
{
	CLEANUP(buffer_release) struct buffer in = { 0 }, items = { 0 };
	CLEANUP(acl_release) struct acl acl = { 0 };

	put_kernel(&in, "U:6 G:4 o:4");
	ck_assert_int_eq(acl_decode_access(&acl, in.bytes, in.len, NULL), 0);
	acl_encode_items(&acl, &items);
	ck_assert_uint_eq(items.len, 0);
}
END_TEST

START_TEST(items_are_stored_in_the_archives_order)
{
	static const uint64_t order[] = { FORMAT_ACL_USER,	   FORMAT_ACL_USER,
					  FORMAT_ACL_GROUP,	   FORMAT_ACL_GROUP_OBJ,
					  FORMAT_ACL_DEFAULT,	   FORMAT_ACL_DEFAULT_USER,
					  FORMAT_ACL_DEFAULT_GROUP };
	CLEANUP(buffer_release) struct buffer access = { 0 }, dflt = { 0 }, items = { 0 };
	CLEANUP(acl_release) struct acl acl = { 0 };
	struct format_header header;
	size_t at = 0;

	put_kernel(&access, "U:6 u2:6 u1:4 G:4 g1002:4 m:6 o:4");
	put_kernel(&dflt, "U:7 u7:7 G:5 g8:1 m:7 o:0");
	ck_assert_int_eq(acl_decode_default(&acl, dflt.bytes, dflt.len, NULL), 0);
	ck_assert_int_eq(acl_decode_access(&acl, access.bytes, access.len, NULL), 0);
	ck_assert(acl.user.at[0].id == 1 && acl.user.at[1].id == 2);
	acl_encode_items(&acl, &items);
	for (size_t i = 0; i < COUNT(order); i++) {
		ck_assert_int_eq(format_decode_header(items.bytes + at, &header, NULL), 0);
		ck_assert(header.type == order[i]);
		at += (size_t)header.size;
	}
	ck_assert_uint_eq(at, items.len);
}
END_TEST

START_TEST(absent_default_entries_are_stored_as_absent)
{
	CLEANUP(buffer_release) struct buffer in = { 0 };
	CLEANUP(acl_release) struct acl acl = { 0 }, empty = { 0 };

	put_kernel(&in, "U:7 o:0");
	ck_assert_int_eq(acl_decode_default(&acl, in.bytes, in.len, NULL), 0);
	ck_assert(acl.has_default && acl.base.user_obj == 7 && acl.base.other == 0);
	ck_assert(acl.base.group_obj == ABSENT && acl.base.mask == ABSENT);
	ck_assert_int_eq(acl_decode_default(&empty, in.bytes, 4, NULL), 0);
	ck_assert(!empty.has_default);
}
END_TEST

static const struct {
	const char *what, *bytes;
	size_t n;
} bad[] = {
	{ "empty", "", 0 },
	{ "short version", "\2\0\0", 3 },
	{ "version 1", "\1\0\0\0", 4 },
	{ "version 2 << 8", "\0\2\0\0", 4 },
	{ "half an entry", "\2\0\0\0\1\0\7\0", 8 },
	{ "tag 0", "\2\0\0\0\0\0\7\0\xff\xff\xff\xff", 12 },
	{ "tag 3", "\2\0\0\0\3\0\7\0\xff\xff\xff\xff", 12 },
	{ "tag 0x40", "\2\0\0\0\x40\0\7\0\xff\xff\xff\xff", 12 },
	{ "permissions 8", "\2\0\0\0\1\0\x8\0\xff\xff\xff\xff", 12 },
	{ "permissions 0x100", "\2\0\0\0\1\0\0\1\xff\xff\xff\xff", 12 },
	{ "two owners", "\2\0\0\0\1\0\7\0\xff\xff\xff\xff\1\0\7\0\xff\xff\xff\xff", 20 },
	{ "two masks", "\2\0\0\0\x10\0\7\0\xff\xff\xff\xff\x10\0\7\0\xff\xff\xff\xff", 20 },
};

START_TEST(bytes_that_are_no_acl_are_refused)
{
	CLEANUP(acl_release) struct acl acl = { 0 }, other = { 0 };

	ck_assert_msg(decode(&acl, false, bad[_i].bytes, bad[_i].n) == -EUCLEAN, "%s",
		      bad[_i].what);
	ck_assert_msg(decode(&other, true, bad[_i].bytes, bad[_i].n) == -EUCLEAN, "%s",
		      bad[_i].what);
}
END_TEST

START_TEST(a_mask_without_the_groups_entry_is_refused)
{
	CLEANUP(buffer_release) struct buffer in = { 0 };
	CLEANUP(acl_release) struct acl acl = { 0 };

	put_kernel(&in, "U:7 m:7 o:0");
	ck_assert_int_eq(acl_decode_access(&acl, in.bytes, in.len, NULL), -EUCLEAN);
}
END_TEST

START_TEST(every_prefix_but_whole_entries_is_refused)
{
	for (size_t n = 0; n < sizeof(golden); n++) {
		CLEANUP(acl_release) struct acl acl = { 0 };
		CLEANUP(freep) uint8_t *cut = malloc(n ? n : 1);

		memcpy(cut, golden, n);
		ck_assert_int_eq(acl_decode_access(&acl, cut, n, NULL),
				 n >= 4 && n % 8 == 4 ? 0 : -EUCLEAN);
	}
}
END_TEST

/* More than the mount shows of an archive: saving loses nothing. */
START_TEST(saving_has_no_limit_of_its_own)
{
	CLEANUP(buffer_release) struct buffer in = { 0 };
	CLEANUP(acl_release) struct acl acl = { 0 };

	put_kernel(&in, "U:7 G:5 m:7 o:0");
	for (uint32_t i = 0; i < 2 * FORMAT_ACL_MAX; i++) {
		buffer_le16(&in, 2);
		buffer_le16(&in, 7);
		buffer_le32(&in, i);
	}
	ck_assert_int_eq(acl_decode_access(&acl, in.bytes, in.len, NULL), 0);
	ck_assert_uint_eq(acl.user.n, 2 * FORMAT_ACL_MAX);
	ck_assert_uint_eq(acl.user.lost, 0);
}
END_TEST

static Suite *acl_suite(void)
{
	Suite *s = suite_create("acl");
	TCase *tc = tcase_create("acl");

	suite_add_tcase(s, tc);
	tcase_add_test(tc, the_worked_example_comes_out_byte_for_byte);
	tcase_add_loop_test(tc, access_acls_come_from_items_and_mode, 0, COUNT(accesses));
	tcase_add_loop_test(tc, default_acls_come_from_items_and_what_is_absent_is_made_up, 0,
			    COUNT(defaults));
	tcase_add_test(tc, named_default_entries_alone_are_no_default_acl);
	tcase_add_test(tc, permissions_are_cut_to_rwx);
	tcase_add_loop_test(tc, ids_that_linux_cannot_have_never_become_another_user, 0, 4);
	tcase_add_test(tc, named_entries_come_out_sorted_whatever_their_order);
	tcase_add_test(tc, items_that_may_not_be_repeated_are_refused_the_second_time);
	tcase_add_loop_test(tc, items_of_another_size_are_refused, 0, COUNT(sizes));
	tcase_add_test(tc, other_items_are_no_part_of_an_acl);
	tcase_add_test(tc, an_acl_past_the_limit_is_counted_but_not_kept);
	tcase_add_loop_test(tc, the_kernels_bytes_survive_the_archive, 0, COUNT(trips));
	tcase_add_test(tc, an_access_acl_without_mask_is_only_the_mode);
	tcase_add_test(tc, items_are_stored_in_the_archives_order);
	tcase_add_test(tc, absent_default_entries_are_stored_as_absent);
	tcase_add_loop_test(tc, bytes_that_are_no_acl_are_refused, 0, COUNT(bad));
	tcase_add_test(tc, a_mask_without_the_groups_entry_is_refused);
	tcase_add_test(tc, every_prefix_but_whole_entries_is_refused);
	tcase_add_test(tc, saving_has_no_limit_of_its_own);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(acl_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
