#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chunkcache/file.h"
#include "chunkcache/manifest.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define C8 "01010101"
#define C64 C8 C8 C8 C8 C8 C8 C8 C8
#define D8 "02020202"
#define D64 D8 D8 D8 D8 D8 D8 D8 D8
#define SIGNATURE "d7b446fb7db081662081d4b40fedd858a1d6307a5aff4ecff7d5bf4fd35679e9"
#define FINGERPRINT                                                          \
	"12:b9:b7:74:bb:3d:89:95:2b:97:cb:c2:82:f0:0c:14:2b:83:ba:7f:96:62:" \
	"6a:a1:5a:44:9a:63:e8:91:fe:25"
#define HEAD "{\"backup-type\":\"host\",\"backup-id\":\"elsa\",\"backup-time\":1593179765,"
#define FILE_OF(name) "{\"filename\":\"" name "\",\"size\":200,\"csum\":\"" C64 "\"}"
#define FILES_OF(name) "\"files\":[" FILE_OF(name) "]}"
#define WITH(more) HEAD more "," FILES_OF("a.blob")

static struct manifest *decode(const char *json)
{
	struct manifest *m = NULL;
	struct error err = { 0 };

	ck_assert_msg(manifest_decode(&m, json, strlen(json), &err) == 0, "%s: %s", err.text, json);
	return m;
}

/* The key of the published signature. */
static struct crypt *vector_key(void)
{
	struct digest key;
	struct crypt *crypt;

	ck_assert_int_eq(
		digest_parse(&key,
			     "28cdb1a3bef39396c3860e00d448fe7a0efd8244486ab6feb30457681d31597e"),
		0);
	ck_assert_int_eq(crypt_new(&crypt, key.bytes, NULL), 0);
	return crypt;
}

static const struct snapshot elsa = { .type = "host", .id = "elsa", .time = 1593179765 };

static struct manifest *vector_manifest(void)
{
	struct digest c, d;
	struct manifest *m;

	ck_assert_int_eq(digest_parse(&c, C64), 0);
	ck_assert_int_eq(digest_parse(&d, D64), 0);
	ck_assert_int_eq(manifest_new(&m, &elsa, NULL), 0);
	ck_assert_int_eq(manifest_add(m, "test1.img.fidx", MANIFEST_ENCRYPT, 200, &c, NULL), 0);
	ck_assert_int_eq(manifest_add(m, "abc.blob", MANIFEST_NONE, 200, &d, NULL), 0);
	return m;
}

static void check_text(const struct buffer *b, const char *want)
{
	ck_assert_msg(b->len == strlen(want) && !memcmp(b->bytes, want, b->len), "%.*s",
		      (int)b->len, (const char *)b->bytes);
}

START_TEST(what_is_signed_and_how_is_as_published)
{
	CLEANUP(manifest_freep) struct manifest *m = vector_manifest();
	CLEANUP(crypt_freep) struct crypt *crypt = vector_key();
	CLEANUP(buffer_release) struct buffer json = { 0 };
	char text[FINGERPRINT_TEXT_SIZE];

	ck_assert_int_eq(manifest_canonical(m, &json, NULL), 0);
	check_text(&json, "{\"backup-id\":\"elsa\",\"backup-time\":1593179765,"
			  "\"backup-type\":\"host\",\"files\":["
			  "{\"crypt-mode\":\"encrypt\",\"csum\":\"" C64
			  "\",\"filename\":\"test1.img.fidx\",\"size\":200},"
			  "{\"crypt-mode\":\"none\",\"csum\":\"" D64
			  "\",\"filename\":\"abc.blob\",\"size\":200}]}");
	ck_assert_int_eq(manifest_sign(m, crypt, NULL), 0);
	ck_assert_str_eq(digest_format(&m->signature, text), SIGNATURE);
	ck_assert_str_eq(digest_format_fingerprint(&m->fingerprint, text), FINGERPRINT);
	ck_assert_int_eq(manifest_verify(m, crypt, NULL), MANIFEST_VERIFIED);
}
END_TEST

