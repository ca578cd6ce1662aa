/*
 * fuzz-split.c - a split archive in memory, through the accessor
 *
 * Input: the length of the metadata (32 bits), the metadata; what is left is the payload file.
 * Everything is read, and must make sense (tests/exercise.h).
 */
#include "core/cursor.h"
#include "tests/exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_init(data, size);
	size_t n = cursor_le32(&c), left = cursor_left(&c);
	struct exercise seen;
	const uint8_t *meta;

	if (n > left)
		n = left;
	meta = cursor_bytes(&c, n);
	if (meta)
		exercise_memory(meta, n, cursor_bytes(&c, left - n), left - n, &seen, NULL);
	return 0;
}
