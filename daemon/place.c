#define _GNU_SOURCE
#include "daemon/place.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Whether the path ends in ns/NAME; then that is cut off and put in front of ns. */
static bool cut_namespace(char *path, char ns[SNAPSHOT_NS_MAX + 1])
{
	char longer[SNAPSHOT_NS_MAX + 1];
	char *name = strrchr(path, '/');
	int n;

	if (!name || name - path < 3 || memcmp(name - 3, "/ns", 3) != 0)
		return false;
	n = snprintf(longer, sizeof(longer), "%s%s%s", name + 1, *ns ? "/" : "", ns);
	if ((size_t)n >= sizeof(longer))
		return false;
	memcpy(ns, longer, (size_t)n + 1);
	name[-3] = '\0';
	return true;
}

static const char *or_root(const char *path)
{
	return *path ? path : "/";
}

/* The last three components of an absolute path; NULL when it has fewer. */
static char *last_three(char *path)
{
	char *at = path + strlen(path);

	for (int i = 0; i < 3; i++) {
		at = memrchr(path, '/', (size_t)(at - path));
		if (!at)
			return NULL;
	}
	return at + 1;
}

/* What the directory's own path says of it; the path is cut. */
static int recognize(struct place *place, char *path, struct error *err)
{
	char ns[SNAPSHOT_NS_MAX + 1] = "";
	char *text = last_three(path);
	struct snapshot named;
	const char *rest;

	if (!text || snapshot_parse(&named, NULL, text, &rest, NULL) < 0 ||
	    named.time == SNAPSHOT_LATEST)
		return 0;
	place->is_snapshot = true;
	place->snapshot = named;
	text[-1] = '\0';
	while (snapshot_open_base(&place->base, or_root(path), NULL) < 0)
		if (!cut_namespace(path, ns))
			return 0;
	return snapshot_parse(&place->snapshot, ns, text, &rest, err);
}

static void look_for_manifest(struct place *place)
{
	place->has_manifest =
		faccessat(place->dir, SNAPSHOT_MANIFEST, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int place_of_index(struct place *place, const char *path, struct error *err)
{
	CLEANUP(freep) char *dir = realpath(path, NULL);
	char *slash;

	if (!dir)
		return error_set(err, errno, "open %s: %m", path);
	slash = strrchr(dir, '/');
	*slash = '\0';
	place->by_path = true;
	place->name = strdup(slash + 1);
	if (!place->name)
		return error_set(err, ENOMEM, "out of memory");
	place->dir = open(or_root(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (place->dir < 0)
		return error_set(err, errno, "open %s: %m", or_root(dir));
	look_for_manifest(place);
	return recognize(place, dir, err);
}

int place_of_snapshot(struct place *place, const char *store, const char *ns, const char *text,
		      struct error *err)
{
	const char *name;
	int r;

	r = snapshot_parse(&place->snapshot, ns, text, &name, err);
	if (r < 0)
		return r;
	place->is_snapshot = true;
	place->name = strdup(name);
	if (!place->name)
		return error_set(err, ENOMEM, "out of memory");
	r = snapshot_open_base(&place->base, store, err);
	if (r < 0)
		return r;
	r = snapshot_find_latest(place->base, &place->snapshot, err);
	if (r == 0)
		r = snapshot_open(&place->dir, place->base, &place->snapshot, err);
	if (r < 0)
		return error_wrap(err, "%s%s%s", store, ns && *ns ? ", namespace " : "",
				  ns && *ns ? ns : "");
	place->has_manifest = true;
	return 0;
}

static void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* Sections begin with "datastore: NAME"; what is in them is indented, such as "path DIR". */
bool place_find_store_name(const struct place *place, const char *config,
			   char name[SNAPSHOT_NAME_MAX + 1])
{
	CLEANUP(fclosep) FILE *f = fopen(config, "re");
	CLEANUP(freep) char *line = NULL;
	struct stat ours, theirs;
	size_t room = 0;

	*name = '\0';
	if (!f || fstat(place->base, &ours) < 0)
		return false;
	while (getline(&line, &room, f) > 0) {
		char *at = line + strspn(line, " \t");

		line[strcspn(line, "\n")] = '\0';
		if (at == line)
			*name = '\0';
		if (at == line && sscanf(line, "datastore: %255s", name) == 1)
			continue;
		if (*name && at != line && strncmp(at, "path ", 5) == 0 &&
		    stat(at + 5, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
		    ours.st_ino == theirs.st_ino)
			return snapshot_name_is_safe(name, strlen(name));
	}
	return false;
}

void place_release(struct place *place)
{
	closep(&place->dir);
	closep(&place->base);
	free(place->name);
	*place = PLACE_NOWHERE;
}
