#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/acl.h"
#include "core/xattr.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct io waiting = { .may_wait = true };
static const struct xattr_view everything = { .trusted = true, .list_pxar = true },
			       user = { .trusted = false, .list_pxar = false };

/* A source in memory that counts reads and fails after `good` of them: with `failure` from then
   on, or, where that is 1, once. */
struct counting {
	struct source source;
	const struct buffer *bytes;
	unsigned reads, good;
	int failure;
};

static int counting_read(struct source *source, const struct io *io, uint64_t offset, void *buf,
			 size_t n, struct error *err)
{
	struct counting *c = (struct counting *)source;
	bool fails = c->failure < 0 ? c->reads >= c->good : c->reads == c->good;

	(void)io;
	c->reads++;
	if (c->failure && fails)
		return c->failure < 0 ? error_set(err, c->failure, "made to fail") : c->failure;
	memcpy(buf, c->bytes->bytes + offset, n);
	return 0;
}

static const struct source_ops counting_ops = { .read = counting_read };

/* One entry, being put together and then looked at. */
static struct buffer b;
static struct counting source;
static struct window w;
static struct entry e;
static struct entry_more more;
static struct buffer out;

static void begin(uint64_t mode, uint64_t flags)
{
	struct format_stat st = { .mode = mode, .flags = flags };

	buffer_reset(&b);
	format_encode_stat(&b, &st);
}

static void add(const char *name, const char *value)
{
	format_encode_xattr(&b, name, strlen(name), value, strlen(value));
}

static void finish(void)
{
	int r;

	if ((b.bytes[17] & 0xf0) == 0x80) /* a regular file */
		format_encode_bytes(&b, FORMAT_PAYLOAD, "", 0);
	ck_assert_int_eq(buffer_finish(&b, NULL), 0);
	source = (struct counting){ .source = { &counting_ops, b.len }, .bytes = &b };
	window_release(&w);
	w = window_init(&source.source, &waiting, 64);
	r = entry_decode(&w, 0, b.len, false, &e, &more, NULL);
	ck_assert_int_eq(r, 0);
	source.reads = 0;
}

static void teardown(void)
{
	window_release(&w);
	buffer_release(&b);
	buffer_release(&out);
}

/* The listing as text, names joined by spaces. */
static const char *list(const struct xattr_view *view)
{
	buffer_reset(&out);
	ck_assert_int_eq(xattr_list(&w, &e, &more, view, &out, NULL), 0);
	ck_assert(!out.len || !out.bytes[out.len - 1]);
	for (size_t i = 0; i + 1 < out.len; i++)
		if (!out.bytes[i])
			out.bytes[i] = ' ';
	return out.len ? (const char *)out.bytes : "";
}

static int get(const struct xattr_view *view, const char *name)
{
	buffer_reset(&out);
	return xattr_get(&w, &e, &more, view, name, &out, NULL);
}

static void check_value(const char *name, const char *value)
{
	ck_assert_msg(get(&everything, name) == 0, "%s", name);
	ck_assert_msg(out.len == strlen(value) && !memcmp(out.bytes, value, out.len), "%s is %.*s",
		      name, (int)out.len, (const char *)out.bytes);
}

START_TEST(stored_attributes_come_back_in_their_order)
{
	begin(0100644, 0);
	add("user.z", "1");
	add("trusted.m", "2");
	add("security.NTACL", "3");
	add("user.a", "");
	finish();
	ck_assert_str_eq(list(&everything), "user.z trusted.m security.NTACL user.a");
	check_value("user.z", "1");
	check_value("trusted.m", "2");
	check_value("security.NTACL", "3");
	check_value("user.a", "");
	ck_assert_int_eq(get(&everything, "user.b"), XATTR_NONE);
	ck_assert_int_eq(get(&everything, "user."), XATTR_NONE);
	ck_assert_int_eq(get(&everything, "user.zz"), XATTR_NONE);
	ck_assert_int_eq(get(&everything, ""), XATTR_NONE);
}
END_TEST

