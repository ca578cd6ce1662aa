/*
 * fuzz-xattr.c - one entry's attributes
 *
 * Input: a byte of options, then the entry from its ENTRY item on. If entry_decode() takes it, the
 * listing is one that Linux takes, and what is listed can be read.
 */
#include <stdlib.h>
#include <string.h>

#include "core/xattr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct io io = { .may_wait = true };

struct question {
	struct window w;
	struct entry e;
	struct entry_more more;
	struct xattr_view view;
};

static bool has_prefix(const char *name, const char *prefix)
{
	return !strncmp(name, prefix, strlen(prefix));
}

static void check_value(struct question *q, const char *name)
{
	struct buffer value = { 0 };
	struct error err = { 0 };
	int r = xattr_get(&q->w, &q->e, &q->more, &q->view, name, &value, &err);

	if (r && !(r == -EUCLEAN && has_prefix(name, "system.posix_acl_")))
		abort();
	buffer_release(&value);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void check_names(struct question *q, const struct buffer *names)
{
	const char **sorted = malloc(names->len * sizeof(*sorted) + 1);
	size_t n = 0;

	if (!sorted || names->len > XATTR_NAMES_MAX || (names->len && names->bytes[names->len - 1]))
		abort();
	for (size_t at = 0; at < names->len; at += strlen(sorted[n++]) + 1) {
		const char *name = (const char *)names->bytes + at;

		if (!*name || strlen(name) > FORMAT_XATTR_NAME_MAX)
			abort();
		if (has_prefix(name, "trusted.") && !q->view.trusted)
			abort();
		if (!has_prefix(name, "user.") && !has_prefix(name, "trusted.") &&
		    !has_prefix(name, "security.") && !has_prefix(name, "system.posix_acl_"))
			abort();
		check_value(q, name);
		sorted[n] = name;
	}
	qsort(sorted, n, sizeof(*sorted), by_text);
	for (size_t i = 1; i < n; i++)
		if (!strcmp(sorted[i - 1], sorted[i]))
			abort();
	free(sorted);
}

static void check_entry(struct question *q)
{
	struct buffer names = { 0 }, value = { 0 };
	int r = xattr_list(&q->w, &q->e, &q->more, &q->view, &names, NULL);

	if (r && r != -E2BIG)
		abort();
	if (!r)
		check_names(q, &names);
	/* In no listing, ever. */
	if (xattr_get(&q->w, &q->e, &q->more, &q->view, "system.x", &value, NULL) != XATTR_NONE ||
	    xattr_get(&q->w, &q->e, &q->more, &q->view, "", &value, NULL) != XATTR_NONE)
		abort();
	buffer_release(&names);
	buffer_release(&value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct question q = { 0 };
	struct source *source;
	uint8_t options;

	if (!size)
		return 0;
	options = *data++;
	size--;
	if (source_new_memory(&source, data, size, NULL) < 0)
		abort();
	q.view.trusted = options & 1;
	q.view.list_pxar = options & 2;
	q.w = window_init(source, &io, options & 8 ? 16 : 512);
	if (!entry_decode(&q.w, 0, size, options & 4, &q.e, &q.more, NULL))
		check_entry(&q);
	window_release(&q.w);
	source_free(source);
	return 0;
}
