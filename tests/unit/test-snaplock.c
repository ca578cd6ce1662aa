#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "chunkcache/snaplock.h"
#include "core/cleanup.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define TIME "2020-06-26T13:56:05Z"

static char dir[] = "/tmp/test-snaplock-XXXXXX";
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

static struct snapshot parsed(const char *ns, const char *text)
{
	struct error err = { 0 };
	struct snapshot s;
	const char *rest;

	ck_assert_msg(snapshot_parse(&s, ns, text, &rest, &err) == 0, "%s", err.text);
	return s;
}

static const struct {
	const char *ns, *text, *path;
} locks[] = {
	{ NULL, "vm/100/2022-05-02T08:11:33Z", "vm-100-2022\\x2d05\\x2d02T08\\x3a11\\x3a33Z" },
	{ "a/b", "host/el-sa.x_Y/2022-05-02T08:11:33Z",
	  "a:b/host-el\\x2dsa.x_Y-2022\\x2d05\\x2d02T08\\x3a11\\x3a33Z" },
};

START_TEST(a_lock_is_named_as_the_server_names_it)
{
	struct snapshot s = parsed(locks[_i].ns, locks[_i].text);
	char path[SNAPSHOT_PATH_SIZE];

	snaplock_path(&s, path);
	ck_assert_str_eq(path, locks[_i].path);
}
END_TEST

/* From 255 bytes on a name is hashed; the hash is that of sha256sum. */
START_TEST(a_long_name_of_a_lock_is_hashed)
{
	char text[SNAPSHOT_PATH_SIZE], path[SNAPSHOT_PATH_SIZE], xs[218], want[SNAPSHOT_PATH_SIZE];
	struct snapshot s;

	memset(xs, 'x', sizeof(xs));
	snprintf(text, sizeof(text), "host/%.216s/2022-05-02T08:11:33Z", xs);
	s = parsed("n", text);
	snaplock_path(&s, path);
	snprintf(want, sizeof(want), "n/host-%.216s-2022\\x2d05\\x2d02T08\\x3a11\\x3a33Z", xs);
	ck_assert_str_eq(path, want);

	snprintf(text, sizeof(text), "host/%.217s/2022-05-02T08:11:33Z", xs);
	s = parsed("n", text);
	snaplock_path(&s, path);
	snprintf(want, sizeof(want),
		 "n/hashed/host-%.75s...%.47s-2022\\x2d05\\x2d02T08\\x3a11\\x3a33Z-%s", xs, xs,
		 "1bd0954bd84a83aef1db3160e78336ca8fb1a6b8ccac1ac6e5dc3ffa6c215a99");
	ck_assert_str_eq(path, want);
}
END_TEST

START_TEST(the_longest_names_fit)
{
	char id[SNAPSHOT_NAME_MAX + 1], ns[SNAPSHOT_NS_MAX + 1], text[400],
		path[SNAPSHOT_PATH_SIZE];
	struct snapshot s;

	memset(id, '-', sizeof(id)); /* each has four bytes when it is escaped */
	id[0] = '_';
	id[SNAPSHOT_NAME_MAX] = '\0';
	memset(ns, 'n', sizeof(ns));
	for (int i = 1; i < SNAPSHOT_NS_DEPTH; i++)
		ns[2 * i - 1] = '/';
	ns[SNAPSHOT_NS_MAX] = '\0';
	snprintf(text, sizeof(text), "host/%s/%s", id, TIME);
	s = parsed(ns, text);
	snaplock_path(&s, path);
	ck_assert_ptr_nonnull(strstr(path, "/hashed/"));
	ck_assert_uint_eq(strlen(path), SNAPSHOT_NS_MAX + 1 + 7 + 80 + 3 + 80 + 1 + 64);
}
END_TEST

static char run[64];

static int take(struct snaplock *lock, const char *store, struct error *err)
{
	struct snapshot s = parsed("a/b", "host/elsa/" TIME);
	CLEANUP(closep) int fd = -1;

	make_snapshot("ns/a/ns/b/host/elsa/" TIME, true);
	snprintf(run, sizeof(run), "%s/run", dir);
	ck_assert_int_eq(snapshot_open(&fd, base, &s, NULL), 0);
	return snaplock_take(lock, base, fd, run, store, &s, err);
}

static int open_for_lock(const char *path)
{
	int fd = openat(base, path, O_RDONLY | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "%s", path);
	return fd;
}