START_TEST(trusted_names_are_for_the_privileged)
{
	begin(0100644, 0);
	add("trusted.a", "1");
	add("user.b", "2");
	finish();
	ck_assert_str_eq(list(&user), "user.b");
	ck_assert_int_eq(get(&user, "trusted.a"), XATTR_NONE);
	ck_assert_int_eq(get(&everything, "trusted.a"), 0);
}
END_TEST

START_TEST(names_that_linux_cannot_show_are_left_out)
{
	char name[300];

	begin(0100644, 0);
	add("", "1");
	add("user", "1");
	add("user.", "1");
	add("trusted.", "1");
	add("noname", "1");
	add("os2.x", "1");
	add("system.posix_acl_access", "1");
	add("system.x", "1");
	memset(name, 'x', sizeof(name));
	memcpy(name, "user.", 5);
	name[256] = '\0';
	add(name, "1");
	name[255] = '\0';
	add(name, "2");
	finish();
	ck_assert_str_eq(list(&everything), name);
	check_value(name, "2");
	name[255] = 'x';
	ck_assert_int_eq(get(&everything, name), XATTR_NONE);
	ck_assert_int_eq(get(&everything, "system.posix_acl_access"), XATTR_NONE);
	ck_assert_int_eq(get(&everything, "system.x"), XATTR_NONE);
	ck_assert_int_eq(get(&everything, "os2.x"), XATTR_NONE);
}
END_TEST

START_TEST(of_equal_names_the_first_wins)
{
	begin(0100644, 0);
	add("user.a", "first");
	add("user.b", "");
	add("user.a", "second");
	add("user.a", "third");
	finish();
	ck_assert_str_eq(list(&everything), "user.a user.b");
	check_value("user.a", "first");
}
END_TEST

START_TEST(capabilities_come_from_their_own_item)
{
	begin(0100755, 0);
	add("security.capability", "stored");
	finish();
	ck_assert_str_eq(list(&everything), "security.capability");
	check_value("security.capability", "stored");

	begin(0100755, 0);
	add("security.capability", "stored");
	add("user.x", "");
	format_encode_bytes(&b, FORMAT_FCAPS, "own", 3);
	finish();
	ck_assert_str_eq(list(&user), "user.x security.capability");
	check_value("security.capability", "own");
}
END_TEST

START_TEST(acls_are_rebuilt)
{
	CLEANUP(acl_release) struct acl acl = { 0 };

	begin(040664, 0);
	add("user.x", "");
	format_encode_acl(&b, FORMAT_ACL_USER, &(struct format_acl){ 1001, 6 });
	format_encode_acl_default(&b, &(struct format_acl_default){ 7, 5, 0, 5 });
	finish();
	ck_assert_str_eq(list(&user), "user.x system.posix_acl_access system.posix_acl_default");
	ck_assert_int_eq(get(&user, "system.posix_acl_access"), 0);
	ck_assert_int_eq(acl_decode_access(&acl, out.bytes, out.len, NULL), 0);
	ck_assert(acl.user.n == 1 && acl.user.at[0].id == 1001 && acl.group_obj == 6);
	ck_assert_int_eq(get(&user, "system.posix_acl_default"), 0);
	ck_assert_int_eq(acl_decode_default(&acl, out.bytes, out.len, NULL), 0);
	ck_assert(acl.has_default && acl.base.group_obj == 5);
}
END_TEST

START_TEST(an_access_acl_needs_no_named_entry)
{
	begin(0100664, 0);
	format_encode_u64(&b, FORMAT_ACL_GROUP_OBJ, 4);
	finish();
	ck_assert_str_eq(list(&user), "system.posix_acl_access");
	ck_assert_int_eq(get(&user, "system.posix_acl_access"), 0);
	ck_assert_uint_eq(out.len, 4 + 4 * 8);
	ck_assert_int_eq(get(&user, "system.posix_acl_default"), XATTR_NONE);
}
END_TEST

