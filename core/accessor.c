#include "core/accessor.h"

#include <inttypes.h>
#include <string.h>

#include "core/xattr.h"

enum { ENTRY_FILL = 512 };

struct accessor {
	struct dir_archive archive;
	struct source *payload; /* NULL: contents are in the archive, or not to be had */
	struct range prelude;
};

static const struct io waiting = { .may_wait = true };

/* FORMAT_VERSION and PRELUDE, which only a split archive has; *root is what comes after. */
static int read_preamble(struct accessor *a, struct window *w, struct error *err)
{
	uint64_t size = a->archive.meta->size, version;
	struct format_header header;
	const uint8_t *bytes;
	struct cursor c;
	int r;

	r = entry_decode_header(w, 0, size, &header, err);
	if (r < 0)
		return r == -EUCLEAN ? error_wrap(err, "not a pxar archive") : r;
	if (header.type != FORMAT_VERSION)
		return 0;
	r = window_get(w, FORMAT_HEADER_SIZE, 8, &bytes, err);
	if (r < 0)
		return r;
	c = cursor_init(bytes, 8);
	r = format_decode_version(&c, &version, err);
	if (r < 0)
		return r;
	if (version != 1 && version != 2)
		return error_set(err, EUCLEAN, "format version %" PRIu64 " is not known", version);
	a->archive.split = version == 2;
	a->archive.root = header.size;

	r = entry_decode_header(w, a->archive.root, size, &header, err);
	if (r < 0 || header.type != FORMAT_PRELUDE)
		return r;
	a->prelude.start = a->archive.root + FORMAT_HEADER_SIZE;
	a->archive.root += header.size;
	a->prelude.end = a->archive.root;
	return 0;
}

static int check_root(struct accessor *a, struct window *w, struct error *err)
{
	struct entry root;
	struct goodbye g;
	int r;

	r = goodbye_open(w, a->archive.meta->size, &g, err);
	if (r < 0)
		return r;
	if (g.entry)
		return error_set(err, EUCLEAN,
				 "the table at the end belongs to a directory at %" PRIu64
				 ", not to the root",
				 g.entry);
	r = entry_decode(w, a->archive.root, g.offset, a->archive.split, &root, NULL, err);
	if (r < 0)
		return r;
	if (root.kind != ENTRY_DIRECTORY)
		return error_set(err, EUCLEAN, "its root is not a directory");
	return 0;
}

static int check_payload_start(struct source *payload, struct error *err)
{
	uint8_t bytes[FORMAT_HEADER_SIZE];
	struct format_header header;
	int r;

	if (payload->size < sizeof(bytes))
		return error_set(err, EUCLEAN, "payload file of %" PRIu64 " bytes", payload->size);
	r = source_read(payload, &waiting, 0, bytes, sizeof(bytes), err);
	if (r < 0)
		return error_wrap(err, "payload file");
	r = format_decode_header(bytes, &header, err);
	if (r < 0 || header.type != FORMAT_PAYLOAD_START)
		return error_set(err, EUCLEAN, "payload file does not begin with a start marker");
	return 0;
}

static int check_archive(struct accessor *a, bool metadata_only, struct error *err)
{
	struct window w = window_init(a->archive.meta, &waiting, ENTRY_FILL);
	int r = read_preamble(a, &w, err);

	if (r >= 0)
		r = check_root(a, &w, err);
	window_release(&w);
	if (r < 0)
		return r;
	if (a->archive.split && !a->payload && !metadata_only)
		return error_set(err, EINVAL, "a split archive needs its payload file");
	if (!a->archive.split && a->payload)
		return error_set(err, EINVAL, "a unified archive has no payload file");
	return a->payload ? check_payload_start(a->payload, err) : 0;
}

