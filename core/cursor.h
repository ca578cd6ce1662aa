/*
 * cursor.h - bounds-checked little-endian reading
 *
 * A cursor walks over bytes that somebody else owns. It fails once, stays failed and yields
 * zeros, so a parser reads a whole shape first and asks once, with cursor_finish(), whether it
 * was there. Parsers see no raw pointer but through it. Numbers that come out of an archive meet
 * only through the checked arithmetic below.
 */
#ifndef CORE_CURSOR_H
#define CORE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

struct cursor {
	const uint8_t *at, *end;
	bool failed;
};

struct cursor cursor_init(const void *bytes, size_t n);
uint16_t cursor_le16(struct cursor *c);
uint32_t cursor_le32(struct cursor *c);
uint64_t cursor_le64(struct cursor *c);

/* The next n bytes, or NULL when fewer are left; valid as long as what the cursor walks over. */
const uint8_t *cursor_bytes(struct cursor *c, size_t n);

/* How many bytes are left; 0 once failed. */
size_t cursor_left(const struct cursor *c);

/* 0 when all bytes and no more were read, else -EUCLEAN naming what was being read. */
int cursor_finish(const struct cursor *c, struct error *err, const char *what);

/* True and the result in *out, or false when it does not fit 64 bits. */
static inline bool checked_add(uint64_t a, uint64_t b, uint64_t *out)
{
	return !__builtin_add_overflow(a, b, out);
}

static inline bool checked_sub(uint64_t a, uint64_t b, uint64_t *out)
{
	return !__builtin_sub_overflow(a, b, out);
}

static inline bool checked_mul(uint64_t a, uint64_t b, uint64_t *out)
{
	return !__builtin_mul_overflow(a, b, out);
}

/* Bytes [start, end) of a source. */
struct range {
	uint64_t start, end;
};

/* n bytes from start on lie within the range; no sum can wrap. */
static inline bool range_holds(struct range r, uint64_t start, uint64_t n)
{
	return start >= r.start && start <= r.end && n <= r.end - start;
}

#endif
