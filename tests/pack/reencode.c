/*
 * reencode.c - decodes an archive and encodes what it found: the bytes must be the same
 *
 * usage: reencode ARCHIVE [PAYLOAD]
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/decoder.h"
#include "core/encoder.h"

enum { XATTRS_MAX = 256, PIECE = 1 << 16 };

/* A sink that compares with what is there. */
struct expected {
	struct sink sink;
	struct source *source;
	uint64_t at;
};

static const struct io io = { .may_wait = true };

static int compare(struct sink *sink, const void *bytes, size_t n, struct error *err)
{
	struct expected *e = (struct expected *)sink;
	CLEANUP(freep) uint8_t *want = malloc(n ? n : 1);
	const uint8_t *got = bytes;
	int r = source_read(e->source, &io, e->at, want, n, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (got[i] != want[i])
			return error_set(err, EUCLEAN, "byte %" PRIu64 " is %#x, was %#x",
					 e->at + i, got[i], want[i]);
	e->at += n;
	return 0;
}

struct run {
	struct source *meta, *payload;
	struct window window;
	struct encoder *encoder;
	struct expected out_meta, out_payload;
	struct format_string prelude;
	/* of the entry at hand */
	struct encoder_meta m;
	struct encoder_xattr xattrs[XATTRS_MAX];
	struct acl acl;
	struct buffer attrs;
};

static int take_item(struct run *run, uint64_t type, struct cursor *c, struct error *err)
{
	struct format_string name, value;
	int r;

	switch (type) {
	case FORMAT_XATTR:
		r = format_decode_xattr(c, &name, &value, err);
		if (r < 0 || run->m.n_xattrs == XATTRS_MAX)
			return r < 0 ? r : error_set(err, E2BIG, "too many xattrs for this test");
		run->xattrs[run->m.n_xattrs++] =
			(struct encoder_xattr){ (const char *)name.bytes, value.bytes, value.len };
		return 0;
	case FORMAT_FCAPS:
		run->m.fcaps_len = cursor_left(c);
		run->m.fcaps = cursor_bytes(c, run->m.fcaps_len);
		return 0;
	case FORMAT_QUOTA_PROJID:
		return 0; /* in more already */
	default:
		return acl_add_item(&run->acl, type, c, err);
	}
}

/* Fills m with what is stored of the entry beside its content. */
static int take_attributes(struct run *run, const struct decoder_item *item, struct error *err)
{
	const struct entry *e = &item->entry;
	size_t n = (size_t)(item->more.attrs.end - item->more.attrs.start);
	struct cursor c;
	int r;

	acl_release(&run->acl);
	run->m = (struct encoder_meta){
		.stat = { e->mode, item->more.inode_flags, e->uid, e->gid, e->mtime_sec,
			  e->mtime_nsec },
		.xattrs = run->xattrs,
		.acl = &run->acl,
		.projid = item->more.projid,
	};
	buffer_reset(&run->attrs);
	for (size_t i = 0; i < n; i++)
		buffer_add(&run->attrs, "", 1);
	r = n ? source_read(run->meta, &io, item->more.attrs.start, run->attrs.bytes, n, err) : 0;
	c = cursor_init(run->attrs.bytes, n);
	while (r == 0 && cursor_left(&c)) {
		struct format_header header;
		struct cursor content;

		r = format_decode_header(cursor_bytes(&c, FORMAT_HEADER_SIZE), &header, err);
		if (r < 0)
			break;
		n = (size_t)header.size - FORMAT_HEADER_SIZE;
		content = cursor_init(cursor_bytes(&c, n), n);
		r = take_item(run, header.type, &content, err);
	}
	return r;
}

static int put_file(struct run *run, const char *name, const struct entry *e, struct error *err)
{
	struct source *from = run->payload ? run->payload : run->meta;
	uint64_t at = e->place + (run->payload ? FORMAT_HEADER_SIZE : 0), end = at + e->size;
	uint8_t piece[PIECE];
	int r = encoder_begin_file(run->encoder, name, &run->m, e->size, NULL, err);

	for (size_t n; r == 0 && at < end; at += n) {
		n = end - at < PIECE ? (size_t)(end - at) : PIECE;
		r = source_read(from, &io, at, piece, n, err);
		r = r < 0 ? r : encoder_data(run->encoder, piece, n, err);
	}
	return r < 0 ? r : encoder_end_file(run->encoder, err);
}

static int put_symlink(struct run *run, const char *name, const struct entry *e, struct error *err)
{
	char target[FORMAT_LINK_MAX + 1] = "";
	int r = source_read(run->meta, &io, e->place, target, (size_t)e->size, err);

	return r < 0 ? r : encoder_symlink(run->encoder, name, &run->m, target, err);
}

static int put_hardlink(struct run *run, const char *name, const struct decoder_item *item,
			struct error *err)
{
	char target[FORMAT_PATH_MAX + 1] = "";
	struct format_string path;
	uint64_t delta;
	int r;

	r = entry_decode_link(&run->window, item->entry.number & ~ENTRY_NON_DIRECTORY,
			      run->meta->size, &delta, &path, err);
	if (r < 0)
		return r;
	memcpy(target, path.bytes, path.len);
	return encoder_hardlink(run->encoder, name, item->start - delta, target, err);
}

static int put_root(struct run *run, struct error *err)
{
	return encoder_open(&run->encoder, &run->out_meta.sink,
			    run->payload ? &run->out_payload.sink : NULL, run->prelude.bytes,
			    run->prelude.len, &run->m, err);
}

static int put(struct run *run, const struct decoder_item *item, struct error *err)
{
	const struct entry *e = &item->entry;
	char name[FORMAT_NAME_MAX + 1] = "";
	int r;

	memcpy(name, item->name.bytes ? item->name.bytes : (const uint8_t *)"", item->name.len);
	if (e->kind == ENTRY_HARDLINK)
		return put_hardlink(run, name, item, err);
	r = take_attributes(run, item, err);
	if (r < 0)
		return r;
	switch (e->kind) {
	case ENTRY_FILE:
		return put_file(run, name, e, err);
	case ENTRY_DIRECTORY:
		return item->depth ? encoder_begin_dir(run->encoder, name, &run->m, err)
				   : put_root(run, err);
	case ENTRY_SYMLINK:
		return put_symlink(run, name, e, err);
	case ENTRY_DEVICE:
		return encoder_device(run->encoder, name, &run->m, e->place >> 32,
				      e->place & UINT32_MAX, err);
	default:
		return encoder_fifo_or_socket(run->encoder, name, &run->m, err);
	}
}

/* The content of a PRELUDE behind the version. */
static int find_prelude(struct run *run, struct error *err)
{
	struct format_header header;
	const uint8_t *bytes;
	int r;

	r = window_get(&run->window, 24, FORMAT_HEADER_SIZE, &bytes, err);
	r = r < 0 ? r : format_decode_header(bytes, &header, err);
	if (r < 0 || header.type != FORMAT_PRELUDE)
		return r;
	run->prelude.len = (size_t)header.size - FORMAT_HEADER_SIZE;
	run->prelude.bytes = malloc(run->prelude.len + 1);
	return source_read(run->meta, &io, 40, (void *)run->prelude.bytes, run->prelude.len, err);
}

static int reencode(struct run *run, struct error *err)
{
	CLEANUP(decoder_freep) struct decoder *d = NULL;
	struct decoder_item item;
	int r = run->payload ? find_prelude(run, err) : 0;

	if (r == 0)
		r = decoder_open(&d, run->meta, run->payload, &io, err);
	while (r == 0 && (r = decoder_next(d, &item, err)) == 0 && item.event != DECODER_END) {
		if (item.event == DECODER_ENTRY)
			r = put(run, &item, err);
		else if (item.depth)
			r = encoder_end_dir(run->encoder, err);
		if (r < 0)
			return error_wrap(err, "entry at %" PRIu64, item.start);
	}
	if (r == 0)
		r = encoder_finish(run->encoder, err);
	if (r == 0 && (run->out_meta.at != run->meta->size ||
		       (run->payload && run->out_payload.at != run->payload->size)))
		r = error_set(err, EUCLEAN, "shorter than it was");
	return r;
}

int main(int argc, char **argv)
{
	struct run run = { .out_meta.sink.write = compare, .out_payload.sink.write = compare };
	struct error err = { 0 };
	int r = argc == 2 || argc == 3 ? 0 : error_set(&err, EINVAL, "ARCHIVE [PAYLOAD]");

	if (r == 0)
		r = source_open_file(&run.meta, argv[1], &err);
	if (r == 0 && argc == 3)
		r = source_open_file(&run.payload, argv[2], &err);
	run.out_meta.source = run.meta;
	run.out_payload.source = run.payload;
	run.window = window_init(run.meta, &io, 4096);
	if (r == 0)
		r = reencode(&run, &err);
	if (r < 0)
		fprintf(stderr, "%s: %s\n", argc > 1 ? argv[1] : "reencode", err.text);
	encoder_free(run.encoder);
	acl_release(&run.acl);
	buffer_release(&run.attrs);
	window_release(&run.window);
	free((void *)run.prelude.bytes);
	source_free(run.meta);
	source_free(run.payload);
	return r < 0;
}
