#define _GNU_SOURCE
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/memory.h"

#define MIB (UINT64_C(1) << 20)

static char root[64];

/* A file below the root, and the directories that it is in. */
static void write_file(const char *path, const char *content)
{
	char full[256];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		mkdir(full, 0755);
		*at = '/';
	}
	f = fopen(full, "w");
	ck_assert_ptr_nonnull(f);
	fputs(content, f);
	fclose(f);
}

static void setup(void)
{
	strcpy(root, "/tmp/test-memory-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", root);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(nothing_known_is_no_limit)
{
	ck_assert_uint_eq(memory_limit(root), UINT64_MAX);
}
END_TEST

START_TEST(available_memory_is_a_limit)
{
	write_file("/proc/meminfo", "MemTotal:  8000000 kB\nMemFree:  1 kB\n"
				    "MemAvailable:    4096 kB\nBuffers: 2 kB\n");
	ck_assert_uint_eq(memory_limit(root), 4 * MIB);
}
END_TEST

static const struct {
	const char *what, *cgroup, *path, *limit;
	uint64_t want;
} cases[] = {
	{ "its own group", "0::/a/b", "/sys/fs/cgroup/a/b/memory.max", "1048576\n", MIB },
	{ "a group around it", "0::/a/b", "/sys/fs/cgroup/a/memory.max", "1048576\n", MIB },
	{ "the root that a container sees", "0::/", "/sys/fs/cgroup/memory.max", "1048576\n", MIB },
	{ "no limit", "0::/a/b", "/sys/fs/cgroup/a/b/memory.max", "max\n", UINT64_MAX },
	{ "of version 1", "7:cpu:/x\n4:hugetlb,memory:/a",
	  "/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1048576\n", MIB },
	{ "another controller", "4:memory_of_old:/a",
	  "/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1048576\n", UINT64_MAX },
	{ "another group", "0::/a/b", "/sys/fs/cgroup/a/c/memory.max", "1048576\n", UINT64_MAX },
	{ "not a list of groups", "nonsense\n:\n0:\n", "/sys/fs/cgroup/memory.max", "1\n",
	  UINT64_MAX },
};

START_TEST(control_groups_limit)
{
	write_file("/proc/self/cgroup", cases[_i].cgroup);
	write_file(cases[_i].path, cases[_i].limit);
	ck_assert_msg(memory_limit(root) == cases[_i].want, "%s", cases[_i].what);
}
END_TEST

START_TEST(the_least_counts)
{
	write_file("/proc/meminfo", "MemAvailable: 3072 kB\n");
	write_file("/proc/self/cgroup", "0::/a/b\n");
	write_file("/sys/fs/cgroup/a/b/memory.max", "4194304\n");
	write_file("/sys/fs/cgroup/a/memory.max", "2097152\n");
	ck_assert_uint_eq(memory_limit(root), 2 * MIB);
}
END_TEST

START_TEST(caches_stay_within_bounds)
{
	ck_assert_uint_eq(memory_cache_size(400 * MIB, 1), 100 * MIB);
	ck_assert_uint_eq(memory_cache_size(0, 1), 64 * MIB);
	ck_assert_uint_eq(memory_cache_size(UINT64_MAX, 1), 1024 * MIB);
	ck_assert_uint_eq(memory_cache_size(0, 20 << 20), 80 * MIB);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("memory");
	TCase *tc = tcase_create("memory");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, nothing_known_is_no_limit);
	tcase_add_test(tc, available_memory_is_a_limit);
	tcase_add_loop_test(tc, control_groups_limit, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tc, the_least_counts);
	tcase_add_test(tc, caches_stay_within_bounds);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
