#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "daemon/log.h"
#include "tests/unit/mounted.h"

enum { ROOT = 1, CACHE = 1 << 20 };

/* What the tests ask about; the numbers of what is in it. */
static struct packed tree;
static uint64_t file, single, dir, deep, device, link_number, attributed;

static void put_attributed(struct packed *p)
{
	static const struct encoder_xattr xattrs[] = {
		{ "user.k", "value", 5 },
		{ "trusted.t", "1", 1 },
	};
	struct encoder_meta m = packed_meta(0104755);

	m.xattrs = xattrs;
	m.n_xattrs = 2;
	m.stat.uid = m.stat.gid = UINT32_MAX;
	m.stat.mtime_sec = -2;
	m.stat.mtime_nsec = 999999999;
	attributed = packed_number(packed_bytes(p, "x", &m, "", 0), "x");
}

static void put_device(struct packed *p)
{
	struct encoder_meta m = packed_meta(020600);

	device = packed_number(p->meta.len, "dev");
	ck_assert_int_eq(encoder_device(p->encoder, "dev", &m, 4095, 1048575, NULL), 0);
}

static void setup(void)
{
	static char big[5000];
	struct encoder_meta m = packed_meta(0100644);
	uint64_t start;

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7);
	packed_begin(&tree, false);
	start = packed_bytes(&tree, "a", &m, big, sizeof(big));
	file = packed_number(start, "a");
	packed_dir(&tree, "d");
	packed_hardlink(&tree, "h", start, "a");
	packed_dir(&tree, "deep");
	packed_hardlink(&tree, "hh", start, "/a");
	single = packed_number(packed_file(&tree, "one", "1"), "one");
	deep = packed_end_dir(&tree);
	dir = packed_end_dir(&tree);
	put_device(&tree);
	link_number = packed_number(packed_symlink(&tree, "l", "d/deep/one"), "l");
	put_attributed(&tree);
	packed_finish(&tree);
}

static void teardown(void)
{
	packed_release(&tree);
}

START_TEST(lookup_finds_what_is_there_and_knows_what_is_not)
{
	struct mounted m;
	struct stat st;

	mounted_open(&m, &tree, CACHE, true);
	for (int round = 0; round < 40; round++) { /* with and without the directory in memory */
		ck_assert_int_eq(mounted_lookup(&m, ROOT, "a", &st), 0);
		ck_assert(st.st_ino == file && st.st_size == 5000 && S_ISREG(st.st_mode));
		ck_assert_int_eq(mounted_lookup(&m, ROOT, "d", &st), 0);
		ck_assert(st.st_ino == dir && S_ISDIR(st.st_mode));
		ck_assert_int_eq(mounted_lookup(&m, dir, "deep", &st), 0);
		ck_assert(st.st_ino == deep);
		ck_assert_int_eq(mounted_lookup(&m, ROOT, "nothing", &st), 0);
		ck_assert_uint_eq(st.st_ino, 0);
	}
	mounted_close(&m);
}
END_TEST

START_TEST(lookup_refuses_what_cannot_be_a_name_here)
{
	struct mounted m;
	char name[257];
	struct stat st;

	memset(name, 'n', 256);
	name[256] = '\0';
	mounted_open(&m, &tree, CACHE, false);
	ck_assert_int_eq(mounted_lookup(&m, ROOT, name, &st), -ENAMETOOLONG);
	ck_assert_int_eq(mounted_lookup(&m, file, "x", &st), -ENOTDIR);
	ck_assert_int_eq(mounted_lookup(&m, deep - 1, "x", &st), -EUCLEAN);
	mounted_close(&m);
}
END_TEST

/* Every way to a damaged entry: alone, and in the decoded directory. */
START_TEST(a_damaged_entry_fails_alone)
{
	uint64_t start, good, end;
	struct packed p;
	struct mounted m;
	struct stat st;

	packed_begin(&p, false);
	start = packed_file(&p, "bad", "content");
	good = packed_number(packed_file(&p, "good", "content"), "good");
	packed_dir(&p, "sub");
	end = packed_end_dir(&p);
	packed_finish(&p);
	packed_damage(&p, start, "bad");
	mounted_open(&m, &p, CACHE, _i);
	for (int round = 0; round < 40; round++) {
		ck_assert_int_eq(mounted_lookup(&m, ROOT, "bad", &st), -EUCLEAN);
		ck_assert_int_eq(mounted_lookup(&m, ROOT, "good", &st), 0);
		ck_assert_uint_eq(st.st_ino, good);
		ck_assert_int_eq(mounted_lookup(&m, ROOT, "sub", &st), 0);
		ck_assert_uint_eq(st.st_ino, end);
		ck_assert_int_eq(mounted_lookup(&m, ROOT, "other", &st), 0);
		ck_assert_uint_eq(st.st_ino, 0);
	}
	mounted_close(&m);
	packed_release(&p);
}
END_TEST

