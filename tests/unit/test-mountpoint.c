#define FUSE_USE_VERSION 314
#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "daemon/mountpoint.h"

enum { NOBODY = 65534 };

static char work[PATH_MAX], mountpoint[PATH_MAX + 16];

/* A directory of its own for each test, whose path has no symlink in it. */
static void setup(void)
{
	char made[] = "/tmp/test-mountpoint-XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(made));
	ck_assert_int_eq(chmod(made, 0755), 0);
	ck_assert_ptr_nonnull(realpath(made, work));
	snprintf(mountpoint, sizeof(mountpoint), "%s/a \\b", work);
	ck_assert_int_eq(mkdir(mountpoint, 0777), 0);
}

static void teardown(void)
{
	rmdir(mountpoint);
	ck_assert_int_eq(rmdir(work), 0);
}

static void must_be_refused(const char *path, int code, const char *words)
{
	CLEANUP(freep) char *resolved = NULL;
	struct error err = { 0 };

	ck_assert_int_eq(mountpoint_check(path, &resolved, &err), code);
	ck_assert_ptr_null(resolved);
	ck_assert_msg(strstr(err.text, words), "'%s' lacks '%s'", err.text, words);
}

START_TEST(a_directory_may_be_full_and_behind_symlinks)
{
	CLEANUP(freep) char *resolved = NULL;
	char link[PATH_MAX + 16], below[PATH_MAX + 32], path[PATH_MAX + 32];
	struct error err = { 0 };

	snprintf(link, sizeof(link), "%s/link", work);
	snprintf(below, sizeof(below), "%s/below", mountpoint);
	snprintf(path, sizeof(path), "%s/./link/", work);
	ck_assert_int_eq(symlink(mountpoint, link), 0);
	ck_assert_int_eq(mkdir(below, 0777), 0);
	ck_assert_msg(mountpoint_check(path, &resolved, &err) == 0, "%s", err.text);
	ck_assert_str_eq(resolved, mountpoint);
	rmdir(below);
	unlink(link);
}
END_TEST

START_TEST(what_is_no_directory_is_refused)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/none", work);
	must_be_refused(path, -ENOENT, "No such file");
	fclose(fopen(path, "w"));
	must_be_refused(path, -ENOTDIR, "Not a directory");
	unlink(path);
	must_be_refused("", -ENOENT, "No such file");
}
END_TEST

START_TEST(a_long_path_does_not_hide_the_reason)
{
	char path[2000];

	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	must_be_refused(path, -ENAMETOOLONG, "File name too long");
}
END_TEST

START_TEST(only_mounts_of_ours_are_unmounted)
{
	struct error err = { 0 };

	ck_assert_int_eq(mountpoint_unmount(mountpoint, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "no archive is mounted here"));
	ck_assert_int_eq(mountpoint_unmount("/proc", &err), -EINVAL);
	ck_assert_int_eq(mountpoint_unmount("/no/such/path", &err), -ENOENT);
}
END_TEST

static bool may_mount(void)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0 && geteuid() == 0;
}

