#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "chunkcache/keyfile.h"

#define FINGERPRINT_REST                                  \
	"e:ab:d4:46:0b:6e:b9:ca:34:50:23:de:e2:b7:78:c7:" \
	"90:e5:4a:16:83:b9:65:9c:0a:57:ae:19:90:90:15:9b"
#define FINGERPRINT "0" FINGERPRINT_REST
#define OTHER_FINGERPRINT "1" FINGERPRINT_REST

/* The key 00 01 .. 1f, as it is and as the original protects it with "test-password". */
#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define SALT "\"salt\":\"" KEY "\""
#define BY_PBKDF2 \
	"oKGio6SlpqeoqaqrrK2ury9C4V5QTjClz366JVGxC3aC2dyN5JSP7OPyetU/UmXKcIVTzH7vrMt7g8ITC3VoLg=="
#define BY_SCRYPT \
	"oKGio6SlpqeoqaqrrK2ur8ZFLSwreg/LV9a7Hji00h6pPFppIzwWGix3QVKKyQ84YG85w9mAxfoeaT9sRn4Q4g=="

#define TIMES "\"created\":\"2021-03-09T12:00:00+01:00\",\"modified\":\"2021-03-09T12:00:00Z\""
#define FILE_WITH(kdf, data) "{\"kdf\":" kdf "," TIMES ",\"data\":\"" data "\"}"
#define PBKDF2(iter) "{\"PBKDF2\":{\"iter\":" iter "," SALT "}}"
#define SCRYPT(n, r, p) "{\"Scrypt\":{\"n\":" n ",\"r\":" r ",\"p\":" p "," SALT "}}"

static struct secret_bytes *password_of(const char *text)
{
	struct secret_bytes *password;

	ck_assert_int_eq(secret_bytes_new(&password, strlen(text), NULL), 0);
	password->len = strlen(text);
	memcpy(password->bytes, text, password->len);
	return password;
}

static struct keyfile *decode(const char *json)
{
	struct error err = { 0 };
	struct keyfile *k;

	ck_assert_msg(keyfile_decode(&k, json, strlen(json), &err) == 0, "%s", err.text);
	return k;
}

static int unlock(struct crypt **crypt, const struct keyfile *k, const char *text,
		  struct error *err)
{
	struct secret_bytes *password = text ? password_of(text) : NULL;
	int r = keyfile_unlock(crypt, k, password, err);

	secret_free(password);
	return r;
}

static void must_hold_the_key(const struct keyfile *k, const char *password)
{
	char text[FINGERPRINT_TEXT_SIZE];
	struct digest fingerprint;
	struct error err = { 0 };
	struct crypt *crypt;

	ck_assert_msg(unlock(&crypt, k, password, &err) == 0, "%s", err.text);
	for (unsigned i = 0; i < CRYPT_KEY_SIZE; i++)
		ck_assert_uint_eq(crypt_key(crypt)[i], i);
	fingerprint = crypt_fingerprint(crypt);
	ck_assert_str_eq(digest_format_fingerprint(&fingerprint, text), FINGERPRINT);
	crypt_free(crypt);
}

static const struct {
	const char *json, *password;
	enum keyfile_kind kind;
} good[] = {
	{ FILE_WITH("null", KEY), NULL, KEYFILE_NONE },
	{ FILE_WITH(PBKDF2("65535"), BY_PBKDF2), "test-password", KEYFILE_PBKDF2 },
	{ FILE_WITH(SCRYPT("65536", "8", "1"), BY_SCRYPT), "test-password", KEYFILE_SCRYPT },
	{ " {\n\"data\" : \"" KEY "\" }\n ", NULL, KEYFILE_NONE },
	{ "{\"more\":[{}],\"fingerprint\":\"" FINGERPRINT "\",\"hint\":null,\"data\":\"" KEY "\"}",
	  NULL, KEYFILE_NONE },
};

START_TEST(keys_protected_in_each_way_are_unlocked)
{
	struct keyfile *k = decode(good[_i].json);

	ck_assert_int_eq(keyfile_kdf(k)->kind, good[_i].kind);
	ck_assert_int_eq(keyfile_needs_password(k), good[_i].password != NULL);
	must_hold_the_key(k, good[_i].password);
	keyfile_free(k);
}
END_TEST

