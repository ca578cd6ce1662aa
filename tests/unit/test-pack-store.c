#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/pack-store.h"

static char dir[] = "/tmp/test-pack-store-XXXXXX";
static int base = -1;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static void setup(void)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	base = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(mkdirat(base, ".chunks", 0755), 0);
}

static void teardown(void)
{
	close(base);
	nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void stored_path(const struct digest *id, char path[96])
{
	char hex[DIGEST_TEXT_SIZE];

	digest_format(id, hex);
	snprintf(path, 96, ".chunks/%.4s/%s", hex, hex);
}

START_TEST(a_chunk_is_stored_once_however_often_it_comes)
{
	struct pack_store s;
	struct digest id, again;
	char path[96];
	struct stat st;

	ck_assert_int_eq(pack_store_init(&s, base, NULL, true, NULL), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pack_store_insert(&s, "hello", 5, i ? &again : &id, NULL), 0);
	ck_assert(digest_equal(&id, &again));
	ck_assert_uint_eq(s.written, 1);
	ck_assert_uint_eq(s.reused, 2);
	stored_path(&id, path);
	ck_assert_int_eq(fstatat(base, path, &st, 0), 0);
	ck_assert_uint_eq(s.stored_bytes, (uint64_t)st.st_size);
	ck_assert_int_eq(pack_store_sync(&s, NULL), 0);
	pack_store_release(&s);
}
END_TEST

START_TEST(what_is_known_is_not_looked_up_again)
{
	struct pack_store s;
	struct digest id;
	char path[96];

	ck_assert_int_eq(pack_store_init(&s, base, NULL, true, NULL), 0);
	ck_assert_int_eq(pack_store_insert(&s, "hello", 5, &id, NULL), 0);
	stored_path(&id, path);
	ck_assert_int_eq(unlinkat(base, path, 0), 0);
	ck_assert_int_eq(pack_store_insert(&s, "hello", 5, &id, NULL), 0);
	ck_assert_int_eq(faccessat(base, path, F_OK, 0), -1);
	pack_store_release(&s);
}
END_TEST

START_TEST(another_run_finds_what_is_there)
{
	struct pack_store s;
	struct digest id;

	for (unsigned run = 0; run < 2; run++) {
		ck_assert_int_eq(pack_store_init(&s, base, NULL, true, NULL), 0);
		for (unsigned i = 0; i < 3000; i++)
			ck_assert_int_eq(pack_store_insert(&s, &i, sizeof(i), &id, NULL), 0);
		ck_assert_uint_eq(s.written, run ? 0 : 3000);
		ck_assert_uint_eq(s.reused, run ? 3000 : 0);
		pack_store_release(&s);
	}
}
END_TEST

START_TEST(a_chunk_can_be_had_back_with_its_key)
{
	CLEANUP(buffer_release) struct buffer bytes = { 0 };
	CLEANUP(crypt_freep) struct crypt *crypt = NULL;
	CLEANUP(store_freep) struct store *store = NULL;
	struct store_state state;
	struct blob_terms terms = { .expect = BLOB_ENCRYPTED };
	struct pack_store s;
	struct digest id;
	bool bad_seen;
	char out[5];

	ck_assert_int_eq(crypt_new_random(&crypt, NULL), 0);
	terms.crypt = crypt;
	ck_assert_int_eq(pack_store_init(&s, base, crypt, true, NULL), 0);
	ck_assert_int_eq(pack_store_insert(&s, "hello", 5, &id, NULL), 0);
	ck_assert_int_eq(store_new_local(&store, base, "store", NULL), 0);
	ck_assert_int_eq(store->ops->load(store, &id, &bytes, &state, &bad_seen, NULL), 0);
	ck_assert_int_eq(
		blob_decode_chunk(s.context, &terms, bytes.bytes, bytes.len, &id, out, 5, NULL), 0);
	ck_assert_mem_eq(out, "hello", 5);
	pack_store_release(&s);
}
END_TEST

START_TEST(only_what_is_empty_becomes_a_datastore)
{
	char path[64];
	struct error err = { 0 };

	ck_assert_msg(pack_store_create(dir, &err) == 0, "%s", err.text); /* it is one */
	ck_assert_int_eq(faccessat(base, ".chunks/0000", F_OK, 0), -1);
	ck_assert_int_eq(mkdirat(base, ".chunks/0000", 0755), 0);
	snprintf(path, sizeof(path), "%s/.chunks", dir);
	ck_assert_int_eq(pack_store_create(path, &err), -ENOTEMPTY);
	ck_assert_msg(strstr(err.text, path) != NULL, "%s", err.text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pack-store");
	TCase *tc = tcase_create("pack-store");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_chunk_is_stored_once_however_often_it_comes);
	tcase_add_test(tc, what_is_known_is_not_looked_up_again);
	tcase_add_test(tc, another_run_finds_what_is_there);
	tcase_add_test(tc, a_chunk_can_be_had_back_with_its_key);
	tcase_add_test(tc, only_what_is_empty_becomes_a_datastore);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