START_TEST(what_is_encoded_is_decoded)
{
	CLEANUP(manifest_freep) struct manifest *m = vector_manifest(), *again = NULL;
	CLEANUP(buffer_release) struct buffer json = { 0 };
	CLEANUP(crypt_freep) struct crypt *crypt = vector_key();

	ck_assert_int_eq(manifest_sign(m, crypt, NULL), 0);
	ck_assert_int_eq(manifest_encode(m, &json, NULL), 0);
	ck_assert_int_eq(manifest_decode(&again, json.bytes, json.len, NULL), 0);
	ck_assert_str_eq(again->type, "host");
	ck_assert_str_eq(again->id, "elsa");
	ck_assert_int_eq(again->time, 1593179765);
	ck_assert_uint_eq(again->n, 2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_str_eq(again->files[i].name, m->files[i].name);
		ck_assert_int_eq(again->files[i].mode, m->files[i].mode);
		ck_assert_uint_eq(again->files[i].size, 200);
		ck_assert(digest_equal(&again->files[i].csum, &m->files[i].csum));
	}
	ck_assert_int_eq(manifest_verify(again, crypt, NULL), MANIFEST_VERIFIED);
	ck_assert(digest_equal(&again->fingerprint, &m->fingerprint));
}
END_TEST

START_TEST(an_empty_manifest_is_written_like_any)
{
	CLEANUP(manifest_freep) struct manifest *m = NULL;
	CLEANUP(buffer_release) struct buffer json = { 0 };

	ck_assert_int_eq(manifest_new(&m, &elsa, NULL), 0);
	ck_assert_int_eq(manifest_encode(m, &json, NULL), 0);
	check_text(&json, "{\n  \"backup-id\": \"elsa\",\n  \"backup-time\": 1593179765,\n"
			  "  \"backup-type\": \"host\",\n  \"files\": [],\n"
			  "  \"signature\": null,\n  \"unprotected\": {}\n}");
}
END_TEST

/* Snapshots of the reference stores whose manifests have nothing but what we write. */
static const char *const references[] = {
	"store-plain/store/host/web01/2024-06-01T02:00:00Z",
	"store-plain/store/ns/a/ct/105/2024-06-04T02:00:21Z",
	"store-plain/store/vm/100/2024-06-05T02:00:28Z",
	"store-4m/store/host/web01/2024-06-10T02:00:03Z",
	"store-enc/store/host/web01/2024-06-11T02:00:10Z",
	"store-enc/store/host/web01/2024-06-14T02:00:31Z",
	"store-enc/store/vm/101/2024-06-16T02:00:45Z",
};

static int open_reference(const char *name)
{
	const char *base = getenv("REFERENCE");
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", base ? base : "tests/reference", name);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "%s", path);
	return fd;
}

static struct buffer read_json(int dirfd, struct blob_context *c)
{
	CLEANUP(closep) int fd = openat(dirfd, SNAPSHOT_MANIFEST, O_RDONLY | O_CLOEXEC);
	CLEANUP(buffer_release) struct buffer bytes = { 0 };
	struct buffer json = { 0 };
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(file_read(fd, (uint64_t)st.st_size, 1 << 20, &bytes, NULL), 0);
	ck_assert_int_eq(blob_decode(c, &(struct blob_terms){ 0 }, bytes.bytes, bytes.len, 1 << 20,
				     &json, NULL),
			 0);
	return json;
}

START_TEST(what_the_reference_wrote_is_written_alike)
{
	CLEANUP(closep) int fd = open_reference(references[_i]);
	CLEANUP(blob_context_freep) struct blob_context *c = NULL;
	CLEANUP(manifest_freep) struct manifest *m = NULL;
	CLEANUP(buffer_release) struct buffer json = { 0 }, ours = { 0 };
	struct error err = { 0 };

	ck_assert_int_eq(blob_context_new(&c, NULL), 0);
	json = read_json(fd, c);
	ck_assert_msg(manifest_read(&m, fd, c, &err) == 0, "%s", err.text);
	ck_assert_int_eq(manifest_encode(m, &ours, NULL), 0);
	ck_assert_uint_eq(ours.len, json.len);
	ck_assert_mem_eq(ours.bytes, json.bytes, json.len);
}
END_TEST

