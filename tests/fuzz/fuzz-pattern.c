/*
 * fuzz-pattern.c - one line is a pattern, the rest a path
 *
 * Where both are short, the answer must be that of a matcher that reads the pattern's text as it
 * is documented and tries everything.
 */
#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "tools/pattern.h"

enum { NAIVE_PATTERN_MAX = 20, NAIVE_PATH_MAX = 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
	const char *text;
	int (*contains)(int c);
} classes[] = {
	{ "[:alnum:]", isalnum }, { "[:alpha:]", isalpha }, { "[:blank:]", isblank },
	{ "[:cntrl:]", iscntrl }, { "[:digit:]", isdigit }, { "[:graph:]", isgraph },
	{ "[:lower:]", islower }, { "[:print:]", isprint }, { "[:punct:]", ispunct },
	{ "[:space:]", isspace }, { "[:upper:]", isupper }, { "[:xdigit:]", isxdigit },
};

/* Whether c is in the set at *p, which is moved behind it. */
static bool in_set(const char **p, unsigned char c)
{
	const char *at = *p + 1;
	bool negated = *at == '^' || *at == '!', found = false, first = true;

	for (at += negated; *at != ']' || first; first = false) {
		unsigned char from, to;
		size_t i = 0;

		while (i < 12 && strncmp(at, classes[i].text, strlen(classes[i].text)))
			i++;
		if (i < 12) {
			found |= c < 128 && classes[i].contains(c);
			at += strlen(classes[i].text);
			continue;
		}
		at += *at == '\\';
		from = to = (unsigned char)*at++;
		if (at[0] == '-' && at[1] != ']') {
			at += at[1] == '\\' ? 2 : 1;
			to = (unsigned char)*at++;
		}
		found |= (from <= c && c <= to) || (to <= c && c <= from);
	}
	*p = at + 1;
	return found != negated;
}

static bool naive(const char *p, const char *s, bool at_start);

/* "**" with the rest behind it; s begins a component. */
static bool naive_deep(const char *rest, const char *s)
{
	if (!*rest)
		return *s;
	for (;; s++) {
		if (naive(rest + 1, s, true))
			return true;
		s = strchr(s, '/');
		if (!s)
			return false;
	}
}

static bool naive(const char *p, const char *s, bool at_start)
{
	size_t stars = strspn(p, "*");

	if (!*p)
		return !*s;
	if (at_start && stars >= 2 && (!p[stars] || p[stars] == '/'))
		return naive_deep(p + stars, s);
	if (stars) {
		for (;; s++) {
			if (naive(p + stars, s, false))
				return true;
			if (!*s || *s == '/')
				return false;
		}
	}
	if (!*s)
		return false;
	if (*p == '[')
		return in_set(&p, (unsigned char)*s) && *s != '/' && naive(p, s + 1, false);
	if (*p == '?')
		return *s != '/' && naive(p + 1, s + 1, false);
	p += *p == '\\';
	return *p == *s && naive(p + 1, s + 1, *s == '/');
}

/* Empty components are no paths. */
static bool is_path(const char *s)
{
	return *s && *s != '/' && s[strlen(s) - 1] != '/' && !strstr(s, "//");
}

static bool naive_anywhere(const char *p, const char *s)
{
	for (; s; s = strchr(s, '/')) {
		s += *s == '/';
		if (naive(p, s, true))
			return true;
	}
	return false;
}

static void compare(const struct pattern *p, const char *text, const char *path)
{
	char cut[NAIVE_PATTERN_MAX + 1];
	size_t len;
	bool want;

	text += *text == '!';
	len = strlen(text);
	memcpy(cut, text, len + 1);
	while (len && cut[len - 1] == '/')
		cut[--len] = '\0';
	want = cut[0] == '/' ? naive(cut + 1, path, true) : naive_anywhere(cut, path);
	if (pattern_matches(p, path, strlen(path), true) != want)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;
	CLEANUP(pattern_freep) struct pattern *p = NULL;
	char text[NAIVE_PATTERN_MAX + 1] = "", path[NAIVE_PATH_MAX + 1] = "";
	size_t len, path_len;

	if (!newline)
		return 0;
	len = (size_t)(newline - data);
	path_len = size - len - 1;
	if (pattern_parse(&p, (const char *)data, len, NULL) < 0)
		return 0;
	pattern_matches(p, (const char *)newline + 1, path_len, false);
	if (len > NAIVE_PATTERN_MAX || path_len > NAIVE_PATH_MAX ||
	    memchr(newline, 0, path_len + 1))
		return 0;
	memcpy(text, data, len);
	memcpy(path, newline + 1, path_len);
	if (is_path(path))
		compare(p, text, path);
	return 0;
}
