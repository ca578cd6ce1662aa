#define _GNU_SOURCE
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/archive.h"
#include "tests/unit/double.h"
#include "tests/unit/packed.h"

static struct packed unified, split;
static char dir[64];

static char *path_of(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static void write_file(const char *name, const struct buffer *b)
{
	FILE *f = fopen(path_of(name), "wb");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(b->bytes, 1, b->len, f), b->len);
	ck_assert_int_eq(fclose(f), 0);
}

static void setup(void)
{
	packed_begin(&unified, false);
	packed_file(&unified, "f", "content");
	packed_finish(&unified);
	packed_begin(&split, true);
	packed_file(&split, "f", "content");
	packed_finish(&split);
	strcpy(dir, "/tmp/test-archive-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	write_file("a.pxar", &unified.meta);
	write_file("b.mpxar", &split.meta);
	write_file("b.ppxar", &split.payload);
	write_file("lone.mpxar", &split.meta);
	write_file("other-payload", &split.payload);
}

static void teardown(void)
{
	static const char *const names[] = { "a.pxar", "b.mpxar", "b.ppxar", "lone.mpxar",
					     "other-payload" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(path_of(names[i]));
	ck_assert_int_eq(rmdir(dir), 0);
	packed_release(&unified);
	packed_release(&split);
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

static const struct {
	const char *what, *path, *payload;
	bool metadata_only;
	int want;
	bool has_payload;
} cases[] = {
	{ "unified", "a.pxar", NULL, false, 0, false },
	{ "split, payload beside it", "b.mpxar", NULL, false, 0, true },
	{ "split, payload named", "lone.mpxar", "other-payload", false, 0, true },
	{ "split, the named one counts", "b.mpxar", "missing", false, -ENOENT, false },
	{ "split without payload", "lone.mpxar", NULL, false, -ENOENT, false },
	{ "split, metadata alone", "lone.mpxar", NULL, true, 0, false },
	{ "split, metadata alone though there is more", "b.mpxar", NULL, true, 0, false },
	{ "unified with a payload", "a.pxar", "other-payload", false, -EINVAL, false },
	{ "a payload file alone", "b.ppxar", NULL, false, -EUCLEAN, false },
	{ "metadata as payload", "lone.mpxar", "b.mpxar", false, -EUCLEAN, false },
	{ "missing", "missing.pxar", NULL, false, -ENOENT, false },
	{ "a directory", ".", NULL, false, -EISDIR, false },
};

START_TEST(sources_are_found_or_missed)
{
	const char *payload = cases[_i].payload ? path_of(cases[_i].payload) : NULL;
	struct archive *archive = NULL;
	struct error err = { 0 };
	int fds = count_fds(), r;

	r = archive_open(&archive, path_of(cases[_i].path), payload, cases[_i].metadata_only, &err);
	ck_assert_msg(r == cases[_i].want, "%s: %d %s", cases[_i].what, r, err.text);
	ck_assert_msg(r == 0 || strstr(err.text, dir), "%s: no path in '%s'", cases[_i].what,
		      err.text);
	ck_assert(r < 0 || (archive->payload != NULL) == cases[_i].has_payload);
	archive_free(archive);
	ck_assert_int_eq(count_fds(), fds);
}
END_TEST

START_TEST(sources_are_taken_over_also_when_it_fails)
{
	struct double_source meta, payload;
	struct archive *archive = NULL;

	double_init(&meta, &unified.meta);
	double_init(&payload, &split.payload);
	ck_assert_int_eq(archive_open_sources(&archive, &meta.source, &payload.source, false, NULL),
			 -EINVAL);
	ck_assert_int_eq(meta.frees, 1);
	ck_assert_int_eq(payload.frees, 1);
	ck_assert_int_eq(archive_open_sources(&archive, &meta.source, NULL, false, NULL), 0);
	archive_free(archive);
	ck_assert_int_eq(meta.frees, 2);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("archive");
	TCase *tc = tcase_create("archive");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, sources_are_found_or_missed, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tc, sources_are_taken_over_also_when_it_fails);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
