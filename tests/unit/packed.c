#include "tests/unit/packed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program unless the call has succeeded. */
#define MUST(call)                                                                \
	do {                                                                      \
		struct error err = { 0 };                                         \
		if ((call) < 0) {                                                 \
			fprintf(stderr, "packed.c:%d: %s\n", __LINE__, err.text); \
			abort();                                                  \
		}                                                                 \
	} while (0)

static int write_bytes(struct sink *sink, const void *bytes, size_t n, struct error *err)
{
	struct buffer *to = ((struct packed_sink *)sink)->bytes;

	buffer_add(to, bytes, n);
	return buffer_finish(to, err);
}

struct encoder_meta packed_meta(uint64_t mode)
{
	return (struct encoder_meta){
		.stat = { .mode = mode, .uid = 1000, .gid = 100, .mtime_sec = 1430487000 },
	};
}

void packed_begin(struct packed *p, bool split)
{
	struct encoder_meta root = packed_meta(040755);

	*p = (struct packed){ .split = split };
	p->meta_sink = (struct packed_sink){ { write_bytes }, &p->meta };
	p->payload_sink = (struct packed_sink){ { write_bytes }, &p->payload };
	MUST(encoder_open(&p->encoder, &p->meta_sink.sink, split ? &p->payload_sink.sink : NULL,
			  NULL, 0, &root, &err));
}

void packed_finish(struct packed *p)
{
	MUST(encoder_finish(p->encoder, &err));
	encoder_free(p->encoder);
	p->encoder = NULL;
}

void packed_release(struct packed *p)
{
	encoder_free(p->encoder);
	buffer_release(&p->meta);
	buffer_release(&p->payload);
}

uint64_t packed_dir(struct packed *p, const char *name)
{
	struct encoder_meta m = packed_meta(040750);
	uint64_t start = p->meta.len;

	MUST(encoder_begin_dir(p->encoder, name, &m, &err));
	return start;
}

uint64_t packed_end_dir(struct packed *p)
{
	MUST(encoder_end_dir(p->encoder, &err));
	return p->meta.len;
}

uint64_t packed_bytes(struct packed *p, const char *name, const struct encoder_meta *m,
		      const void *bytes, size_t n)
{
	uint64_t start = 0;

	MUST(encoder_begin_file(p->encoder, name, m, n, &start, &err));
	MUST(encoder_data(p->encoder, bytes, n, &err));
	MUST(encoder_end_file(p->encoder, &err));
	return start;
}

uint64_t packed_file(struct packed *p, const char *name, const char *content)
{
	struct encoder_meta m = packed_meta(0100644);

	return packed_bytes(p, name, &m, content, strlen(content));
}

uint64_t packed_symlink(struct packed *p, const char *name, const char *target)
{
	struct encoder_meta m = packed_meta(0120777);
	uint64_t start = p->meta.len;

	MUST(encoder_symlink(p->encoder, name, &m, target, &err));
	return start;
}

uint64_t packed_hardlink(struct packed *p, const char *name, uint64_t target, const char *path)
{
	uint64_t start = p->meta.len;

	MUST(encoder_hardlink(p->encoder, name, target, path, &err));
	return start;
}

static uint64_t entry_of(uint64_t start, const char *name)
{
	return start + FORMAT_HEADER_SIZE + strlen(name) + 1;
}

uint64_t packed_number(uint64_t start, const char *name)
{
	return entry_of(start, name) | UINT64_C(1) << 63;
}

void packed_patch(struct packed *p, uint64_t offset, uint64_t value)
{
	for (size_t i = 0; i < 8; i++)
		p->meta.bytes[offset + i] = (uint8_t)(value >> 8 * i);
}

void packed_damage(struct packed *p, uint64_t start, const char *name)
{
	packed_patch(p, entry_of(start, name), FORMAT_FILENAME);
}

void packed_hide(struct packed *p, uint64_t start)
{
	p->meta.bytes[start + FORMAT_HEADER_SIZE] = '/';
}