static const struct {
	const char *what, *json;
	bool good;
} inputs[] = {
	{ "least", HEAD "\"files\":[]}", true },
	{ "no crypt-mode", HEAD FILES_OF("a.blob"), true },
	{ "null where it may be", WITH("\"signature\":null,\"unprotected\":null"), true },
	{ "null fingerprint", WITH("\"unprotected\":{\"key-fingerprint\":null}"), true },
	{ "unknown keys", WITH("\"x\":{\"a\":[1,null]}"), true },
	{ "a comment", WITH("\"unprotected\":{\"notes\":\"a\\\"}]{\\u00e4\"}"), true },
	{ "upper case", WITH("\"signature\":\"" D8 D8 D8 D8 D8 D8 D8 "ABCDEF00\""), true },
	{ "empty", "", false },
	{ "no object", "[]", false },
	{ "only a word", "null", false },
	{ "trailing bytes", HEAD "\"files\":[]} x", false },
	{ "cut", HEAD "\"files\":[", false },
	{ "files twice", HEAD "\"files\":[],\"files\":[]}", false },
	{ "a file twice", HEAD "\"files\":[" FILE_OF("a.blob") "," FILE_OF("a.blob") "]}", false },
	{ "no files", HEAD "\"x\":1}", false },
	{ "files null", HEAD "\"files\":null}", false },
	{ "a file that is none", HEAD "\"files\":[1]}", false },
	{ "a name with a slash", HEAD FILES_OF("a/b.blob"), false },
	{ "a name that leads out", HEAD FILES_OF("../b.blob"), false },
	{ "no ending", HEAD FILES_OF("a"), false },
	{ "only an ending", HEAD FILES_OF(".blob"), false },
	{ "another ending", HEAD FILES_OF("a.tmp_didx"), false },
	{ "a name with NUL", HEAD FILES_OF("a\\u0000.blob"), false },
	{ "no UTF-8", HEAD "\"files\":[],\"x\":\"\xff\"}", false },
	{ "an unknown mode",
	  HEAD "\"files\":[{\"filename\":\"a.blob\",\"size\":1,\"csum\":\"" C64
	       "\",\"crypt-mode\":\"rot13\"}]}",
	  false },
	{ "a null mode",
	  HEAD "\"files\":[{\"filename\":\"a.blob\",\"size\":1,\"csum\":\"" C64
	       "\",\"crypt-mode\":null}]}",
	  false },
	{ "a negative size",
	  HEAD "\"files\":[{\"filename\":\"a.blob\",\"size\":-1,\"csum\":\"" C64 "\"}]}", false },
	{ "a broken size",
	  HEAD "\"files\":[{\"filename\":\"a.blob\",\"size\":1.5,\"csum\":\"" C64 "\"}]}", false },
	{ "a size of 2^64",
	  HEAD "\"files\":[{\"filename\":\"a.blob\",\"size\":18446744073709551616,\"csum\":\"" C64
	       "\"}]}",
	  false },
	{ "a short csum", HEAD "\"files\":[{\"filename\":\"a.blob\",\"size\":1,\"csum\":\"01\"}]}",
	  false },
	{ "a csum of no hex",
	  HEAD "\"files\":[{\"filename\":\"a.blob\",\"size\":1,\"csum\":\"" C8 C8 C8 C8 C8 C8 C8
	       "0101010g\"}]}",
	  false },
	{ "a short signature", WITH("\"signature\":\"" C8 "\""), false },
	{ "a signature that is a number", WITH("\"signature\":1"), false },
	{ "a short fingerprint", WITH("\"unprotected\":{\"key-fingerprint\":\"12:b9\"}"), false },
	{ "unprotected is a list", WITH("\"unprotected\":[]"), false },
	{ "another type",
	  "{\"backup-type\":\"qemu\",\"backup-id\":\"1\",\"backup-time\":1,\"files\":[]}", false },
	{ "an ID that leads out",
	  "{\"backup-type\":\"vm\",\"backup-id\":\"..\",\"backup-time\":1,\"files\":[]}", false },
	{ "a time before all",
	  "{\"backup-type\":\"vm\",\"backup-id\":\"1\",\"backup-time\":0,\"files\":[]}", false },
	{ "a time that is text",
	  "{\"backup-type\":\"vm\",\"backup-id\":\"1\",\"backup-time\":\"1\",\"files\":[]}",
	  false },
	{ "no time", "{\"backup-type\":\"vm\",\"backup-id\":\"1\",\"files\":[]}", false },
};

