#define _GNU_SOURCE
#include "daemon/memory.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"

static void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static FILE *open_below(const char *root, const char *path)
{
	char full[PATH_MAX];
	int n = snprintf(full, sizeof(full), "%s%s", root, path);

	return (size_t)n < sizeof(full) ? fopen(full, "re") : NULL;
}

static uint64_t available(const char *root)
{
	CLEANUP(fclosep) FILE *f = open_below(root, "/proc/meminfo");
	char line[128];
	uint64_t kib;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
			return kib << 10;
	return UINT64_MAX;
}

/* "max" is no number, and says what no file says. */
static uint64_t read_limit(const char *root, const char *mount, const char *group, const char *file)
{
	CLEANUP(fclosep) FILE *f = NULL;
	char path[PATH_MAX];
	uint64_t bytes;

	snprintf(path, sizeof(path), "/sys/fs/cgroup%s%s/%s", mount, group, file);
	f = open_below(root, path);
	return f && fscanf(f, "%" SCNu64, &bytes) == 1 ? bytes : UINT64_MAX;
}

/* A group is held by the limits of all that it is in. */
static uint64_t group_limit(const char *root, const char *mount, char *group, const char *file)
{
	uint64_t limit = UINT64_MAX;
	char *slash;

	while ((slash = strrchr(group, '/'))) {
		limit = least(limit, read_limit(root, mount, slash[1] ? group : "", file));
		*slash = '\0';
	}
	return least(limit, read_limit(root, mount, "", file));
}

static bool names_memory(const char *controllers)
{
	for (const char *at = controllers; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, "memory", 6) == 0 && (!at[6] || at[6] == ','))
			return true;
	}
	return false;
}

/* Lines are NUMBER:CONTROLLERS:GROUP; those of version 2 have no controllers. */
static uint64_t cgroup_limit(const char *root)
{
	CLEANUP(fclosep) FILE *f = open_below(root, "/proc/self/cgroup");
	char line[PATH_MAX], *group, *controllers;
	uint64_t limit = UINT64_MAX;

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		group = line;
		strsep(&group, ":");
		controllers = strsep(&group, ":");
		if (!group)
			continue;
		if (!*controllers)
			limit = least(limit, group_limit(root, "", group, "memory.max"));
		else if (names_memory(controllers))
			limit = least(limit,
				      group_limit(root, "/memory", group, "memory.limit_in_bytes"));
	}
	return limit;
}

uint64_t memory_limit(const char *root)
{
	return least(available(root), cgroup_limit(root));
}

uint64_t memory_cache_size(uint64_t limit, uint32_t chunk_max)
{
	uint64_t size = limit / 4, chunks = (uint64_t)MEMORY_CACHE_CHUNKS * chunk_max;

	if (size < MEMORY_CACHE_MIN)
		size = MEMORY_CACHE_MIN;
	if (size > MEMORY_CACHE_MAX)
		size = MEMORY_CACHE_MAX;
	return size < chunks ? chunks : size;
}
