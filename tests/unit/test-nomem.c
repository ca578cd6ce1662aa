/*
 * Everything that allocates, with every allocation failing once. The linker redirects core's
 * calls to the functions below, so that this works under sanitizers as well. What succeeds gives
 * nothing away either: at the end of each operation no more is allocated than before it.
 */
#define _GNU_SOURCE
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/walk.h"
#include "core/xattr.h"
#include "tests/unit/archives.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *at, size_t n);
void *__real_reallocarray(void *at, size_t n, size_t size);
void __real_free(void *at);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *at, size_t n);
void *__wrap_reallocarray(void *at, size_t n, size_t size);
void __wrap_free(void *at);

static unsigned until_failure; /* the allocation that fails, counted down; 0: none */
static bool counting;	       /* what libcheck allocates between operations is its own */
static long live;

static bool fails(void)
{
	return counting && until_failure && --until_failure == 0;
}

static void *counted(void *at)
{
	if (at && counting)
		live++;
	return at;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : counted(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *at, size_t n)
{
	if (fails())
		return NULL;
	return at ? __real_realloc(at, n) : counted(__real_malloc(n));
}

void *__wrap_reallocarray(void *at, size_t n, size_t size)
{
	if (fails())
		return NULL;
	return at ? __real_reallocarray(at, n, size) : counted(__real_calloc(n, size));
}

void __wrap_free(void *at)
{
	if (at && counting)
		live--;
	__real_free(at);
}

static const struct io waiting = { .may_wait = true };
static const struct xattr_view everything = { .trusted = true, .list_pxar = true };

static struct archive a;
static struct flaky meta, payload;
static struct accessor *acc;
static uint64_t dressed, hard, target, dir_number;

/* Success may not mean that something was left out. */
static int whole(bool is_whole)
{
	return is_whole ? 0 : -EBADE;
}

static int do_open(struct error *err)
{
	CLEANUP(accessor_freep) struct accessor *again = NULL;

	return accessor_open(&again, &meta.source, a.split ? &payload.source : NULL, false, err);
}

static int do_sources(struct error *err)
{
	CLEANUP(source_freep) struct source *memory = NULL;
	CLEANUP(source_freep) struct source *file = NULL;
	int r = source_new_memory(&memory, a.meta.bytes, a.meta.len, err);

	return r < 0 ? r : source_open_file(&file, "/proc/self/exe", err);
}

static int do_dir(struct error *err)
{
	CLEANUP(dir_freep) struct dir *dir = NULL;
	int r = accessor_dir(acc, &waiting, dir_number, &dir, err);

	return r ? r : whole(dir->count == 5 && !dir->damaged);
}

/* Its names are not in order. */
static int do_root(struct error *err)
{
	CLEANUP(dir_freep) struct dir *dir = NULL;
	int r = accessor_dir(acc, &waiting, ENTRY_ROOT, &dir, err);

	return r ? r : whole(dir->count == 10 && dir->by_name && !dir->damaged);
}

static int do_find(struct error *err)
{
	struct dir_entry found;

	return accessor_find(acc, &waiting, ENTRY_ROOT, "zero", 4, &found, err);
}

static int do_entry(struct error *err)
{
	struct entry e;
	int r = accessor_entry(acc, &waiting, dir_number, &e, NULL, err);

	return r ? r : accessor_entry(acc, &waiting, dressed, &e, NULL, err);
}

static int do_link(struct error *err)
{
	char path[FORMAT_PATH_MAX + 1];
	uint64_t number;
	int r = accessor_link_path(acc, &waiting, hard, path, err);

	return r ? r : accessor_number_at(acc, &waiting, target, &number, err);
}

static int do_listxattr(struct error *err)
{
	CLEANUP(buffer_release) struct buffer names = { 0 };

	return accessor_listxattr(acc, &waiting, dressed, &everything, &names, err);
}

static int do_getxattr(struct error *err)
{
	static const char *const names[] = { "user.comment", "security.capability",
					     "system.posix_acl_access", "user.pxar.chattr" };
	int r = 0;

	for (size_t i = 0; i < 4 && r == 0; i++) {
		CLEANUP(buffer_release) struct buffer value = { 0 };

		r = accessor_getxattr(acc, &waiting, dressed, &everything, names[i], &value, err);
	}
	return r;
}

static int do_walk(struct error *err)
{
	CLEANUP(walk_freep) struct walk *walk = NULL;
	const atomic_bool stop = false;
	int r = walk_run(&walk, acc, &stop, NULL, err);

	return r ? r : whole(walk_totals(walk)->entries == 17 && !walk_totals(walk)->damaged);
}

static const struct {
	const char *name;
	int (*run)(struct error *err);
	unsigned at_least; /* allocations */
} operations[] = {
	{ "open", do_open, 2 },	 { "sources", do_sources, 2 },	   { "dir", do_dir, 5 },
	{ "root", do_root, 6 },	 { "find", do_find, 1 },	   { "entry", do_entry, 2 },
	{ "link", do_link, 2 },	 { "listxattr", do_listxattr, 3 }, { "getxattr", do_getxattr, 6 },
	{ "walk", do_walk, 20 },
};

static void use(struct archive made)
{
	struct entry e;
	struct dir_entry found;

	a = made;
	meta = flaky_init(&a.meta);
	payload = flaky_init(&a.payload);
	ck_assert_int_eq(
		accessor_open(&acc, &meta.source, a.split ? &payload.source : NULL, false, NULL),
		0);
	ck_assert_int_eq(accessor_find(acc, &waiting, ENTRY_ROOT, "dressed", 7, &found, NULL), 0);
	dressed = found.entry.number;
	ck_assert_int_eq(accessor_find(acc, &waiting, ENTRY_ROOT, "hard", 4, &found, NULL), 0);
	hard = found.entry.number;
	target = found.entry.size;
	ck_assert_int_eq(accessor_find(acc, &waiting, ENTRY_ROOT, "dir", 3, &found, NULL), 0);
	dir_number = found.entry.number;
	ck_assert_int_eq(accessor_entry(acc, &waiting, dir_number, &e, NULL, NULL), 0);
}

static void teardown(void)
{
	until_failure = 0;
	accessor_free(TAKE(acc));
	archive_release(&a);
}

static int run_counted(unsigned i, struct error *err)
{
	int r;

	counting = true;
	r = operations[i].run(err);
	counting = false;
	return r;
}

START_TEST(every_failing_allocation_is_told_and_nothing_leaks)
{
	unsigned i = (unsigned)_i / 2, n = 0;

	use(archive_sample(_i % 2));
	live = 0;
	for (bool failed = true; failed;) {
		struct error err = { 0 };
		int r;

		until_failure = ++n;
		r = run_counted(i, &err);
		failed = until_failure == 0;
		until_failure = 0;
		ck_assert_msg(r == 0 || (failed && r == -ENOMEM), "%s, allocation %u: %d, %s",
			      operations[i].name, n, r, err.text);
		ck_assert_msg(live == 0, "%s, allocation %u: %ld left", operations[i].name, n,
			      live);
		ck_assert_int_eq(run_counted(i, &err), 0);
		ck_assert_int_eq(live, 0);
	}
	ck_assert_msg(n > operations[i].at_least, "%s: only %u", operations[i].name, n);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("nomem");
	TCase *tc = tcase_create("nomem");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_loop_test(tc, every_failing_allocation_is_told_and_nothing_leaks, 0,
			    2 * (int)(sizeof(operations) / sizeof(operations[0])));
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