START_TEST(where_a_name_is_hidden_no_name_is_known_to_be_missing)
{
	struct packed p;
	struct mounted m;
	struct stat st;
	uint64_t start;

	packed_begin(&p, false);
	start = packed_file(&p, "hidden", "");
	packed_file(&p, "other", "");
	packed_dir(&p, "sub");
	packed_end_dir(&p);
	packed_finish(&p);
	packed_hide(&p, start);
	mounted_open(&m, &p, CACHE, false);
	for (int round = 0; round < 40; round++) {
		ck_assert_int_eq(mounted_lookup(&m, ROOT, "hidden", &st), -EUCLEAN);
		ck_assert_int_eq(mounted_lookup(&m, ROOT, "unknown", &st), -EUCLEAN);
		ck_assert_int_eq(mounted_lookup(&m, ROOT, "other", &st), 0);
		ck_assert_uint_ne(st.st_ino, 0);
	}
	ck_assert_int_eq(mounted_lookup(&m, ROOT, "sub", &st), 0);
	ck_assert_int_eq(mounted_lookup(&m, st.st_ino, "unknown", &st), 0);
	ck_assert_uint_eq(st.st_ino, 0);
	mounted_close(&m);
	packed_release(&p);
}
END_TEST

START_TEST(attributes_are_what_linux_users_expect)
{
	struct mounted m;
	struct stat st;

	mounted_open(&m, &tree, CACHE, true);
	ck_assert_int_eq(mounted_getattr(&m, file, &st), 0);
	ck_assert(st.st_mode == 0100644 && st.st_nlink == 3 && st.st_size == 5000);
	ck_assert(st.st_blocks == 10 && st.st_blksize == 4096);
	ck_assert(st.st_uid == 1000 && st.st_gid == 100 && st.st_mtim.tv_sec == 1430487000);
	ck_assert_int_eq(mounted_getattr(&m, single, &st), 0);
	ck_assert(st.st_nlink == 1 && st.st_blocks == 1);
	ck_assert_int_eq(mounted_getattr(&m, ROOT, &st), 0);
	ck_assert(st.st_ino == ROOT && st.st_nlink == 2 && st.st_mode == 040755);
	ck_assert_int_eq(mounted_getattr(&m, deep, &st), 0);
	ck_assert(st.st_ino == deep && st.st_nlink == 2);
	ck_assert_int_eq(mounted_getattr(&m, device, &st), 0);
	ck_assert(st.st_rdev == makedev(4095, 1048575) && st.st_nlink == 1 && st.st_size == 0);
	ck_assert_int_eq(mounted_getattr(&m, link_number, &st), 0);
	ck_assert(st.st_size == 10 && S_ISLNK(st.st_mode) && st.st_nlink == 1);
	mounted_close(&m);
}
END_TEST

START_TEST(odd_owners_and_times_are_shown_as_what_they_are)
{
	struct mounted m;
	struct stat st;

	mounted_open(&m, &tree, CACHE, false);
	ck_assert_int_eq(mounted_getattr(&m, attributed, &st), 0);
	ck_assert(st.st_uid == 65534 && st.st_gid == 65534 && st.st_mode == 0104755);
	ck_assert(st.st_mtim.tv_sec == -2 && st.st_mtim.tv_nsec == 999999999);
	ck_assert(st.st_ctim.tv_sec == -2 && st.st_atim.tv_nsec == 999999999);
	mounted_close(&m);
}
END_TEST