START_TEST(a_manifest_is_taken_as_a_whole_or_not)
{
	size_t n = strlen(inputs[_i].json);
	CLEANUP(freep) char *exact = malloc(n ? n : 1); /* no NUL: nothing may look for it */
	CLEANUP(manifest_freep) struct manifest *m = NULL;
	struct error err = { 0 };
	int r;

	ck_assert_ptr_nonnull(exact);
	memcpy(exact, inputs[_i].json, n);
	r = manifest_decode(&m, exact, n, &err);
	ck_assert_msg(r == (inputs[_i].good ? 0 : -EUCLEAN), "%s: %s", inputs[_i].what, err.text);
	ck_assert((m != NULL) == inputs[_i].good);
}
END_TEST

START_TEST(depth_and_size_are_bounded)
{
	size_t n = MANIFEST_MAX + 1;
	CLEANUP(freep) char *json = malloc(n);
	struct manifest *m = NULL;
	struct error err = { 0 };

	memset(json, '[', n);
	ck_assert_int_eq(manifest_decode(&m, json, MANIFEST_MAX, &err), -EUCLEAN);
	ck_assert_str_eq(err.text, "deeper than 32 levels at byte 32");
	ck_assert_int_eq(manifest_decode(&m, json, n, &err), -EUCLEAN);
	ck_assert_msg(strstr(err.text, "at most") != NULL, "%s", err.text);
}
END_TEST

START_TEST(a_manifest_belongs_to_its_snapshot)
{
	CLEANUP(manifest_freep) struct manifest *m = decode(HEAD "\"files\":[]}");
	struct snapshot s = elsa;
	struct error err = { 0 };

	ck_assert_int_eq(manifest_check_snapshot(m, &s, NULL), 0);
	s.time++;
	ck_assert_int_eq(manifest_check_snapshot(m, &s, &err), -EUCLEAN);
	s = elsa;
	strcpy(s.id, "anna");
	ck_assert_int_eq(manifest_check_snapshot(m, &s, NULL), -EUCLEAN);
	s = elsa;
	strcpy(s.type, "vm");
	ck_assert_int_eq(manifest_check_snapshot(m, &s, NULL), -EUCLEAN);
}
END_TEST

START_TEST(any_change_breaks_the_signature)
{
	CLEANUP(manifest_freep) struct manifest *m = vector_manifest();
	CLEANUP(crypt_freep) struct crypt *crypt = vector_key();

	ck_assert_int_eq(manifest_sign(m, crypt, NULL), 0);
	m->files[1].size++;
	ck_assert_int_eq(manifest_verify(m, crypt, NULL), -EBADMSG);
	m->files[1].size--;
	m->files[0].mode = MANIFEST_NONE;
	ck_assert_int_eq(manifest_verify(m, crypt, NULL), -EBADMSG);
	m->files[0].mode = MANIFEST_ENCRYPT;
	m->files[0].csum.bytes[31] ^= 1;
	ck_assert_int_eq(manifest_verify(m, crypt, NULL), -EBADMSG);
	m->files[0].csum.bytes[31] ^= 1;
	m->time++;
	ck_assert_int_eq(manifest_verify(m, crypt, NULL), -EBADMSG);
	m->time--;
	m->signature.bytes[0] ^= 1;
	ck_assert_int_eq(manifest_verify(m, crypt, NULL), -EBADMSG);
	m->signature.bytes[0] ^= 1;
	ck_assert_int_eq(manifest_verify(m, crypt, NULL), MANIFEST_VERIFIED);
}
END_TEST

