#include "core/xattr.h"

#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/acl.h"
#include "core/cleanup.h"

#define CAPABILITY "security.capability"
#define ACL_ACCESS "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"
#define TRUSTED "trusted."
#define PXAR "user.pxar."
#define PXAR_FLAGS PXAR "flags"
#define PXAR_CHATTR PXAR "chattr"
#define PXAR_PROJID PXAR "projid"

/* An entry's attribute items, one after the other. */
struct items {
	struct window *w;
	const struct xattr_view *view;
	struct range left;
	bool has_fcaps;
};

/* Nothing to walk over, and so nothing to read, when the entry has none of the wanted items. */
static struct items items_init(struct window *w, const struct entry *e,
			       const struct entry_more *more, const struct xattr_view *view,
			       unsigned wanted)
{
	struct items items = { .w = w, .view = view, .left = more->attrs };

	items.has_fcaps = e->flags & ENTRY_FCAPS;
	if (!(e->flags & wanted))
		items.left.start = items.left.end;
	return items;
}

/* The next item's header and where its content is; XATTR_NONE at the end. */
static int next_item(struct items *items, struct format_header *header, uint64_t *content,
		     struct error *err)
{
	int r;

	if (items->left.start == items->left.end)
		return XATTR_NONE;
	r = entry_decode_header(items->w, items->left.start, items->left.end, header, err);
	if (r)
		return r;
	*content = items->left.start + FORMAT_HEADER_SIZE;
	items->left.start += header->size;
	return 0;
}

static int read_content(struct items *items, const struct format_header *header, uint64_t content,
			struct cursor *c, struct error *err)
{
	size_t n = (size_t)(header->size - FORMAT_HEADER_SIZE);
	const uint8_t *bytes = NULL;
	int r = window_get(items->w, content, n, &bytes, err);

	if (!r)
		*c = cursor_init(bytes, n);
	return r;
}

static bool has_prefix(const struct format_string *name, const char *prefix)
{
	size_t n = strlen(prefix);

	return name->len >= n && !memcmp(name->bytes, prefix, n);
}

static bool equals(const struct format_string *name, const char *other)
{
	return name->len == strlen(other) && has_prefix(name, other);
}

/* Whether a stored name may be shown, and may be shown to this caller. */
static bool is_shown(const struct items *items, const struct format_string *name)
{
	static const char *const namespaces[] = { "user.", "security.", TRUSTED };

	if (name->len > FORMAT_XATTR_NAME_MAX)
		return false;
	if (has_prefix(name, TRUSTED) && !items->view->trusted)
		return false;
	if (equals(name, CAPABILITY) && items->has_fcaps)
		return false;
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++)
		if (has_prefix(name, namespaces[i]) && name->len > strlen(namespaces[i]))
			return true;
	return false;
}

/* The next stored attribute that is shown, borrowed from the window; XATTR_NONE at the end. */
static int next_stored(struct items *items, struct format_string *name, struct format_string *value,
		       struct error *err)
{
	struct format_header header;
	uint64_t content;
	struct cursor c;
	int r;

	do {
		do {
			r = next_item(items, &header, &content, err);
			if (r)
				return r;
		} while (header.type != FORMAT_XATTR);
		r = read_content(items, &header, content, &c, err);
		if (r)
			return r;
		r = format_decode_xattr(&c, name, value, err);
		if (r < 0)
			return r;
	} while (!is_shown(items, name));
	return 0;
}

static int read_acl(struct items *items, struct acl *acl, struct error *err)
{
	struct format_header header;
	uint64_t content;
	struct cursor c;
	int r;

	while (!(r = next_item(items, &header, &content, err))) {
		if (header.type == FORMAT_XATTR || header.type == FORMAT_FCAPS ||
		    header.type == FORMAT_QUOTA_PROJID)
			continue;
		r = read_content(items, &header, content, &c, err);
		if (r)
			return r;
		r = acl_add_item(acl, header.type, &c, err);
		if (r < 0)
			return r;
	}
	return r == XATTR_NONE ? 0 : r;
}

static int get_acl(struct items *items, uint64_t mode, bool is_default, struct buffer *value,
		   struct error *err)
{
	CLEANUP(acl_release) struct acl acl = { 0 };
	int r = read_acl(items, &acl, err);