START_TEST(only_directories_have_a_default_acl)
{
	begin(0100644, 0);
	format_encode_acl_default(&b, &(struct format_acl_default){ 7, 5, 0, 5 });
	finish();
	ck_assert_str_eq(list(&user), "");
	ck_assert_int_eq(get(&user, "system.posix_acl_default"), XATTR_NONE);
}
END_TEST

START_TEST(an_acl_that_is_too_long_is_an_error_and_nothing_else_is)
{
	begin(0100644, 0);
	add("user.x", "1");
	for (uint64_t i = 0; i <= FORMAT_ACL_MAX; i++)
		format_encode_acl(&b, FORMAT_ACL_USER, &(struct format_acl){ i, 6 });
	finish();
	ck_assert_str_eq(list(&user), "user.x system.posix_acl_access");
	ck_assert_int_eq(get(&user, "system.posix_acl_access"), -EUCLEAN);
	check_value("user.x", "1");
}
END_TEST

static const struct {
	uint64_t flag;
	const char *letters;
} letters[] = {
	{ 0x10000, "a" },   { 0x20000, "A" },	{ 0x40000, "c" },   { 0x80000, "C" },
	{ 0x100000, "d" },  { 0x200000, "D" },	{ 0x400000, "i" },  { 0x800000, "S" },
	{ 0x1000000, "m" }, { 0x2000000, "P" }, { 0x410000, "ia" }, { 0x3ff0000, "SDiadAcCPm" },
};

START_TEST(inode_flags_have_the_letters_of_chattr)
{
	char flags[20];

	begin(0100644, letters[_i].flag);
	finish();
	ck_assert_str_eq(list(&everything), "user.pxar.flags user.pxar.chattr");
	check_value("user.pxar.chattr", letters[_i].letters);
	snprintf(flags, sizeof(flags), "0x%llx", (unsigned long long)letters[_i].flag);
	check_value("user.pxar.flags", flags);
	ck_assert_int_eq(get(&everything, "user.pxar.projid"), XATTR_NONE);
}
END_TEST

START_TEST(flags_without_a_letter_are_shown_as_a_number_alone)
{
	begin(0100644, 0x8000000000002000);
	finish();
	ck_assert_str_eq(list(&everything), "user.pxar.flags");
	check_value("user.pxar.flags", "0x8000000000002000");
	ck_assert_int_eq(get(&everything, "user.pxar.chattr"), XATTR_NONE);
}
END_TEST

START_TEST(a_project_id_is_shown)
{
	begin(040755, 0);
	format_encode_u64(&b, FORMAT_QUOTA_PROJID, UINT64_MAX);
	finish();
	ck_assert_str_eq(list(&everything), "user.pxar.projid");
	check_value("user.pxar.projid", "18446744073709551615");
	ck_assert_int_eq(get(&everything, "user.pxar.flags"), XATTR_NONE);
	ck_assert_int_eq(get(&everything, "user.pxar.other"), XATTR_NONE);
}
END_TEST

START_TEST(made_up_names_are_listed_only_on_demand)
{
	begin(0100644, 0x400000);
	add("user.x", "");
	finish();
	ck_assert_str_eq(list(&user), "user.x");
	ck_assert_int_eq(get(&user, "user.pxar.flags"), 0);
	ck_assert_str_eq(list(&everything), "user.x user.pxar.flags user.pxar.chattr");
}
END_TEST

START_TEST(names_of_the_archive_push_the_made_up_ones_aside)
{
	begin(0100644, 0x400000);
	add("user.pxar.mine", "1");
	add("user.pxar.chattr", "stored");
	finish();
	ck_assert_str_eq(list(&everything), "user.pxar.mine user.pxar.chattr");
	check_value("user.pxar.mine", "1");
	check_value("user.pxar.chattr", "stored");
	ck_assert_int_eq(get(&everything, "user.pxar.flags"), XATTR_NONE);
}
END_TEST

