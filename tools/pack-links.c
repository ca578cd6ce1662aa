#include "tools/pack-links.h"

#include <stdlib.h>
#include <string.h>

/* The place of this file, or the free one where it belongs; there is always one. */
static struct links_entry *place(struct links_entry *at, size_t room, dev_t dev, ino_t ino)
{
	uint64_t hash = ((uint64_t)ino + (uint64_t)dev * 31) * UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (size_t)(hash >> 20) & (room - 1);

	while (at[i].path && (at[i].dev != dev || at[i].ino != ino))
		i = (i + 1) & (room - 1);
	return &at[i];
}

const struct links_entry *links_find(const struct links *links, dev_t dev, ino_t ino)
{
	const struct links_entry *e;

	if (!links->n)
		return NULL;
	e = place(links->at, links->room, dev, ino);
	return e->path ? e : NULL;
}

static int grow(struct links *links, struct error *err)
{
	size_t room = links->room ? 2 * links->room : 64;
	struct links_entry *at = calloc(room, sizeof(*at));

	if (!at)
		return error_set(err, ENOMEM, "out of memory for %zu hardlinks", links->n);
	for (size_t i = 0; i < links->room; i++)
		if (links->at[i].path)
			*place(at, room, links->at[i].dev, links->at[i].ino) = links->at[i];
	free(links->at);
	links->at = at;
	links->room = room;
	return 0;
}

int links_add(struct links *links, dev_t dev, ino_t ino, uint64_t start, const char *path,
	      struct error *err)
{
	char *copy;
	int r;

	if (2 * links->n >= links->room) {
		r = grow(links, err);
		if (r < 0)
			return r;
	}
	copy = strdup(path);
	if (!copy)
		return error_set(err, ENOMEM, "out of memory");
	*place(links->at, links->room, dev, ino) = (struct links_entry){ dev, ino, start, copy };
	links->n++;
	return 0;
}

void links_release(struct links *links)
{
	for (size_t i = 0; i < links->room; i++)
		free(links->at[i].path);
	free(links->at);
	*links = (struct links){ 0 };
}