	if (r)
		return r;
	return is_default ? acl_encode_default(&acl, mode, value, err)
			  : acl_encode_access(&acl, mode, value, err);
}

static int get_fcaps(struct items *items, struct buffer *value, struct error *err)
{
	struct format_header header;
	uint64_t content;
	struct cursor c;
	size_t n;
	int r;

	do {
		r = next_item(items, &header, &content, err);
		if (r)
			return r;
	} while (header.type != FORMAT_FCAPS);
	r = read_content(items, &header, content, &c, err);
	if (r)
		return r;
	n = cursor_left(&c);
	buffer_add(value, cursor_bytes(&c, n), n);
	return buffer_finish(value, err);
}

static int get_stored(struct items *items, const char *wanted, struct buffer *value,
		      struct error *err)
{
	struct format_string name, bytes;
	int r;

	do {
		r = next_stored(items, &name, &bytes, err);
		if (r)
			return r;
	} while (!equals(&name, wanted));
	buffer_add(value, bytes.bytes, bytes.len);
	return buffer_finish(value, err);
}

/* 0 when the entry has stored names that begin as ours do, else XATTR_NONE. */
static int find_own_pxar(struct items *items, struct error *err)
{
	struct format_string name, value;
	int r;

	do {
		r = next_stored(items, &name, &value, err);
	} while (!r && !has_prefix(&name, PXAR));
	return r;
}

/* The flags that lsattr(1) has letters for, in its order. */
static const struct letter {
	uint32_t flag;
	char letter;
} letters[] = {
	{ FS_SYNC_FL, 'S' },   { FS_DIRSYNC_FL, 'D' }, { FS_IMMUTABLE_FL, 'i' },
	{ FS_APPEND_FL, 'a' }, { FS_NODUMP_FL, 'd' },  { FS_NOATIME_FL, 'A' },
	{ FS_COMPR_FL, 'c' },  { FS_NOCOW_FL, 'C' },   { FS_PROJINHERIT_FL, 'P' },
	{ FS_NOCOMP_FL, 'm' },
};

enum { N_LETTERS = sizeof(letters) / sizeof(letters[0]), PXAR_TEXT = 24 };

/* The value of one of the made-up attributes, empty when there is none of that name. */
static void pxar_value(const struct entry_more *more, const char *name, char text[PXAR_TEXT])
{
	uint32_t flags = format_flags_to_chattr(more->inode_flags);
	size_t n = 0;

	text[0] = '\0';
	if (!strcmp(name, PXAR_FLAGS) && more->inode_flags)
		snprintf(text, PXAR_TEXT, "%#" PRIx64, more->inode_flags);
	if (!strcmp(name, PXAR_PROJID) && more->projid)
		snprintf(text, PXAR_TEXT, "%" PRIu64, more->projid);
	if (!strcmp(name, PXAR_CHATTR)) {
		for (size_t i = 0; i < N_LETTERS; i++)
			if (letters[i].flag & flags)
				text[n++] = letters[i].letter;
		text[n] = '\0';
	}
}

static int get_pxar(struct window *w, const struct entry *e, const struct entry_more *more,
		    const struct xattr_view *view, const char *name, struct buffer *value,
		    struct error *err)
{
	struct items items = items_init(w, e, more, view, ENTRY_XATTR);
	char text[PXAR_TEXT];
	int r = find_own_pxar(&items, err);

	if (r < 0 || r == 1)
		return r;
	if (!r) {
		items = items_init(w, e, more, view, ENTRY_XATTR);
		return get_stored(&items, name, value, err);
	}
	pxar_value(more, name, text);
	if (!*text)
		return XATTR_NONE;
	buffer_add(value, text, strlen(text));
	return buffer_finish(value, err);
}

int xattr_get(struct window *w, const struct entry *e, const struct entry_more *more,
	      const struct xattr_view *view, const char *name, struct buffer *value,
	      struct error *err)
{
	bool is_default = !strcmp(name, ACL_DEFAULT);
	struct items items;

	if (is_default || !strcmp(name, ACL_ACCESS)) {
		unsigned flag = is_default ? ENTRY_ACL_DEFAULT : ENTRY_ACL;

		if (!(e->flags & flag))
			return XATTR_NONE;
		items = items_init(w, e, more, view, flag);
		return get_acl(&items, e->mode, is_default, value, err);
	}
	if (!strcmp(name, CAPABILITY) && e->flags & ENTRY_FCAPS) {
		items = items_init(w, e, more, view, ENTRY_FCAPS);
		return get_fcaps(&items, value, err);
	}
	if (!strncmp(name, PXAR, strlen(PXAR)))
		return get_pxar(w, e, more, view, name, value, err);
	items = items_init(w, e, more, view, ENTRY_XATTR);
	return get_stored(&items, name, value, err);
}

