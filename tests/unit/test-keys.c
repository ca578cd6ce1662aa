#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "chunkcache/keyfile.h"
#include "daemon/keys.h"
#include "daemon/log.h"

static char dir[64];
static struct crypt *key;
static struct digest print; /* the key's fingerprint */

static const char *path_of(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

/* The key in a file; without password as it is. */
static const char *write_key(const char *name, const char *password, mode_t mode)
{
	CLEANUP(secret_bytes_freep) struct secret_bytes *json = NULL, *pass = NULL;
	struct keyfile_options options = { .kind = KEYFILE_NONE };
	const char *path = path_of(name);
	FILE *f;

	if (password) {
		ck_assert_int_eq(secret_bytes_new(&pass, 64, NULL), 0);
		strcpy((char *)pass->bytes, password);
		pass->len = strlen(password);
		options.kind = KEYFILE_PBKDF2;
		options.password = pass;
	}
	ck_assert_int_eq(keyfile_encode(&json, key, &options, NULL), 0);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fwrite(json->bytes, 1, json->len, f);
	fclose(f);
	ck_assert_int_eq(chmod(path, mode), 0);
	return path;
}

static void setup(void)
{
	strcpy(dir, "/tmp/test-keys-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(mkdir(path_of("proxmox-backup"), 0755), 0);
	setenv("XDG_CONFIG_HOME", dir, 1);
	unsetenv("CREDENTIALS_DIRECTORY");
	unsetenv("PBS_ENCRYPTION_PASSWORD_FD");
	unsetenv("PBS_ENCRYPTION_PASSWORD_FILE");
	unsetenv("PBS_ENCRYPTION_PASSWORD_CMD");
	setenv("PBS_ENCRYPTION_PASSWORD", "open sesame", 1);
	ck_assert_int_eq(crypt_new_random(&key, NULL), 0);
	print = crypt_fingerprint(key);
}

static void teardown(void)
{
	char command[128];

	crypt_free(key);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* Whatever becomes of it, the password is gone. */
static int load(const struct keys_spec *spec, struct error *err)
{
	CLEANUP(crypt_freep) struct crypt *crypt = NULL;
	int r = keys_load(&crypt, spec, err);

	ck_assert_ptr_null(getenv("PBS_ENCRYPTION_PASSWORD"));
	if (r < 0 || !crypt)
		return r;
	ck_assert(digest_equal(&print, &(struct digest[]){ crypt_fingerprint(crypt) }[0]));
	return 1;
}

START_TEST(a_named_key_is_loaded)
{
	struct keys_spec spec = { .keyfile = write_key("k", NULL, 0600), .keyfd = -1 };
	struct error err = { 0 };

	ck_assert_int_eq(load(&spec, &err), 1);
	spec.keyfd = open(spec.keyfile, O_RDONLY);
	spec.keyfile = NULL;
	ck_assert_int_eq(load(&spec, &err), 1);
	close(spec.keyfd);
}
END_TEST

START_TEST(a_password_is_taken_from_the_environment)
{
	struct keys_spec spec = { .keyfile = write_key("k", "open sesame", 0600), .keyfd = -1 };
	struct error err = { 0 };

	ck_assert_int_eq(load(&spec, &err), 1);
	ck_assert_int_eq(load(&spec, &err), -ENOKEY);
	setenv("PBS_ENCRYPTION_PASSWORD", "another", 1);
	ck_assert_int_eq(load(&spec, &err), -EKEYREJECTED);
}
END_TEST

START_TEST(no_password_is_asked_for_a_key_that_does_not_fit)
{
	const struct digest wanted = { { 1 } };
	struct keys_spec spec = { .keyfile = write_key("k", "open sesame", 0600),
				  .keyfd = -1,
				  .wanted = &wanted };
	struct error err = { 0 };
	char text[FINGERPRINT_TEXT_SIZE];

	ck_assert_int_eq(load(&spec, &err), -EKEYREJECTED);
	ck_assert_ptr_nonnull(strstr(err.text, digest_format_fingerprint(&wanted, text)));
	ck_assert_ptr_nonnull(strstr(err.text, digest_format_fingerprint(&print, text)));
}
END_TEST

START_TEST(a_key_that_others_may_write_to_is_refused)
{
	struct keys_spec spec = { .keyfile = write_key("k", NULL, 0622), .keyfd = -1 };
	struct error err = { 0 };

	ck_assert_int_eq(load(&spec, &err), -EPERM);
	spec.keyfile = path_of("missing");
	ck_assert_int_eq(load(&spec, &err), -ENOENT);
}
END_TEST

#define DEFAULT "proxmox-backup/encryption-key.json"

START_TEST(the_default_key_is_used_only_if_it_is_the_one)
{
	const struct digest other = { { 1 } };
	struct keys_spec spec = { .keyfd = -1, .wanted = &print };
	struct error err = { 0 };

	ck_assert_int_eq(load(&spec, &err), 0);
	write_key(DEFAULT, NULL, 0600);
	ck_assert_int_eq(load(&spec, &err), 1);
	spec.wanted = &other;
	ck_assert_int_eq(load(&spec, &err), 0);
	spec.wanted = NULL;
	ck_assert_int_eq(load(&spec, &err), 0);
}
END_TEST

START_TEST(the_default_key_costs_a_password_only_where_it_is_needed)
{
	struct keys_spec spec = { .keyfd = -1, .wanted = &print };
	struct error err = { 0 };

	write_key(DEFAULT, "open sesame", 0600);
	ck_assert_int_eq(load(&spec, &err), 0);
	spec.needed = true;
	ck_assert_int_eq(load(&spec, &err), -ENOKEY);
	setenv("PBS_ENCRYPTION_PASSWORD", "open sesame", 1);
	ck_assert_int_eq(load(&spec, &err), 1);
}
END_TEST

START_TEST(a_damaged_default_key_is_none)
{
	struct keys_spec spec = { .keyfd = -1, .wanted = &print, .needed = true };
	struct error err = { 0 };

	write_key(DEFAULT, NULL, 0666);
	ck_assert_int_eq(load(&spec, &err), 0);
	ck_assert_int_eq(truncate(path_of(DEFAULT), 20), 0);
	ck_assert_int_eq(chmod(path_of(DEFAULT), 0600), 0);
	ck_assert_int_eq(load(&spec, &err), 0);
}
END_TEST

START_TEST(a_process_with_a_key_does_not_dump_core)
{
	struct keys_spec spec = { .keyfile = write_key("k", NULL, 0600), .keyfd = -1 };
	struct error err = { 0 };
	struct rlimit limit;

	ck_assert_int_eq(load(&spec, &err), 1);
	ck_assert_int_eq(getrlimit(RLIMIT_CORE, &limit), 0);
	ck_assert_int_eq(prctl(PR_GET_DUMPABLE) != 0, KEYS_DUMPABLE);
	ck_assert(KEYS_DUMPABLE || (limit.rlim_cur == 0 && limit.rlim_max == 0));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("keys");
	TCase *tc = tcase_create("keys");
	SRunner *sr = srunner_create(s);
	int failed, tty = open("/dev/tty", O_RDWR | O_CLOEXEC);

	if (tty >= 0) { /* nobody is to be asked for a password */
		ioctl(tty, TIOCNOTTY);
		close(tty);
	}
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_named_key_is_loaded);
	tcase_add_test(tc, a_password_is_taken_from_the_environment);
	tcase_add_test(tc, no_password_is_asked_for_a_key_that_does_not_fit);
	tcase_add_test(tc, a_key_that_others_may_write_to_is_refused);
	tcase_add_test(tc, the_default_key_is_used_only_if_it_is_the_one);
	tcase_add_test(tc, the_default_key_costs_a_password_only_where_it_is_needed);
	tcase_add_test(tc, a_damaged_default_key_is_none);
	tcase_add_test(tc, a_process_with_a_key_does_not_dump_core);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
