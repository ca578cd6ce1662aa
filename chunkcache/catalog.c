#include "chunkcache/catalog.h"

#include <inttypes.h>
#include <string.h>

#define MAGIC UINT64_C(0xd55867c4f960fd91)

enum {
	MAGIC_SIZE = 8,
	ROOT_SIZE = 8,	 /* the root's offset, at the end */
	NUMBER_MAX = 10, /* bytes of 64 bits in groups of 7 */
	BLOCK_MIN = 2,	 /* an empty directory */
	ENTRY_MIN = 3,	 /* type, length, one byte of name */
};

struct catalog {
	struct source *source;
	uint64_t root, end; /* of all blocks */
};

static uint8_t take_byte(struct cursor *c)
{
	const uint8_t *byte = cursor_bytes(c, 1);

	return byte ? *byte : 0;
}

/* Puts the next group of a number into its place; false when it does not fit 64 bits. */
static bool add_group(uint64_t *value, uint8_t byte, unsigned i)
{
	uint64_t group = byte & 0x7f;

	if (i >= NUMBER_MAX || (i == NUMBER_MAX - 1 && group > 1))
		return false;
	*value |= group << (7 * i);
	return true;
}

static uint64_t take_u64(struct cursor *c)
{
	uint64_t value = 0;
	uint8_t byte;

	for (unsigned i = 0;; i++) {
		byte = take_byte(c);
		if (!add_group(&value, byte, i)) {
			c->failed = true;
			return 0;
		}
		if (byte < 0x80)
			return value;
	}
}

static int64_t take_i64(struct cursor *c)
{
	uint64_t value = 0;
	uint8_t byte;

	for (unsigned i = 0;; i++) {
		byte = take_byte(c);
		if (!byte && i) { /* it was a magnitude */
			if (value > (uint64_t)1 << 63)
				break;
			return (int64_t)(0 - value);
		}
		if (!add_group(&value, byte, i))
			break;
		if (byte < 0x80) {
			if (value > INT64_MAX)
				break;
			return (int64_t)value;
		}
	}
	c->failed = true;
	return 0;
}

static bool name_is_sane(const uint8_t *name, size_t len)
{
	if (!len || len > CATALOG_NAME_MAX || memchr(name, '/', len) || memchr(name, '\0', len))
		return false;
	return name[0] != '.' || len > 2 || (len == 2 && name[1] != '.');
}

static bool type_is_known(uint8_t type)
{
	return type && strchr("dflhbcps", type);
}

/* False when the entry breaks a rule; then the cursor has failed. */
static bool take_entry(struct cursor *c, uint64_t block, struct catalog_entry *e)
{
	uint8_t type = take_byte(c);
	uint64_t len = take_u64(c), distance;

	*e = (struct catalog_entry){ .type = type };
	e->name.len = len <= CATALOG_NAME_MAX ? (size_t)len : 0;
	e->name.bytes = cursor_bytes(c, e->name.len);
	if (c->failed || !type_is_known(type) || !name_is_sane(e->name.bytes, e->name.len)) {
		c->failed = true;
		return false;
	}
	if (type == CATALOG_DIRECTORY) {
		distance = take_u64(c);
		if (!distance || distance > block - MAGIC_SIZE)
			c->failed = true;
		e->block = block - distance;
	} else if (type == CATALOG_FILE) {
		e->size = take_u64(c);
		e->mtime = take_i64(c);
	}
	return !c->failed;
}

static int check_head(struct catalog *c, const struct io *io, struct error *err)
{
	uint64_t size = c->source->size;
	uint8_t magic[MAGIC_SIZE], root[ROOT_SIZE];
	struct cursor cursor;
	uint64_t found;
	int r;

	if (size < MAGIC_SIZE + BLOCK_MIN + ROOT_SIZE)
		return error_set(err, EUCLEAN, "%" PRIu64 " bytes are no catalog", size);
	r = source_read(c->source, io, 0, magic, sizeof(magic), err);
	if (r == 0)
		r = source_read(c->source, io, size - ROOT_SIZE, root, sizeof(root), err);
	if (r)
		return r;
	cursor = cursor_init(magic, sizeof(magic));
	found = cursor_le64(&cursor);
	if (found != MAGIC)
		return error_set(err, EUCLEAN, "not a catalog: it begins with %#" PRIx64, found);
	cursor = cursor_init(root, sizeof(root));
	c->root = cursor_le64(&cursor);
	c->end = size - ROOT_SIZE;
	return 0;
}