int accessor_open(struct accessor **out, struct source *meta, struct source *payload,
		  bool metadata_only, struct error *err)
{
	CLEANUP(accessor_freep) struct accessor *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return error_set(err, ENOMEM, "out of memory");
	a->archive.meta = meta;
	a->payload = payload;
	if (meta->size < FORMAT_ENTRY_SIZE)
		return error_set(err, EUCLEAN, "%" PRIu64 " bytes are too short for an archive",
				 meta->size);
	r = check_archive(a, metadata_only, err);
	if (r < 0)
		return r;
	*out = TAKE(a);
	return 0;
}

void accessor_free(struct accessor *a)
{
	free(a);
}

bool accessor_is_split(const struct accessor *a)
{
	return a->archive.split;
}

struct range accessor_prelude(const struct accessor *a)
{
	return a->prelude;
}

static int directory_end(const struct accessor *a, uint64_t number, uint64_t *end,
			 struct error *err)
{
	if (number & ENTRY_NON_DIRECTORY)
		return error_set(err, ENOTDIR, "%#" PRIx64 " is not a directory", number);
	*end = number == ENTRY_ROOT ? a->archive.meta->size : number;
	if (*end > a->archive.meta->size)
		return error_set(err, EUCLEAN, "no directory ends at %" PRIu64, *end);
	return 0;
}

int accessor_dir(struct accessor *a, const struct io *io, uint64_t number, struct dir **out,
		 struct error *err)
{
	uint64_t end = 0;
	int r = directory_end(a, number, &end, err);

	return r < 0 ? r : dir_decode(out, &a->archive, io, end, err);
}

int accessor_find(struct accessor *a, const struct io *io, uint64_t number, const char *name,
		  size_t len, struct dir_entry *found, struct error *err)
{
	uint64_t end = 0;
	int r = directory_end(a, number, &end, err);

	return r < 0 ? r : dir_decode_one(&a->archive, io, end, name, len, found, err);
}

/* A directory is found from its end, by its table. */
static int decode_directory(struct accessor *a, struct window *w, uint64_t number, struct entry *e,
			    struct entry_more *more, struct error *err)
{
	struct goodbye g;
	uint64_t end;
	int r;

	r = directory_end(a, number, &end, err);
	if (r < 0)
		return r;
	r = goodbye_open(w, end, &g, err);
	if (r)
		return r;
	r = entry_decode(w, g.entry ? g.entry : a->archive.root, g.offset, a->archive.split, e,
			 more, err);
	if (r)
		return r;
	if (e->kind != ENTRY_DIRECTORY)
		return error_set(err, EUCLEAN, "the entry is not a directory");
	e->number = number;
	e->size = end - g.offset;
	return 0;
}

static int decode_number(struct accessor *a, struct window *w, uint64_t number, struct entry *e,
			 struct entry_more *more, struct error *err)
{
	uint64_t offset = number & ~ENTRY_NON_DIRECTORY;
	int r;

	if (!(number & ENTRY_NON_DIRECTORY))
		return decode_directory(a, w, number, e, more, err);
	r = entry_decode(w, offset, a->archive.meta->size, a->archive.split, e, more, err);
	if (r)
		return r;
	if (e->kind == ENTRY_DIRECTORY || e->kind == ENTRY_HARDLINK)
		return error_set(err, EUCLEAN, "the entry has no number of its own");
	return 0;
}

int accessor_entry(struct accessor *a, const struct io *io, uint64_t number, struct entry *e,
		   struct entry_more *more, struct error *err)
{
	struct window w = window_init(a->archive.meta, io, ENTRY_FILL);
	int r = decode_number(a, &w, number, e, more, err);

	window_release(&w);
	return r < 0 ? error_wrap(err, "object %#" PRIx64, number) : r;
}

static int decode_number_at(struct accessor *a, struct window *w, uint64_t start, uint64_t *number,
			    struct error *err)
{
	struct format_string name;
	uint64_t offset;
	int r;

	r = entry_decode_name(w, start, a->archive.meta->size, &name, &offset, err);
	if (!r)
		*number = offset | ENTRY_NON_DIRECTORY;
	return r;
}

