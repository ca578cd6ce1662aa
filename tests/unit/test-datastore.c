/*
 * Stores made by the original client: in tests/reference, one table in each says what is in it.
 * What no such store has is put together below /tmp.
 */
#define _GNU_SOURCE
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "core/walk.h"
#include "daemon/archive.h"
#include "daemon/datastore.h"
#include "daemon/log.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define PLAIN "store-plain/store"
#define ENC "store-enc/store"
#define ENC_SNAPSHOT "host/web01/2024-06-11T02:00:10Z"
#define SIGNED_SNAPSHOT "host/web01/2024-06-14T02:00:31Z"
#define CLEAR_SNAPSHOT "host/web01/2024-06-15T02:00:38Z"
#define KEY "store-enc/keys/plain.json"
#define OTHER_KEY "store-enc/keys/unrelated.json"
#define KEY_PRINT "ac:76:8e:f3:16:dd:d7:8a:f7:14:f8:48:16:75:01:07"
#define OTHER_PRINT "4b:8c:74:71:b3:98:4e:fc:b1:47:71:c5:58:de:59:70"

static char tmp[64];

static char *text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* One of several buffers, which is used again later. */
static char *text(const char *fmt, ...)
{
	static char texts[16][512];
	static unsigned next;
	char *at = texts[next++ % COUNT(texts)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(at, sizeof(texts[0]), fmt, ap);
	va_end(ap);
	return at;
}

static const char *reference(const char *name)
{
	const char *base = getenv("REFERENCE");

	return text("%s/%s", base ? base : "tests/reference", name);
}

static void shell(const char *command)
{
	ck_assert_msg(system(command) == 0, "%s", command);
}

/* A copy that nobody else can write to, whatever the source tree's modes are. */
static const char *key_copy(const char *name)
{
	const char *copy = text("%s/key.json", tmp);

	shell(text("install -m 600 '%s' '%s'", reference(name), copy));
	return copy;
}

static void setup(void)
{
	strcpy(tmp, "/tmp/test-datastore-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(tmp));
	setenv("XDG_CONFIG_HOME", text("%s/config", tmp), 1);
	unsetenv("CREDENTIALS_DIRECTORY");
	unsetenv("PBS_ENCRYPTION_PASSWORD");
	unsetenv("PBS_ENCRYPTION_PASSWORD_FD");
	unsetenv("PBS_ENCRYPTION_PASSWORD_FILE");
	unsetenv("PBS_ENCRYPTION_PASSWORD_CMD");
}

static void teardown(void)
{
	shell(text("rm -r %s", tmp));
}

static int count_fds(void)
{
	DIR *fds = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(fds);
	while (readdir(fds))
		n++;
	closedir(fds);
	return n;
}

/* Opens and closes; walks all of the metadata between. Returns how many entries there are. */
static int try_open(const struct datastore_spec *spec, struct error *err)
{
	static const atomic_bool stop;
	struct archive *archive = NULL;
	int fds = count_fds(), r;

	*err = (struct error){ 0 };
	r = archive_open_datastore(&archive, spec, err);
	if (r == 0) {
		struct walk *walk;

		ck_assert_int_eq(walk_run(&walk, archive->accessor, &stop, NULL, err), 0);
		ck_assert_uint_eq(walk_totals(walk)->damaged, 0);
		r = (int)walk_totals(walk)->entries;
		walk_free(walk);
	}
	archive_free(archive);
	ck_assert_int_eq(count_fds(), fds);
	return r;
}

static int count_lines(const char *path)
{
	FILE *f = fopen(path, "r");
	int n = 0, c;

	ck_assert_msg(f != NULL, "%s", path);
	while ((c = fgetc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

enum { COLUMNS = 10 };

/* The next line that is no comment, taken apart; false at the end. */
static bool next_row(FILE *f, char *line, size_t size, char *column[COLUMNS])
{
	do {
		if (!fgets(line, (int)size, f))
			return false;
	} while (*line == '#');
	line[strcspn(line, "\n")] = '\0';
	for (int i = 0; i < COLUMNS; i++) {
		column[i] = strsep(&line, "\t");
		if (!column[i])
			column[i] = "-";
	}
	return true;
}

static void set_password(const char *password)
{
	if (strcmp(password, "-") != 0)
		setenv("PBS_ENCRYPTION_PASSWORD", password, 1);
}

/* ns/a/ns/b/TYPE/ID/TIME to TYPE/ID/TIME and a/b. */
static const char *split_namespace(const char *path, char ns[64])
{
	*ns = '\0';
	while (strncmp(path, "ns/", 3) == 0) {
		size_t n = strcspn(path + 3, "/");

		snprintf(ns + strlen(ns), 64 - strlen(ns), "%s%.*s", *ns ? "/" : "", (int)n,
			 path + 3);
		path += 3 + n + 1;
	}
	return path;
}

static const char *const sets[] = { "store-plain", "store-4m", "store-enc" };

static void open_row(const char *set, char *column[COLUMNS])
{
	const char *snapshot = column[0], *stores[] = { reference(text("%s/store", set)) };
	const char *key = strcmp(column[3], "-") ? column[3] : NULL, *relative;
	struct datastore_spec spec = { .stores = stores, .n_stores = 1, .keyfd = -1 };
	int wanted = count_lines(reference(text("%s/%s", set, column[8]))) - 1, r;
	struct error err;
	char ns[64];

	if (key)
		spec.keyfile = key_copy(text("%s/%s", set, key));
	column[1][strcspn(column[1], "+")] = '\0';
	spec.didx = text("%s/%s/%s", stores[0], snapshot, column[1]);
	set_password(column[4]);
	r = try_open(&spec, &err);
	ck_assert_msg(r == wanted, "%s: %d instead of %d, %s", spec.didx, r, wanted, err.text);
	relative = split_namespace(snapshot, ns);
	spec.didx = NULL;
	spec.snapshot = text("%s/root.pxar", relative);
	spec.ns = ns;
	set_password(column[4]);
	r = try_open(&spec, &err);
	ck_assert_msg(r == wanted, "%s: %d instead of %d, %s", spec.snapshot, r, wanted, err.text);
	ck_assert_ptr_null(getenv("PBS_ENCRYPTION_PASSWORD"));
}

START_TEST(every_archive_opens_by_path_and_by_name)
{
	char line[4096], *column[COLUMNS];
	FILE *f = fopen(reference(text("%s/archives.tsv", sets[_i])), "r");
	unsigned n = 0;

	ck_assert_ptr_nonnull(f);
	while (next_row(f, line, sizeof(line), column)) {
		if (strncmp(column[8], "sha256=", 7) == 0) /* an image */
			continue;
		open_row(sets[_i], column);
		n++;
	}
	fclose(f);
	ck_assert_uint_ge(n, 2);
}
END_TEST

static void open_hostile(char *column[COLUMNS])
{
	const char *stores[] = { reference(text("hostile/%s/store", column[0])) };
	struct datastore_spec spec = {
		.didx = reference(text("hostile/%s", column[1])),
		.stores = stores,
		.n_stores = 1,
		.keyfd = -1,
	};
	struct error err;
	int r;

	if (strcmp(column[3], "-") != 0)
		spec.keyfile = key_copy(text("hostile/%s", column[3]));
	set_password(column[4]);
	r = try_open(&spec, &err);
	if (strcmp(column[5], "refuse") == 0)
		ck_assert_msg(r < 0 && strlen(err.text) > 20, "%s: %d", column[0], r);
	else
		ck_assert_msg(r > 0, "%s: %s", column[0], err.text);
}

START_TEST(hostile_stores_are_refused_or_open_as_they_must)
{
	char line[4096], *column[COLUMNS];
	FILE *f = fopen(reference("hostile/cases.tsv"), "r");
	unsigned n = 0;

	ck_assert_ptr_nonnull(f);
	while (next_row(f, line, sizeof(line), column)) {
		if (!strstr(column[1], "/store/")) /* an archive in a file */
			continue;
		open_hostile(column);
		n++;
	}
	fclose(f);
	ck_assert_uint_ge(n, 20);
}
END_TEST

static const struct {
	const char *what, *store, *snapshot, *key, *password;
	bool signature, encryption;
	int want; /* 1: it opens */
	const char *says[2];
} cases[] = {
	{ "latest", PLAIN, "host/web01/latest/root.pxar", .want = 1 },
	{ "a name that is not there", PLAIN, "host/web01/latest/home.pxar", .want = -ENOENT,
	  .says = { "home.pxar", "root.mpxar, root.ppxar" } },
	{ "a catalog", ENC, ENC_SNAPSHOT "/catalog.pcat1", .key = KEY, .want = -EINVAL,
	  .says = { "not a file archive", "root.pxar" } },
	{ "an image", PLAIN, "vm/100/latest/drive-efidisk0.img", .want = -EINVAL,
	  .says = { "not a file archive" } },
	{ "no snapshot of that time", PLAIN, "host/web01/2024-06-09T02:00:00Z/root.pxar",
	  .want = -ENOENT, .says = { "no snapshot" } },
	{ "no such group", PLAIN, "host/elsewhere/latest/root.pxar", .want = -ENOENT,
	  .says = { "no backup group" } },
	{ "not a datastore", "store-plain", "host/web01/latest/root.pxar", .want = -EMEDIUMTYPE,
	  .says = { "not a datastore" } },
	{ "no key", ENC, ENC_SNAPSHOT "/root.pxar", .want = -ENOKEY,
	  .says = { KEY_PRINT, "--keyfile" } },
	{ "another key", ENC, ENC_SNAPSHOT "/root.pxar", .key = OTHER_KEY, .want = -EKEYREJECTED,
	  .says = { KEY_PRINT, OTHER_PRINT } },
	{ "another key for what is only signed", ENC, SIGNED_SNAPSHOT "/root.pxar",
	  .key = OTHER_KEY, .want = -EKEYREJECTED, .says = { KEY_PRINT, OTHER_PRINT } },
	{ "a wrong password", ENC, "host/web01/2024-06-12T02:00:17Z/root.pxar",
	  .key = "store-enc/keys/scrypt.json", .password = "not this one", .want = -EKEYREJECTED,
	  .says = { "password is wrong" } },
	{ "no password", ENC, "host/web01/2024-06-12T02:00:17Z/root.pxar",
	  .key = "store-enc/keys/scrypt.json", .want = -ENOKEY,
	  .says = { "PBS_ENCRYPTION_PASSWORD" } },
	{ "no password is asked for another key", ENC, ENC_SNAPSHOT "/root.pxar",
	  .key = "store-enc/keys/scrypt.json", .want = -EKEYREJECTED,
	  .says = { KEY_PRINT, "95:da:f4:cc" } },
	{ "a signature is there", ENC, SIGNED_SNAPSHOT "/root.pxar", .key = KEY, .signature = true,
	  .want = 1 },
	{ "a signature that cannot be checked", ENC, SIGNED_SNAPSHOT "/root.pxar",
	  .signature = true, .want = -ENOKEY, .says = { "signature", "--keyfile" } },
	{ "a signature is missing", ENC, CLEAR_SNAPSHOT "/root.pxar", .key = KEY, .signature = true,
	  .want = -EBADMSG, .says = { "not signed" } },
	{ "no signature, and none wanted", ENC, CLEAR_SNAPSHOT "/root.pxar", .key = KEY,
	  .want = 1 },
	{ "encrypted, as required", ENC, ENC_SNAPSHOT "/root.pxar", .key = KEY, .encryption = true,
	  .want = 1 },
	{ "only signed where encryption is required", ENC, SIGNED_SNAPSHOT "/root.pxar", .key = KEY,
	  .encryption = true, .want = -EPERM, .says = { "not encrypted" } },
};

START_TEST(what_does_not_fit_is_refused_with_a_reason)
{
	const char *stores[] = { reference(cases[_i].store) };
	const struct datastore_spec spec = {
		.snapshot = cases[_i].snapshot,
		.stores = stores,
		.n_stores = 1,
		.keyfile = cases[_i].key ? key_copy(cases[_i].key) : NULL,
		.keyfd = -1,
		.require_signature = cases[_i].signature,
		.require_encryption = cases[_i].encryption,
	};
	struct error err;
	int r;

	if (cases[_i].password)
		set_password(cases[_i].password);
	r = try_open(&spec, &err);
	ck_assert_msg((r > 0 ? 1 : r) == cases[_i].want, "%s: %d %s", cases[_i].what, r, err.text);
	for (size_t i = 0; i < 2 && cases[_i].says[i]; i++)
		ck_assert_msg(strstr(err.text, cases[_i].says[i]), "%s: '%s' is not in '%s'",
			      cases[_i].what, cases[_i].says[i], err.text);
}
END_TEST

/* A datastore below /tmp without chunks, with a copy of a snapshot's directory in it. */
static const char *make_store(const char *from, const char *to)
{
	const char *store = text("%s/store", tmp);

	shell(text("mkdir -p %s/.chunks %s/%s", store, store, to));
	shell(text("cp '%s'/* %s/%s/", reference(from), store, to));
	return store;
}

START_TEST(chunks_come_from_further_stores)
{
	const char *store = make_store("store-enc/store/" ENC_SNAPSHOT, ENC_SNAPSHOT);
	const char *stores[] = { store, reference(PLAIN), reference(ENC) };
	struct datastore_spec spec = {
		.snapshot = ENC_SNAPSHOT "/root.pxar",
		.stores = stores,
		.n_stores = 3,
		.keyfile = key_copy(KEY),
		.keyfd = -1,
	};
	struct error err;

	ck_assert_int_gt(try_open(&spec, &err), 0);
	spec.n_stores = 2;
	ck_assert_int_eq(try_open(&spec, &err), -EIO);
	ck_assert_msg(strstr(err.text, "missing") != NULL, "%s", err.text);
	/* What is damaged is as good as missing. */
	shell(text("cp -r '%s'/.chunks %s/", stores[2], store));
	shell(text("find %s/.chunks -type f -exec truncate -s 60 {} +", store));
	ck_assert_int_eq(try_open(&spec, &err), -EBADMSG);
	spec.n_stores = 3;
	ck_assert_int_gt(try_open(&spec, &err), 0);
}
END_TEST

START_TEST(a_snapshot_in_the_place_of_another_is_refused)
{
	const char *to = "host/web01/2024-06-12T02:00:10Z";
	const char *store = make_store("store-enc/store/" SIGNED_SNAPSHOT, to);
	const char *stores[] = { store, reference(ENC) };
	struct datastore_spec spec = {
		.snapshot = text("%s/root.pxar", to), .stores = stores, .n_stores = 2, .keyfd = -1
	};
	struct error err;

	ck_assert_int_eq(try_open(&spec, &err), -EUCLEAN);
	spec.didx = text("%s/%s/root.pxar.didx", store, to);
	ck_assert_int_eq(try_open(&spec, &err), -EUCLEAN);
}
END_TEST

START_TEST(a_snapshot_without_manifest_is_refused)
{
	const char *store = make_store("store-enc/store/" SIGNED_SNAPSHOT, SIGNED_SNAPSHOT);
	const char *stores[] = { store, reference(ENC) };
	struct datastore_spec spec = { .snapshot = SIGNED_SNAPSHOT "/root.pxar",
				       .stores = stores,
				       .n_stores = 2,
				       .keyfd = -1 };
	struct error err;

	ck_assert_int_gt(try_open(&spec, &err), 0);
	shell(text("rm %s/" SIGNED_SNAPSHOT "/index.json.blob", store));
	ck_assert_int_eq(try_open(&spec, &err), -ENODATA);
	spec.didx = text("%s/" SIGNED_SNAPSHOT "/root.pxar.didx", store);
	ck_assert_int_eq(try_open(&spec, &err), -ENODATA);
	shell(text("echo damaged >%s/" SIGNED_SNAPSHOT "/index.json.blob", store));
	ck_assert_int_eq(try_open(&spec, &err), -EUCLEAN);
	ck_assert_msg(strstr(err.text, "index.json.blob") != NULL, "%s", err.text);
}
END_TEST

START_TEST(an_index_that_the_manifest_does_not_list_is_refused)
{
	const char *store = make_store("store-enc/store/" SIGNED_SNAPSHOT, SIGNED_SNAPSHOT);
	const char *stores[] = { store, reference(ENC) };
	struct datastore_spec spec = { .stores = stores, .n_stores = 2, .keyfd = -1 };
	struct error err;

	shell(text("cp %s/" SIGNED_SNAPSHOT "/root.pxar.didx %s/" SIGNED_SNAPSHOT "/more.pxar.didx",
		   store, store));
	spec.didx = text("%s/" SIGNED_SNAPSHOT "/more.pxar.didx", store);
	ck_assert_int_eq(try_open(&spec, &err), -ENOENT);
	/* Nor one that is listed, with the contents of another. */
	shell(text("cp '%s/" CLEAR_SNAPSHOT "/root.pxar.didx' %s/" SIGNED_SNAPSHOT "/",
		   reference(ENC), store));
	spec.didx = text("%s/" SIGNED_SNAPSHOT "/root.pxar.didx", store);
	ck_assert_int_eq(try_open(&spec, &err), -EBADMSG);
}
END_TEST

START_TEST(a_loose_index_opens_with_the_right_key_alone)
{
	const char *stores[] = { reference(ENC) };
	struct datastore_spec spec = { .stores = stores, .n_stores = 1, .keyfd = -1 };
	struct error err;

	shell(text("cp '%s/" ENC_SNAPSHOT "/root.pxar.didx' %s/", stores[0], tmp));
	spec.didx = text("%s/root.pxar.didx", tmp);
	ck_assert_int_eq(try_open(&spec, &err), -ENOKEY);
	ck_assert_msg(strstr(err.text, "--keyfile") != NULL, "%s", err.text);
	spec.keyfile = key_copy(OTHER_KEY);
	ck_assert_int_eq(try_open(&spec, &err), -EBADMSG);
	ck_assert_msg(strstr(err.text, OTHER_PRINT) != NULL, "%s", err.text);
	spec.keyfile = key_copy(KEY);
	ck_assert_int_gt(try_open(&spec, &err), 0);
	spec.require_encryption = true;
	ck_assert_int_gt(try_open(&spec, &err), 0);
	spec.require_signature = true;
	ck_assert_int_eq(try_open(&spec, &err), -ENODATA);
	spec.require_signature = false;
	shell(text("cp '%s/" CLEAR_SNAPSHOT "/root.pxar.didx' %s/", stores[0], tmp));
	ck_assert_int_eq(try_open(&spec, &err), -EUCLEAN);
	spec.require_encryption = false;
	ck_assert_int_gt(try_open(&spec, &err), 0);
}
END_TEST

START_TEST(an_index_of_something_else_is_refused)
{
	const char *stores[] = { reference(PLAIN) };
	struct datastore_spec spec = { .stores = stores, .n_stores = 1, .keyfd = -1 };
	struct error err;

	shell(text("cp '%s/host/web01/2024-06-01T02:00:00Z/catalog.pcat1.didx' %s/", stores[0],
		   tmp));
	spec.didx = text("%s/catalog.pcat1.didx", tmp);
	ck_assert_int_eq(try_open(&spec, &err), -EUCLEAN);
	ck_assert_msg(strstr(err.text, spec.didx) != NULL, "%s", err.text);
}
END_TEST

START_TEST(a_loose_split_index_needs_its_payload)
{
	const char *stores[] = { reference(PLAIN) };
	const char *snapshot = text("%s/host/web01/2024-06-02T02:00:07Z", stores[0]);
	struct datastore_spec spec = { .stores = stores, .n_stores = 1, .keyfd = -1 };
	struct error err;

	shell(text("cp '%s/root.mpxar.didx' %s/", snapshot, tmp));
	spec.didx = text("%s/root.mpxar.didx", tmp);
	ck_assert_int_eq(try_open(&spec, &err), -ENOENT);
	ck_assert_msg(strstr(err.text, "--payload-didx") != NULL, "%s", err.text);
	spec.payload_didx = text("%s/root.ppxar.didx", snapshot);
	ck_assert_int_gt(try_open(&spec, &err), 0);
	spec.payload_didx = NULL;
	spec.metadata_only = true;
	ck_assert_int_gt(try_open(&spec, &err), 0);
}
END_TEST

START_TEST(a_payload_from_elsewhere_is_the_one_that_the_manifest_lists)
{
	const char *stores[] = { reference(PLAIN) };
	const char *snapshot = text("%s/host/web01/2024-06-02T02:00:07Z", stores[0]);
	struct datastore_spec spec = { .stores = stores, .n_stores = 1, .keyfd = -1 };
	struct error err;

	shell(text("cp '%s/root.ppxar.didx' %s/payload", snapshot, tmp));
	spec.didx = text("%s/root.mpxar.didx", snapshot);
	spec.payload_didx = text("%s/payload", tmp);
	ck_assert_int_gt(try_open(&spec, &err), 0);
	spec.payload_didx = text("%s/ns/a/ct/105/2024-06-04T02:00:21Z/root.ppxar.didx", stores[0]);
	ck_assert_int_eq(try_open(&spec, &err), -EBADMSG);
}
END_TEST

START_TEST(the_snapshot_is_locked_while_it_is_open)
{
	const char *stores[] = { make_store("store-enc/store/" SIGNED_SNAPSHOT, SIGNED_SNAPSHOT),
				 reference(ENC) };
	const struct datastore_spec spec = { .snapshot = SIGNED_SNAPSHOT "/root.pxar",
					     .stores = stores,
					     .n_stores = 2,
					     .keyfd = -1 };
	int fd = open(text("%s/" SIGNED_SNAPSHOT, stores[0]), O_RDONLY | O_DIRECTORY);
	struct archive *archive;
	struct error err;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	ck_assert_int_eq(try_open(&spec, &err), -EBUSY);
	ck_assert_int_eq(flock(fd, LOCK_UN), 0);
	ck_assert_int_eq(archive_open_datastore(&archive, &spec, &err), 0);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), -1);
	archive_free(archive);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
}
END_TEST

START_TEST(small_caches_are_enough_and_a_walk_is_weighed_against_them)
{
	const char *stores[] = { reference("store-4m/store") };
	struct datastore_spec spec = { .snapshot = "host/web01/2024-06-09T02:00:56Z/root.pxar",
				       .stores = stores,
				       .n_stores = 1,
				       .keyfd = -1,
				       .cache_bytes = 1 };
	struct source *meta, *payload;
	struct datastore *d;
	struct error err;

	ck_assert_int_gt(try_open(&spec, &err), 0);
	ck_assert_int_eq(datastore_open(&d, &spec, &meta, &payload, &err), 0);
	ck_assert(datastore_is_cheap_to_walk(d)); /* one chunk, and room for four */
	ck_assert_ptr_null(payload);
	source_free(meta);
	datastore_free(d);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("datastore");
	TCase *tc = tcase_create("datastore");
	SRunner *sr = srunner_create(s);
	int failed, tty = open("/dev/tty", O_RDWR | O_CLOEXEC);

	if (tty >= 0) { /* nobody is to be asked for a password */
		ioctl(tty, TIOCNOTTY);
		close(tty);
	}
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, every_archive_opens_by_path_and_by_name, 0, COUNT(sets));
	tcase_add_test(tc, hostile_stores_are_refused_or_open_as_they_must);
	tcase_add_loop_test(tc, what_does_not_fit_is_refused_with_a_reason, 0, COUNT(cases));
	tcase_add_test(tc, chunks_come_from_further_stores);
	tcase_add_test(tc, a_snapshot_in_the_place_of_another_is_refused);
	tcase_add_test(tc, a_snapshot_without_manifest_is_refused);
	tcase_add_test(tc, an_index_that_the_manifest_does_not_list_is_refused);
	tcase_add_test(tc, a_loose_index_opens_with_the_right_key_alone);
	tcase_add_test(tc, an_index_of_something_else_is_refused);
	tcase_add_test(tc, a_loose_split_index_needs_its_payload);
	tcase_add_test(tc, a_payload_from_elsewhere_is_the_one_that_the_manifest_lists);
	tcase_add_test(tc, the_snapshot_is_locked_while_it_is_open);
	tcase_add_test(tc, small_caches_are_enough_and_a_walk_is_weighed_against_them);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