/* Whoever may write to the store, but has no key, can remove the signature. */
START_TEST(what_is_not_verified_is_told_apart)
{
	CLEANUP(manifest_freep) struct manifest *m = vector_manifest();
	CLEANUP(crypt_freep) struct crypt *crypt = vector_key();

	ck_assert_int_eq(manifest_verify(m, crypt, NULL), MANIFEST_UNSIGNED);
	ck_assert_int_eq(manifest_verify(m, NULL, NULL), MANIFEST_UNSIGNED);
	ck_assert_int_eq(manifest_sign(m, crypt, NULL), 0);
	ck_assert_int_eq(manifest_verify(m, NULL, NULL), MANIFEST_UNCHECKED);
}
END_TEST

START_TEST(a_wrong_key_is_named_with_the_right_one)
{
	static const uint8_t other_key[CRYPT_KEY_SIZE];
	CLEANUP(manifest_freep) struct manifest *m = vector_manifest();
	CLEANUP(crypt_freep) struct crypt *crypt = vector_key(), *other = NULL;
	char text[FINGERPRINT_TEXT_SIZE];
	struct digest fingerprint;
	struct error err = { 0 };

	ck_assert_int_eq(crypt_new(&other, other_key, NULL), 0);
	ck_assert_int_eq(manifest_sign(m, crypt, NULL), 0);
	ck_assert_int_eq(manifest_verify(m, other, &err), -EKEYREJECTED);
	fingerprint = crypt_fingerprint(other);
	ck_assert_ptr_nonnull(strstr(err.text, FINGERPRINT));
	ck_assert_ptr_nonnull(strstr(err.text, digest_format_fingerprint(&fingerprint, text)));
	m->has_signature = false; /* the fingerprint stays */
	ck_assert_int_eq(manifest_verify(m, other, NULL), -EKEYREJECTED);
	m->has_signature = true;
	m->has_fingerprint = false; /* as from a very old client */
	ck_assert_int_eq(manifest_verify(m, other, NULL), -EBADMSG);
}
END_TEST

START_TEST(what_is_encrypted_needs_a_key)
{
	CLEANUP(manifest_freep) struct manifest *m = vector_manifest();
	CLEANUP(crypt_freep) struct crypt *crypt = vector_key();
	struct error err = { 0 };

	ck_assert_int_eq(manifest_check_key(m, &m->files[0], NULL, &err), -ENOKEY);
	ck_assert_str_eq(err.text, "test1.img.fidx is encrypted, and no key was given");
	ck_assert_int_eq(manifest_check_key(m, &m->files[0], crypt, NULL), 0);
	ck_assert_int_eq(manifest_check_key(m, &m->files[1], NULL, NULL), 0);
	ck_assert_int_eq(manifest_sign(m, crypt, NULL), 0);
	ck_assert_int_eq(manifest_check_key(m, &m->files[0], NULL, &err), -ENOKEY);
	ck_assert_ptr_nonnull(strstr(err.text, FINGERPRINT));
}
END_TEST

START_TEST(a_file_is_held_against_its_entry)
{
	CLEANUP(manifest_freep) struct manifest *m = vector_manifest();
	struct digest other = m->files[1].csum;

	ck_assert_int_eq(manifest_check_file(&m->files[0], &m->files[0].csum, 200, NULL), 0);
	ck_assert_int_eq(manifest_check_file(&m->files[0], &m->files[0].csum, 201, NULL), -EBADMSG);
	ck_assert_int_eq(manifest_check_file(&m->files[0], &other, 200, NULL), -EBADMSG);
}
END_TEST