int accessor_number_at(struct accessor *a, const struct io *io, uint64_t start, uint64_t *number,
		       struct error *err)
{
	struct window w = window_init(a->archive.meta, io, ENTRY_FILL);
	int r = decode_number_at(a, &w, start, number, err);

	window_release(&w);
	return r;
}

static int copy_link_path(struct accessor *a, struct window *w, uint64_t number, char *path,
			  struct error *err)
{
	struct format_string stored;
	uint64_t delta;
	int r;

	r = entry_decode_link(w, number & ~ENTRY_NON_DIRECTORY, a->archive.meta->size, &delta,
			      &stored, err);
	if (r)
		return r;
	memcpy(path, stored.bytes, stored.len);
	path[stored.len] = '\0';
	return 0;
}

int accessor_link_path(struct accessor *a, const struct io *io, uint64_t number, char *path,
		       struct error *err)
{
	struct window w = window_init(a->archive.meta, io, ENTRY_FILL);
	int r = copy_link_path(a, &w, number, path, err);

	window_release(&w);
	return r;
}

int accessor_check(struct accessor *a, const struct io *io, const struct entry *e,
		   struct error *err)
{
	uint8_t bytes[FORMAT_HEADER_SIZE];
	struct format_header header;
	int r;

	if (!a->archive.split)
		return 0;
	if (!a->payload)
		return error_set(err, EIO, "there is no payload file: only metadata is mounted");
	r = source_read(a->payload, io, e->place, bytes, sizeof(bytes), err);
	if (r)
		return r < 0 ? error_wrap(err, "payload file") : r;
	r = format_decode_header(bytes, &header, err);
	if (r < 0)
		return error_wrap(err, "payload file at %" PRIu64, e->place);
	if (header.type != FORMAT_PAYLOAD || header.size - FORMAT_HEADER_SIZE != e->size)
		return error_set(err, EUCLEAN,
				 "payload file at %" PRIu64 ": %s of %" PRIu64
				 " bytes where a PAYLOAD with %" PRIu64 " should be",
				 e->place, format_type_name(header.type), header.size, e->size);
	return 0;
}

int accessor_read(struct accessor *a, const struct io *io, const struct entry *e, uint64_t offset,
		  void *buf, size_t n, struct error *err)
{
	if (!a->archive.split)
		return source_read(a->archive.meta, io, e->place + offset, buf, n, err);
	if (!a->payload)
		return error_set(err, EIO, "there is no payload file: only metadata is mounted");
	return source_read(a->payload, io, e->place + FORMAT_HEADER_SIZE + offset, buf, n, err);
}

int accessor_readlink(struct accessor *a, const struct io *io, const struct entry *e, char *buf,
		      struct error *err)
{
	int r = source_read(a->archive.meta, io, e->place, buf, (size_t)e->size, err);

	if (!r)
		buf[e->size] = '\0';
	return r;
}

int accessor_listxattr(struct accessor *a, const struct io *io, uint64_t number,
		       const struct xattr_view *view, struct buffer *names, struct error *err)
{
	struct window w = window_init(a->archive.meta, io, ENTRY_FILL);
	struct entry_more more;
	struct entry e;
	int r = decode_number(a, &w, number, &e, &more, err);

	if (!r)
		r = xattr_list(&w, &e, &more, view, names, err);
	window_release(&w);
	return r < 0 ? error_wrap(err, "attributes of %#" PRIx64, number) : r;
}

int accessor_getxattr(struct accessor *a, const struct io *io, uint64_t number,
		      const struct xattr_view *view, const char *name, struct buffer *value,
		      struct error *err)
{
	struct window w = window_init(a->archive.meta, io, ENTRY_FILL);
	struct entry_more more;
	struct entry e;
	int r = decode_number(a, &w, number, &e, &more, err);

	if (!r)
		r = xattr_get(&w, &e, &more, view, name, value, err);
	window_release(&w);
	return r < 0 ? error_wrap(err, "attribute of %#" PRIx64, number) : r;
}
