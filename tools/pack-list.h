/*
 * pack-list.h - the names in a directory, sorted by their bytes
 */
#ifndef TOOLS_PACK_LIST_H
#define TOOLS_PACK_LIST_H

#include "core/buffer.h"
#include "core/error.h"

struct list {
	struct buffer bytes; /* the names, each with its NUL */
	const char **names;
	size_t n;
};

/* Reads the directory; the list has what could be read when that fails, -ENOMEM apart. */
int list_read(struct list *list, int fd, struct error *err);
void list_release(struct list *list);

#endif
