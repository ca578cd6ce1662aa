#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/entry.h"
#include "tests/unit/archives.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct io waiting = { .may_wait = true }, not_waiting = { .may_wait = false };

static struct buffer b;
static struct entry e;
static struct entry_more more;
static struct error err;

static void teardown(void)
{
	buffer_release(&b);
}

/* Decodes what is in b, out of a block of exactly its size. */
static int decode(bool split)
{
	CLEANUP(freep) uint8_t *bytes = malloc(b.len ? b.len : 1);
	CLEANUP(source_freep) struct source *source = NULL;
	struct window w;
	int r;

	if (b.len)
		memcpy(bytes, b.bytes, b.len);
	ck_assert_int_eq(source_new_memory(&source, bytes, b.len, NULL), 0);
	w = window_init(source, &waiting, 512);
	r = entry_decode(&w, 0, b.len, split, &e, &more, &err);
	window_release(&w);
	return r;
}

enum { TERMINAL = 80 }; /* where it is, after this */

static void begin(uint64_t mode)
{
	struct format_stat st = {
		.mode = mode,
		.flags = 0x10000,
		.uid = 4294967294,
		.gid = 7,
		.mtime_sec = -3,
		.mtime_nsec = 999999999,
	};

	buffer_reset(&b);
	format_encode_stat(&b, &st);
	format_encode_xattr(&b, "user.a", 6, "1", 1);
}

static void put_file(void)
{
	format_encode_bytes(&b, FORMAT_PAYLOAD, "hello", 5);
}

static void put_ref(void)
{
	format_encode_ref(&b, &(struct format_ref){ 4000, 5 });
}

static void put_symlink(void)
{
	format_encode_string(&b, FORMAT_SYMLINK, "dir/target", 10);
}

static void put_device(void)
{
	format_encode_device(&b, 4095, 1048575);
}

static void put_nothing(void)
{
}

static void put_name(void)
{
	format_encode_string(&b, FORMAT_FILENAME, "x", 1);
}

static void put_goodbye(void)
{
	format_encode_bytes(&b, FORMAT_GOODBYE, "123456789012345678901234", 24);
}

/* What ends an entry, and what it makes of which type of mode. */
static const struct {
	const char *name;
	void (*put)(void);
	bool split;
	uint64_t size, place;
	uint32_t types[4];
	uint8_t kinds[4];
} terminals[] = {
	{ "content", put_file, false, 5, TERMINAL + 16, { S_IFREG }, { ENTRY_FILE } },
	{ "reference", put_ref, true, 5, 4000, { S_IFREG }, { ENTRY_FILE } },
	{ "target", put_symlink, false, 10, TERMINAL + 16, { S_IFLNK }, { ENTRY_SYMLINK } },
	{ "device",
	  put_device,
	  true,
	  0,
	  UINT64_C(4095) << 32 | 1048575,
	  { S_IFCHR, S_IFBLK },
	  { ENTRY_DEVICE, ENTRY_DEVICE } },
	{ "nothing",
	  put_nothing,
	  false,
	  0,
	  0,
	  { S_IFIFO, S_IFSOCK, S_IFDIR },
	  { ENTRY_FIFO, ENTRY_SOCKET, ENTRY_DIRECTORY } },
	{ "a sibling",
	  put_name,
	  true,
	  0,
	  0,
	  { S_IFIFO, S_IFSOCK, S_IFDIR },
	  { ENTRY_FIFO, ENTRY_SOCKET, ENTRY_DIRECTORY } },
	{ "a table",
	  put_goodbye,
	  false,
	  0,
	  0,
	  { S_IFIFO, S_IFSOCK, S_IFDIR },
	  { ENTRY_FIFO, ENTRY_SOCKET, ENTRY_DIRECTORY } },
};

static void check_decoded(unsigned i, unsigned kind, uint32_t mode)
{
	bool is_dir = terminals[i].kinds[kind] == ENTRY_DIRECTORY;

	ck_assert_uint_eq(e.kind, terminals[i].kinds[kind]);
	ck_assert(e.number == (is_dir ? 0 : ENTRY_NON_DIRECTORY));
	ck_assert_uint_eq(e.mode, mode);
	ck_assert_uint_eq(e.size, terminals[i].size);
	ck_assert_uint_eq(e.place, terminals[i].place);
	ck_assert_uint_eq(e.uid, 4294967294);
	ck_assert_uint_eq(e.gid, 7);
	ck_assert_int_eq(e.mtime_sec, -3);
	ck_assert_uint_eq(e.mtime_nsec, 999999999);
	ck_assert_uint_eq(e.flags, ENTRY_EXTRA | ENTRY_XATTR);
	ck_assert_uint_eq(more.attrs.start, 56);
	ck_assert_uint_eq(more.attrs.end, TERMINAL);
	ck_assert_uint_eq(more.inode_flags, 0x10000);
	ck_assert_uint_eq(more.end, terminals[i].size || terminals[i].place ? b.len : TERMINAL);
}

