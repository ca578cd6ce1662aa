#include "core/decoder.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/siphash.h"

enum {
	FILL = 16384,	  /* read ahead of where items are decoded */
	LOOK_FILL = 512,  /* the same where a hardlink leads */
	TABLE_READ = 512, /* records at once */
};

/* What the table of its directory must say of a child. */
struct child {
	uint64_t start, end; /* from its FILENAME on */
	uint64_t hash;
	uint64_t elsewhere; /* bytes of content in the payload file */
};

/* A directory that was entered and not yet left. */
struct level {
	struct entry entry;
	uint64_t start;	 /* of the FILENAME */
	uint64_t offset; /* of the ENTRY, as the tail of its table has it */
	uint64_t hash;	 /* of the name */
	size_t first;	 /* of its children */
};

enum stage { BEFORE_ROOT, IN_DIRECTORY, AFTER_ROOT };

struct decoder {
	struct source *meta, *payload;
	const struct io *io;
	struct window w;
	struct window look; /* where hardlinks lead, so that w stays where it is */
	enum stage stage;
	bool split;
	uint64_t at; /* the next item */
	struct level *levels;
	size_t n_levels, levels_room;
	struct child *children; /* of all open directories, the innermost's last */
	size_t n_children, children_room;
	uint8_t name[FORMAT_NAME_MAX];
	uint8_t path[FORMAT_PATH_MAX];
};

static int reserve_level(struct decoder *d, struct error *err)
{
	size_t room = d->levels_room ? d->levels_room * 2 : 16;
	struct level *levels;

	if (d->n_levels < d->levels_room)
		return 0;
	levels = reallocarray(d->levels, room, sizeof(*levels));
	if (!levels)
		return error_set(err, ENOMEM, "out of memory");
	d->levels = levels;
	d->levels_room = room;
	return 0;
}

static int reserve_child(struct decoder *d, struct error *err)
{
	size_t room = d->children_room ? d->children_room * 2 : 64;
	struct child *children;

	if (d->n_children < d->children_room)
		return 0;
	children = reallocarray(d->children, room, sizeof(*children));
	if (!children)
		return error_set(err, ENOMEM, "out of memory");
	d->children = children;
	d->children_room = room;
	return 0;
}

static int enter(struct decoder *d, const struct level *level, uint64_t children, struct error *err)
{
	if (d->n_levels > DECODER_DEPTH_MAX)
		return error_set(err, ELOOP,
				 "directory at %" PRIu64 ": more than %d directories deep",
				 level->start, DECODER_DEPTH_MAX);
	/* A child as well: with that, leaving needs no memory. */
	if (reserve_level(d, err) < 0 || reserve_child(d, err) < 0)
		return -ENOMEM;
	d->levels[d->n_levels] = *level;
	d->levels[d->n_levels++].first = d->n_children;
	d->at = children;
	return 0;
}

static int read_root(struct decoder *d, struct decoder_item *item, struct error *err)
{
	int r = entry_decode(&d->w, d->at, d->meta->size, d->split, &item->entry, &item->more, err);

	if (r)
		return r;
	if (item->entry.kind != ENTRY_DIRECTORY)
		return error_set(err, EUCLEAN, "the root is not a directory");
	r = enter(d, &(struct level){ .entry = item->entry }, item->more.end, err);
	if (!r)
		d->stage = IN_DIRECTORY;
	return r;
}

/* A hardlink leads back to the FILENAME of a regular file that is complete before it begins. */
static int check_link(struct decoder *d, struct decoder_item *item, uint64_t offset,
		      struct error *err)
{
	uint64_t delta, target, at;
	struct format_string name;
	struct entry e;
	int r;

	r = entry_decode_link(&d->w, offset, d->meta->size, &delta, &item->path, err);
	if (r)
		return r;
	memcpy(d->path, item->path.bytes, item->path.len);
	item->path.bytes = d->path;
	if (!delta || !checked_sub(item->start, delta, &target))
		return error_set(err, EUCLEAN,
				 "hardlink at %" PRIu64 ": its target is %" PRIu64 " bytes back",
				 item->start, delta);
	r = entry_decode_name(&d->look, target, item->start, &name, &at, err);
	if (!r)
		r = entry_decode(&d->look, at, item->start, d->split, &e, NULL, err);
	if (r)
		return r < 0 ? error_wrap(err, "target of the hardlink at %" PRIu64, item->start)
			     : r;
	if (e.kind != ENTRY_FILE)
		return error_set(err, EUCLEAN,
				 "hardlink at %" PRIu64 ": what is at %" PRIu64
				 " is not a regular file",
				 item->start, target);
	item->entry.size = target;
	return 0;
}