/* One name more than fits, for every way in which the last one comes. */
START_TEST(listings_end_at_what_linux_takes)
{
	char name[256];
	struct error err = { 0 };

	begin(0100644, 0);
	for (int i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "user.%0*d", 250, i);
		add(name, "");
	}
	add("user.0", ""); /* repeated: costs nothing */
	finish();
	buffer_reset(&out);
	ck_assert_int_eq(xattr_list(&w, &e, &more, &user, &out, &err), -E2BIG);

	begin(0100644, 0);
	for (int i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "user.%0*d", 250, i);
		add(name, "");
		add(name, "");
	}
	finish();
	buffer_reset(&out);
	ck_assert_int_eq(xattr_list(&w, &e, &more, &user, &out, &err), 0);
	ck_assert_uint_eq(out.len, XATTR_NAMES_MAX);
	check_value(name, "");

	b.len -= 16; /* without the payload, to go on with the attributes */
	format_encode_bytes(&b, FORMAT_FCAPS, "x", 1);
	finish();
	buffer_reset(&out);
	ck_assert_int_eq(xattr_list(&w, &e, &more, &user, &out, &err), -E2BIG);
}
END_TEST

START_TEST(results_are_appended)
{
	begin(0100644, 0);
	add("user.x", "value");
	add("user.y", "");
	finish();
	buffer_reset(&out);
	buffer_add(&out, "user.x", 7); /* not ours, so not a repeated name */
	ck_assert_int_eq(xattr_list(&w, &e, &more, &user, &out, NULL), 0);
	ck_assert_uint_eq(out.len, 21);
	ck_assert_int_eq(xattr_get(&w, &e, &more, &user, "user.x", &out, NULL), 0);
	ck_assert(out.len == 26 && !memcmp(out.bytes + 21, "value", 5));
}
END_TEST

/* The window's bytes do not count: it is emptied before each question. */
START_TEST(what_an_entry_does_not_have_is_not_read_for)
{
	static const char *const names[] = { "user.x",
					     "security.capability",
					     "trusted.x",
					     "system.posix_acl_access",
					     "system.posix_acl_default",
					     "user.pxar.flags",
					     "security.selinux" };

	begin(0100644, 0x400000);
	finish();
	source.failure = -EIO;
	for (size_t i = 0; i < COUNT(names); i++) {
		w.len = 0;
		get(&everything, names[i]);
	}
	ck_assert_str_eq(list(&everything), "user.pxar.flags user.pxar.chattr");
	ck_assert_uint_eq(source.reads, 0);

	begin(0100644, 0);
	format_encode_bytes(&b, FORMAT_FCAPS, "x", 1);
	finish();
	source.failure = -EIO;
	w.len = 0;
	ck_assert_int_eq(get(&user, "user.x"), XATTR_NONE);
	ck_assert_int_eq(get(&user, "system.posix_acl_access"), XATTR_NONE);
	ck_assert_str_eq(list(&user), "security.capability");
	ck_assert_uint_eq(source.reads, 0);
}
END_TEST

static void make_all_kinds(void)
{
	char value[100];

	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	begin(040755, 0x400000);
	add("user.a", value);
	add("trusted.b", value);
	format_encode_acl(&b, FORMAT_ACL_USER, &(struct format_acl){ 1, 6 });
	format_encode_acl(&b, FORMAT_ACL_GROUP, &(struct format_acl){ 2, 6 });
	format_encode_u64(&b, FORMAT_ACL_GROUP_OBJ, 4);
	format_encode_acl_default(&b, &(struct format_acl_default){ 7, 5, 0, 5 });
	format_encode_acl(&b, FORMAT_ACL_DEFAULT_USER, &(struct format_acl){ 1, 6 });
	format_encode_bytes(&b, FORMAT_FCAPS, value, 20);
	format_encode_u64(&b, FORMAT_QUOTA_PROJID, 77);
	finish();
}

static const int failures[] = { -EIO, 1 };

/* Every read fails once: what comes back is that failure, never "no such attribute", and asking
   again gives what it should. */
