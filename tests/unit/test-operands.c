#define _GNU_SOURCE
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/operands.h"

#define COUNT(array) (int)(sizeof(array) / sizeof(*(array)))

#define TIME "2020-06-26T13:56:05Z"

enum { ARGS_MAX = 8 };

/* Through options_parse(), which calls operands_take() when it has read all options. */
static int parse(struct options *o, const char *const *words, struct error *err)
{
	char *argv[ARGS_MAX + 2] = { (char *)"pxar-mount" };
	int argc = 1;

	for (; *words; words++) {
		ck_assert_int_le(argc, ARGS_MAX);
		argv[argc++] = (char *)*words;
	}
	return options_parse(o, argc, argv, err);
}

static const struct {
	const char *words[ARGS_MAX];
	const char *archive, *didx;
} good[] = {
	{ { "a.pxar", "m" }, "a.pxar", NULL },
	{ { "host/a/latest/x.pxar", "m" }, "host/a/latest/x.pxar", NULL },
	{ { "none", "m" }, "none", NULL },
	{ { "--store=s", "--didx=i", "m" }, "i", "i" },
	{ { "--store=s", "--didx=a.pxar.didx", "m" }, "a.pxar.didx", "a.pxar.didx" },
	{ { "--store=s", "--didx=host/a/latest/x.didx", "m" },
	  "host/a/latest/x.didx",
	  "host/a/latest/x.didx" },
	{ { "--store=s", "host/a/latest/x", "m" }, "host/a/latest/x", NULL },
	{ { "--store=s", "vm/100/" TIME "/x.pxar", "m" }, "vm/100/" TIME "/x.pxar", NULL },
	{ { "--store=s", "ct/1/" TIME "/x.mpxar.didx", "m" }, "ct/1/" TIME "/x.mpxar.didx", NULL },
	{ { "--store=s", "--ns=a/b", "host/a/latest/x", "m" }, "host/a/latest/x", NULL },
	{ { "a.pxar.didx", "m", "-ostore=s" }, "a.pxar.didx", "a.pxar.didx" },
	{ { "./host/a/latest/x.didx", "m", "-ostore=s" },
	  "./host/a/latest/x.didx",
	  "./host/a/latest/x.didx" },
	{ { "host/a/latest/sub/x.didx", "m", "-ostore=s" },
	  "host/a/latest/sub/x.didx",
	  "host/a/latest/sub/x.didx" },
	{ { "host/a/2020-06-31T13:56:05Z/x.didx", "m", "-ostore=s" },
	  "host/a/2020-06-31T13:56:05Z/x.didx",
	  "host/a/2020-06-31T13:56:05Z/x.didx" },
	{ { "a.mpxar.didx", "m", "-ostore=s,payload-didx=p" }, "a.mpxar.didx", "a.mpxar.didx" },
	{ { "--store=s", "--metadata-only", "a.mpxar.didx", "m" }, "a.mpxar.didx", "a.mpxar.didx" },
	{ { "--store=s", "--keyfd=3", "--require-signature", "host/a/latest/x", "m" },
	  "host/a/latest/x",
	  NULL },
};

START_TEST(an_archive_is_a_file_a_snapshots_or_an_index)
{
	struct error err = { 0 };
	struct options o;
	int r = parse(&o, good[_i].words, &err);

	ck_assert_msg(r == 0, "%s: %s", good[_i].archive, err.text);
	ck_assert_str_eq(o.archive, good[_i].archive);
	ck_assert_pstr_eq(o.didx, good[_i].didx);
	ck_assert_str_eq(o.mountpoint, "m");
	options_release(&o);
}
END_TEST

#define FORM "with option store, ARCHIVE is TYPE/ID/TIME/ARCHIVE or ends in .didx: "
#define WHOLE "a whole datastore cannot be mounted"
#define PLAIN "payload goes only with a plain archive"
#define NS "ns goes only with store and TYPE/ID/TIME/ARCHIVE"