/* A file system in which nobody answers. */
static struct fuse_session *mount_silent(const char *options)
{
	char *argv[] = { (char *)"x", (char *)"-o", (char *)options, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	struct fuse_lowlevel_ops ops = { 0 };
	struct fuse_session *se = fuse_session_new(&args, &ops, sizeof(ops), NULL);

	ck_assert_ptr_nonnull(se);
	ck_assert_int_eq(fuse_session_mount(se, mountpoint), 0);
	fuse_opt_free_args(&args);
	return se;
}

static void mount_and_die(const char *options)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		mount_silent(options);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

START_TEST(a_mount_of_somebody_else_is_seen)
{
	struct fuse_session *se;

	if (!may_mount())
		return;
	se = mount_silent("ro,subtype=pxar,fsname=/live.pxar");
	ck_assert_int_eq(seteuid(NOBODY), 0); /* who may not look into it */
	must_be_refused(mountpoint, -EBUSY, "/live.pxar is mounted here already");
	ck_assert_int_eq(seteuid(0), 0);
	fuse_session_unmount(se);
	fuse_session_destroy(se);
}
END_TEST

START_TEST(a_busy_mount_is_left_and_the_reason_told)
{
	struct fuse_session *se;
	struct error err = { 0 };
	int fd;

	if (!may_mount())
		return;
	se = mount_silent("ro,subtype=pxar,fsname=/live.pxar");
	fd = open(mountpoint, O_PATH | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(mountpoint_unmount(mountpoint, &err), -EBUSY);
	ck_assert_ptr_nonnull(strstr(err.text, "is busy: something still uses it"));
	close(fd);
	ck_assert_int_eq(mountpoint_unmount(mountpoint, &err), 0);
	fuse_session_unmount(se); /* it is gone, but libfuse does not know yet */
	fuse_session_destroy(se);
}
END_TEST

START_TEST(a_dead_mount_is_recognised_and_cleared)
{
	char slashes[PATH_MAX + 32];
	struct error err = { 0 };

	if (!may_mount())
		return;
	mount_and_die("ro,subtype=pxar,fsname=/x\\,y z.pxar");
	must_be_refused(mountpoint, -ENOTCONN, "'pxar-mount --unmount'");
	snprintf(slashes, sizeof(slashes), "%s//", mountpoint);
	must_be_refused(slashes, -ENOTCONN, "dead mount");
	ck_assert_msg(mountpoint_unmount(slashes, &err) == 0, "%s", err.text);
	ck_assert_int_eq(mountpoint_unmount(mountpoint, &err), -EINVAL);
}
END_TEST

START_TEST(a_dead_mount_of_another_program_is_left_alone)
{
	struct error err = { 0 };

	if (!may_mount())
		return;
	mount_and_die("ro,subtype=other,fsname=x");
	must_be_refused(mountpoint, -ENOTCONN, "'fusermount3 -u'");
	ck_assert_int_eq(mountpoint_unmount(mountpoint, &err), -EINVAL);
	ck_assert_int_eq(umount2(mountpoint, MNT_DETACH), 0);
}
END_TEST

/* As a user who is not root, whoever runs the test. */
static void explain_as_user(const char *device, int code, const char *words)
{
	struct error err = { 0 };
	bool root = geteuid() == 0;

	if (root)
		ck_assert_int_eq(seteuid(NOBODY), 0);
	ck_assert_int_eq(mountpoint_explain(device, &err), code);
	if (root)
		ck_assert_int_eq(seteuid(0), 0);
	ck_assert_msg(strstr(err.text, words), "'%s' lacks '%s'", err.text, words);
}

START_TEST(a_missing_device_is_named)
{
	explain_as_user("/dev/no such device", -ENOENT, "/dev/no such device is missing");
}
END_TEST

START_TEST(a_forbidden_device_is_named)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/device", work);
	fclose(fopen(path, "w"));
	ck_assert_int_eq(chmod(path, 0), 0);
	explain_as_user(path, -EACCES, "may not be opened by this user");
	unlink(path);
}
END_TEST

START_TEST(a_user_is_told_of_a_missing_fusermount3)
{
	CLEANUP(freep) char *path = strdup(getenv("PATH"));

	ck_assert_int_eq(setenv("PATH", mountpoint, 1), 0);
	explain_as_user("/dev/null", -ENOENT, "fusermount3 is not installed");
	ck_assert_int_eq(setenv("PATH", path, 1), 0);
}
END_TEST

/* Puts a fusermount3 of the test's own in front; returns what PATH was. */
static char *fake_fusermount(const char *script)
{
	char *path = strdup(getenv("PATH"));
	char fake[PATH_MAX + 32];
	FILE *f;

	snprintf(fake, sizeof(fake), "%s/fusermount3", work);
	f = fopen(fake, "w");
	ck_assert_ptr_nonnull(f);
	fprintf(f, "#!/bin/sh\n%s\n", script);
	fclose(f);
	ck_assert_int_eq(chmod(fake, 0755), 0);
	ck_assert_int_eq(setenv("PATH", work, 1), 0);
	return path;
}

static void remove_fake(char *path)
{
	char fake[PATH_MAX + 32];

	ck_assert_int_eq(setenv("PATH", path, 1), 0);
	free(path);
	snprintf(fake, sizeof(fake), "%s/fusermount3", work);
	unlink(fake);
}

START_TEST(an_unexplained_failure_says_how_to_learn_more)
{
	char *path = fake_fusermount("echo noise; echo more >&2; exit 1");

	explain_as_user("/dev/null", -EPERM, "the mount was refused");
	remove_fake(path);
}
END_TEST

static const struct {
	const char *script;
	int code;
	const char *words;
} answers[] = {
	{ "test \"$1 $2\" = '-u --' && test -n \"$3\"", 0, "" },
	{ "echo 'fusermount3: failed to unmount x: Device or resource busy' >&2; exit 1", -EBUSY,
	  "is busy: something still uses it" },
	{ "echo 'fusermount3: entry not found' >&2; echo more >&2; exit 1", -EPERM,
	  ": fusermount3: entry not found" },
	{ "exit 1", -EPERM, "fusermount3 failed" },
	{ "kill -9 $$", -EPERM, "fusermount3 failed" },
};

START_TEST(a_user_unmounts_by_way_of_fusermount3)
{
	struct error err = { 0 };
	char *path;
	int r;

	if (!may_mount())
		return;
	mount_and_die("ro,subtype=pxar,fsname=x");
	path = fake_fusermount(answers[_i].script);
	ck_assert_int_eq(seteuid(NOBODY), 0);
	r = mountpoint_unmount(mountpoint, &err);
	ck_assert_int_eq(seteuid(0), 0);
	remove_fake(path);
	ck_assert_int_eq(umount2(mountpoint, MNT_DETACH), 0);
	ck_assert_msg(r == answers[_i].code, "%d: %s", r, err.text);
	ck_assert_msg(strstr(err.text, answers[_i].words), "%s", err.text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mountpoint");
	TCase *tc = tcase_create("mountpoint");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_directory_may_be_full_and_behind_symlinks);
	tcase_add_test(tc, what_is_no_directory_is_refused);
	tcase_add_test(tc, a_long_path_does_not_hide_the_reason);
	tcase_add_test(tc, only_mounts_of_ours_are_unmounted);
	tcase_add_test(tc, a_mount_of_somebody_else_is_seen);
	tcase_add_test(tc, a_busy_mount_is_left_and_the_reason_told);
	tcase_add_test(tc, a_dead_mount_is_recognised_and_cleared);
	tcase_add_test(tc, a_dead_mount_of_another_program_is_left_alone);
	tcase_add_test(tc, a_missing_device_is_named);
	tcase_add_test(tc, a_forbidden_device_is_named);
	tcase_add_test(tc, a_user_is_told_of_a_missing_fusermount3);
	tcase_add_test(tc, an_unexplained_failure_says_how_to_learn_more);
	tcase_add_loop_test(tc, a_user_unmounts_by_way_of_fusermount3, 0,
			    (int)(sizeof(answers) / sizeof(*answers)));
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