START_TEST(the_mode_agrees_with_what_the_entry_is_or_it_is_refused)
{
	for (uint32_t type = 0; type <= S_IFMT; type += 0010000) {
		unsigned kind = 0;
		int r;

		begin(type | 06755);
		terminals[_i].put();
		r = decode(terminals[_i].split);
		while (terminals[_i].types[kind] && terminals[_i].types[kind] != type)
			kind++;
		if (terminals[_i].types[kind])
			ck_assert_msg(r == 0, "%s, %o: %s", terminals[_i].name, type, err.text);
		else
			ck_assert_msg(r == -EUCLEAN, "%s, %o", terminals[_i].name, type);
		if (!r)
			check_decoded((unsigned)_i, kind, type | 06755);
	}
}
END_TEST

START_TEST(no_prefix_of_an_entry_is_taken_for_a_whole_one)
{
	size_t whole;

	begin(terminals[_i].types[0] | 0644);
	terminals[_i].put();
	whole = b.len;
	for (b.len = 0; b.len < whole; b.len++) {
		bool is_enough = terminals[_i].kinds[0] == ENTRY_FIFO &&
				 (b.len == 56 || b.len == TERMINAL || b.len >= TERMINAL + 16);
		int r = decode(terminals[_i].split);

		ck_assert_msg(r == (is_enough ? 0 : -EUCLEAN), "%s, %zu bytes: %d",
			      terminals[_i].name, b.len, r);
	}
}
END_TEST

START_TEST(nothing_is_read_beyond_the_limit)
{
	struct window w;
	struct flaky source;

	begin(S_IFREG | 0644);
	put_file();
	put_name();
	source = flaky_init(&b);
	w = window_init(&source.source, &waiting, 512);
	for (uint64_t limit = 0; limit < TERMINAL + 21; limit++)
		ck_assert_int_eq(entry_decode(&w, 0, limit, false, &e, NULL, &err), -EUCLEAN);
	ck_assert_int_eq(entry_decode(&w, 0, TERMINAL + 21, false, &e, NULL, &err), 0);
	ck_assert_int_eq(entry_decode(&w, UINT64_MAX, b.len, false, &e, NULL, &err), -EUCLEAN);
	window_release(&w);
}
END_TEST

static void unified_ref(void)
{
	begin(S_IFREG);
	put_ref();
}

static void link_after_entry(void)
{
	begin(S_IFREG);
	format_encode_hardlink(&b, 100, "a", 1);
}

static void entry_twice(void)
{
	struct format_stat st = { .mode = S_IFIFO };

	begin(S_IFIFO);
	format_encode_stat(&b, &st);
}

static void version_inside(void)
{
	begin(S_IFIFO);
	format_encode_version(&b, 2);
}

static void unknown_item(void)
{
	begin(S_IFIFO);
	format_encode_bytes(&b, UINT64_C(0x1234567812345678), "", 0);
}

static void marker_inside(void)
{
	begin(S_IFIFO);
	format_encode_header(&b, FORMAT_PAYLOAD_TAIL, 0);
}

static void attribute_after_content(void)
{
	begin(S_IFLNK);
	format_encode_xattr(&b, "user.b", 6, "", 0);
	put_file();
}

static void file_without_content(void)
{
	begin(S_IFREG);
	put_name();
}

static void no_entry(void)
{
	buffer_reset(&b);
	put_file();
}

static void group_obj_twice(void)
{
	begin(S_IFIFO);
	format_encode_u64(&b, FORMAT_ACL_GROUP_OBJ, 4);
	format_encode_u64(&b, FORMAT_ACL_GROUP_OBJ, 4);
}

static void default_acl_twice(void)
{
	struct format_acl_default acl = { 7, 5, 5, 7 };

	begin(S_IFDIR);
	format_encode_acl_default(&b, &acl);
	format_encode_acl_default(&b, &acl);
}