/* Each file but the last. */
#define LISTS(name) FILE_OF(name) ","
#define LISTED                                                                           \
	HEAD "\"files\":[" LISTS("root.pxar.didx") LISTS("home.mpxar.didx")              \
		LISTS("home.ppxar.didx") LISTS("half.mpxar.didx") LISTS("disk.img.fidx") \
			LISTS("etc.conf.blob") LISTS("odd.fidx")                         \
				FILE_OF("catalog.pcat1.didx") "]}"

static const struct {
	const char *name;
	int want;
	const char *archive, *payload;
} choices[] = {
	{ "root.pxar.didx", 0, "root.pxar.didx", NULL },
	{ "root.pxar", 0, "root.pxar.didx", NULL },
	{ "home.pxar", 0, "home.mpxar.didx", "home.ppxar.didx" },
	{ "home.pxar.didx", 0, "home.mpxar.didx", "home.ppxar.didx" },
	{ "home.mpxar", 0, "home.mpxar.didx", "home.ppxar.didx" },
	{ "home.ppxar.didx", 0, "home.mpxar.didx", "home.ppxar.didx" },
	{ "disk.img", 0, "disk.img.fidx", NULL },
	{ "disk.img.fidx", 0, "disk.img.fidx", NULL },
	{ "etc.conf", 0, "etc.conf.blob", NULL },
	{ "odd.fidx", 0, "odd.fidx", NULL },
	{ "catalog.pcat1", 0, "catalog.pcat1.didx", NULL },
	{ "half.pxar", -ENOENT, NULL, NULL },
	{ "half.mpxar", -ENOENT, NULL, NULL },
	{ "root.mpxar", -ENOENT, NULL, NULL },
	{ "none.pxar", -ENOENT, NULL, NULL },
	{ "none.img", -ENOENT, NULL, NULL },
	{ "home.img", -ENOENT, NULL, NULL },
	{ "root", -EINVAL, NULL, NULL },
	{ "root.didx.zip", -EINVAL, NULL, NULL },
	{ "", -EINVAL, NULL, NULL },
	{ ".pxar", -EINVAL, NULL, NULL },
	{ ".didx", -EINVAL, NULL, NULL },
	{ "../root.pxar", -EINVAL, NULL, NULL },
	{ "a/root.pxar", -EINVAL, NULL, NULL },
};

START_TEST(a_name_chooses_an_archive_or_both_halves_of_one)
{
	CLEANUP(manifest_freep) struct manifest *m = decode(LISTED);
	struct manifest_choice choice = { 0 };
	struct error err = { 0 };
	int r = manifest_choose(m, choices[_i].name, &choice, &err);

	ck_assert_msg(r == choices[_i].want, "%s: %d %s", choices[_i].name, r, err.text);
	if (r < 0) { /* it says what there is */
		ck_assert_msg(strstr(err.text, "root.pxar, home.mpxar, ") != NULL, "%s", err.text);
		return;
	}
	ck_assert_str_eq(choice.archive->name, choices[_i].archive);
	ck_assert((choice.payload != NULL) == (choices[_i].payload != NULL));
	if (choice.payload)
		ck_assert_str_eq(choice.payload->name, choices[_i].payload);
}
END_TEST

START_TEST(a_name_of_any_length_is_refused_or_found)
{
	CLEANUP(manifest_freep) struct manifest *m = decode(LISTED);
	struct manifest_choice choice;
	char name[400];

	for (int n = 230; n < 300; n++) {
		memset(name, 'a', sizeof(name));
		strcpy(name + n, ".mpxar");
		ck_assert_int_eq(manifest_choose(m, name, &choice, NULL),
				 n + 11 <= 255 ? -ENOENT : -EINVAL);
	}
}
END_TEST

