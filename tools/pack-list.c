#define _GNU_SOURCE
#include "tools/pack-list.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"

enum { PIECE = 256 << 10 };

static void add_names(struct list *list, const char *piece, size_t n)
{
	const struct dirent64 *d;

	for (size_t at = 0; at < n; at += d->d_reclen) {
		d = (const struct dirent64 *)(piece + at);
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		buffer_add(&list->bytes, d->d_name, strlen(d->d_name) + 1);
		list->n++;
	}
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int sort_names(struct list *list, struct error *err)
{
	const char *at = (const char *)list->bytes.bytes;

	if (buffer_finish(&list->bytes, err) < 0)
		return -ENOMEM;
	if (!list->n)
		return 0;
	list->names = calloc(list->n, sizeof(*list->names));
	if (!list->names)
		return error_set(err, ENOMEM, "out of memory for %zu names", list->n);
	for (size_t i = 0; i < list->n; i++, at += strlen(at) + 1)
		list->names[i] = at;
	qsort(list->names, list->n, sizeof(*list->names), by_bytes);
	return 0;
}

int list_read(struct list *list, int fd, struct error *err)
{
	CLEANUP(freep) char *piece = malloc(PIECE);
	ssize_t n;
	int r = 0;

	*list = (struct list){ 0 };
	if (!piece)
		return error_set(err, ENOMEM, "out of memory");
	while ((n = getdents64(fd, piece, PIECE)) > 0)
		add_names(list, piece, (size_t)n);
	if (n < 0)
		r = error_set(err, errno, "read directory: %m");
	return sort_names(list, err) < 0 ? -ENOMEM : r;
}

void list_release(struct list *list)
{
	buffer_release(&list->bytes);
	free(list->names);
	*list = (struct list){ 0 };
}