static bool can_be_pruned(const char *path)
{
	CLEANUP(closep) int fd = open_for_lock(path);

	return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

#define SNAPSHOT "ns/a/ns/b/host/elsa/" TIME
#define LOCK_FILE "run/locks/store/a:b/host-elsa-2020\\x2d06\\x2d26T13\\x3a56\\x3a05Z"

START_TEST(a_lock_keeps_servers_of_both_ages_off)
{
	struct snaplock lock, second;
	struct error err = { 0 };

	make_dirs("run");
	ck_assert_msg(take(&lock, "store", &err) == SNAPLOCK_TAKEN, "%s", err.text);
	ck_assert(!can_be_pruned(SNAPSHOT));
	ck_assert(!can_be_pruned(LOCK_FILE));
	ck_assert_int_eq(take(&second, "store", &err), SNAPLOCK_TAKEN); /* it is shared */
	snaplock_release(&lock);
	ck_assert(!can_be_pruned(SNAPSHOT));
	ck_assert(!can_be_pruned(LOCK_FILE));
	snaplock_release(&second);
	ck_assert(can_be_pruned(SNAPSHOT));
	ck_assert(can_be_pruned(LOCK_FILE));
	snaplock_release(&second); /* does no harm */
}
END_TEST

static const char *const busy[] = { SNAPSHOT, LOCK_FILE };

START_TEST(a_snapshot_that_is_being_removed_is_busy)
{
	CLEANUP(closep) int fd = -1;
	struct error err = { 0 };
	struct snaplock lock;

	make_snapshot(SNAPSHOT, true);
	make_dirs("run/locks/store/a:b");
	make_file(LOCK_FILE);
	fd = open_for_lock(busy[_i]);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	ck_assert_int_eq(take(&lock, "store", &err), SNAPLOCK_BUSY);
	ck_assert_int_eq(err.code, -EBUSY);
	ck_assert_int_eq(lock.directory, -1);
	ck_assert_int_eq(lock.file, -1);
	ck_assert(_i == 0 || can_be_pruned(SNAPSHOT));
}
END_TEST

START_TEST(where_there_is_no_server_the_directory_is_locked)
{
	struct snaplock lock;

	ck_assert_int_eq(take(&lock, NULL, NULL), SNAPLOCK_TAKEN);
	ck_assert(!can_be_pruned(SNAPSHOT));
	ck_assert_int_eq(lock.file, -1);
	snaplock_release(&lock);
}
END_TEST

START_TEST(old_locking_needs_no_file)
{
	struct snaplock lock;

	make_dirs("run");
	make_file("run/old-locking");
	ck_assert_int_eq(take(&lock, NULL, NULL), SNAPLOCK_TAKEN);
	ck_assert_int_eq(lock.file, -1);
	ck_assert_int_eq(faccessat(base, "run/locks", F_OK, 0), -1);
	snaplock_release(&lock);
}
END_TEST

START_TEST(a_lock_that_cannot_be_had_is_told_with_its_reason)
{
	struct error err = { 0 };
	struct snaplock lock;

	make_dirs("run/locks");
	ck_assert_int_eq(take(&lock, NULL, &err), SNAPLOCK_NOT_HERE);
	ck_assert_msg(strstr(err.text, "name") != NULL, "%s", err.text);
	snaplock_release(&lock);
	make_file("run/locks/store");
	ck_assert_int_eq(take(&lock, "store", &err), SNAPLOCK_NOT_HERE);
	ck_assert_msg(strstr(err.text, "run: open store") != NULL, "%s", err.text);
	ck_assert(!can_be_pruned(SNAPSHOT)); /* that much is possible */
	snaplock_release(&lock);
	ck_assert_int_eq(take(&lock, "../store", &err), -EINVAL);
}
END_TEST

START_TEST(a_snapshot_that_was_replaced_is_not_locked)
{
	struct snapshot s = parsed(NULL, "host/elsa/" TIME);
	CLEANUP(closep) int fd = -1;
	struct error err = { 0 };
	struct snaplock lock;

	make_snapshot("host/elsa/" TIME, true);
	ck_assert_int_eq(snapshot_open(&fd, base, &s, NULL), 0);
	ck_assert_int_eq(renameat(base, "host/elsa/" TIME, base, "host/elsa/gone"), 0);
	ck_assert_int_eq(snaplock_take(&lock, base, fd, "/no/such", NULL, &s, &err), -ENOENT);
	make_snapshot("host/elsa/" TIME, true);
	ck_assert_int_eq(snaplock_take(&lock, base, fd, "/no/such", NULL, &s, &err), -ENOENT);
	ck_assert_msg(strstr(err.text, "removed") != NULL, "%s", err.text);
	ck_assert_int_eq(lock.directory, -1);
}
END_TEST

START_TEST(a_writer_keeps_readers_and_other_writers_off)
{
	struct snapshot s = parsed("a/b", "host/elsa/" TIME);
	CLEANUP(closep) int fd = -1;
	struct snaplock lock, other;
	struct error err = { 0 };

	make_dirs("run");
	ck_assert_int_eq(take(&other, "store", &err), SNAPLOCK_TAKEN);
	ck_assert_int_eq(snapshot_open(&fd, base, &s, NULL), 0);
	ck_assert_int_eq(snaplock_take_exclusive(&lock, base, fd, run, "store", &s, &err),
			 SNAPLOCK_BUSY);
	snaplock_release(&other);
	ck_assert_int_eq(snaplock_take_exclusive(&lock, base, fd, run, "store", &s, &err),
			 SNAPLOCK_TAKEN);
	ck_assert_int_eq(snaplock_take(&other, base, fd, run, "store", &s, &err), SNAPLOCK_BUSY);
	ck_assert_int_eq(snaplock_take_exclusive(&other, base, fd, run, "store", &s, &err),
			 SNAPLOCK_BUSY);
	snaplock_release(&lock);
	ck_assert(can_be_pruned(SNAPSHOT));
	ck_assert(can_be_pruned(LOCK_FILE));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("snaplock");
	TCase *tc = tcase_create("snaplock");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, a_lock_is_named_as_the_server_names_it, 0, COUNT(locks));
	tcase_add_test(tc, the_longest_names_fit);
	tcase_add_test(tc, a_long_name_of_a_lock_is_hashed);
	tcase_add_test(tc, a_lock_keeps_servers_of_both_ages_off);
	tcase_add_loop_test(tc, a_snapshot_that_is_being_removed_is_busy, 0, COUNT(busy));
	tcase_add_test(tc, where_there_is_no_server_the_directory_is_locked);
	tcase_add_test(tc, old_locking_needs_no_file);
	tcase_add_test(tc, a_lock_that_cannot_be_had_is_told_with_its_reason);
	tcase_add_test(tc, a_snapshot_that_was_replaced_is_not_locked);
	tcase_add_test(tc, a_writer_keeps_readers_and_other_writers_off);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
