/*
 * mountinfo.h - one line of /proc/self/mountinfo
 *
 *     36 35 98:0 / /mnt/a\040b rw,relatime shared:1 - fuse.pxar /a.pxar ro,user_id=0
 *                  ^ path                             ^ type    ^ source
 *
 * Space, tab, newline and backslash inside a field are written as three octal digits.
 */
#ifndef DAEMON_MOUNTINFO_H
#define DAEMON_MOUNTINFO_H

#include <stdbool.h>

#include "core/error.h"

struct mountinfo {
	const char *path; /* the mount point */
	const char *type;
	const char *source;
};

/* Takes a line apart in place; the fields point into it. False when it has not all of them. */
bool mountinfo_parse(char *line, struct mountinfo *m);

/* What is mounted on exactly this path, the uppermost of several: 0 with the fields pointing into
 *line, to be freed; 1 nothing is; < 0 when the table cannot be read. */
int mountinfo_find(const char *path, char **line, struct mountinfo *m, struct error *err);

#endif