int catalog_open(struct catalog **out, struct source *source, const struct io *io,
		 struct error *err)
{
	CLEANUP(catalog_freep) struct catalog *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return error_set(err, ENOMEM, "out of memory");
	c->source = source;
	r = check_head(c, io, err);
	if (r)
		return r;
	if (c->root < MAGIC_SIZE || c->root > c->end - BLOCK_MIN)
		return error_set(err, EUCLEAN, "its root is at %" PRIu64 " of %" PRIu64, c->root,
				 c->end);
	*out = TAKE(c);
	return 0;
}

void catalog_free(struct catalog *c)
{
	free(c);
}

uint64_t catalog_root(const struct catalog *c)
{
	return c->root;
}

/* How long the block's table is, and where it begins. */
static int read_length(struct catalog *c, const struct io *io, uint64_t *offset, uint64_t *len,
		       struct error *err)
{
	uint8_t bytes[NUMBER_MAX];
	struct cursor cursor;
	uint64_t left;
	size_t n;
	int r;

	if (*offset < MAGIC_SIZE || *offset > c->end - BLOCK_MIN)
		return error_set(err, EUCLEAN, "outside of the catalog");
	left = c->end - *offset;
	n = left < sizeof(bytes) ? (size_t)left : sizeof(bytes);
	r = source_read(c->source, io, *offset, bytes, n, err);
	if (r)
		return r;
	cursor = cursor_init(bytes, n);
	*len = take_u64(&cursor);
	if (cursor.failed)
		return error_set(err, EUCLEAN, "its length is no number");
	n -= cursor_left(&cursor);
	*offset += n;
	left -= n;
	if (*len > left || *len > CATALOG_BLOCK_MAX)
		return error_set(err, EUCLEAN, "%" PRIu64 " bytes, where %" PRIu64 " are left",
				 *len, left);
	return 0;
}

/* Every entry, so that catalog_next() cannot fail. */
static int check_block(struct catalog_block *block, size_t len, struct error *err)
{
	struct cursor c = cursor_init(block->bytes, len);
	struct catalog_entry entry;
	uint64_t count = take_u64(&c);

	if (c.failed || count > cursor_left(&c) / ENTRY_MIN)
		return error_set(err, EUCLEAN, "%" PRIu64 " entries in %zu bytes", count, len);
	block->cursor = c;
	block->count = (size_t)count;
	for (uint64_t i = 0; i < count; i++)
		if (!take_entry(&c, block->start, &entry))
			return error_set(err, EUCLEAN, "its entry %" PRIu64 " is malformed", i);
	return cursor_finish(&c, err, "entries");
}

static int read_block(struct catalog *c, const struct io *io, uint64_t offset,
		      struct catalog_block *block, struct error *err)
{
	uint64_t len = 0;
	int r = read_length(c, io, &offset, &len, err);

	if (r)
		return r;
	block->bytes = malloc(len ? (size_t)len : 1);
	if (!block->bytes)
		return error_set(err, ENOMEM, "out of memory for %" PRIu64 " bytes", len);
	r = source_read(c->source, io, offset, block->bytes, (size_t)len, err);
	return r ? r : check_block(block, (size_t)len, err);
}

int catalog_read(struct catalog *c, const struct io *io, uint64_t offset,
		 struct catalog_block *block, struct error *err)
{
	int r;

	*block = (struct catalog_block){ .start = offset };
	r = read_block(c, io, offset, block, err);
	if (r)
		catalog_block_release(block);
	return r < 0 ? error_wrap(err, "directory at %" PRIu64, offset) : r;
}

void catalog_block_release(struct catalog_block *block)
{
	free(block->bytes);
	*block = (struct catalog_block){ 0 };
}

bool catalog_next(struct catalog_block *block, struct catalog_entry *entry)
{
	return cursor_left(&block->cursor) && take_entry(&block->cursor, block->start, entry);
}

/* Looks for the name in one directory. */
static int find_name(struct catalog *c, const struct io *io, uint64_t dir,
		     struct format_string name, struct catalog_entry *entry, struct error *err)
{
	CLEANUP(catalog_block_release) struct catalog_block block;
	int r = catalog_read(c, io, dir, &block, err);