START_TEST(without_a_count_files_have_two_links_for_good)
{
	struct request rq = { .number = ROOT, .name = "a" };
	struct mounted m;
	struct answer a;
	struct stat st;

	mounted_open(&m, &tree, CACHE, false);
	a = mounted_ask(&m, ops_lookup, &rq, true);
	ck_assert(a.r == 0 && a.reply.st.st_nlink == 2 && a.reply.attr_timeout == REPLY_FOREVER);
	answer_release(&a);
	ck_assert(mounted_getattr(&m, single, &st) == 0 && st.st_nlink == 2);
	ck_assert(mounted_getattr(&m, dir, &st) == 0 && st.st_nlink == 2);
	ck_assert(mounted_getattr(&m, device, &st) == 0 && st.st_nlink == 1);
	mounted_close(&m);
}
END_TEST

/* The kernel may ask about any number it was told, however long ago. */
START_TEST(numbers_need_not_be_known_but_must_lead_to_an_entry)
{
	struct request forget = { .number = file };
	struct mounted m;
	struct answer a;
	struct stat st;
	char byte;

	mounted_open(&m, &tree, CACHE, false);
	ck_assert_int_eq(mounted_getattr(&m, file, &st), 0);
	a = mounted_ask(&m, ops_forget, &forget, false);
	ck_assert(a.r == 0 && a.reply.kind == REPLY_NOTHING);
	ck_assert_int_eq(mounted_getattr(&m, file, &st), 0);
	for (uint64_t wrong = 0; wrong < 3; wrong++) {
		ck_assert_int_eq(mounted_getattr(&m, file + 1 + wrong, &st), -ESTALE);
		ck_assert_int_eq(mounted_read(&m, file + 1 + wrong, 0, &byte, 1), -ESTALE);
		ck_assert_int_eq(mounted_getattr(&m, dir - 1 - wrong, &st), -ESTALE);
	}
	ck_assert_int_eq(mounted_getattr(&m, 0, &st), -ESTALE);
	ck_assert_int_eq(mounted_read(&m, 0, 0, &byte, 1), -ESTALE);
	ck_assert_int_eq(mounted_getattr(&m, UINT64_MAX, &st), -ESTALE);
	ck_assert_int_eq(mounted_getattr(&m, INT64_MAX, &st), -ESTALE);
	ck_assert_int_eq(mounted_getattr(&m, tree.meta.len + 24, &st), -ESTALE);
	mounted_close(&m);
}
END_TEST

static const struct {
	uint64_t offset;
	size_t size;
	int want;
} reads[] = {
	{ 0, 5000, 5000 }, { 0, 1 << 20, 5000 }, { 4999, 4096, 1 },    { 1, 4096, 4096 },
	{ 0, 0, 0 },	   { 5000, 4096, 0 },	 { 5001, 1, 0 },       { 5000, 0, 0 },
	{ 2500, 1, 1 },	   { INT64_MAX, 1, 0 },	 { UINT64_MAX, 1, 0 }, { INT64_MAX, 1 << 20, 0 },
};

START_TEST(reads_end_where_the_file_ends)
{
	static char got[1 << 20];
	struct packed p;
	struct mounted m;
	struct stat st;
	char content[5000];

	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (char)(i * 7);
	for (int split = 0; split < 2; split++) {
		struct encoder_meta meta = packed_meta(0100644);

		packed_begin(&p, split);
		packed_bytes(&p, "a", &meta, content, sizeof(content));
		packed_file(&p, "z", "behind it");
		packed_finish(&p);
		mounted_open(&m, &p, CACHE, false);
		ck_assert_int_eq(mounted_lookup(&m, ROOT, "a", &st), 0);
		ck_assert_int_eq(mounted_read(&m, st.st_ino, reads[_i].offset, got, reads[_i].size),
				 reads[_i].want);
		ck_assert(!reads[_i].want ||
			  !memcmp(got, content + reads[_i].offset, (size_t)reads[_i].want));
		mounted_close(&m);
		packed_release(&p);
	}
}
END_TEST

START_TEST(only_files_are_read_and_only_links_are_followed)
{
	struct request rq = { .number = link_number };
	struct mounted m;
	struct answer a;
	char byte;

	mounted_open(&m, &tree, CACHE, false);
	ck_assert_int_eq(mounted_read(&m, dir, 0, &byte, 1), -EISDIR);
	ck_assert_int_eq(mounted_read(&m, ROOT, 0, &byte, 1), -EISDIR);
	ck_assert_int_eq(mounted_read(&m, link_number, 0, &byte, 1), -EINVAL);
	ck_assert_int_eq(mounted_read(&m, device, 0, &byte, 1), -EINVAL);
	a = mounted_ask(&m, ops_readlink, &rq, true);
	ck_assert(a.r == 0 && a.reply.kind == REPLY_TEXT && !strcmp(a.reply.data, "d/deep/one"));
	answer_release(&a);
	rq.number = file;
	a = mounted_ask(&m, ops_readlink, &rq, true);
	ck_assert_int_eq(a.r, -EINVAL);
	answer_release(&a);
	mounted_close(&m);
}
END_TEST

