/*
 * snapshot.h - where in a datastore a snapshot is
 *
 *     BASE/[ns/A/ns/B/]TYPE/ID/YYYY-MM-DDTHH:MM:SSZ/
 *
 * Names are checked here, before they become part of a path: a checked name has no slash and no
 * leading dot, so it cannot leave its directory. A snapshot is finished once it has a manifest;
 * others are being written, or were given up, and are not opened.
 *
 * Threads: every function may be called from any thread.
 */
#ifndef CHUNKCACHE_SNAPSHOT_H
#define CHUNKCACHE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define SNAPSHOT_MANIFEST "index.json.blob"

enum {
	SNAPSHOT_NAME_MAX = 255,
	SNAPSHOT_NS_MAX = 256,
	SNAPSHOT_NS_DEPTH = 7,
	SNAPSHOT_TIME_SIZE = 21, /* the text with its NUL */
	SNAPSHOT_PATH_SIZE = 640,
	SNAPSHOT_LATEST = 0,
};

struct snapshot {
	char ns[SNAPSHOT_NS_MAX + 1]; /* a/b/c; empty for the root */
	char type[5];		      /* vm, ct or host */
	char id[SNAPSHOT_NAME_MAX + 1];
	int64_t time; /* seconds since 1970, or SNAPSHOT_LATEST until it is found */
};

/* Letters, digits, '_', '-' and '.', neither of the last two in front; the name has len bytes. */
bool snapshot_name_is_safe(const char *name, size_t len);
bool snapshot_type_is_known(const char *type);

/* The one spelling of a time, and back; a time lies in the years 1970 to 9999. */
bool snapshot_parse_time(const char *text, size_t len, int64_t *time);
void snapshot_format_time(int64_t time, char text[SNAPSHOT_TIME_SIZE]);

/* Takes TYPE/ID/TIME apart, where TIME may be `latest`; ns may be NULL for the root. What
   follows another slash is *rest, a pointer into text; "" if nothing does. -EINVAL. */
int snapshot_parse(struct snapshot *s, const char *ns, const char *text, const char **rest,
		   struct error *err);

/* The path below the datastore, and TYPE/ID/TIME for messages. */
void snapshot_path(const struct snapshot *s, char path[SNAPSHOT_PATH_SIZE]);
void snapshot_text(const struct snapshot *s, char text[SNAPSHOT_PATH_SIZE]);

/* Opens the directory of a datastore. -EMEDIUMTYPE when it has no .chunks. */
int snapshot_open_base(int *out, const char *path, struct error *err);

/* Sets the time of one that is SNAPSHOT_LATEST to that of the newest finished snapshot of its
   group. -ENOENT when there is none. */
int snapshot_find_latest(int base, struct snapshot *s, struct error *err);

/* Opens the directory of a finished snapshot. -ENOENT when it is not there, -ENODATA when it is
   not finished. */
int snapshot_open(int *out, int base, const struct snapshot *s, struct error *err);

#endif
