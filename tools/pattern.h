/*
 * pattern.h - which paths to leave out
 *
 * A pattern is a glob over the components of a path, in the manner of .gitignore:
 *
 *     ?  *            one byte, any number of bytes; not '/'
 *     [a-z] [^a-z]    one byte of a set, or not of it ([!a-z] too; [[:digit:]] and the like)
 *     **              as a whole component: any number of components, none included; at the
 *                     end at least one
 *     \c              the byte c
 *     /...            begins at the root of the pattern; without it, at any component
 *     .../            only directories
 *     !...            takes back what an earlier pattern of a list left out
 *
 * Matching takes time proportional to the product of the lengths at worst, whatever the pattern.
 * Paths are relative to the root of the archive, without a slash in front or at the end.
 */
#ifndef TOOLS_PATTERN_H
#define TOOLS_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buffer.h"
#include "core/cleanup.h"
#include "core/error.h"

enum { PATTERN_MAX = 4096 };

struct pattern;

/* -EINVAL for what is no pattern: empty, a bracket left open, '\' at the end, too long. */
int pattern_parse(struct pattern **out, const char *text, size_t len, struct error *err);
void pattern_free(struct pattern *p);
DEFINE_CLEANUP(struct pattern, pattern_free);

/* Whether the path is one that the pattern describes; "!" makes no difference here. */
bool pattern_matches(const struct pattern *p, const char *path, size_t len, bool is_dir);

/* Appends the pattern as text, its trailing slashes made one. */
void pattern_print(const struct pattern *p, struct buffer *out);

/* Patterns in the order in which they were found: a later one overrules. A zeroed struct is an
   empty list. */
struct pattern_list {
	struct pattern_entry *at;
	size_t n, room;
};

/* The pattern's root is the directory whose path, with a slash behind, has base bytes. */
int pattern_list_add(struct pattern_list *list, const char *text, size_t len, size_t base,
		     struct error *err);

/* Whether the path is to be left out; it lies below the roots of all patterns. */
bool pattern_list_excludes(const struct pattern_list *list, const char *path, size_t len,
			   bool is_dir);

/* Appends the patterns, one per line. */
void pattern_list_print(const struct pattern_list *list, struct buffer *out);

/* Forgets all but the first n. */
void pattern_list_truncate(struct pattern_list *list, size_t n);
void pattern_list_release(struct pattern_list *list);

#endif
