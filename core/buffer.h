/*
 * buffer.h - bytes being put together, little endian; the cursor's counterpart
 *
 * A buffer grows as needed. Running out of memory is sticky: the calls after it do nothing and
 * buffer_finish() tells, so an encoder writes a whole shape first and asks once.
 * Ownership: buffer_release() frees the bytes; a zeroed struct is an empty buffer.
 */
#ifndef CORE_BUFFER_H
#define CORE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

struct buffer {
	uint8_t *bytes;
	size_t len, room;
	bool failed;
};

void buffer_le16(struct buffer *b, uint16_t value);
void buffer_le32(struct buffer *b, uint32_t value);
void buffer_le64(struct buffer *b, uint64_t value);
void buffer_add(struct buffer *b, const void *bytes, size_t n);

/* Empties the buffer and keeps its memory. */
void buffer_reset(struct buffer *b);

/* 0, or -ENOMEM when anything put into it since the last reset was lost. */
int buffer_finish(const struct buffer *b, struct error *err);
void buffer_release(struct buffer *b);

#endif