START_TEST(a_wrong_password_is_rejected)
{
	struct keyfile *k = decode(FILE_WITH(PBKDF2("65535"), BY_PBKDF2));
	struct crypt *crypt;
	struct error err = { 0 };

	ck_assert_int_eq(unlock(&crypt, k, NULL, &err), -ENOKEY);
	ck_assert_int_eq(unlock(&crypt, k, "test-passwore", &err), -EKEYREJECTED);
	ck_assert_ptr_null(strstr(err.text, "passwore"));
	ck_assert_int_eq(unlock(&crypt, k, "test-password\n", &err), -EKEYREJECTED);
	ck_assert_int_eq(unlock(&crypt, k, "", &err), -EKEYREJECTED);
	ck_assert_int_eq(unlock(&crypt, k, "test", &err), -EKEYREJECTED);
	keyfile_free(k);
}
END_TEST

START_TEST(a_key_that_is_not_the_one_it_is_said_to_be_is_rejected)
{
	struct keyfile *k =
		decode("{\"data\":\"" KEY "\",\"fingerprint\":\"" OTHER_FINGERPRINT "\"}");
	struct error err = { 0 };
	struct crypt *crypt;

	ck_assert_int_eq(unlock(&crypt, k, NULL, &err), -EKEYREJECTED);
	ck_assert_ptr_nonnull(strstr(err.text, FINGERPRINT));
	ck_assert_ptr_nonnull(strstr(err.text, OTHER_FINGERPRINT));
	keyfile_free(k);
}
END_TEST

START_TEST(what_is_needed_for_asking_is_known_before)
{
	struct keyfile *k = decode("{\"kdf\":" SCRYPT(
		"2", "1", "1") ",\"data\":\"" BY_SCRYPT
			       "\",\"hint\":\"the usual\",\"created\":\"2020-01-01T00:00:00Z\","
			       "\"fingerprint\":\"" FINGERPRINT "\"}");
	char text[FINGERPRINT_TEXT_SIZE];

	ck_assert_str_eq(keyfile_hint(k), "the usual");
	ck_assert_str_eq(keyfile_created(k), "2020-01-01T00:00:00Z");
	ck_assert_str_eq(digest_format_fingerprint(keyfile_fingerprint(k), text), FINGERPRINT);
	keyfile_free(k);
	k = decode("{\"data\":\"" KEY "\"}");
	ck_assert_ptr_null(keyfile_hint(k));
	ck_assert_ptr_null(keyfile_created(k));
	ck_assert_ptr_null(keyfile_fingerprint(k));
	keyfile_free(k);
}
END_TEST

