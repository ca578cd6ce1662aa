#include "tests/unit/mounted.h"

#include <check.h>
#include <string.h>

void mounted_open(struct mounted *m, const struct packed *p, size_t dir_cache_bytes, bool scan)
{
	struct archive *archive;
	struct error err = { 0 };
	int r;

	*m = (struct mounted){ 0 };
	double_init(&m->meta, &p->meta);
	double_init(&m->payload, &p->payload);
	r = archive_open_sources(&archive, &m->meta.source, p->split ? &m->payload.source : NULL,
				 false, &err);
	if (r == 0)
		r = fs_new(&m->fs, archive, dir_cache_bytes, scan, &err);
	ck_assert_msg(r == 0, "%s", err.text);
	scan_wait_end(m->fs->scan);
}

void mounted_close(struct mounted *m)
{
	fs_free(m->fs);
	ck_assert_int_eq(m->meta.frees, 1);
}

struct answer mounted_ask(struct mounted *m, ops_handler *handler, const struct request *rq,
			  bool may_wait)
{
	const struct io io = { .may_wait = may_wait };
	struct answer a = { .reply = reply_init(m->fs->buffers) };
	struct request copy = *rq;
	char *name = rq->name ? strdup(rq->name) : NULL;

	copy.name = name;
	a.r = handler(m->fs, &io, &copy, &a.reply, &a.err);
	free(name);
	ck_assert_msg(a.r >= 0 || (a.err.code == a.r && *a.err.text), "%d without its story", a.r);
	ck_assert_msg(a.r != 1 || !may_wait, "would wait although it may");
	ck_assert_int_le(a.r, 1);
	return a;
}

void answer_release(struct answer *a)
{
	reply_release(&a->reply);
}

static bool stats_equal(const struct stat *a, const struct stat *b)
{
	return !memcmp(a, b, sizeof(*a)); /* both were initialised whole */
}

bool answer_equals(const struct answer *a, const struct answer *b)
{
	const struct reply *x = &a->reply, *y = &b->reply;

	if (a->r || b->r)
		return a->r == b->r;
	if (x->kind != y->kind)
		return false;
	switch (x->kind) {
	case REPLY_ENTRY:
	case REPLY_ATTR:
		return stats_equal(&x->st, &y->st) && x->attr_timeout == y->attr_timeout;
	case REPLY_DATA:
		return x->len == y->len && !memcmp(x->data, y->data, x->len);
	case REPLY_TEXT:
		return !strcmp(x->data, y->data);
	case REPLY_SIZE:
		return x->len == y->len;
	case REPLY_STATFS:
		return !memcmp(&x->vfs, &y->vfs, sizeof(x->vfs));
	default:
		return true;
	}
}

static int ask_stat(struct mounted *m, ops_handler *handler, const struct request *rq,
		    enum reply_kind kind, struct stat *st)
{
	struct answer a = mounted_ask(m, handler, rq, true);

	ck_assert(a.r < 0 || a.reply.kind == kind);
	*st = a.reply.st;
	answer_release(&a);
	return a.r;
}

int mounted_lookup(struct mounted *m, uint64_t parent, const char *name, struct stat *st)
{
	return ask_stat(m, ops_lookup, &(struct request){ .number = parent, .name = name },
			REPLY_ENTRY, st);
}

int mounted_getattr(struct mounted *m, uint64_t number, struct stat *st)
{
	return ask_stat(m, ops_getattr, &(struct request){ .number = number }, REPLY_ATTR, st);
}

int mounted_read(struct mounted *m, uint64_t number, uint64_t offset, void *buf, size_t n)
{
	struct request rq = { .number = number, .offset = offset, .size = n };
	struct answer a = mounted_ask(m, ops_read, &rq, true);
	int got = a.r;

	if (a.r == 0) {
		ck_assert_int_eq(a.reply.kind, REPLY_DATA);
		ck_assert_uint_le(a.reply.len, n);
		memcpy(buf, a.reply.data, a.reply.len);
		got = (int)a.reply.len;
	}
	answer_release(&a);
	return got;
}

/* One buffer's worth; *offset goes on behind it. */
static int list_piece(struct mounted *m, const struct request *rq, bool plus, uint64_t *offset,
		      struct listing_line *lines, size_t room)
{
	struct answer a = mounted_ask(m, plus ? ops_readdirplus : ops_readdir, rq, true);
	const char *bytes = a.reply.data;
	size_t left = a.reply.len;
	int n = 0, r = a.r;

	ck_assert_uint_le(left, rq->size);
	while (r >= 0) {
		ck_assert_uint_lt((size_t)n, room);
		r = listing_next(&bytes, &left, plus, &lines[n]);
		ck_assert_int_ge(r, 0);
		if (r == 0)
			break;
		*offset = lines[n++].next;
	}
	answer_release(&a);
	return r < 0 ? r : n;
}

int mounted_list(struct mounted *m, uint64_t number, bool plus, uint64_t offset, size_t size,
		 struct listing_line *lines, size_t room)
{
	size_t n = 0;
	int r;

	do {
		struct request rq = { .number = number, .offset = offset, .size = size };

		r = list_piece(m, &rq, plus, &offset, lines + n, room - n);
		if (r < 0)
			return r;
		n += (size_t)r;
	} while (r);
	return (int)n;
}

const struct listing_line *mounted_line(const struct listing_line *lines, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(lines[i].name, name))
			return &lines[i];
	return NULL;
}