	if (r)
		return r;
	while (catalog_next(&block, entry)) {
		if (entry->name.len == name.len &&
		    !memcmp(entry->name.bytes, name.bytes, name.len)) {
			entry->name = name; /* the block's goes away */
			return 0;
		}
	}
	return CATALOG_NONE;
}

int catalog_find(struct catalog *c, const struct io *io, const char *path,
		 struct catalog_entry *entry, struct error *err)
{
	struct catalog_entry at = { .type = CATALOG_DIRECTORY,
				    .name = { (const uint8_t *)path, 0 },
				    .block = c->root };
	struct format_string name;
	int r;

	while (*path) {
		if (at.type != CATALOG_DIRECTORY)
			return CATALOG_NONE;
		name = (struct format_string){ (const uint8_t *)path, strcspn(path, "/") };
		r = find_name(c, io, at.block, name, &at, err);
		if (r)
			return r;
		path += name.len;
		path += *path == '/';
	}
	*entry = at;
	return 0;
}

/* A directory whose block comes after this one's: where in the entries the distance to it goes. */
struct gap {
	size_t at;
	uint64_t child; /* its block; 0: not written yet */
};

/* A directory that is open. */
struct level {
	struct buffer entries; /* but for the distances */
	uint64_t count;
	struct gap *gaps;
	size_t n_gaps, room_gaps;
};

struct catalog_writer {
	struct sink *sink;
	uint64_t offset;      /* bytes written */
	struct level *levels; /* the root first; those above n_levels keep their memory */
	size_t n_levels, used_levels, room_levels;
	struct buffer block; /* being put together */
};

static void add_byte(struct buffer *b, uint64_t byte)
{
	buffer_add(b, &(uint8_t){ (uint8_t)byte }, 1);
}

static void add_u64(struct buffer *b, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		add_byte(b, value | 0x80);
	add_byte(b, value);
}

static void add_i64(struct buffer *b, int64_t value)
{
	uint64_t magnitude = 0 - (uint64_t)value;

	if (value >= 0) {
		add_u64(b, (uint64_t)value);
		return;
	}
	for (; magnitude; magnitude >>= 7)
		add_byte(b, magnitude | 0x80);
	add_byte(b, 0);
}

/* Room for one more of n things of this size. */
static int make_room(void *array, size_t *room, size_t n, size_t size, struct error *err)
{
	size_t want = *room ? 2 * *room : 16;
	void **at = array, *grown;

	if (n < *room)
		return 0;
	grown = reallocarray(*at, want, size);
	if (!grown)
		return error_set(err, ENOMEM, "out of memory for %zu entries", want);
	*at = grown;
	*room = want;
	return 0;
}

static struct level *innermost(struct catalog_writer *w)
{
	return &w->levels[w->n_levels - 1];
}

static int push_level(struct catalog_writer *w, struct error *err)
{
	int r = make_room(&w->levels, &w->room_levels, w->n_levels, sizeof(*w->levels), err);

	if (r < 0)
		return r;
	if (w->n_levels == w->used_levels)
		w->levels[w->used_levels++] = (struct level){ 0 };
	w->n_levels++;
	buffer_reset(&innermost(w)->entries);
	innermost(w)->count = 0;
	innermost(w)->n_gaps = 0;
	return 0;
}

static int write_bytes(struct catalog_writer *w, struct error *err)
{
	int r = buffer_finish(&w->block, err);

	if (r == 0)
		r = w->sink->write(w->sink, w->block.bytes, w->block.len, err);
	w->offset += w->block.len;
	buffer_reset(&w->block);
	return r;
}

int catalog_writer_new(struct catalog_writer **out, struct sink *sink, struct error *err)
{
	CLEANUP(catalog_writer_freep) struct catalog_writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return error_set(err, ENOMEM, "out of memory");
	w->sink = sink;
	r = push_level(w, err);
	if (r < 0)
		return r;
	buffer_le64(&w->block, MAGIC);
	r = write_bytes(w, err);
	if (r < 0)
		return r;
	*out = TAKE(w);
	return 0;
}

void catalog_writer_free(struct catalog_writer *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->used_levels; i++) {
		buffer_release(&w->levels[i].entries);
		free(w->levels[i].gaps);
	}
	free(w->levels);
	buffer_release(&w->block);
	free(w);
}

