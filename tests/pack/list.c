/*
 * list.c - the entries of an archive, one path per line, a slash behind directories
 *
 * usage: list ARCHIVE [PAYLOAD]
 */
#include <stdio.h>
#include <string.h>

#include "core/decoder.h"

static const struct io io = { .may_wait = true };

static void print(const struct buffer *path)
{
	char text[4 * FORMAT_PATH_MAX + 4];

	puts(error_name(text, sizeof(text), path->bytes, path->len));
}

static int list(struct decoder *d, struct error *err)
{
	CLEANUP(buffer_release) struct buffer path = { 0 };
	struct decoder_item item;
	int r;

	while ((r = decoder_next(d, &item, err)) == 0 && item.event != DECODER_END) {
		if (!item.depth)
			continue;
		if (item.event == DECODER_LEAVE) {
			for (path.len--; path.len && path.bytes[path.len - 1] != '/'; path.len--)
				continue;
			continue;
		}
		buffer_add(&path, item.name.bytes, item.name.len);
		if (item.entry.kind == ENTRY_DIRECTORY)
			buffer_add(&path, "/", 1);
		print(&path);
		if (item.entry.kind != ENTRY_DIRECTORY)
			path.len -= item.name.len;
	}
	return r;
}

int main(int argc, char **argv)
{
	CLEANUP(source_freep) struct source *meta = NULL, *payload = NULL;
	CLEANUP(decoder_freep) struct decoder *d = NULL;
	struct error err = { 0 };
	int r = argc == 2 || argc == 3 ? 0 : error_set(&err, EINVAL, "ARCHIVE [PAYLOAD]");

	if (r == 0)
		r = source_open_file(&meta, argv[1], &err);
	if (r == 0 && argc == 3)
		r = source_open_file(&payload, argv[2], &err);
	if (r == 0)
		r = decoder_open(&d, meta, payload, &io, &err);
	if (r == 0)
		r = list(d, &err);
	if (r < 0)
		fprintf(stderr, "%s: %s\n", argv[0], err.text);
	return r < 0;
}