/* A split file's content is where it says, whole. */
static int check_payload(struct decoder *d, const struct entry *e, struct error *err)
{
	uint8_t bytes[FORMAT_HEADER_SIZE];
	struct format_header header;
	int r;

	if (!range_holds((struct range){ 0, d->payload->size }, e->place,
			 FORMAT_HEADER_SIZE + e->size))
		return error_set(err, EUCLEAN,
				 "%" PRIu64 " bytes at %" PRIu64
				 " of a payload file that has %" PRIu64,
				 e->size, e->place, d->payload->size);
	r = source_read(d->payload, d->io, e->place, bytes, sizeof(bytes), err);
	if (!r)
		r = format_decode_header(bytes, &header, err);
	if (r)
		return r < 0 ? error_wrap(err, "payload file at %" PRIu64, e->place) : r;
	if (header.type != FORMAT_PAYLOAD || header.size - FORMAT_HEADER_SIZE != e->size)
		return error_set(err, EUCLEAN,
				 "payload file at %" PRIu64 ": %s of %" PRIu64
				 " bytes where a PAYLOAD with %" PRIu64 " should be",
				 e->place, format_type_name(header.type), header.size, e->size);
	return 0;
}

static int add_child(struct decoder *d, const struct child *child, struct error *err)
{
	if (reserve_child(d, err) < 0)
		return -ENOMEM;
	d->children[d->n_children++] = *child;
	d->at = child->end;
	return 0;
}

static int read_child(struct decoder *d, struct decoder_item *item, struct error *err)
{
	uint64_t offset, hash;
	int r;

	item->start = d->at;
	r = entry_decode_name(&d->w, d->at, d->meta->size, &item->name, &offset, err);
	if (r)
		return r;
	memcpy(d->name, item->name.bytes, item->name.len);
	item->name.bytes = d->name;
	hash = siphash_name(d->name, item->name.len);
	r = entry_decode(&d->w, offset, d->meta->size, d->split, &item->entry, &item->more, err);
	if (!r && item->entry.kind == ENTRY_HARDLINK)
		r = check_link(d, item, offset, err);
	if (!r && item->entry.kind == ENTRY_FILE && d->split)
		r = check_payload(d, &item->entry, err);
	if (r)
		return r < 0 ? error_wrap(err, "entry at %" PRIu64, item->start) : r;
	if (item->entry.kind == ENTRY_DIRECTORY) {
		struct level level = {
			.entry = item->entry, .start = item->start, .offset = offset, .hash = hash
		};

		return enter(d, &level, item->more.end, err);
	}
	return add_child(d,
			 &(struct child){ .start = item->start,
					  .end = item->more.end,
					  .hash = hash,
					  .elsewhere = d->split && item->entry.kind == ENTRY_FILE
							       ? item->entry.size
							       : 0 },
			 err);
}

static int read_table(struct decoder *d, uint64_t at, struct format_record *records, size_t n,
		      struct error *err)
{
	while (n) {
		size_t some = n < TABLE_READ ? n : TABLE_READ;
		const uint8_t *bytes;
		struct cursor c;
		int r = window_get(&d->w, at, some * FORMAT_RECORD_SIZE, &bytes, err);

		if (r)
			return r;
		c = cursor_init(bytes, some * FORMAT_RECORD_SIZE);
		at += some * FORMAT_RECORD_SIZE;
		n -= some;
		while (some--)
			format_decode_record(&c, records++);
	}
	return 0;
}

static size_t leftmost(size_t i, size_t n)
{
	while (2 * i + 1 < n)
		i = 2 * i + 1;
	return i;
}

