#define _GNU_SOURCE
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/place.h"

#define TIME "2024-06-09T02:00:56Z"

static char dir[64];

static const char *below(const char *name)
{
	static char paths[8][256];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static void shell(const char *command)
{
	char full[512];

	snprintf(full, sizeof(full), "cd %s && %s", dir, command);
	ck_assert_msg(system(full) == 0, "%s", full);
}

/* Indexes in and around a datastore; what is in them does not matter here. */
static void setup(void)
{
	strcpy(dir, "/tmp/test-place-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	shell("mkdir -p s/.chunks copy ns/x loose s/host/h/" TIME " s/ns/a/ns/b/ct/1/" TIME
	      " nostore/vm/2/" TIME " s/host/h/latest");
	shell("for d in copy loose s/host/h/* s/ns/a/ns/b/ct/1/* nostore/vm/2/*; do "
	      "touch $d/i.pxar.didx; done; touch copy/index.json.blob; for d in s/host/h/*; do "
	      "touch $d/index.json.blob; done; "
	      "ln -s s/host/h/" TIME "/i.pxar.didx link");
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static const struct {
	const char *path;
	bool is_snapshot, has_manifest, in_store;
	const char *ns, *id;
} cases[] = {
	{ "s/host/h/" TIME "/i.pxar.didx", true, true, true, "", "h" },
	{ "s/../s/host/h/" TIME "/i.pxar.didx", true, true, true, "", "h" },
	{ "link", true, true, true, "", "h" },
	{ "s/ns/a/ns/b/ct/1/" TIME "/i.pxar.didx", true, false, true, "a/b", "1" },
	{ "nostore/vm/2/" TIME "/i.pxar.didx", true, false, false, "", "2" },
	{ "s/host/h/latest/i.pxar.didx", false, true, false, "", "" },
	{ "copy/i.pxar.didx", false, true, false, "", "" },
	{ "loose/i.pxar.didx", false, false, false, "", "" },
};

START_TEST(a_path_tells_where_it_is)
{
	CLEANUP(place_release) struct place place = PLACE_NOWHERE;
	struct error err = { 0 };

	ck_assert_msg(place_of_index(&place, below(cases[_i].path), &err) == 0, "%s", err.text);
	ck_assert_str_eq(place.name, "i.pxar.didx");
	ck_assert_int_ge(place.dir, 0);
	ck_assert_int_eq(place.is_snapshot, cases[_i].is_snapshot);
	ck_assert_int_eq(place.has_manifest, cases[_i].has_manifest);
	ck_assert_int_eq(place.base >= 0, cases[_i].in_store);
	ck_assert_str_eq(place.snapshot.ns, cases[_i].ns);
	ck_assert_str_eq(place.snapshot.id, cases[_i].id);
}
END_TEST

START_TEST(a_path_to_nothing_is_refused)
{
	CLEANUP(place_release) struct place place = PLACE_NOWHERE;
	struct error err = { 0 };

	ck_assert_int_eq(place_of_index(&place, below("missing.didx"), &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "missing.didx"));
}
END_TEST

START_TEST(a_snapshot_is_found_by_name)
{
	CLEANUP(place_release) struct place place = PLACE_NOWHERE;
	struct error err = { 0 };

	ck_assert_int_eq(place_of_snapshot(&place, below("s"), NULL, "host/h/latest/i.pxar", &err),
			 0);
	ck_assert_int_eq(place.snapshot.time, 1717898456);
	ck_assert_str_eq(place.name, "i.pxar");
	place_release(&place);
	ck_assert_int_eq(place_of_snapshot(&place, below("s"), "a/b", "ct/1/" TIME "/i.pxar", &err),
			 -ENODATA);
	ck_assert_ptr_nonnull(strstr(err.text, "namespace a/b"));
}
END_TEST

START_TEST(the_server_has_a_name_for_its_datastore)
{
	CLEANUP(place_release) struct place place = PLACE_NOWHERE;
	char name[SNAPSHOT_NAME_MAX + 1];
	struct error err = { 0 };
	FILE *f = fopen(below("cfg"), "w");

	fprintf(f,
		"datastore: other\n\tpath %s\n\tcomment x\n\nprune: p\n\tpath %s\n\n"
		"datastore: main\n\tgc-schedule daily\n\tpath %s\n",
		below("loose"), below("s"), below("s"));
	fclose(f);
	ck_assert_int_eq(place_of_index(&place, below(cases[0].path), &err), 0);
	ck_assert(place_find_store_name(&place, below("cfg"), name));
	ck_assert_str_eq(name, "main");
	ck_assert(!place_find_store_name(&place, below("missing"), name));
	shell("sed -i '/main/d' cfg");
	ck_assert(!place_find_store_name(&place, below("cfg"), name));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("place");
	TCase *tc = tcase_create("place");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, a_path_tells_where_it_is, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tc, a_path_to_nothing_is_refused);
	tcase_add_test(tc, a_snapshot_is_found_by_name);
	tcase_add_test(tc, the_server_has_a_name_for_its_datastore);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
