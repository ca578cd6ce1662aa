/*
 * fuzz-index.c - an index: the first 80 bytes of its header, then the entries
 *
 * The zeros that fill the header are left out of the input. Each input is decoded twice, as both
 * kinds, with the checksum that it has and with the right one. Of what is accepted the chunks
 * follow one another from 0 to the size, and the search finds what a walk does.
 */
#include <stdlib.h>
#include <string.h>

#include "chunkcache/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER = 80, CHECKSUM = 32 };

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_find(const struct index *index, size_t i, const struct index_chunk *chunk)
{
	require(index_find(index, chunk->start) == i);
	require(index_find(index, chunk->start + chunk->len / 2) == i);
	require(index_find(index, chunk->start + chunk->len - 1) == i);
}

static void check(const struct index *index)
{
	uint64_t end = 0;

	for (size_t i = 0; i < index_count(index); i++) {
		struct index_chunk chunk = index_chunk(index, i);

		require(chunk.start == end && chunk.len && chunk.len <= INDEX_CHUNK_MAX);
		check_find(index, i, &chunk);
		end += chunk.len;
	}
	require(end == index_size(index));
}

static void decode(const uint8_t *bytes, size_t n, enum index_kind kind)
{
	struct error err = { 0 };
	struct index *index;

	if (index_decode(&index, bytes, n, kind, &err) < 0) {
		require((err.code == -EUCLEAN || err.code == -EBADMSG) && *err.text);
		return;
	}
	check(index);
	index_free(index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n = size < HEADER ? size : INDEX_HEADER_SIZE + size - HEADER;
	uint8_t *bytes = calloc(1, n ? n : 1);
	struct digest checksum;

	if (!bytes)
		return 0;
	if (size)
		memcpy(bytes, data, size < HEADER ? size : HEADER);
	if (size > HEADER)
		memcpy(bytes + INDEX_HEADER_SIZE, data + HEADER, size - HEADER);
	decode(bytes, n, INDEX_DYNAMIC);
	decode(bytes, n, INDEX_FIXED);
	if (size >= HEADER) {
		digest_sha256(&checksum, bytes + INDEX_HEADER_SIZE, size - HEADER);
		memcpy(bytes + CHECKSUM, checksum.bytes, sizeof(checksum.bytes));
		decode(bytes, n, INDEX_DYNAMIC);
		decode(bytes, n, INDEX_FIXED);
	}
	free(bytes);
	return 0;
}