static const char *const bad[] = {
	"",
	"{",
	"null",
	"[]",
	"\"" KEY "\"",
	"{}",
	"{\"data\":\"" KEY "\"}x",
	"{\"data\":\"" KEY "\",\"data\":\"" KEY "\"}",
	"{\"data\":null}",
	"{\"data\":1}",
	"{\"data\":\"\"}",
	"{\"data\":\"AAEC\"}",
	"{\"data\":\"" KEY "=\"}",
	"{\"data\":\"" KEY "\\n\"}",
	"{\"data\":\" " KEY "\"}",
	/* the last digit has bits that are in no byte; no padding; another alphabet */
	"{\"data\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\"}",
	"{\"data\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}",
	"{\"data\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdH_8=\"}",
	"{\"data\":\"" BY_PBKDF2 "\"}",
	"{\"data\":\"" KEY "\",\"fingerprint\":\"00:11\"}",
	"{\"data\":\"" KEY "\",\"fingerprint\":7}",
	"{\"data\":\"" KEY "\",\"hint\":{}}",
	"{\"data\":\"" KEY "\",\"created\":5}",
	FILE_WITH("{}", KEY),
	FILE_WITH("\"Scrypt\"", KEY),
	FILE_WITH("{\"Scrypt\":null}", KEY),
	FILE_WITH("{\"type\":\"scrypt\"}", BY_SCRYPT),
	FILE_WITH("[]", KEY),
	FILE_WITH("{\"Scrypt\":{\"n\":2,\"r\":1,\"p\":1," SALT "},\"PBKDF2\":{\"iter\":1," SALT
		  "}}",
		  BY_SCRYPT),
	FILE_WITH("{\"Scrypt\":{\"n\":2,\"r\":1,\"p\":1," SALT "},\"x\":1}", BY_SCRYPT),
	FILE_WITH("{\"PBKDF2\":{\"iter\":1}}", BY_PBKDF2),
	FILE_WITH("{\"PBKDF2\":{\"iter\":1,\"salt\":\"*\"}}", BY_PBKDF2),
	FILE_WITH(PBKDF2("1"), KEY),
	FILE_WITH(PBKDF2("0"), BY_PBKDF2),
	FILE_WITH(PBKDF2("-1"), BY_PBKDF2),
	FILE_WITH(PBKDF2("1.5"), BY_PBKDF2),
	FILE_WITH(PBKDF2("\"1\""), BY_PBKDF2),
	FILE_WITH(PBKDF2("100000001"), BY_PBKDF2),
	FILE_WITH(PBKDF2("4294967297"), BY_PBKDF2),
	FILE_WITH(SCRYPT("0", "8", "1"), BY_SCRYPT),
	FILE_WITH(SCRYPT("1", "8", "1"), BY_SCRYPT),
	FILE_WITH(SCRYPT("3", "8", "1"), BY_SCRYPT),
	FILE_WITH(SCRYPT("65537", "8", "1"), BY_SCRYPT),
	FILE_WITH(SCRYPT("65536", "0", "1"), BY_SCRYPT),
	FILE_WITH(SCRYPT("65536", "8", "0"), BY_SCRYPT),
	FILE_WITH(SCRYPT("65536", "8", "17"), BY_SCRYPT),
	FILE_WITH(SCRYPT("65536", "1", "1"), BY_SCRYPT), /* not defined */
	FILE_WITH(SCRYPT("2097152", "8", "1"), BY_SCRYPT),
	FILE_WITH(SCRYPT("1048576", "8", "2"), BY_SCRYPT),
	FILE_WITH(SCRYPT("1073741824", "8", "1"), BY_SCRYPT),
	FILE_WITH(SCRYPT("1099511627776", "8", "1"), BY_SCRYPT),
	FILE_WITH(SCRYPT("4611686018427387904", "8", "1"), BY_SCRYPT),
	FILE_WITH(SCRYPT("2", "4194304", "1"), BY_SCRYPT), /* more in copies than in blocks */
	FILE_WITH(SCRYPT("2", "9223372036854775807", "16"), BY_SCRYPT),
	FILE_WITH(SCRYPT("18446744073709551616", "8", "1"), BY_SCRYPT),
};

START_TEST(what_is_no_key_file_is_refused_without_quoting_it)
{
	struct error err = { 0 };
	struct keyfile *k;

	ck_assert_msg(keyfile_decode(&k, bad[_i], strlen(bad[_i]), &err) == -EUCLEAN, "%s",
		      bad[_i]);
	ck_assert_msg(!strstr(err.text, "AAEC") && !strstr(err.text, "oKGi"), "%s", err.text);
}
END_TEST

START_TEST(every_beginning_of_a_key_file_is_refused)
{
	static const char json[] = FILE_WITH(PBKDF2("65535"), BY_PBKDF2);

	for (size_t n = 0; n < strlen(json); n++) {
		struct error err = { 0 };
		struct keyfile *k;

		ck_assert_int_eq(keyfile_decode(&k, json, n, &err), -EUCLEAN);
		ck_assert_ptr_null(strstr(err.text, "oKGi"));
	}
}
END_TEST

START_TEST(the_dearest_parameters_are_taken)
{
	keyfile_free(decode(FILE_WITH(SCRYPT("1048576", "8", "1"), BY_SCRYPT)));
	keyfile_free(decode(FILE_WITH(SCRYPT("65536", "8", "16"), BY_SCRYPT)));
	keyfile_free(decode(FILE_WITH(PBKDF2("100000000"), BY_PBKDF2)));
}
END_TEST

static const struct keyfile_options made[] = {
	{ .kind = KEYFILE_NONE, .created = "2021-03-09T12:00:00+01:00" },
	{ .kind = KEYFILE_SCRYPT, .hint = "the \"usual\", \xc3\xa4" },
	{ .kind = KEYFILE_PBKDF2, .modified = "2021-03-09T12:00:00Z" },
};

