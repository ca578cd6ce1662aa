#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "chunkcache/snapshot.h"
#include "core/cleanup.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char dir[] = "/tmp/test-snapshot-XXXXXX";
static int base = -1;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static void make_dirs(const char *path)
{
	char part[700];

	for (const char *slash = path; slash;) {
		slash = strchr(slash + 1, '/');
		snprintf(part, sizeof(part), "%.*s",
			 slash ? (int)(slash - path) : (int)strlen(path), path);
		ck_assert(mkdirat(base, part, 0755) == 0 || errno == EEXIST);
	}
}

static void make_file(const char *path)
{
	int fd = openat(base, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void make_snapshot(const char *path, bool finished)
{
	char manifest[700];

	make_dirs(path);
	snprintf(manifest, sizeof(manifest), "%s/index.json.blob", path);
	if (finished)
		make_file(manifest);
}

static void setup(void)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	base = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_dirs(".chunks");
}

static void teardown(void)
{
	close(base);
	nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static const struct {
	const char *text;
	int64_t time; /* 0: not a time */
} times[] = {
	{ "2020-06-26T13:56:05Z", 1593179765 }, { "1970-01-01T00:00:01Z", 1 },
	{ "2024-02-29T23:59:59Z", 1709251199 }, { "9999-12-31T23:59:59Z", INT64_C(253402300799) },
	{ "1970-01-01T00:00:00Z", 0 },		{ "1969-12-31T23:59:59Z", 0 },
	{ "2023-02-29T00:00:00Z", 0 },		{ "2023-13-01T00:00:00Z", 0 },
	{ "2023-00-01T00:00:00Z", 0 },		{ "2023-01-00T00:00:00Z", 0 },
	{ "2023-01-32T00:00:00Z", 0 },		{ "2023-01-01T24:00:00Z", 0 },
	{ "2023-01-01T00:60:00Z", 0 },		{ "2016-12-31T23:59:60Z", 0 },
	{ "2023-01-01t00:00:00Z", 0 },		{ "2023-01-01T00:00:00z", 0 },
	{ "2023-01-01 00:00:00Z", 0 },		{ "2023-01-01T00:00:00", 0 },
	{ "2023-01-01T00:00:00ZZ", 0 },		{ "2023-1-001T00:00:00Z", 0 },
	{ "+023-01-01T00:00:00Z", 0 },		{ " 023-01-01T00:00:00Z", 0 },
	{ "2023-01-01T00:00:-1Z", 0 },		{ "", 0 },
};

START_TEST(a_time_has_one_spelling)
{
	char text[SNAPSHOT_TIME_SIZE];
	int64_t time = 0;
	bool valid = snapshot_parse_time(times[_i].text, strlen(times[_i].text), &time);

	ck_assert_msg(valid == (times[_i].time != 0), "%s", times[_i].text);
	ck_assert_int_eq(time, times[_i].time);
	if (valid) {
		snapshot_format_time(time, text);
		ck_assert_str_eq(text, times[_i].text);
	}
}
END_TEST

START_TEST(every_instant_has_a_spelling)
{
	char text[SNAPSHOT_TIME_SIZE];
	int64_t time;

	for (int64_t t = 1; t < INT64_C(253402300800); t += INT64_C(86398765)) {
		snapshot_format_time(t, text);
		ck_assert(snapshot_parse_time(text, strlen(text), &time));
		ck_assert_int_eq(time, t);
	}
}
END_TEST

static const struct {
	const char *name;
	bool safe;
} names[] = {
	{ "a", true },	       { "_", true },	 { "0", true },	   { "a.b-c_D9", true },
	{ "a..", true },       { "", false },	 { ".", false },   { "..", false },
	{ "-a", false },       { ".a", false },	 { "a/b", false }, { "a b", false },
	{ "\xc3\xa4", false }, { "a\n", false }, { "a:", false },
};

START_TEST(a_safe_name_stays_in_its_directory)
{
	char name[SNAPSHOT_NAME_MAX + 2];

	ck_assert_msg(snapshot_name_is_safe(names[_i].name, strlen(names[_i].name)) ==
			      names[_i].safe,
		      "%s", names[_i].name);
	memset(name, 'a', sizeof(name));
	ck_assert(snapshot_name_is_safe(name, SNAPSHOT_NAME_MAX));
	ck_assert(!snapshot_name_is_safe(name, SNAPSHOT_NAME_MAX + 1));
}
END_TEST

#define TIME "2020-06-26T13:56:05Z"
#define NS_256 /* eight components: too deep, and 256 bytes with what follows */ \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/"      \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/"      \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/"      \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *ns, *text, *path, *rest; /* path NULL: refused */
} parses[] = {
	{ NULL, "host/elsa/" TIME, "host/elsa/" TIME, "" },
	{ "", "vm/100/" TIME "/x.img", "vm/100/" TIME, "x.img" },
	{ "a/b", "ct/1/" TIME "/", "ns/a/ns/b/ct/1/" TIME, "" },
	{ "a", "ct/1/" TIME "/a/b", "ns/a/ct/1/" TIME, "a/b" },
	{ "1/2/3/4/5/6/7", "ct/1/" TIME, "ns/1/ns/2/ns/3/ns/4/ns/5/ns/6/ns/7/ct/1/" TIME, "" },
	{ "1/2/3/4/5/6/7/8", "ct/1/" TIME, NULL, NULL },
	{ NS_256 "x", "ct/1/" TIME, NULL, NULL },
	{ "/a", "ct/1/" TIME, NULL, NULL },
	{ "a/", "ct/1/" TIME, NULL, NULL },
	{ "a//b", "ct/1/" TIME, NULL, NULL },
	{ "/", "ct/1/" TIME, NULL, NULL },
	{ "..", "ct/1/" TIME, NULL, NULL },
	{ "a/../b", "ct/1/" TIME, NULL, NULL },
	{ NULL, "", NULL, NULL },
	{ NULL, "host", NULL, NULL },
	{ NULL, "host/", NULL, NULL },
	{ NULL, "host/elsa", NULL, NULL },
	{ NULL, "host/elsa/", NULL, NULL },
	{ NULL, "host/elsa/latestt", NULL, NULL },
	{ NULL, "host/elsa/2020-06-26", NULL, NULL },
	{ NULL, "host/../" TIME, NULL, NULL },
	{ NULL, "host/.x/" TIME, NULL, NULL },
	{ NULL, "host//" TIME, NULL, NULL },
	{ NULL, "qemu/100/" TIME, NULL, NULL },
	{ NULL, "hosts/100/" TIME, NULL, NULL },
	{ NULL, "ns/a/" TIME, NULL, NULL },
	{ NULL, "/host/elsa/" TIME, NULL, NULL },
	{ NULL, "host/el sa/" TIME, NULL, NULL },
};

START_TEST(a_snapshot_is_taken_apart_and_put_into_a_path)
{
	char path[SNAPSHOT_PATH_SIZE];
	struct error err = { 0 };
	struct snapshot s;
	const char *rest;
	int r = snapshot_parse(&s, parses[_i].ns, parses[_i].text, &rest, &err);

	if (!parses[_i].path) {
		ck_assert_msg(r == -EINVAL, "%s", parses[_i].text);
		ck_assert_str_ne(err.text, "");
		return;
	}
	ck_assert_msg(r == 0, "%s", err.text);
	snapshot_path(&s, path);
	ck_assert_str_eq(path, parses[_i].path);
	ck_assert_str_eq(rest, parses[_i].rest);
}
END_TEST

START_TEST(the_longest_names_fit)
{
	char id[SNAPSHOT_NAME_MAX + 1], ns[SNAPSHOT_NS_MAX + 1], text[400],
		path[SNAPSHOT_PATH_SIZE];
	struct snapshot s;
	const char *rest;

	memset(id, 'i', sizeof(id));
	id[SNAPSHOT_NAME_MAX] = '\0';
	memset(ns, 'n', sizeof(ns));
	for (int i = 1; i < SNAPSHOT_NS_DEPTH; i++)
		ns[2 * i - 1] = '/';
	ns[SNAPSHOT_NS_MAX] = '\0';
	snprintf(text, sizeof(text), "host/%s/%s", id, TIME);
	ck_assert_int_eq(snapshot_parse(&s, ns, text, &rest, NULL), 0);
	snapshot_path(&s, path);
	ck_assert_uint_eq(strlen(path), SNAPSHOT_NS_MAX + 3 * SNAPSHOT_NS_DEPTH + 1 + strlen(text));
}
END_TEST

static struct snapshot parsed(const char *ns, const char *text)
{
	struct error err = { 0 };
	struct snapshot s;
	const char *rest;

	ck_assert_msg(snapshot_parse(&s, ns, text, &rest, &err) == 0, "%s", err.text);
	return s;
}

START_TEST(latest_is_the_newest_with_a_manifest)
{
	struct snapshot s = parsed("a", "host/elsa/latest");
	struct error err = { 0 };

	ck_assert_int_eq(snapshot_find_latest(base, &s, &err), -ENOENT);
	ck_assert_str_eq(err.text, "the datastore has no backup group ns/a/host/elsa");
	make_snapshot("ns/a/host/elsa/2024-03-01T10:00:00Z", false);
	ck_assert_int_eq(snapshot_find_latest(base, &s, &err), -ENOENT);
	ck_assert_str_eq(err.text, "host/elsa has no finished snapshot");
	make_snapshot("ns/a/host/elsa/2021-03-01T10:00:00Z", true);
	make_snapshot("ns/a/host/elsa/2023-03-01T10:00:00Z", true);
	make_snapshot("ns/a/host/elsa/2022-03-01T10:00:00Z", true);
	make_snapshot("ns/a/host/elsa/2025-03-01T10:00:00z", true); /* not a snapshot */
	make_file("ns/a/host/elsa/owner");
	make_file("ns/a/host/elsa/2026-03-01T10:00:00Z"); /* nor is this */
	make_snapshot("host/elsa/2027-03-01T10:00:00Z", true);
	ck_assert_int_eq(snapshot_find_latest(base, &s, NULL), 0);
	ck_assert_int_eq(s.time, 1677664800);
	ck_assert_int_eq(snapshot_find_latest(base, &s, NULL), 0); /* has its time */
	ck_assert_int_eq(s.time, 1677664800);
}
END_TEST

static void check_open(const char *ns, const char *text, int want, const char *says)
{
	struct snapshot s = parsed(ns, text);
	struct error err = { 0 };
	int fd = -1;

	ck_assert_msg(snapshot_open(&fd, base, &s, &err) == want, "%s: %s", text, err.text);
	ck_assert_int_eq(err.code, want);
	ck_assert_msg(strstr(err.text, says) != NULL, "%s", err.text);
	ck_assert((fd >= 0) == (want == 0));
	closep(&fd);
}

static void check_opens(void)
{
	check_open(NULL, "host/elsa/" TIME, -ENOENT, "no backup group host/elsa");
	make_snapshot("host/elsa/" TIME, false);
	check_open(NULL, "host/elsa/" TIME, -ENODATA, "not finished");
	check_open(NULL, "host/elsa/2020-06-26T13:56:06Z", -ENOENT,
		   "no snapshot host/elsa/2020-06-26T13:56:06Z");
	make_snapshot("host/elsa/" TIME, true);
	check_open(NULL, "host/elsa/" TIME, 0, "");
	make_snapshot("ns/x/ns/y/vm/1/" TIME, true);
	check_open("x/y", "vm/1/" TIME, 0, "");
	/* Links lead out of a datastore. */
	ck_assert_int_eq(symlinkat("elsa", base, "host/link"), 0);
	check_open(NULL, "host/link/" TIME, -ELOOP, "host/link");
	make_dirs("host/other");
	ck_assert_int_eq(symlinkat("../elsa/" TIME, base, "host/other/" TIME), 0);
	check_open(NULL, "host/other/" TIME, -ELOOP, TIME);
	make_snapshot("host/third/" TIME, false);
	ck_assert_int_eq(symlinkat("/dev/null", base, "host/third/" TIME "/index.json.blob"), 0);
	check_open(NULL, "host/third/" TIME, -ELOOP, "index.json.blob");
}

START_TEST(what_is_wrong_with_a_snapshot_is_told_apart)
{
	check_opens();
}
END_TEST

/* From here on openat2 is not known to this process. */
static void forget_openat2(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { COUNT(filter), filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(77); /* a kernel without it */
}

/* There a link on the way is ENOTDIR, which is as good. */
static bool opens_stepwise(void)
{
	struct snapshot s = parsed(NULL, "host/elsa/" TIME);
	struct snapshot link = parsed(NULL, "host/link/" TIME);
	struct snapshot nested = parsed("x/y", "vm/1/" TIME);
	CLEANUP(closep) int fd = -1;
	int r;

	if (snapshot_open(&fd, base, &s, NULL) < 0)
		return false;
	close(take_fd(&fd));
	if (snapshot_open(&fd, base, &nested, NULL) < 0)
		return false;
	close(take_fd(&fd));
	r = snapshot_open(&fd, base, &link, NULL);
	return r == -ELOOP || r == -ENOTDIR;
}

START_TEST(without_openat2_paths_are_as_safe)
{
	int status;
	pid_t pid;

	make_snapshot("host/elsa/" TIME, true);
	make_snapshot("ns/x/ns/y/vm/1/" TIME, true);
	ck_assert_int_eq(symlinkat("elsa", base, "host/link"), 0);
	pid = fork();
	if (pid == 0) {
		forget_openat2();
		_exit(opens_stepwise() ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
}
END_TEST

START_TEST(a_directory_without_chunks_is_no_datastore)
{
	struct error err = { 0 };
	char path[64];
	int fd = -1;

	ck_assert_int_eq(snapshot_open_base(&fd, dir, NULL), 0);
	close(fd);
	ck_assert_int_eq(unlinkat(base, ".chunks", AT_REMOVEDIR), 0);
	ck_assert_int_eq(snapshot_open_base(&fd, dir, &err), -EMEDIUMTYPE);
	ck_assert_msg(strstr(err.text, "not a datastore") != NULL, "%s", err.text);
	make_file(".chunks");
	ck_assert_int_eq(snapshot_open_base(&fd, dir, NULL), -EMEDIUMTYPE);
	snprintf(path, sizeof(path), "%s/none", dir);
	ck_assert_int_eq(snapshot_open_base(&fd, path, NULL), -ENOENT);
	snprintf(path, sizeof(path), "%s/.chunks", dir);
	ck_assert_int_eq(snapshot_open_base(&fd, path, NULL), -ENOTDIR);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("snapshot");
	TCase *tc = tcase_create("snapshot");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, a_time_has_one_spelling, 0, COUNT(times));
	tcase_add_test(tc, every_instant_has_a_spelling);
	tcase_add_loop_test(tc, a_safe_name_stays_in_its_directory, 0, COUNT(names));
	tcase_add_loop_test(tc, a_snapshot_is_taken_apart_and_put_into_a_path, 0, COUNT(parses));
	tcase_add_test(tc, the_longest_names_fit);
	tcase_add_test(tc, latest_is_the_newest_with_a_manifest);
	tcase_add_test(tc, what_is_wrong_with_a_snapshot_is_told_apart);
	tcase_add_test(tc, without_openat2_paths_are_as_safe);
	tcase_add_test(tc, a_directory_without_chunks_is_no_datastore);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