START_TEST(a_split_file_whose_reference_leads_elsewhere_is_not_read)
{
	struct packed p;
	struct mounted m;
	struct stat st;
	char got[8];

	packed_begin(&p, true);
	packed_file(&p, "a", "content");
	packed_file(&p, "b", "other");
	packed_finish(&p);
	p.payload.bytes[16 + 8]++; /* the size of the first PAYLOAD */
	mounted_open(&m, &p, CACHE, false);
	ck_assert_int_eq(mounted_lookup(&m, ROOT, "a", &st), 0);
	ck_assert_int_eq(mounted_read(&m, st.st_ino, 0, got, sizeof(got)), -EUCLEAN);
	ck_assert_int_eq(mounted_lookup(&m, ROOT, "b", &st), 0);
	ck_assert_int_eq(mounted_read(&m, st.st_ino, 0, got, sizeof(got)), 5);
	mounted_close(&m);
	packed_release(&p);
}
END_TEST

/* What an attribute's request gets; the reply is compared with want, when there is one. */
static int ask_attribute(struct mounted *m, ops_handler *handler, const struct request *rq,
			 enum reply_kind kind, const void *want, size_t len)
{
	struct answer a = mounted_ask(m, handler, rq, true);
	int r = a.r;

	if (r == 0) {
		ck_assert_int_eq(a.reply.kind, kind);
		ck_assert_uint_eq(a.reply.len, len);
		ck_assert(kind == REPLY_SIZE || !memcmp(a.reply.data, want, len));
	}
	answer_release(&a);
	return r;
}

START_TEST(an_attribute_is_measured_first_and_then_read)
{
	struct request rq = { .number = attributed, .name = "user.k", .uid = 1000 };
	struct mounted m;

	mounted_open(&m, &tree, CACHE, true);
	ck_assert_int_eq(ask_attribute(&m, ops_getxattr, &rq, REPLY_SIZE, NULL, 5), 0);
	rq.size = 4;
	ck_assert_int_eq(ask_attribute(&m, ops_getxattr, &rq, REPLY_DATA, NULL, 0), -ERANGE);
	for (rq.size = 5; rq.size < 8; rq.size++)
		ck_assert_int_eq(ask_attribute(&m, ops_getxattr, &rq, REPLY_DATA, "value", 5), 0);
	rq.name = "user.other";
	ck_assert_int_eq(ask_attribute(&m, ops_getxattr, &rq, REPLY_DATA, NULL, 0), -ENODATA);
	rq.number = file;
	ck_assert_int_eq(ask_attribute(&m, ops_getxattr, &rq, REPLY_DATA, NULL, 0), -ENODATA);
	rq.number = dir - 1;
	ck_assert_int_eq(ask_attribute(&m, ops_getxattr, &rq, REPLY_DATA, NULL, 0), -ESTALE);
	mounted_close(&m);
}
END_TEST

START_TEST(trusted_attributes_are_for_root)
{
	static const char all[] = "user.k\0trusted.t";
	struct request rq = { .number = attributed, .name = "trusted.t", .uid = 0 };
	struct mounted m;

	mounted_open(&m, &tree, CACHE, true);
	ck_assert_int_eq(ask_attribute(&m, ops_getxattr, &rq, REPLY_SIZE, NULL, 1), 0);
	ck_assert_int_eq(ask_attribute(&m, ops_listxattr, &rq, REPLY_SIZE, NULL, sizeof(all)), 0);
	rq.size = sizeof(all);
	ck_assert_int_eq(ask_attribute(&m, ops_listxattr, &rq, REPLY_DATA, all, sizeof(all)), 0);
	rq.size--;
	ck_assert_int_eq(ask_attribute(&m, ops_listxattr, &rq, REPLY_DATA, NULL, 0), -ERANGE);
	rq.uid = 1000;
	ck_assert_int_eq(ask_attribute(&m, ops_listxattr, &rq, REPLY_DATA, "user.k", 7), 0);
	ck_assert_int_eq(ask_attribute(&m, ops_getxattr, &rq, REPLY_DATA, NULL, 0), -ENODATA);
	mounted_close(&m);
}
END_TEST

