/*
 * fuzz-ops.c - a sequence of questions to the handlers, over an archive that may be changed and a
 * source that may fail
 *
 * byte 0      bit 0: split archive; bit 1: no room for directories; bits 4-7: how many changes
 * changes     3 bytes each: where in the metadata (2, little endian), what is XORed
 * questions   4 bytes each: which, number, offset or name, and what happens to reading: 0 nothing,
 *             1-99 that read fails, 100-199 it would wait, else all would wait
 *
 * Each question has exactly one outcome, with its reason when it is an error; what would wait can
 * be asked again where it may. A reply is one that the kernel takes. Where nothing in the archive
 * was changed, an answer is the one that there is without failures.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/ops.h"
#include "tests/unit/double.h"
#include "tests/unit/listing.h"
#include "tests/unit/packed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define CHECK(claim)                                                              \
	do {                                                                      \
		if (!(claim)) {                                                   \
			fprintf(stderr, "fuzz-ops.c:%d: %s\n", __LINE__, #claim); \
			abort();                                                  \
		}                                                                 \
	} while (0)

static ops_handler *const handlers[] = {
	ops_lookup, ops_getattr,  ops_readlink,	 ops_read,   ops_readdir,    ops_readdirplus,
	ops_statfs, ops_getxattr, ops_listxattr, ops_forget, ops_not_needed, ops_refuse,
};
static const char *const names[] = {
	"a",	     "dir",
	"hard",	     "l",
	"none",	     "user.k",
	"trusted.t", "user.pxar.flags",
	"",	     "system.posix_acl_access",
};
static const uint64_t offsets[] = { 0, 1, 2, 3, 5, 4096, INT64_MAX, UINT64_MAX };
static const size_t sizes[] = { 0, 24, 160, 4096 };

/* An archive and what its entries are called. */
struct sample {
	struct packed packed;
	uint64_t numbers[16];
	size_t n;
};

/* An archive that is asked. */
struct served {
	struct packed packed;
	struct double_source meta, payload;
	struct fs *fs; /* NULL: the archive was refused */
};

static void build(struct sample *s, bool split)
{
	static const struct encoder_xattr xattrs[] = { { "user.k", "v", 1 },
						       { "trusted.t", "w", 1 } };
	struct encoder_meta m = packed_meta(0100644);
	struct packed *p = &s->packed;
	uint64_t start;

	m.xattrs = xattrs;
	m.n_xattrs = COUNT(xattrs);
	m.stat.flags = 0x10000;
	s->numbers[s->n++] = ENTRY_ROOT;
	packed_begin(p, split);
	start = packed_bytes(p, "a", &m, "some content", 12);
	s->numbers[s->n++] = packed_number(start, "a");
	packed_dir(p, "dir");
	packed_hardlink(p, "hard", start, "a");
	s->numbers[s->n++] = packed_number(packed_symlink(p, "l", "target"), "l");
	packed_dir(p, "sub");
	s->numbers[s->n++] = packed_end_dir(p);
	s->numbers[s->n++] = packed_end_dir(p);
	s->numbers[s->n++] = packed_number(packed_file(p, "z", ""), "z");
	packed_finish(p);
	s->numbers[s->n++] = 0;
	s->numbers[s->n++] = p->meta.len;
	s->numbers[s->n++] = UINT64_MAX;
}

/* Takes over the bytes. */
static void serve(struct served *s, size_t dir_cache_bytes)
{
	struct archive *archive;

	double_init(&s->meta, &s->packed.meta);
	double_init(&s->payload, &s->packed.payload);
	if (archive_open_sources(&archive, &s->meta.source,
				 s->packed.split ? &s->payload.source : NULL, false, NULL) < 0)
		return;
	CHECK(fs_new(&s->fs, archive, dir_cache_bytes, false, NULL) == 0);
}

static void close_served(struct served *s)
{
	fs_free(s->fs);
	CHECK(s->meta.frees == 1);
	packed_release(&s->packed);
}

static void check_listing(const struct reply *reply, bool plus)
{
	const char *bytes = reply->data;
	struct listing_line line;
	size_t left = reply->len;
	uint64_t before = 0;
	int r;

	while ((r = listing_next(&bytes, &left, plus, &line)) > 0) {
		CHECK(line.ino && line.next > before);
		CHECK(line.type || !line.nodeid);
		before = line.next;
	}
	CHECK(r == 0);
}