START_TEST(what_was_made_is_unlocked_again)
{
	struct keyfile_options options = made[_i];
	struct keyfile *k, *original = decode(FILE_WITH("null", KEY));
	struct secret_bytes *password = password_of("\xc3\xa4\xc3\xb6 password"), *json, *other;
	struct crypt *crypt;
	struct error err = { 0 };

	ck_assert_int_eq(unlock(&crypt, original, NULL, &err), 0);
	options.password = options.kind == KEYFILE_NONE ? NULL : password;
	ck_assert_int_eq(keyfile_encode(&json, crypt, &options, &err), 0);
	ck_assert_int_eq(keyfile_encode(&other, crypt, &options, &err), 0);
	if (options.kind != KEYFILE_NONE) /* another salt and another IV */
		ck_assert_str_ne((char *)json->bytes, (char *)other->bytes);
	k = decode((char *)json->bytes);
	ck_assert_int_eq(keyfile_kdf(k)->kind, options.kind);
	if (options.hint)
		ck_assert_str_eq(keyfile_hint(k), options.hint);
	must_hold_the_key(k, options.password ? (char *)password->bytes : NULL);
	keyfile_free(k);
	keyfile_free(original);
	crypt_free(crypt);
	secret_free(json);
	secret_free(other);
	secret_free(password);
}
END_TEST

START_TEST(options_that_make_no_sense_are_refused)
{
	static const struct keyfile_options senseless[] = {
		{ .kind = KEYFILE_SCRYPT },
		{ .kind = KEYFILE_NONE, .hint = "\x1b[2J" },
		{ .kind = KEYFILE_NONE, .hint = "\xff" },
		{ .kind = KEYFILE_NONE, .created = "yesterday" },
		{ .kind = KEYFILE_NONE, .modified = "2021-03-09T12:00:00" },
	};
	struct secret_bytes *json, *brief = password_of("1234");
	struct keyfile_options options = { .kind = KEYFILE_PBKDF2, .password = brief };
	struct error err = { 0 };
	struct crypt *crypt;

	ck_assert_int_eq(crypt_new_random(&crypt, &err), 0);
	for (size_t i = 0; i < sizeof(senseless) / sizeof(*senseless); i++)
		ck_assert_int_eq(keyfile_encode(&json, crypt, &senseless[i], &err), -EINVAL);
	ck_assert_int_eq(keyfile_encode(&json, crypt, &options, &err), -EKEYREJECTED);
	crypt_free(crypt);
	secret_free(brief);
}
END_TEST

START_TEST(new_key_files_have_the_time_of_their_making)
{
	const struct keyfile_options options = { .kind = KEYFILE_NONE };
	struct secret_bytes *json;
	struct error err = { 0 };
	struct crypt *crypt;
	struct keyfile *k;

	setenv("TZ", "XXX-05:30", 1);
	tzset();
	ck_assert_int_eq(crypt_new_random(&crypt, &err), 0);
	ck_assert_int_eq(keyfile_encode(&json, crypt, &options, &err), 0);
	k = decode((char *)json->bytes);
	ck_assert_uint_eq(strlen(keyfile_created(k)), KEYFILE_TIME_SIZE - 1);
	ck_assert_str_eq(keyfile_created(k) + 19, "+05:30");
	keyfile_free(k);
	secret_free(json);
	crypt_free(crypt);
	unsetenv("TZ");
	tzset();
}
END_TEST

static const char *reference(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/store-enc/keys/%s", getenv("REFERENCE"), name);
	return path;
}

static struct secret_bytes *slurp(const char *path)
{
	struct secret_read how = { .max = KEYFILE_MAX, .wait_ms = 1000 };
	struct secret_bytes *text;
	struct error err = { 0 };

	ck_assert_msg(secret_read(&text, path, &how, &err) == 0, "%s: %s", path, err.text);
	return text;
}

static const struct {
	const char *name, *password, *hint;
} originals[] = {
	{ "plain.json", NULL, NULL },
	{ "unrelated.json", NULL, NULL },
	{ "scrypt.json", "correct horse battery", "the usual" },
	{ "pbkdf2.json", "geheim-123", NULL },
};

static void blank(char *json, const char *member)
{
	for (char *c = strstr(json, member) + strlen(member); *c != '"'; c++)
		*c = '*';
}