static void fcaps_twice(void)
{
	begin(S_IFIFO);
	format_encode_bytes(&b, FORMAT_FCAPS, "x", 1);
	format_encode_bytes(&b, FORMAT_FCAPS, "x", 1);
}

static void projid_twice(void)
{
	begin(S_IFIFO);
	format_encode_u64(&b, FORMAT_QUOTA_PROJID, 1);
	format_encode_u64(&b, FORMAT_QUOTA_PROJID, 1);
}

static void xattr_without_nul(void)
{
	begin(S_IFIFO);
	format_encode_bytes(&b, FORMAT_XATTR, "user.b", 6);
}

static void xattr_too_long(void)
{
	static const char value[65537];

	begin(S_IFIFO);
	format_encode_xattr(&b, "user.b", 6, value, sizeof(value));
}

static void short_acl(void)
{
	begin(S_IFIFO);
	format_encode_bytes(&b, FORMAT_ACL_USER, "12345678", 8);
}

static void empty_target(void)
{
	begin(S_IFLNK);
	format_encode_bytes(&b, FORMAT_SYMLINK, "", 1);
}

static void target_without_nul(void)
{
	begin(S_IFLNK);
	format_encode_bytes(&b, FORMAT_SYMLINK, "abc", 3);
}

static void target_with_nul(void)
{
	begin(S_IFLNK);
	format_encode_string(&b, FORMAT_SYMLINK, "a\0c", 3);
}

static void target_too_long(void)
{
	char target[4096];

	begin(S_IFLNK);
	memset(target, 'x', sizeof(target));
	format_encode_string(&b, FORMAT_SYMLINK, target, sizeof(target));
}

static void huge_device(void)
{
	begin(S_IFCHR);
	format_encode_device(&b, UINT64_C(1) << 32, 0);
}

static void strange_mode(void)
{
	begin(S_IFIFO | UINT64_C(0x100000000));
}

static void strange_nanoseconds(void)
{
	struct format_stat st = { .mode = S_IFIFO, .mtime_nsec = 1000000000 };

	buffer_reset(&b);
	format_encode_stat(&b, &st);
}

static const struct {
	const char *name;
	void (*put)(void);
} damage[] = {
	{ "reference in a unified archive", unified_ref },
	{ "HARDLINK after an ENTRY", link_after_entry },
	{ "ENTRY inside", entry_twice },
	{ "FORMAT_VERSION inside", version_inside },
	{ "unknown item", unknown_item },
	{ "marker inside", marker_inside },
	{ "content of another kind", attribute_after_content },
	{ "file without content", file_without_content },
	{ "no ENTRY", no_entry },
	{ "two ACL_GROUP_OBJ", group_obj_twice },
	{ "two ACL_DEFAULT", default_acl_twice },
	{ "two FCAPS", fcaps_twice },
	{ "two QUOTA_PROJID", projid_twice },
	{ "XATTR without NUL", xattr_without_nul },
	{ "XATTR too long", xattr_too_long },
	{ "ACL_USER too short", short_acl },
	{ "empty target", empty_target },
	{ "target without NUL", target_without_nul },
	{ "target with NUL", target_with_nul },
	{ "target too long", target_too_long },
	{ "device number of 33 bits", huge_device },
	{ "mode of 33 bits", strange_mode },
	{ "10^9 nanoseconds", strange_nanoseconds },
};

START_TEST(an_entry_that_breaks_a_rule_is_refused_whole)
{
	damage[_i].put();
	ck_assert_msg(decode(false) == -EUCLEAN, "%s", damage[_i].name);
	ck_assert_int_eq(err.code, -EUCLEAN);
	ck_assert_int_ne(err.text[0], 0);
}
END_TEST

START_TEST(content_belongs_into_the_file_that_the_variant_says)
{
	begin(S_IFREG);
	put_file();
	ck_assert_int_eq(decode(false), 0);
	ck_assert_int_eq(decode(true), -EUCLEAN);
}
END_TEST

