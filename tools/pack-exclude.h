/*
 * pack-exclude.h - exclude patterns: .pxarexclude files, and how an archive records those of the
 * command line
 */
#ifndef TOOLS_PACK_EXCLUDE_H
#define TOOLS_PACK_EXCLUDE_H

#include "tools/pack-report.h"
#include "tools/pattern.h"

/* Reads the .pxarexclude of a directory, if it has one, into the list. base is the length of the
   directory's path, as in pattern_list_add(); path names the file for reports. Lines that are no
   pattern, and a file that cannot be read, are reported. -ENOMEM is the only error. */
int exclude_read(struct pattern_list *list, int dir_fd, size_t base, const char *path,
		 struct report *r, struct error *err);

/* Appends {"exclude-patterns":"...\n...\n"}: the prelude of a split archive. */
void exclude_print_json(const struct pattern_list *list, struct buffer *out);

/* Whether the text is UTF-8, as JSON needs it. */
bool exclude_is_utf8(const char *text);

#endif