static const struct {
	const char *words[ARGS_MAX];
	const char *want;
} refused[] = {
	{ { NULL }, "ARCHIVE and MOUNTPOINT are missing" },
	{ { "a" }, "MOUNTPOINT is missing" },
	{ { "a", "m", "x" }, "one argument too many: 'x'" },
	{ { "a", "m", "x", "y" }, "one argument too many: 'x'" },
	{ { "", "m" }, "ARCHIVE is an empty word" },
	{ { "a", "" }, "MOUNTPOINT is an empty word" },
	{ { "--unmount" }, "the MOUNTPOINT to unmount is missing" },
	{ { "-u", "m", "x" }, "one argument too many: 'x'" },
	{ { "-u", "" }, "MOUNTPOINT is an empty word" },
	{ { "-u", "--store=s" }, "the MOUNTPOINT to unmount is missing" },

	{ { "--store=s" }, "ARCHIVE and MOUNTPOINT are missing" },
	{ { "--store=s", "m" }, WHOLE },
	{ { "--store=s", "--ns=a", "m" }, WHOLE },
	{ { "--store=s", "none", "m" }, WHOLE },
	{ { "--store=s", "host/a/latest/x" }, "MOUNTPOINT is missing" },
	{ { "--store=s", "x.didx" }, "MOUNTPOINT is missing" },
	{ { "--store=s", "", "m" }, "ARCHIVE is an empty word" },
	{ { "--store=s", "a.pxar", "m" }, FORM "'a.pxar': a snapshot is" },
	{ { "--store=s", "/host/a/latest/x", "m" }, FORM "'/host/a/latest/x': a snapshot is" },
	{ { "--store=s", "host/a/latest", "m" }, FORM "'host/a/latest' is a whole snapshot" },
	{ { "--store=s", "host/a/latest/", "m" }, FORM "'host/a/latest/' is a whole snapshot" },
	{ { "--store=s", "host/a/latest/x/y", "m" }, FORM "'host/a/latest/x/y' names no archive" },
	{ { "--store=s", "host/a/latest/..", "m" }, FORM "'host/a/latest/..' names no archive" },
	{ { "--store=s", "host/../latest/x", "m" }, FORM "'host/../latest/x': no backup ID" },
	{ { "--store=s", "host/a/now/x", "m" }, FORM "'host/a/now/x': the time is written" },
	{ { "--store=s", "a\nb", "m" }, FORM "'a\\x0ab': a snapshot is" },
	{ { "--store=s", "--ns=a/../b", "host/a/latest/x", "m" }, "'a/../b' is not a namespace" },

	{ { "--didx=i" }, "MOUNTPOINT is missing" },
	{ { "--didx=i", "" }, "MOUNTPOINT is an empty word" },
	{ { "--didx=i", "m" }, "didx goes only with store" },
	{ { "a.didx", "m" }, "'a.didx' is an index: option store must say where" },
	{ { "--didx=i", "--store=s", "a", "m" },
	  "didx and ARCHIVE exclude each other, but there is 'a'" },
	{ { "--didx=i", "--store=s", "a", "m", "x" }, "one argument too many: 'm'" },
	{ { "--payload-didx=p", "a", "m" }, "payload-didx goes only with didx" },
	{ { "--payload-didx=p", "--store=s", "host/a/latest/x", "m" },
	  "payload-didx goes only with didx" },
	{ { "--payload-didx=p", "--metadata-only", "--store=s", "x.didx", "m" },
	  "payload-didx and metadata-only exclude each other" },
	{ { "--payload=p", "--metadata-only", "a", "m" },
	  "payload and metadata-only exclude each other" },
	{ { "--payload=p", "--store=s", "host/a/latest/x", "m" }, PLAIN },
	{ { "--payload=p", "--store=s", "--didx=i", "m" }, PLAIN },
	{ { "--payload=p", "--didx=i", "m" }, PLAIN },
	{ { "--ns=a", "a", "m" }, NS },
	{ { "--ns=a", "--store=s", "--didx=i", "m" }, NS },
	{ { "--ns=a", "--store=s", "i.didx", "m" }, NS },
	{ { "--keyfile=k", "--keyfd=3", "--store=s", "i.didx", "m" },
	  "keyfile and keyfd exclude each other" },
	{ { "--keyfile=k", "a", "m" }, "keyfile goes only with store" },
	{ { "--keyfd=0", "a", "m" }, "keyfd goes only with store" },
	{ { "--require-encryption", "a", "m" }, "require-encryption goes only with store" },
	{ { "--require-signature", "a", "m" }, "require-signature goes only with store" },
};