static int add_name(struct catalog_writer *w, enum catalog_type type, const char *name,
		    struct error *err)
{
	size_t len = strlen(name);
	struct level *level;

	if (!w->n_levels || (w->n_levels == 1 && type != CATALOG_DIRECTORY))
		return error_set(err, EINVAL, "an entry where no archive is");
	if (!name_is_sane((const uint8_t *)name, len))
		return error_set(err, EINVAL, "no entry can have this name of %zu bytes", len);
	level = innermost(w);
	level->count++;
	add_byte(&level->entries, (uint8_t)type);
	add_u64(&level->entries, len);
	buffer_add(&level->entries, name, len);
	return buffer_finish(&level->entries, err);
}

static int begin(struct catalog_writer *w, const char *name, struct error *err)
{
	struct level *level;
	int r;

	r = add_name(w, CATALOG_DIRECTORY, name, err);
	if (r < 0)
		return r;
	level = innermost(w);
	r = make_room(&level->gaps, &level->room_gaps, level->n_gaps, sizeof(*level->gaps), err);
	if (r < 0)
		return r;
	level->gaps[level->n_gaps++] = (struct gap){ .at = level->entries.len };
	return push_level(w, err);
}

int catalog_writer_begin_archive(struct catalog_writer *w, const char *name, struct error *err)
{
	if (w->n_levels != 1)
		return error_set(err, EINVAL, "an archive begins inside of another");
	return begin(w, name, err);
}

int catalog_writer_begin_dir(struct catalog_writer *w, const char *name, struct error *err)
{
	if (w->n_levels < 2)
		return error_set(err, EINVAL, "a directory begins where no archive is");
	return begin(w, name, err);
}

/* The innermost directory's table, now that it is known where its block begins. */
static int build_table(struct catalog_writer *w, struct buffer *table, struct error *err)
{
	const struct level *level = innermost(w);
	size_t done = 0;

	add_u64(table, level->count);
	for (size_t i = 0; i < level->n_gaps; i++) {
		const struct gap *gap = &level->gaps[i];

		buffer_add(table, level->entries.bytes + done, gap->at - done);
		add_u64(table, w->offset - gap->child);
		done = gap->at;
	}
	if (done < level->entries.len)
		buffer_add(table, level->entries.bytes + done, level->entries.len - done);
	return buffer_finish(table, err);
}

/* Writes and closes the innermost directory. */
static int write_level(struct catalog_writer *w, struct error *err)
{
	CLEANUP(buffer_release) struct buffer table = { 0 };
	int r = build_table(w, &table, err);

	if (r < 0)
		return r;
	add_u64(&w->block, table.len);
	buffer_add(&w->block, table.bytes, table.len);
	w->n_levels--;
	return write_bytes(w, err);
}

int catalog_writer_end_dir(struct catalog_writer *w, struct error *err)
{
	uint64_t start = w->offset;
	int r;

	if (w->n_levels < 2)
		return error_set(err, EINVAL, "a directory ends that was not begun");
	r = write_level(w, err);
	if (r < 0)
		return r;
	innermost(w)->gaps[innermost(w)->n_gaps - 1].child = start;
	return 0;
}

int catalog_writer_file(struct catalog_writer *w, const char *name, uint64_t size, int64_t mtime,
			struct error *err)
{
	int r = add_name(w, CATALOG_FILE, name, err);

	if (r < 0)
		return r;
	add_u64(&innermost(w)->entries, size);
	add_i64(&innermost(w)->entries, mtime);
	return buffer_finish(&innermost(w)->entries, err);
}

int catalog_writer_other(struct catalog_writer *w, enum catalog_type type, const char *name,
			 struct error *err)
{
	if (type == CATALOG_DIRECTORY || type == CATALOG_FILE || !type_is_known((uint8_t)type))
		return error_set(err, EINVAL, "an entry of type %#x", (unsigned)type);
	return add_name(w, type, name, err);
}

int catalog_writer_finish(struct catalog_writer *w, struct error *err)
{
	uint64_t root = w->offset;
	int r;

	if (w->n_levels != 1)
		return error_set(err, EINVAL, "%zu directories are open", w->n_levels);
	r = write_level(w, err);
	if (r < 0)
		return r;
	buffer_le64(&w->block, root);
	return write_bytes(w, err);
}
