#include "core/buffer.h"

#include <stdlib.h>
#include <string.h>

static uint8_t *grow(struct buffer *b, size_t n)
{
	uint8_t *bytes;
	size_t room;

	if (b->failed)
		return NULL;
	if (n > SIZE_MAX / 2 - b->len) { /* doubling would wrap */
		b->failed = true;
		return NULL;
	}
	if (n > b->room - b->len) {
		room = b->room ? b->room * 2 : 256;
		while (room - b->len < n)
			room *= 2;
		bytes = realloc(b->bytes, room);
		if (!bytes) {
			b->failed = true;
			return NULL;
		}
		b->bytes = bytes;
		b->room = room;
	}
	b->len += n;
	return b->bytes + b->len - n;
}

static void add_le(struct buffer *b, uint64_t value, size_t n)
{
	uint8_t *to = grow(b, n);

	for (size_t i = 0; to && i < n; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

void buffer_le16(struct buffer *b, uint16_t value)
{
	add_le(b, value, 2);
}

void buffer_le32(struct buffer *b, uint32_t value)
{
	add_le(b, value, 4);
}

void buffer_le64(struct buffer *b, uint64_t value)
{
	add_le(b, value, 8);
}

void buffer_add(struct buffer *b, const void *bytes, size_t n)
{
	uint8_t *to = n ? grow(b, n) : NULL;

	if (to)
		memcpy(to, bytes, n);
}

void buffer_reset(struct buffer *b)
{
	b->len = 0;
	b->failed = false;
}

int buffer_finish(const struct buffer *b, struct error *err)
{
	return b->failed ? error_set(err, ENOMEM, "out of memory") : 0;
}

void buffer_release(struct buffer *b)
{
	free(b->bytes);
	*b = (struct buffer){ 0 };
}