/* The next node in the order of the tree; n after the last. */
static size_t successor(size_t i, size_t n)
{
	if (2 * i + 2 < n)
		return leftmost(2 * i + 2, n);
	while (i && i % 2 == 0) /* a right child comes after its parent */
		i = (i - 1) / 2;
	return i ? (i - 1) / 2 : n;
}

static int check_tree(const struct format_record *records, size_t n, struct error *err)
{
	uint64_t last = 0;

	for (size_t i = n ? leftmost(0, n) : n; i < n; i = successor(i, n)) {
		if (records[i].hash < last)
			return error_set(err, EUCLEAN,
					 "record %zu is out of order: %#" PRIx64 " after %#" PRIx64,
					 i, records[i].hash, last);
		last = records[i].hash;
	}
	return 0;
}

static int by_offset_descending(const void *a, const void *b)
{
	uint64_t x = ((const struct format_record *)a)->offset;
	uint64_t y = ((const struct format_record *)b)->offset;

	return (x < y) - (x > y);
}

/* In split archives a file's size may or may not count the content that is elsewhere. */
static int check_record(const struct format_record *record, const struct child *child,
			uint64_t goodbye, struct error *err)
{
	uint64_t size = child->end - child->start;

	if (record->offset != goodbye - child->start)
		return error_set(err, EUCLEAN,
				 "no record leads to the child at %" PRIu64 ", one goes %" PRIu64
				 " bytes back",
				 child->start, record->offset);
	if (record->hash != child->hash)
		return error_set(err, EUCLEAN,
				 "child at %" PRIu64 ": its hash is %#" PRIx64 ", not %#" PRIx64,
				 child->start, child->hash, record->hash);
	if (record->size != size && record->size != size + child->elsewhere)
		return error_set(err, EUCLEAN,
				 "child at %" PRIu64 ": its size is %" PRIu64 ", not %" PRIu64,
				 child->start, size, record->size);
	return 0;
}

static int check_tail(const struct decoder *d, const struct format_record *tail,
		      const struct format_header *header, struct error *err)
{
	uint64_t back = d->at - d->levels[d->n_levels - 1].offset;

	if (tail->hash != FORMAT_GOODBYE_TAIL)
		return error_set(err, EUCLEAN, "no tail marker but %#" PRIx64, tail->hash);
	if (tail->offset != back || tail->size != header->size)
		return error_set(err, EUCLEAN,
				 "the tail says %" PRIu64 " bytes, directory %" PRIu64
				 " bytes back; it is %" PRIu64 ", %" PRIu64,
				 tail->size, tail->offset, header->size, back);
	return 0;
}

/* The table at d->at says of the children exactly what was seen. */
static int check_table(struct decoder *d, const struct format_header *header, struct error *err)
{
	const struct level *level = &d->levels[d->n_levels - 1];
	const struct child *children = d->children + level->first;
	size_t n = d->n_children - level->first;
	CLEANUP(freep) struct format_record *records = NULL;
	int r;

	if (header->size != FORMAT_HEADER_SIZE + (n + 1) * FORMAT_RECORD_SIZE)
		return error_set(err, EUCLEAN, "%" PRIu64 " bytes for %zu children", header->size,
				 n);
	records = calloc(n + 1, sizeof(*records));
	if (!records)
		return error_set(err, ENOMEM, "out of memory");
	r = read_table(d, d->at + FORMAT_HEADER_SIZE, records, n + 1, err);
	if (!r)
		r = check_tail(d, &records[n], header, err);
	if (!r)
		r = check_tree(records, n, err);
	if (r)
		return r;
	qsort(records, n, sizeof(*records), by_offset_descending);
	for (size_t i = 0; i < n && !r; i++)
		r = check_record(&records[i], &children[i], d->at, err);
	return r;
}

static int leave(struct decoder *d, struct decoder_item *item, const struct format_header *header,
		 struct error *err)
{
	const struct level *level = &d->levels[d->n_levels - 1];
	uint64_t end = d->at + header->size;
	int r = check_table(d, header, err);