/* Sizes of the first item that loop, wrap or leave the archive in a careless reader. */
START_TEST(sizes_that_no_item_has_are_refused)
{
	static const uint64_t sizes[] = {
		0, 1, 15, 16, 55, 57, UINT64_C(1) << 63, UINT64_MAX, UINT64_MAX - 15
	};

	for (size_t i = 0; i < COUNT(sizes); i++) {
		begin(S_IFREG);
		put_file();
		for (unsigned k = 0; k < 8; k++)
			b.bytes[8 + k] = (uint8_t)(sizes[i] >> (8 * k));
		ck_assert_int_eq(decode(false), -EUCLEAN);
		begin(S_IFREG);
		put_file();
		for (unsigned k = 0; k < 8; k++)
			b.bytes[TERMINAL + 8 + k] = (uint8_t)(sizes[i] >> (8 * k));
		ck_assert_int_eq(decode(false), sizes[i] == 16 ? 0 : -EUCLEAN);
	}
}
END_TEST

START_TEST(a_damaged_sibling_is_not_part_of_the_entry)
{
	static const uint64_t sizes[] = { 0, 15, 16, 20000, UINT64_MAX };
	static const uint64_t types[] = { FORMAT_FILENAME, FORMAT_GOODBYE };

	for (size_t i = 0; i < 2 * COUNT(sizes); i++) {
		begin(S_IFIFO);
		buffer_le64(&b, types[i % 2]);
		buffer_le64(&b, sizes[i / 2]);
		ck_assert_int_eq(decode(false), 0);
		ck_assert_uint_eq(more.end, TERMINAL);
	}
}
END_TEST

START_TEST(attributes_may_come_in_any_order_and_are_flagged)
{
	begin(S_IFDIR);
	format_encode_u64(&b, FORMAT_QUOTA_PROJID, 42);
	format_encode_bytes(&b, FORMAT_FCAPS, NULL, 0);
	format_encode_acl(&b, FORMAT_ACL_DEFAULT_USER, &(struct format_acl){ 1, 7 });
	format_encode_acl_default(&b, &(struct format_acl_default){ 7, 5, 5, 7 });
	format_encode_u64(&b, FORMAT_ACL_GROUP_OBJ, 4);
	format_encode_acl(&b, FORMAT_ACL_USER, &(struct format_acl){ 1, 7 });
	format_encode_xattr(&b, "user.b", 6, "", 0);
	ck_assert_int_eq(decode(false), 0);
	ck_assert_uint_eq(e.flags,
			  ENTRY_EXTRA | ENTRY_XATTR | ENTRY_FCAPS | ENTRY_ACL | ENTRY_ACL_DEFAULT);
	ck_assert_uint_eq(more.projid, 42);
	ck_assert_uint_eq(more.attrs.end, b.len);
}
END_TEST

START_TEST(a_default_acl_means_nothing_but_on_a_directory)
{
	begin(S_IFIFO);
	format_encode_acl_default(&b, &(struct format_acl_default){ 7, 5, 5, 7 });
	ck_assert_int_eq(decode(false), 0);
	ck_assert_uint_eq(e.flags, ENTRY_EXTRA | ENTRY_XATTR);
}
END_TEST

START_TEST(the_old_stat_is_read)
{
	struct format_stat st = {
		.mode = S_IFIFO | 0600, .uid = 1, .gid = 2, .mtime_sec = 1500000000, .mtime_nsec = 7
	};

	buffer_reset(&b);
	format_encode_stat_v1(&b, &st);
	ck_assert_int_eq(decode(false), 0);
	ck_assert_uint_eq(e.kind, ENTRY_FIFO);
	ck_assert_uint_eq(e.mode, S_IFIFO | 0600);
	ck_assert_int_eq(e.mtime_sec, 1500000000);
	ck_assert_uint_eq(e.mtime_nsec, 7);
	ck_assert_uint_eq(e.flags, 0);
}
END_TEST

START_TEST(hardlinks_are_decoded_with_their_path)
{
	struct flaky source;
	struct window w;
	struct format_string path;
	uint64_t delta;

	buffer_reset(&b);
	format_encode_hardlink(&b, 174, "dir/b.txt", 9);
	ck_assert_int_eq(decode(false), 0);
	ck_assert_uint_eq(e.kind, ENTRY_HARDLINK);
	ck_assert_uint_eq(e.mode, 0);
	ck_assert_uint_eq(more.end, b.len);
	source = flaky_init(&b);
	w = window_init(&source.source, &waiting, 512);
	ck_assert_int_eq(entry_decode_link(&w, 0, b.len, &delta, &path, &err), 0);
	ck_assert_uint_eq(delta, 174);
	ck_assert(path.len == 9 && !memcmp(path.bytes, "dir/b.txt", 9));
	for (uint64_t limit = 0; limit < b.len; limit++)
		ck_assert_int_eq(entry_decode_link(&w, 0, limit, &delta, &path, &err), -EUCLEAN);
	window_release(&w);
}
END_TEST

