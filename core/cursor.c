#include "core/cursor.h"

#include <string.h>

struct cursor cursor_init(const void *bytes, size_t n)
{
	const uint8_t *at = bytes;

	return (struct cursor){ .at = at, .end = n ? at + n : at };
}

const uint8_t *cursor_bytes(struct cursor *c, size_t n)
{
	const uint8_t *at = c->at;

	if (c->failed || (size_t)(c->end - c->at) < n) {
		c->failed = true;
		return NULL;
	}
	c->at += n;
	return at;
}

static uint64_t read_le(struct cursor *c, size_t n)
{
	const uint8_t *b = cursor_bytes(c, n);
	uint64_t value = 0;

	if (!b)
		return 0;
	for (size_t i = n; i-- > 0;)
		value = value << 8 | b[i];
	return value;
}

uint16_t cursor_le16(struct cursor *c)
{
	return (uint16_t)read_le(c, 2);
}

uint32_t cursor_le32(struct cursor *c)
{
	return (uint32_t)read_le(c, 4);
}

uint64_t cursor_le64(struct cursor *c)
{
	return read_le(c, 8);
}

size_t cursor_left(const struct cursor *c)
{
	return c->failed ? 0 : (size_t)(c->end - c->at);
}

int cursor_finish(const struct cursor *c, struct error *err, const char *what)
{
	if (c->failed)
		return error_set(err, EUCLEAN, "%s: too short", what);
	if (c->at != c->end)
		return error_set(err, EUCLEAN, "%s: %zu bytes too long", what,
				 (size_t)(c->end - c->at));
	return 0;
}