START_TEST(halves_that_are_encrypted_differently_are_refused)
{
	CLEANUP(manifest_freep) struct manifest *m = decode(LISTED);
	struct manifest_choice choice;
	struct error err = { 0 };

	m->files[1].mode = MANIFEST_ENCRYPT;
	ck_assert_int_eq(manifest_choose(m, "home.pxar", &choice, &err), -EUCLEAN);
	ck_assert_str_eq(err.text,
			 "home.mpxar.didx has crypt-mode encrypt, home.ppxar.didx has none");
}
END_TEST

START_TEST(a_list_of_names_is_cut_to_its_room)
{
	CLEANUP(manifest_freep) struct manifest *m = decode(LISTED);
	char all[200], text[200];
	size_t full;

	manifest_names(m, all, sizeof(all));
	ck_assert_str_eq(all,
			 "root.pxar, home.mpxar, home.ppxar, half.mpxar, disk.img, etc.conf, odd, "
			 "catalog.pcat1");
	full = strlen(all) + 1;
	for (size_t size = 1; size <= full; size++) {
		memset(text, 'x', sizeof(text));
		manifest_names(m, text, size);
		ck_assert_uint_lt(strlen(text), size);
		if (size < full && size >= 4)
			ck_assert_str_eq(text + strlen(text) - 3, "...");
	}
	ck_assert_str_eq(text, all);
}
END_TEST

START_TEST(a_manifest_lists_no_name_twice)
{
	CLEANUP(manifest_freep) struct manifest *m = vector_manifest();
	struct digest csum = { 0 };

	ck_assert_int_eq(manifest_add(m, "abc.blob", MANIFEST_NONE, 1, &csum, NULL), -EEXIST);
	ck_assert_int_eq(manifest_add(m, "../a.blob", MANIFEST_NONE, 1, &csum, NULL), -EINVAL);
	ck_assert_int_eq(manifest_add(m, "abc", MANIFEST_NONE, 1, &csum, NULL), -EINVAL);
	ck_assert_uint_eq(m->n, 2);
	manifest_free(NULL);
}
END_TEST

static TCase *json_case(void)
{
	TCase *tc = tcase_create("json");

	tcase_add_test(tc, what_is_signed_and_how_is_as_published);
	tcase_add_test(tc, what_is_encoded_is_decoded);
	tcase_add_test(tc, an_empty_manifest_is_written_like_any);
	tcase_add_loop_test(tc, what_the_reference_wrote_is_written_alike, 0, COUNT(references));
	tcase_add_loop_test(tc, a_manifest_is_taken_as_a_whole_or_not, 0, COUNT(inputs));
	tcase_add_test(tc, depth_and_size_are_bounded);
	return tc;
}

static TCase *trust_case(void)
{
	TCase *tc = tcase_create("trust");

	tcase_add_test(tc, a_manifest_belongs_to_its_snapshot);
	tcase_add_test(tc, any_change_breaks_the_signature);
	tcase_add_test(tc, what_is_not_verified_is_told_apart);
	tcase_add_test(tc, a_wrong_key_is_named_with_the_right_one);
	tcase_add_test(tc, what_is_encrypted_needs_a_key);
	tcase_add_test(tc, a_file_is_held_against_its_entry);
	return tc;
}

static TCase *names_case(void)
{
	TCase *tc = tcase_create("names");

	tcase_add_loop_test(tc, a_name_chooses_an_archive_or_both_halves_of_one, 0, COUNT(choices));
	tcase_add_test(tc, a_name_of_any_length_is_refused_or_found);
	tcase_add_test(tc, halves_that_are_encrypted_differently_are_refused);
	tcase_add_test(tc, a_list_of_names_is_cut_to_its_room);
	tcase_add_test(tc, a_manifest_lists_no_name_twice);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("manifest");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, json_case());
	suite_add_tcase(s, trust_case());
	suite_add_tcase(s, names_case());
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
