/*
 * fuzz-decoder.c - a whole archive, from front to back
 *
 * Input: the length of the archive (32 bits), the archive, and what is left is its payload file.
 * The walk ends, enters and leaves directories in turn, and reports no more than the archive has
 * items.
 */
#include <stdlib.h>
#include <string.h>

#include "core/decoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct io io = { .may_wait = true };

/* Names and links are what they are documented to be. */
static void check_item(const struct decoder_item *item, unsigned depth, uint64_t size)
{
	const struct entry *e = &item->entry;

	if (item->depth != depth || depth > DECODER_DEPTH_MAX || item->start >= size)
		abort();
	if (!item->name.len != (item->event == DECODER_LEAVE || !depth))
		abort();
	if (item->name.len && memchr(item->name.bytes, '/', item->name.len))
		abort();
	if (e->kind == ENTRY_HARDLINK && (e->size >= item->start || !item->path.len))
		abort();
	if (item->event == DECODER_LEAVE && (e->kind != ENTRY_DIRECTORY || !e->number))
		abort();
}

static void walk(struct decoder *d, uint64_t size)
{
	struct decoder_item item;
	unsigned open = 0; /* directories */
	uint64_t items = 0;

	for (;;) {
		if (decoder_next(d, &item, NULL) < 0)
			return;
		if (item.event == DECODER_END)
			break;
		if (++items > size / FORMAT_HEADER_SIZE)
			abort();
		if (item.event == DECODER_LEAVE)
			open--;
		check_item(&item, open, size);
		if (item.event == DECODER_ENTRY && item.entry.kind == ENTRY_DIRECTORY)
			open++;
	}
	if (open)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(source_freep) struct source *meta = NULL, *payload = NULL;
	CLEANUP(decoder_freep) struct decoder *d = NULL;
	struct cursor c = cursor_init(data, size);
	size_t n = cursor_le32(&c), left = cursor_left(&c);

	if (n > left)
		n = left;
	if (source_new_memory(&meta, cursor_bytes(&c, n), n, NULL) < 0)
		abort();
	if (n < left && source_new_memory(&payload, cursor_bytes(&c, left - n), left - n, NULL) < 0)
		abort();
	if (!decoder_open(&d, meta, payload, &io, NULL))
		walk(d, n);
	return 0;
}
