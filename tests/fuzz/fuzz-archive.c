/*
 * fuzz-archive.c - a whole archive in memory, through the accessor
 *
 * Input: the archive. Everything in it is read, and must make sense (tests/exercise.h). A split
 * one is opened for its metadata alone.
 *
 * Hardly a change leaves an archive's tables right, and then what is below is never reached. So
 * under libFuzzer most inputs have their tables written anew after they were changed.
 */
#include <sys/stat.h>

#include "core/goodbye.h"
#include "core/siphash.h"
#include "tests/exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct exercise seen;

	exercise_memory(data, size, NULL, 0, &seen, NULL);
	return 0;
}

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed);

enum { DEPTH = 16, CHILDREN = 256 };

/* Directories that are open, and their children so far; starts instead of offsets. */
struct repair {
	uint8_t *data;
	size_t entry[DEPTH], first[DEPTH], depth;
	struct format_record children[CHILDREN];
	size_t n;
	bool in_child;
};

static uint64_t get64(const uint8_t *bytes)
{
	struct cursor c = cursor_init(bytes, 8);

	return cursor_le64(&c);
}

static void put_record(uint8_t *to, struct format_record record)
{
	const uint64_t fields[] = { record.hash, record.offset, record.size };

	for (size_t i = 0; i < FORMAT_RECORD_SIZE; i++)
		to[i] = (uint8_t)(fields[i / 8] >> (8 * (i % 8)));
}

static void end_child(struct repair *r, size_t at)
{
	if (r->in_child)
		r->children[r->n - 1].size = at - r->children[r->n - 1].offset;
	r->in_child = false;
}

static void rewrite_table(struct repair *r, size_t at, size_t size)
{
	size_t room = (size - FORMAT_HEADER_SIZE) / FORMAT_RECORD_SIZE - 1;
	size_t first = r->first[--r->depth], n = r->n - first;
	struct format_record *children = r->children + first;

	for (size_t i = 0; i < n; i++)
		children[i].offset = at - children[i].offset;
	goodbye_build(children, n, NULL);
	for (size_t i = 0; i < n && i < room; i++)
		put_record(r->data + at + 16 + i * FORMAT_RECORD_SIZE, children[i]);
	put_record(r->data + at + size - FORMAT_RECORD_SIZE,
		   (struct format_record){ FORMAT_GOODBYE_TAIL, at - r->entry[r->depth], size });
	r->n = first;
	r->in_child = r->depth;
}

static bool repair_item(struct repair *r, size_t at, size_t size)
{
	const uint8_t *item = r->data + at;

	switch (get64(item)) {
	case FORMAT_FILENAME:
		end_child(r, at);
		if (r->n == CHILDREN || size < FORMAT_HEADER_SIZE + 1)
			return false;
		r->children[r->n++] =
			(struct format_record){ siphash_name(item + 16, size - 17), at, 0 };
		r->in_child = true;
		return true;
	case FORMAT_ENTRY:
		if (size != FORMAT_ENTRY_SIZE || !S_ISDIR(item[16] | item[17] << 8))
			return true;
		if (r->depth == DEPTH)
			return false;
		r->entry[r->depth] = r->depth ? at : 0;
		r->first[r->depth++] = r->n;
		r->in_child = false;
		return true;
	case FORMAT_GOODBYE:
		end_child(r, at);
		if (!r->depth || size < FORMAT_HEADER_SIZE + FORMAT_RECORD_SIZE)
			return false;
		rewrite_table(r, at, size);
		return r->depth;
	default:
		return true;
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
	struct repair r = { .data = data };
	size_t at = 0, item;

	size = LLVMFuzzerMutate(data, size, room);
	for (; seed % 4 && size - at >= FORMAT_HEADER_SIZE; at += item) {
		item = get64(data + at + 8);
		if (item < FORMAT_HEADER_SIZE || item > size - at || !repair_item(&r, at, item))
			break;
	}
	return size;
}

#endif