/* The kernel remembers ENOSYS to getxattr; to listxattr it would be an error. */
START_TEST(an_archive_without_attributes_is_not_asked_again)
{
	struct request rq = { .number = ROOT, .name = "user.k" };
	struct packed p;
	struct mounted m;

	packed_begin(&p, false);
	packed_file(&p, "a", "");
	packed_finish(&p);
	for (int counted = 0; counted < 2; counted++) {
		mounted_open(&m, &p, CACHE, counted);
		ck_assert_int_eq(ask_attribute(&m, ops_getxattr, &rq, REPLY_SIZE, NULL, 0),
				 counted ? -ENOSYS : -ENODATA);
		ck_assert_int_eq(ask_attribute(&m, ops_listxattr, &rq, REPLY_SIZE, NULL, 0), 0);
		mounted_close(&m);
	}
	packed_release(&p);
}
END_TEST

START_TEST(the_file_system_has_a_size)
{
	struct mounted m;

	for (int counted = 0; counted < 2; counted++) {
		struct answer a;

		mounted_open(&m, &tree, CACHE, counted);
		a = mounted_ask(&m, ops_statfs, &(struct request){ .number = ROOT }, false);
		ck_assert(a.r == 0 && a.reply.kind == REPLY_STATFS);
		ck_assert(a.reply.vfs.f_blocks > 0 && a.reply.vfs.f_bsize == 4096);
		ck_assert(a.reply.vfs.f_files > 0 && a.reply.vfs.f_namemax == 255);
		ck_assert(!a.reply.vfs.f_bfree && !a.reply.vfs.f_bavail && !a.reply.vfs.f_ffree);
		ck_assert(!counted || a.reply.vfs.f_files == 10);
		answer_release(&a);
		mounted_close(&m);
	}
}
END_TEST

START_TEST(changes_are_refused_and_opening_is_not_needed)
{
	struct request rq = { .number = ROOT, .name = "new" };
	struct mounted m;
	struct answer a;

	mounted_open(&m, &tree, CACHE, false);
	a = mounted_ask(&m, ops_refuse, &rq, false);
	ck_assert_int_eq(a.r, -EROFS);
	answer_release(&a);
	a = mounted_ask(&m, ops_not_needed, &rq, false);
	ck_assert_int_eq(a.r, -ENOSYS);
	answer_release(&a);
	mounted_close(&m);
}
END_TEST

static TCase *entries_case(void)
{
	TCase *tc = tcase_create("entries");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, lookup_finds_what_is_there_and_knows_what_is_not);
	tcase_add_test(tc, lookup_refuses_what_cannot_be_a_name_here);
	tcase_add_loop_test(tc, a_damaged_entry_fails_alone, 0, 2);
	tcase_add_test(tc, where_a_name_is_hidden_no_name_is_known_to_be_missing);
	tcase_add_test(tc, attributes_are_what_linux_users_expect);
	tcase_add_test(tc, odd_owners_and_times_are_shown_as_what_they_are);
	tcase_add_test(tc, without_a_count_files_have_two_links_for_good);
	tcase_add_test(tc, numbers_need_not_be_known_but_must_lead_to_an_entry);
	tcase_add_test(tc, the_file_system_has_a_size);
	tcase_add_test(tc, changes_are_refused_and_opening_is_not_needed);
	return tc;
}

static TCase *contents_case(void)
{
	TCase *tc = tcase_create("contents");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, reads_end_where_the_file_ends, 0, sizeof(reads) / sizeof(reads[0]));
	tcase_add_test(tc, only_files_are_read_and_only_links_are_followed);
	tcase_add_test(tc, a_split_file_whose_reference_leads_elsewhere_is_not_read);
	tcase_add_test(tc, an_attribute_is_measured_first_and_then_read);
	tcase_add_test(tc, trusted_attributes_are_for_root);
	tcase_add_test(tc, an_archive_without_attributes_is_not_asked_again);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("ops");
	SRunner *sr;
	int failed;

	log_open(LOG_TO_STDERR, (enum log_level)0); /* nothing: the errors are wanted */
	suite_add_tcase(s, entries_case());
	suite_add_tcase(s, contents_case());
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