static const struct {
	const char *name;
	size_t len;
	int want;
} names[] = {
	{ "a", 1, 0 },	      { "...", 3, 0 },	      { "\xff\n\x1b", 3, 0 },
	{ "", 0, -EUCLEAN },  { ".", 1, -EUCLEAN },   { "..", 2, -EUCLEAN },
	{ "/", 1, -EUCLEAN }, { "a/b", 3, -EUCLEAN }, { "a\0b", 3, -EUCLEAN },
};

static int decode_name(uint64_t limit, struct format_string *name, uint64_t *end)
{
	struct flaky source = flaky_init(&b);
	struct window w = window_init(&source.source, &waiting, 16);
	int r = entry_decode_name(&w, 0, limit, name, end, &err);

	window_release(&w);
	return r;
}

START_TEST(names_that_cannot_be_shown_are_refused)
{
	struct format_string name;
	uint64_t end;
	char longest[256];

	for (size_t i = 0; i < COUNT(names); i++) {
		buffer_reset(&b);
		format_encode_string(&b, FORMAT_FILENAME, names[i].name, names[i].len);
		ck_assert_int_eq(decode_name(b.len, &name, &end), names[i].want);
		if (names[i].want)
			continue;
		ck_assert_uint_eq(name.len, names[i].len);
		ck_assert_uint_eq(end, b.len);
		ck_assert_int_eq(decode_name(b.len - 1, &name, &end), -EUCLEAN);
	}
	memset(longest, 'x', sizeof(longest));
	for (size_t len = 254; len <= 256; len++) {
		buffer_reset(&b);
		format_encode_string(&b, FORMAT_FILENAME, longest, len);
		ck_assert_int_eq(decode_name(b.len, &name, &end), len <= 255 ? 0 : -EUCLEAN);
	}
	buffer_reset(&b);
	format_encode_bytes(&b, FORMAT_FILENAME, "abc", 3);
	ck_assert_int_eq(decode_name(b.len, &name, &end), -EUCLEAN);
	buffer_reset(&b);
	put_symlink();
	ck_assert_int_eq(decode_name(b.len, &name, &end), -EUCLEAN);
}
END_TEST

START_TEST(trouble_with_reading_is_passed_on)
{
	struct flaky source;
	struct window w;
	begin(S_IFLNK | 0777);
	put_symlink();
	source = flaky_init(&b);
	w = window_init(&source.source, &waiting, 16);
	for (unsigned i = 0; i < b.len; i++) {
		window_release(&w);
		w = window_init(&source.source, &waiting, 16);
		source.bad = (struct range){ i, i + 1 };
		ck_assert_int_eq(entry_decode(&w, 0, b.len, false, &e, &more, &err), -EIO);
	}
	source.bad = (struct range){ 0, 0 };
	source.waits = true;
	w.io = &not_waiting;
	ck_assert_int_eq(entry_decode(&w, 0, b.len, false, &e, &more, &err), 1);
	w.io = &waiting;
	ck_assert_int_eq(entry_decode(&w, 0, b.len, false, &e, &more, &err), 0);
	window_release(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("entry");
	TCase *tc = tcase_create("entry");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_loop_test(tc, the_mode_agrees_with_what_the_entry_is_or_it_is_refused, 0,
			    COUNT(terminals));
	tcase_add_loop_test(tc, no_prefix_of_an_entry_is_taken_for_a_whole_one, 0,
			    COUNT(terminals));
	tcase_add_test(tc, nothing_is_read_beyond_the_limit);
	tcase_add_loop_test(tc, an_entry_that_breaks_a_rule_is_refused_whole, 0, COUNT(damage));
	tcase_add_test(tc, content_belongs_into_the_file_that_the_variant_says);
	tcase_add_test(tc, sizes_that_no_item_has_are_refused);
	tcase_add_test(tc, a_damaged_sibling_is_not_part_of_the_entry);
	tcase_add_test(tc, attributes_may_come_in_any_order_and_are_flagged);
	tcase_add_test(tc, a_default_acl_means_nothing_but_on_a_directory);
	tcase_add_test(tc, the_old_stat_is_read);
	tcase_add_test(tc, hardlinks_are_decoded_with_their_path);
	tcase_add_test(tc, names_that_cannot_be_shown_are_refused);
	tcase_add_test(tc, trouble_with_reading_is_passed_on);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