	if (r)
		return r < 0 ? error_wrap(err, "goodbye table at %" PRIu64, d->at) : r;
	item->event = DECODER_LEAVE;
	item->depth = (unsigned)d->n_levels - 1;
	item->start = level->start;
	item->entry = level->entry;
	item->entry.size = header->size;
	item->entry.number = item->depth ? end : ENTRY_ROOT;
	if (!item->depth) {
		if (end != d->meta->size)
			return error_set(err, EUCLEAN, "%" PRIu64 " bytes after the root",
					 d->meta->size - end);
		d->stage = AFTER_ROOT;
		return 0;
	}
	d->n_children = level->first;
	d->n_levels--;
	return add_child(
		d, &(struct child){ .start = level->start, .end = end, .hash = level->hash }, err);
}

int decoder_next(struct decoder *d, struct decoder_item *item, struct error *err)
{
	struct format_header header;
	int r;

	*item = (struct decoder_item){ .event = DECODER_ENTRY, .depth = (unsigned)d->n_levels };
	if (d->stage == BEFORE_ROOT)
		return read_root(d, item, err);
	if (d->stage == AFTER_ROOT) {
		*item = (struct decoder_item){ .event = DECODER_END };
		return 0;
	}
	r = entry_decode_header(&d->w, d->at, d->meta->size, &header, err);
	if (r)
		return r;
	if (header.type == FORMAT_FILENAME)
		return read_child(d, item, err);
	if (header.type == FORMAT_GOODBYE)
		return leave(d, item, &header, err);
	return error_set(err, EUCLEAN, "%s at %" PRIu64 " where a FILENAME or GOODBYE should be",
			 format_type_name(header.type), d->at);
}

/* FORMAT_VERSION and PRELUDE, where there are such. */
static int read_preamble(struct decoder *d, struct error *err)
{
	struct format_header header;
	const uint8_t *bytes;
	uint64_t version;
	struct cursor c;
	int r;

	r = entry_decode_header(&d->w, 0, d->meta->size, &header, err);
	if (r || header.type != FORMAT_VERSION)
		return r;
	r = window_get(&d->w, FORMAT_HEADER_SIZE, sizeof(version), &bytes, err);
	if (r)
		return r;
	c = cursor_init(bytes, sizeof(version));
	r = format_decode_version(&c, &version, err);
	if (r < 0)
		return r;
	if (version != 1 && version != 2)
		return error_set(err, EUCLEAN, "format version %" PRIu64 " is not known", version);
	d->split = version == 2;
	d->at = header.size;
	r = entry_decode_header(&d->w, d->at, d->meta->size, &header, err);
	if (!r && header.type == FORMAT_PRELUDE)
		d->at += header.size;
	return r;
}

static int check_payload_file(struct decoder *d, struct error *err)
{
	uint8_t bytes[FORMAT_HEADER_SIZE];
	struct format_header header;
	int r;

	if (d->split != !!d->payload)
		return error_set(err, EINVAL,
				 d->split ? "a split archive needs its payload file"
					  : "a unified archive has no payload file");
	if (!d->split)
		return 0;
	if (d->payload->size < sizeof(bytes))
		return error_set(err, EUCLEAN, "payload file of %" PRIu64 " bytes",
				 d->payload->size);
	r = source_read(d->payload, d->io, 0, bytes, sizeof(bytes), err);
	if (r)
		return r < 0 ? error_wrap(err, "payload file") : r;
	r = format_decode_header(bytes, &header, err);
	if (r < 0 || header.type != FORMAT_PAYLOAD_START)
		return error_set(err, EUCLEAN, "payload file does not begin with a start marker");
	return 0;
}

int decoder_open(struct decoder **out, struct source *meta, struct source *payload,
		 const struct io *io, struct error *err)
{
	CLEANUP(decoder_freep) struct decoder *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return error_set(err, ENOMEM, "out of memory");
	d->meta = meta;
	d->payload = payload;
	d->io = io;
	d->w = window_init(meta, io, FILL);
	d->look = window_init(meta, io, LOOK_FILL);
	r = read_preamble(d, err);
	if (!r)
		r = check_payload_file(d, err);
	if (!r)
		*out = TAKE(d);
	return r;
}

void decoder_free(struct decoder *d)
{
	if (!d)
		return;
	window_release(&d->w);
	window_release(&d->look);
	free(d->levels);
	free(d->children);
	free(d);
}