/* Names being listed. An archive may repeat names as often as it likes, so whether one was there
   already is looked up in sorted order; how many there can be is bounded by XATTR_NAMES_MAX. */
struct listing {
	struct buffer *out;
	size_t begin;	  /* of the first name in out */
	uint32_t *sorted; /* where each begins, counted from there */
	size_t n, room;
};

static int compare_to(const struct listing *l, size_t i, const struct format_string *name)
{
	const char *listed = (const char *)l->out->bytes + l->begin + l->sorted[i];
	size_t len = strlen(listed);
	int r = memcmp(listed, name->bytes, len < name->len ? len : name->len);

	return r ? r : (len > name->len) - (len < name->len);
}

/* Whether the name is listed; *place is where it belongs among the sorted. */
static bool is_listed(const struct listing *l, const struct format_string *name, size_t *place)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int r = compare_to(l, middle, name);

		if (!r)
			return true;
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*place = low;
	return false;
}

static int list_name(struct listing *l, const struct format_string *name, struct error *err)
{
	size_t place, at = l->out->len - l->begin;

	if (is_listed(l, name, &place))
		return 0;
	if (at + name->len + 1 > XATTR_NAMES_MAX)
		return error_set(err, E2BIG, "names of attributes: more than %d bytes",
				 XATTR_NAMES_MAX);
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 64;
		uint32_t *sorted = realloc(l->sorted, room * sizeof(*sorted));

		if (!sorted)
			return error_set(err, ENOMEM, "out of memory");
		l->sorted = sorted;
		l->room = room;
	}
	buffer_add(l->out, name->bytes, name->len);
	buffer_add(l->out, "", 1);
	memmove(l->sorted + place + 1, l->sorted + place, (l->n - place) * sizeof(*l->sorted));
	l->sorted[place] = (uint32_t)at;
	l->n++;
	return buffer_finish(l->out, err);
}

static int list_text(struct listing *l, const char *text, struct error *err)
{
	struct format_string name = { (const uint8_t *)text, strlen(text) };

	return list_name(l, &name, err);
}

static int list_stored(struct listing *l, struct items *items, bool *own_pxar, struct error *err)
{
	struct format_string name, value;
	int r;

	while (!(r = next_stored(items, &name, &value, err))) {
		if (has_prefix(&name, PXAR))
			*own_pxar = true;
		r = list_name(l, &name, err);
		if (r < 0)
			return r;
	}
	return r == XATTR_NONE ? 0 : r;
}

static int list_pxar(struct listing *l, const struct entry_more *more, struct error *err)
{
	static const char *const names[] = { PXAR_FLAGS, PXAR_CHATTR, PXAR_PROJID };
	char text[PXAR_TEXT];
	int r = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !r; i++) {
		pxar_value(more, names[i], text);
		if (*text)
			r = list_text(l, names[i], err);
	}
	return r;
}

static int list_rebuilt(struct listing *l, const struct entry *e, struct error *err)
{
	int r = 0;

	if (e->flags & ENTRY_FCAPS)
		r = list_text(l, CAPABILITY, err);
	if (!r && e->flags & ENTRY_ACL)
		r = list_text(l, ACL_ACCESS, err);
	if (!r && e->flags & ENTRY_ACL_DEFAULT)
		r = list_text(l, ACL_DEFAULT, err);
	return r;
}

int xattr_list(struct window *w, const struct entry *e, const struct entry_more *more,
	       const struct xattr_view *view, struct buffer *names, struct error *err)
{
	struct items items = items_init(w, e, more, view, ENTRY_XATTR);
	struct listing l = { .out = names, .begin = names->len };
	bool own_pxar = false;
	int r;

	r = list_stored(&l, &items, &own_pxar, err);
	if (!r)
		r = list_rebuilt(&l, e, err);
	if (!r && view->list_pxar && !own_pxar)
		r = list_pxar(&l, more, err);
	free(l.sorted);
	return r;
}