/* All but what is random in it. */
START_TEST(files_of_the_original_are_unlocked_and_made_again_byte_for_byte)
{
	struct secret_bytes *text = slurp(reference(originals[_i].name)), *json, *password = NULL;
	struct keyfile *k = decode((char *)text->bytes);
	struct keyfile_options options = { keyfile_kdf(k)->kind, NULL, originals[_i].hint,
					   keyfile_created(k), keyfile_created(k) };
	struct error err = { 0 };
	struct crypt *crypt;

	if (originals[_i].password)
		options.password = password = password_of(originals[_i].password);
	ck_assert_msg(unlock(&crypt, k, originals[_i].password, &err) == 0, "%s", err.text);
	ck_assert_int_eq(keyfile_encode(&json, crypt, &options, &err), 0);
	if (password) {
		for (size_t i = 0; i < 2; i++) {
			char *at = (char *)(i ? json : text)->bytes;

			blank(at, "\"salt\":\"");
			blank(at, "\"data\":\"");
		}
	}
	ck_assert_str_eq((char *)json->bytes, (char *)text->bytes);
	ck_assert_uint_eq(json->len, text->len);
	crypt_free(crypt);
	keyfile_free(k);
	secret_free(password);
	secret_free(json);
	secret_free(text);
}
END_TEST

/* A file with a key, with this mode. */
static int read_with_mode(mode_t mode, bool *exposed, struct error *err)
{
	char path[] = "/tmp/test-keyfile-XXXXXX";
	int fd = mkstemp(path), r, by_fd;
	struct keyfile *k;

	ck_assert_int_gt(write(fd, good[0].json, strlen(good[0].json)), 0);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	by_fd = keyfile_read_fd(&k, fd, exposed, err);
	if (by_fd == 0)
		keyfile_free(k);
	r = keyfile_read(&k, path, exposed, err);
	if (r == 0)
		keyfile_free(k);
	ck_assert_int_eq(r, by_fd);
	close(fd);
	unlink(path);
	return r;
}

START_TEST(a_file_that_others_can_write_to_is_refused)
{
	struct error err = { 0 };
	bool exposed;

	ck_assert_int_eq(read_with_mode(0600, &exposed, &err), 0);
	ck_assert(!exposed);
	ck_assert_int_eq(read_with_mode(0640, &exposed, &err), 0);
	ck_assert(exposed);
	ck_assert_int_eq(read_with_mode(0620, &exposed, &err), -EPERM);
	ck_assert_int_eq(read_with_mode(0602, &exposed, &err), -EPERM);
	ck_assert_ptr_nonnull(strstr(err.text, "test-keyfile-"));
}
END_TEST

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

START_TEST(refusing_what_is_too_large_takes_neither_time_nor_memory)
{
	char path[] = "/tmp/test-keyfile-XXXXXX";
	struct rusage before, after;
	double begin = seconds();
	struct error err = { 0 };
	int fd = mkstemp(path);
	struct keyfile *k;
	bool exposed;

	getrusage(RUSAGE_SELF, &before);
	ck_assert_int_eq(ftruncate(fd, 1 << 30), 0);
	ck_assert_int_eq(keyfile_read(&k, path, &exposed, &err), -EFBIG);
	ck_assert_int_eq(keyfile_read(&k, "/nowhere/at/all", &exposed, &err), -ENOENT);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_int_lt(keyfile_decode(&k, bad[i], strlen(bad[i]), &err), 0);
	getrusage(RUSAGE_SELF, &after);
	ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 16 << 10);
	ck_assert(seconds() - begin < 2);
	close(fd);
	unlink(path);
}
END_TEST

#define LOOP(test, cases) tcase_add_loop_test(tc, test, 0, sizeof(cases) / sizeof(*(cases)))

int main(void)
{
	Suite *s = suite_create("keyfile");
	TCase *tc = tcase_create("keyfile");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, refusing_what_is_too_large_takes_neither_time_nor_memory);
	LOOP(keys_protected_in_each_way_are_unlocked, good);
	tcase_add_test(tc, a_wrong_password_is_rejected);
	tcase_add_test(tc, a_key_that_is_not_the_one_it_is_said_to_be_is_rejected);
	tcase_add_test(tc, what_is_needed_for_asking_is_known_before);
	LOOP(what_is_no_key_file_is_refused_without_quoting_it, bad);
	tcase_add_test(tc, every_beginning_of_a_key_file_is_refused);
	tcase_add_test(tc, the_dearest_parameters_are_taken);
	LOOP(what_was_made_is_unlocked_again, made);
	tcase_add_test(tc, options_that_make_no_sense_are_refused);
	tcase_add_test(tc, new_key_files_have_the_time_of_their_making);
	LOOP(files_of_the_original_are_unlocked_and_made_again_byte_for_byte, originals);
	tcase_add_test(tc, a_file_that_others_can_write_to_is_refused);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