START_TEST(a_failed_read_is_never_an_absent_attribute)
{
	static const char *const names[] = {
		"user.a",
		"trusted.b",
		"user.nothing",
		"security.capability",
		"user.pxar.projid",
		"system.posix_acl_access",
		"system.posix_acl_default",
	};

	make_all_kinds();
	for (size_t i = 0; i <= COUNT(names); i++) {
		int r = 1, want = i == 2 ? XATTR_NONE : 0;
		unsigned good;

		for (good = 0; r != want; good++) {
			ck_assert_uint_lt(good, 50);
			source.failure = failures[_i];
			source.reads = 0;
			source.good = good;
			w.len = 0;
			buffer_reset(&out);
			r = i < COUNT(names)
				    ? xattr_get(&w, &e, &more, &everything, names[i], &out, NULL)
				    : xattr_list(&w, &e, &more, &everything, &out, NULL);
			ck_assert(r == want || r == failures[_i]);
		}
		ck_assert_uint_gt(good, 1);
	}
}
END_TEST

START_TEST(every_listed_name_can_be_read)
{
	CLEANUP(buffer_release) struct buffer names = { 0 };
	size_t n = 0;

	make_all_kinds();
	ck_assert_int_eq(xattr_list(&w, &e, &more, &everything, &names, NULL), 0);
	for (size_t at = 0; at < names.len; n++) {
		const char *name = (const char *)names.bytes + at;

		ck_assert_msg(get(&everything, name) == 0, "%s", name);
		at += strlen(name) + 1;
	}
	ck_assert_uint_eq(n, 8);
}
END_TEST

/* As many repeated and different names as one MiB of archive can hold: a matter of milliseconds,
   which the time limit of the test would show if it were not. */
START_TEST(many_names_cost_no_more_than_their_number)
{
	char name[16];

	begin(0100644, 0);
	for (int i = 0; i < 40000; i++) {
		snprintf(name, sizeof(name), "user.%d", i % 5500);
		add(name, "");
	}
	finish();
	buffer_reset(&out);
	ck_assert_int_eq(xattr_list(&w, &e, &more, &user, &out, NULL), 0);
	ck_assert_uint_lt(out.len, XATTR_NAMES_MAX);
}
END_TEST

static Suite *xattr_suite(void)
{
	Suite *s = suite_create("xattr");
	TCase *tc = tcase_create("xattr");

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_test(tc, stored_attributes_come_back_in_their_order);
	tcase_add_test(tc, trusted_names_are_for_the_privileged);
	tcase_add_test(tc, names_that_linux_cannot_show_are_left_out);
	tcase_add_test(tc, of_equal_names_the_first_wins);
	tcase_add_test(tc, capabilities_come_from_their_own_item);
	tcase_add_test(tc, acls_are_rebuilt);
	tcase_add_test(tc, an_access_acl_needs_no_named_entry);
	tcase_add_test(tc, only_directories_have_a_default_acl);
	tcase_add_test(tc, an_acl_that_is_too_long_is_an_error_and_nothing_else_is);
	tcase_add_loop_test(tc, inode_flags_have_the_letters_of_chattr, 0, COUNT(letters));
	tcase_add_test(tc, flags_without_a_letter_are_shown_as_a_number_alone);
	tcase_add_test(tc, a_project_id_is_shown);
	tcase_add_test(tc, made_up_names_are_listed_only_on_demand);
	tcase_add_test(tc, names_of_the_archive_push_the_made_up_ones_aside);
	tcase_add_test(tc, listings_end_at_what_linux_takes);
	tcase_add_test(tc, results_are_appended);
	tcase_add_test(tc, what_an_entry_does_not_have_is_not_read_for);
	tcase_add_loop_test(tc, a_failed_read_is_never_an_absent_attribute, 0, COUNT(failures));
	tcase_add_test(tc, every_listed_name_can_be_read);
	tcase_add_test(tc, many_names_cost_no_more_than_their_number);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(xattr_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