static void check_reply(ops_handler *handler, const struct request *rq, const struct reply *reply)
{
	bool lists = handler == ops_readdir || handler == ops_readdirplus;
	bool measures = (handler == ops_getxattr || handler == ops_listxattr) && !rq->size;

	if (handler == ops_lookup)
		CHECK(reply->kind == REPLY_ENTRY && (!reply->st.st_ino || reply->st.st_mode));
	else if (handler == ops_getattr)
		CHECK(reply->kind == REPLY_ATTR && reply->st.st_ino == rq->number);
	else if (handler == ops_readlink)
		CHECK(reply->kind == REPLY_TEXT && strlen(reply->data) <= FORMAT_LINK_MAX);
	else if (handler == ops_statfs)
		CHECK(reply->kind == REPLY_STATFS);
	else if (handler == ops_forget)
		CHECK(reply->kind == REPLY_NOTHING);
	else if (measures)
		CHECK(reply->kind == REPLY_SIZE);
	else
		CHECK(reply->kind == REPLY_DATA && reply->len <= rq->size);
	if (lists)
		check_listing(reply, handler == ops_readdirplus);
	if (reply->kind == REPLY_ENTRY || reply->kind == REPLY_ATTR)
		CHECK(reply->st.st_size >= 0 && reply->st.st_mtim.tv_nsec < 1000000000);
}

/* One run of the handler. */
static int ask(struct served *s, ops_handler *handler, const struct request *rq, bool may_wait,
	       struct reply *reply)
{
	const struct io io = { .may_wait = may_wait };
	struct error err = { 0 };
	int r;

	*reply = reply_init(s->fs->buffers);
	r = handler(s->fs, &io, rq, reply, &err);
	CHECK(r == 0 || r < 0 || (r == 1 && !may_wait));
	CHECK(r >= 0 || (err.code == r && *err.text));
	CHECK(r > -200); /* an errno */
	if (r == 0)
		check_reply(handler, rq, reply);
	return r;
}

static bool is_same(const struct reply *a, const struct reply *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == REPLY_ENTRY || a->kind == REPLY_ATTR)
		return !memcmp(&a->st, &b->st, sizeof(a->st));
	if (a->kind == REPLY_TEXT)
		return !strcmp(a->data, b->data);
	return a->len == b->len && (a->kind != REPLY_DATA || !memcmp(a->data, b->data, a->len));
}

static void fault(struct served *s, uint8_t what)
{
	double_fault(&s->meta, 0, 0);
	s->meta.hook = NULL;
	if (what >= 200)
		s->meta.hook = double_waits;
	else if (what >= 100)
		double_fault(&s->meta, 1, what - 99);
	else if (what)
		double_fault(&s->meta, -EIO, what);
}

/* Asks as a mount would; good, where given, is the same archive without faults. */
static void question(struct served *s, struct served *good, const struct sample *sample,
		     const uint8_t bytes[4])
{
	ops_handler *handler = handlers[bytes[0] % COUNT(handlers)];
	bool lists = handler == ops_readdir || handler == ops_readdirplus;
	struct request rq = {
		.number = sample->numbers[bytes[1] % sample->n],
		.offset = offsets[bytes[2] % COUNT(offsets)],
		.size = sizes[bytes[0] / COUNT(handlers) % COUNT(sizes)],
		.name = names[bytes[2] % COUNT(names)],
		.uid = bytes[1] >> 7,
	};
	struct reply reply, wanted;
	int r, want;

	fault(s, bytes[3]);
	r = ask(s, handler, &rq, false, &reply);
	if (r == 1) {
		reply_release(&reply);
		r = ask(s, handler, &rq, true, &reply);
	}
	if (good) {
		want = ask(good, handler, &rq, true, &wanted);
		if (r == 0 && !lists)
			CHECK(want == 0 && is_same(&reply, &wanted));
		else
			CHECK(r == want || r == -EIO || r == -EUCLEAN || lists);
		reply_release(&wanted);
	}
	reply_release(&reply);
}

static const struct sample *sample_of(bool split)
{
	static struct sample samples[2];

	if (!samples[split].n)
		build(&samples[split], split);
	return &samples[split];
}

static void copy(struct served *s, const struct sample *sample)
{
	*s = (struct served){ .packed.split = sample->packed.split };
	buffer_add(&s->packed.meta, sample->packed.meta.bytes, sample->packed.meta.len);
	buffer_add(&s->packed.payload, sample->packed.payload.bytes, sample->packed.payload.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sample *sample;
	struct served s, good;
	size_t changes, at = 1;

	log_open(LOG_TO_STDERR, (enum log_level)0);
	if (!size)
		return 0;
	sample = sample_of(data[0] & 1);
	changes = data[0] >> 4;
	copy(&s, sample);
	for (size_t i = 0; i < changes && at + 3 <= size; i++, at += 3) {
		size_t where = (size_t)(data[at] | data[at + 1] << 8) % s.packed.meta.len;

		s.packed.meta.bytes[where] ^= data[at + 2];
	}
	serve(&s, data[0] & 2 ? 1 : 1 << 20);
	copy(&good, sample);
	serve(&good, 1 << 20);
	for (; s.fs && at + 4 <= size; at += 4)
		question(&s, changes ? NULL : &good, sample, data + at);
	close_served(&good);
	close_served(&s);
	return 0;
}