START_TEST(contradictions_are_refused_with_a_sentence)
{
	struct error err = { 0 };
	struct options o;

	ck_assert_int_eq(parse(&o, refused[_i].words, &err), -EINVAL);
	ck_assert_msg(strncmp(err.text, refused[_i].want, strlen(refused[_i].want)) == 0,
		      "'%s', not '%s'", err.text, refused[_i].want);
	options_release(&o);
}
END_TEST

START_TEST(unmounting_needs_no_sense_in_other_options)
{
	static const char *const words[] = {
		"-u", "--didx=i", "--payload=p", "--metadata-only", "--ns=a", "m", NULL,
	};
	struct error err = { 0 };
	struct options o;

	ck_assert_int_eq(parse(&o, words, &err), 0);
	ck_assert_ptr_null(o.archive);
	ck_assert_str_eq(o.mountpoint, "m");
	options_release(&o);
}
END_TEST

/* Nothing in the current directory changes what a snapshot's archive is called in mountinfo. */
START_TEST(a_snapshots_archive_is_no_path)
{
	static const char *const words[] = { "--store=s", "host/a/latest/x", "m", NULL };
	static const char *const dirs[] = { "host", "host/a", "host/a/latest", "host/a/latest/x" };
	char *before = getcwd(NULL, 0), dir[] = "/tmp/test-operands-XXXXXX";
	struct error err = { 0 };
	struct options o;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
	for (int i = 0; i < COUNT(dirs); i++)
		ck_assert_int_eq(mkdir(dirs[i], 0700), 0);
	ck_assert_int_eq(parse(&o, words, &err), 0);
	ck_assert_ptr_nonnull(strstr(o.fuse_options, ",fsname=host/a/latest/x"));
	options_release(&o);
	for (int i = COUNT(dirs); i--;)
		rmdir(dirs[i]);
	ck_assert_int_eq(chdir(before), 0);
	rmdir(dir);
	free(before);
}
END_TEST

START_TEST(an_existing_index_is_named_by_its_full_path)
{
	char dir[] = "/tmp/test-operands-XXXXXX", file[64], link[64], want[96];
	const char *words[] = { "--store=s", link, "m", NULL };
	struct error err = { 0 };
	struct options o;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/a.didx", dir);
	snprintf(link, sizeof(link), "%s/link.didx", dir);
	snprintf(want, sizeof(want), ",fsname=%s", file);
	fclose(fopen(file, "w"));
	ck_assert_int_eq(symlink("a.didx", link), 0);
	ck_assert_int_eq(parse(&o, words, &err), 0);
	ck_assert_str_eq(o.didx, link);
	ck_assert_ptr_nonnull(strstr(o.fuse_options, want));
	options_release(&o);
	unlink(link);
	unlink(file);
	rmdir(dir);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("operands");
	TCase *tc = tcase_create("operands");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_loop_test(tc, an_archive_is_a_file_a_snapshots_or_an_index, 0, COUNT(good));
	tcase_add_loop_test(tc, contradictions_are_refused_with_a_sentence, 0, COUNT(refused));
	tcase_add_test(tc, unmounting_needs_no_sense_in_other_options);
	tcase_add_test(tc, a_snapshots_archive_is_no_path);
	tcase_add_test(tc, an_existing_index_is_named_by_its_full_path);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
