#define _GNU_SOURCE
#include "daemon/mountinfo.h"

#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* Undoes \ooo in place: the result is never longer. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		/* Three digits make a byte only from \001 to \377. */
		if (*from == '\\' && from[1] <= '3' && is_octal(from[1]) && is_octal(from[2]) &&
		    is_octal(from[3])) {
			*to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
				       (from[3] - '0'));
			from += 3;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
}

bool mountinfo_parse(char *line, struct mountinfo *m)
{
	enum { ID, PARENT, DEVICE, ROOT, PATH, OPTIONS, FIRST };
	char *rest = line, *path = NULL, *type, *source, *field;

	line[strcspn(line, "\n")] = '\0';
	for (int i = ID; i < FIRST; i++) {
		field = strsep(&rest, " ");
		if (i == PATH)
			path = field;
	}
	do /* optional fields, up to a dash */
		field = strsep(&rest, " ");
	while (field && strcmp(field, "-") != 0);
	type = strsep(&rest, " ");
	source = strsep(&rest, " ");
	if (!source)
		return false;
	unescape(path);
	unescape(type);
	unescape(source);
	*m = (struct mountinfo){ .path = path, .type = type, .source = source };
	return true;
}

static void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

int mountinfo_find(const char *path, char **line, struct mountinfo *m, struct error *err)
{
	CLEANUP(fclosep) FILE *f = fopen("/proc/self/mountinfo", "re");
	CLEANUP(freep) char *candidate = NULL, *found = NULL;
	struct mountinfo fields;
	size_t room = 0;

	if (!f)
		return error_set(err, errno, "open /proc/self/mountinfo: %m");
	/* Of mounts one above the other, the uppermost is the last in the list. */
	while (getline(&candidate, &room, f) >= 0) {
		if (!mountinfo_parse(candidate, &fields) || strcmp(fields.path, path) != 0)
			continue;
		free(found);
		found = TAKE(candidate);
		room = 0;
		*m = fields;
	}
	if (ferror(f))
		return error_set(err, EIO, "cannot read /proc/self/mountinfo");
	if (!found)
		return 1;
	*line = TAKE(found);
	return 0;
}
