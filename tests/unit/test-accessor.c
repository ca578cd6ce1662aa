#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/accessor.h"
#include "core/decoder.h"
#include "core/xattr.h"
#include "tests/exercise.h"
#include "tests/unit/archives.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct io waiting = { .may_wait = true }, not_waiting = { .may_wait = false };

/* The archive of a test. */
static struct archive a;
static struct flaky meta, payload;
static struct accessor *acc;
static struct error err;

static int open_again(void)
{
	accessor_free(TAKE(acc));
	return accessor_open(&acc, &meta.source, a.split ? &payload.source : NULL, false, &err);
}

static void use(struct archive made)
{
	a = made;
	meta = flaky_init(&a.meta);
	payload = flaky_init(&a.payload);
}

static void use_open(struct archive made)
{
	use(made);
	ck_assert_msg(open_again() == 0, "%s", err.text);
}

static void teardown(void)
{
	accessor_free(TAKE(acc));
	archive_release(&a);
}

/* The entry at a path of names, from the root on. */
static struct entry entry_at(const char *const *names, size_t n)
{
	struct dir_entry found = { .entry.number = ENTRY_ROOT };

	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(accessor_find(acc, &waiting, found.entry.number, names[i],
					       strlen(names[i]), &found, &err),
				 0);
	return found.entry;
}

static struct entry entry_of(const char *name)
{
	return entry_at(&name, 1);
}

/* What the decoder says of an archive, one after the other; a directory with its number and size
   as they are known at its end. */
struct told {
	struct decoder_item item;
	char name[FORMAT_NAME_MAX + 1];
	char path[FORMAT_PATH_MAX + 1];
};

static struct told *told;
static size_t n_told, next_told;

static void keep(const struct decoder_item *item)
{
	struct told *t;

	if (n_told % 1024 == 0) {
		t = reallocarray(told, n_told + 1024, sizeof(*told));
		ck_assert_ptr_nonnull(t);
		told = t;
	}
	t = &told[n_told++];
	t->item = *item;
	snprintf(t->name, sizeof(t->name), "%.*s", (int)item->name.len,
		 (const char *)item->name.bytes);
	snprintf(t->path, sizeof(t->path), "%.*s", (int)item->path.len,
		 (const char *)item->path.bytes);
}

static void decode_all(void)
{
	CLEANUP(decoder_freep) struct decoder *d = NULL;
	size_t open[DECODER_DEPTH_MAX + 1];
	struct decoder_item item;

	ck_assert_int_eq(
		decoder_open(&d, &meta.source, a.split ? &payload.source : NULL, &waiting, &err),
		0);
	for (n_told = 0;;) {
		ck_assert_msg(decoder_next(d, &item, &err) == 0, "%s", err.text);
		if (item.event == DECODER_END)
			return;
		if (item.event == DECODER_LEAVE) {
			told[open[item.depth]].item.entry = item.entry;
			continue;
		}
		if (item.entry.kind == ENTRY_DIRECTORY)
			open[item.depth] = n_told;
		keep(&item);
	}
}

static void check_entry(const struct entry *e, const struct entry *want)
{
	ck_assert_uint_eq(e->number, want->number);
	ck_assert_uint_eq(e->size, want->size);
	ck_assert_uint_eq(e->place, want->place);
	ck_assert_int_eq(e->mtime_sec, want->mtime_sec);
	ck_assert_uint_eq(e->mtime_nsec, want->mtime_nsec);
	ck_assert_uint_eq(e->uid, want->uid);
	ck_assert_uint_eq(e->gid, want->gid);
	ck_assert_uint_eq(e->mode, want->mode);
	ck_assert_uint_eq(e->kind, want->kind);
	ck_assert_uint_eq(e->flags, want->flags);
}

static void check_link(const struct told *t)
{
	char path[FORMAT_PATH_MAX + 1];

	ck_assert_int_eq(accessor_link_path(acc, &waiting, t->item.entry.number, path, &err), 0);
	ck_assert_str_eq(path, t->path);
}

static void check_more(const struct told *t)
{
	struct entry_more more;
	struct entry e;

	ck_assert_int_eq(accessor_entry(acc, &waiting, t->item.entry.number, &e, &more, &err), 0);
	check_entry(&e, &t->item.entry);
	ck_assert_uint_eq(more.end, t->item.more.end);
	ck_assert_uint_eq(more.attrs.start, t->item.more.attrs.start);
	ck_assert_uint_eq(more.attrs.end, t->item.more.attrs.end);
	ck_assert_uint_eq(more.inode_flags, t->item.more.inode_flags);
	ck_assert_uint_eq(more.projid, t->item.more.projid);
}

/* Compares one directory and what is below with what comes next of the decoder's. */
static void compare(const struct entry *self, unsigned depth)
{
	CLEANUP(dir_freep) struct dir *dir = NULL;

	ck_assert_int_eq(accessor_dir(acc, &waiting, self->number, &dir, &err), 0);
	check_entry(&dir->self, self);
	ck_assert_uint_eq(dir->hidden + dir->damaged + dir->duplicates, 0);
	for (uint32_t i = 0; i < dir->count; i++) {
		const struct told *t = &told[next_told++];
		const struct dir_entry *e = &dir->entries[i];

		ck_assert_uint_le(next_told, n_told);
		ck_assert_uint_eq(t->item.depth, depth + 1);
		ck_assert_uint_eq(e->start, t->item.start);
		ck_assert_str_eq(dir->names + e->name, t->name);
		check_entry(&e->entry, &t->item.entry);
		if (e->entry.kind == ENTRY_HARDLINK)
			check_link(t);
		else
			check_more(t);
		if (e->entry.kind == ENTRY_DIRECTORY)
			compare(&t->item.entry, depth + 1);
	}
}

static const struct {
	const char *meta, *payload;
} references[] = {
	{ "basic/basic.pxar", NULL },
	{ "bigdir/bigdir.pxar", NULL },
	{ "unsorted/unsorted.pxar", NULL },
	{ "empty-root/empty.pxar", NULL },
	{ "legacy/legacy.pxar", NULL },
	{ "fstree/fstree.pxar", NULL },
	{ "fstree-split/fstree.mpxar", "fstree-split/fstree.ppxar" },
	{ "split/split.mpxar", "split/split.ppxar" },
	{ "split-refs/refs.mpxar", "split-refs/refs.ppxar" },
	{ "split-bigprelude/data.mpxar", "split-bigprelude/data.ppxar" },
	{ "split-empty/empty.mpxar", "split-empty/empty.ppxar" },
};

START_TEST(random_access_and_reading_in_order_agree)
{
	use_open(archive_reference(references[_i].meta, references[_i].payload));
	decode_all();
	next_told = 1;
	compare(&told[0].item.entry, 0);
	ck_assert_uint_eq(next_told, n_told);
	free(TAKE(told));
}
END_TEST

START_TEST(listing_lookup_and_walk_agree)
{
	struct exercise seen;

	use(archive_reference(references[_i].meta, references[_i].payload));
	ck_assert_int_eq(
		exercise_archive(&meta.source, a.split ? &payload.source : NULL, &seen, &err), 0);
	ck_assert_uint_eq(seen.damaged + seen.failed, 0);
}
END_TEST

START_TEST(contents_are_read_from_where_they_are)
{
	static const char *const deep[] = { "dir", "inner", "deep" };
	char text[32] = "";
	struct entry e;

	use_open(archive_sample(_i));
	ck_assert(accessor_is_split(acc) == a.split);
	e = entry_of("a");
	ck_assert_int_eq(accessor_check(acc, &waiting, &e, &err), 0);
	ck_assert_int_eq(accessor_read(acc, &waiting, &e, 0, text, e.size, &err), 0);
	ck_assert_str_eq(text, "hello\n");
	ck_assert_int_eq(accessor_read(acc, &waiting, &e, 3, text, 2, &err), 0);
	ck_assert_str_eq(text, "lollo\n");
	e = entry_at(deep, 3);
	ck_assert_int_eq(accessor_read(acc, &waiting, &e, 0, text, e.size, &err), 0);
	ck_assert(!memcmp(text, "deep down", 9));
	e = entry_of("link");
	ck_assert_int_eq(accessor_readlink(acc, &waiting, &e, text, &err), 0);
	ck_assert_str_eq(text, "../elsewhere");
	e = entry_of("zero");
	ck_assert_uint_eq(e.size, 0);
	ck_assert_int_eq(accessor_check(acc, &waiting, &e, &err), 0);
}
END_TEST

START_TEST(a_hardlink_leads_to_its_target)
{
	static const char *const link[] = { "dir", "a-again" };
	char path[FORMAT_PATH_MAX + 1];
	struct entry e;
	uint64_t number;

	use_open(archive_sample(_i));
	e = entry_at(link, 2);
	ck_assert_int_eq(accessor_number_at(acc, &waiting, e.size, &number, &err), 0);
	ck_assert_uint_eq(number, entry_of("a").number);
	ck_assert_int_eq(accessor_link_path(acc, &waiting, e.number, path, &err), 0);
	ck_assert_str_eq(path, "a");
	/* no target is in the middle of an item, or past the end */
	ck_assert_int_eq(accessor_number_at(acc, &waiting, e.size + 1, &number, &err), -EUCLEAN);
	ck_assert_int_eq(accessor_number_at(acc, &waiting, UINT64_MAX, &number, &err), -EUCLEAN);
}
END_TEST

START_TEST(the_prelude_is_where_it_is_said_to_be)
{
	struct range r;

	use_open(archive_sample(true));
	r = accessor_prelude(acc);
	ck_assert_uint_eq(r.end - r.start, 26);
	ck_assert(!memcmp(a.meta.bytes + r.start, "{\"exclude-patterns\":", 20));
	teardown();
	use_open(archive_sample(false));
	r = accessor_prelude(acc);
	ck_assert_uint_eq(r.start, r.end);
}
END_TEST

/* 100 MiB, of which only the header exists when it is looked for. */
static int sparse_read(struct source *source, const struct io *io, uint64_t offset, void *buf,
		       size_t n, struct error *e)
{
	const struct flaky *f = (const struct flaky *)source;
	uint64_t skip = source->size - a.meta.len;

	(void)io;
	(void)e;
	ck_assert_uint_lt(n, 1 << 20);
	for (size_t i = 0; i < n; i++) {
		uint64_t at = offset + i;

		((uint8_t *)buf)[i] = at < 40	       ? f->bytes[at]
				      : at < 40 + skip ? 0
						       : f->bytes[at - skip];
	}
	return 0;
}

START_TEST(a_huge_prelude_is_not_read)
{
	static const struct source_ops ops = { .read = sparse_read };
	CLEANUP(dir_freep) struct dir *dir = NULL;

	use(archive_sample(true));
	archive_put64(&a, 32, archive_get64(&a, 32) + (100 << 20));
	meta.source = (struct source){ &ops, a.meta.len + (100 << 20) };
	/* Only the root's table says where the root is, and that as 0: nothing else moves. */
	ck_assert_int_eq(open_again(), -EUCLEAN);
	archive_put64(&a, a.meta.len - 16, archive_get64(&a, a.meta.len - 16) + (100 << 20));
	ck_assert_msg(open_again() == 0, "%s", err.text);
	ck_assert_int_eq(accessor_dir(acc, &waiting, ENTRY_ROOT, &dir, &err), 0);
	ck_assert_uint_eq(dir->count, 10);
	ck_assert_uint_eq(dir->damaged + dir->hidden, 0);
}
END_TEST

/* What must not be opened, as something written over in a sample archive. */
static const struct {
	const char *name;
	bool split;
	int64_t at; /* below zero: from the end */
	uint64_t value;
} refused[] = {
	{ "no item at all", false, 0, 0 },
	{ "begins with a name", false, 0, FORMAT_FILENAME },
	{ "root of size 0", false, 8, 0 },
	{ "root of size 15", false, 8, 15 },
	{ "root of size 2^63", false, 8, UINT64_C(1) << 63 },
	{ "root of size 2^64-1", false, 8, UINT64_MAX },
	{ "root is a file", false, 16, S_IFREG | 0644 },
	{ "root is a link", false, 16, S_IFLNK | 0644 },
	{ "version 3", true, 16, 3 },
	{ "version 0", true, 16, 0 },
	{ "version item of 16 bytes", true, 8, 16 },
	{ "version twice", true, 24, FORMAT_VERSION },
	{ "version 1 with references", true, 24, 0 },
	{ "prelude twice", true, 66, FORMAT_PRELUDE },
	{ "prelude of size 0", true, 32, 0 },
	{ "prelude to the end", true, 32, UINT64_C(1) << 62 },
	{ "prelude that wraps", true, 32, UINT64_MAX },
	{ "no tail marker", false, -24, 0 },
	{ "root not at the beginning", false, -16, 100 },
	{ "table before the beginning", false, -8, 1 << 20 },
	{ "table of no size", false, -8, 0 },
	{ "table of no records", false, -8, 40 },
	{ "table of all sizes", false, -8, UINT64_MAX },
};

START_TEST(a_damaged_frame_is_refused)
{
	int64_t at = refused[_i].at;

	use(archive_sample(refused[_i].split));
	archive_put64(&a, (uint64_t)(at < 0 ? (int64_t)a.meta.len + at : at), refused[_i].value);
	ck_assert_msg(open_again() == -EUCLEAN, "%s", refused[_i].name);
	ck_assert_int_eq(err.code, -EUCLEAN);
	ck_assert_ptr_null(acc);
}
END_TEST

START_TEST(what_follows_the_archive_is_refused)
{
	use(archive_sample(_i));
	for (unsigned i = 1; i < 100; i++) {
		buffer_add(&a.meta, &(uint8_t){ (uint8_t)(i * 77) }, 1);
		meta = flaky_init(&a.meta);
		ck_assert_int_eq(open_again(), -EUCLEAN);
	}
}
END_TEST

START_TEST(payload_files_are_given_where_they_belong)
{
	use_open(archive_sample(true));
	teardown();
	use(archive_sample(true));
	ck_assert_int_eq(accessor_open(&acc, &meta.source, NULL, false, &err), -EINVAL);
	ck_assert_int_eq(accessor_open(&acc, &meta.source, NULL, true, &err), 0);
	accessor_free(TAKE(acc));
	a.payload.bytes[0] ^= 1;
	ck_assert_int_eq(open_again(), -EUCLEAN);
	a.payload.bytes[0] ^= 1;
	payload.source.size = 15;
	ck_assert_int_eq(open_again(), -EUCLEAN);
	payload.source.size = a.payload.len;
	payload.bad = (struct range){ 0, 1 };
	ck_assert_int_eq(open_again(), -EIO);
	teardown();
	use(archive_sample(false));
	ck_assert_int_eq(accessor_open(&acc, &meta.source, &meta.source, false, &err), -EINVAL);
}
END_TEST

START_TEST(without_a_payload_file_only_contents_are_missing)
{
	struct entry e;
	char text[8];

	use(archive_sample(true));
	ck_assert_int_eq(accessor_open(&acc, &meta.source, NULL, true, &err), 0);
	e = entry_of("a");
	ck_assert_uint_eq(e.size, 6);
	ck_assert_int_eq(accessor_check(acc, &waiting, &e, &err), -EIO);
	ck_assert_int_eq(accessor_read(acc, &waiting, &e, 0, text, 6, &err), -EIO);
}
END_TEST

START_TEST(a_reference_must_lead_to_its_payload)
{
	uint64_t ref;
	struct entry e, other;
	char text[8];

	use_open(archive_sample(true));
	ref = archive_item(&a, archive_name(&a, "a"), FORMAT_PAYLOAD_REF) + 16;
	other = entry_of("dressed");
	for (unsigned i = 0; i < 5; i++) {
		static const uint64_t places[] = { 0, 15, 17, 1 << 20, INT64_MAX - 100 };

		archive_put64(&a, ref, places[i]);
		e = entry_of("a");
		ck_assert_int_lt(accessor_check(acc, &waiting, &e, &err), 0);
	}
	archive_put64(&a, ref, other.place); /* another's, of another size */
	e = entry_of("a");
	ck_assert_int_eq(accessor_check(acc, &waiting, &e, &err), -EUCLEAN);
	archive_put64(&a, ref + 8, other.size); /* sharing is allowed */
	e = entry_of("a");
	ck_assert_int_eq(accessor_check(acc, &waiting, &e, &err), 0);
	archive_put64(&a, ref, UINT64_MAX - 8); /* not even an entry any more */
	ck_assert_int_eq(
		accessor_find(acc, &waiting, ENTRY_ROOT, "a", 1, &(struct dir_entry){ 0 }, &err),
		-EUCLEAN);
	payload.source.size = other.place + 18; /* a cut file fails where it is cut */
	ck_assert_int_eq(accessor_read(acc, &waiting, &other, 0, text, 2, &err), 0);
	ck_assert_int_eq(accessor_read(acc, &waiting, &other, 0, text, 3, &err), -EIO);
}
END_TEST

START_TEST(numbers_that_nothing_has_are_malformed)
{
	struct entry e;
	struct dir *dir;
	uint64_t limit;

	use_open(archive_sample(_i));
	limit = a.meta.len + 100;
	for (uint64_t n = 0; n < limit; n++) {
		int r = n == ENTRY_ROOT ? 0 : accessor_entry(acc, &waiting, n, &e, NULL, &err);

		ck_assert(r == -EUCLEAN || (r == 0 && (n == 1 || e.kind == ENTRY_DIRECTORY)));
		r = accessor_entry(acc, &waiting, n | ENTRY_NON_DIRECTORY, &e, NULL, &err);
		ck_assert(r == -EUCLEAN ||
			  (r == 0 && e.kind != ENTRY_DIRECTORY && e.kind != ENTRY_HARDLINK));
	}
	ck_assert_int_eq(accessor_dir(acc, &waiting, UINT64_MAX / 2, &dir, &err), -EUCLEAN);
	ck_assert_int_eq(accessor_dir(acc, &waiting, UINT64_MAX, &dir, &err), -ENOTDIR);
	ck_assert_int_eq(accessor_entry(acc, &waiting, UINT64_MAX, &e, NULL, &err), -EUCLEAN);
}
END_TEST

START_TEST(every_prefix_is_refused)
{
	struct exercise seen;
	size_t whole;

	use(archive_sample(_i));
	whole = a.meta.len;
	for (size_t n = 0; n < whole; n++) {
		CLEANUP(freep) uint8_t *cut = malloc(n ? n : 1);

		memcpy(cut, a.meta.bytes, n);
		ck_assert_int_lt(exercise_memory(cut, n, a.split ? a.payload.bytes : NULL,
						 a.payload.len, &seen, &err),
				 0);
	}
}
END_TEST

START_TEST(a_cut_payload_file_costs_only_contents)
{
	struct exercise seen;

	use(archive_sample(true));
	for (size_t n = 0; n < a.payload.len; n++) {
		CLEANUP(freep) uint8_t *cut = malloc(n ? n : 1);
		int r;

		memcpy(cut, a.payload.bytes, n);
		r = exercise_memory(a.meta.bytes, a.meta.len, cut, n, &seen, &err);
		ck_assert_int_eq(r, n < 16 ? -EUCLEAN : 0);
		ck_assert(r || (seen.damaged == 0 && seen.entries == 17));
	}
}
END_TEST

START_TEST(any_flipped_bit_does_no_harm)
{
	size_t refusals = 0;

	use(archive_sample(_i));
	for (size_t bit = 0; bit < a.meta.len * 8; bit++) {
		struct exercise seen;

		a.meta.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (exercise_memory(a.meta.bytes, a.meta.len, a.split ? a.payload.bytes : NULL,
				    a.payload.len, &seen, &err) < 0)
			refusals++;
		a.meta.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	ck_assert_uint_gt(refusals, 100);
	ck_assert_uint_lt(refusals, a.meta.len * 2); /* most cost only an entry, or nothing */
}
END_TEST

START_TEST(hostile_archives_do_no_harm)
{
	CLEANUP(buffer_release) struct buffer cases = archive_file("hostile/cases.tsv");
	char *rest, *line, *field[6], file[256];
	unsigned n = 0;

	buffer_add(&cases, "", 1);
	rest = (char *)cases.bytes;
	while ((line = strsep(&rest, "\n")) && *line) {
		struct exercise seen;
		int r;

		for (unsigned i = 0; i < 6; i++)
			field[i] = strsep(&line, "\t");
		if (*field[0] == '#' || strstr(field[1], "/store/")) /* an index is no archive */
			continue;
		snprintf(file, sizeof(file), "hostile/%s", field[1]);
		use((struct archive){ .meta = archive_file(file), .split = *field[2] != '-' });
		snprintf(file, sizeof(file), "hostile/%s", field[2]);
		if (a.split)
			a.payload = archive_file(file);
		payload = flaky_init(&a.payload);
		r = open_again();
		if (r == 0) /* with metadata alone, one that has no payload file would open */
			r = exercise_archive(&meta.source, a.split ? &payload.source : NULL, &seen,
					     &err);
		ck_assert_msg(strcmp(field[5], "refuse") || r < 0, "%s is opened", field[0]);
		ck_assert_msg(strcmp(field[5], "ok") || (!r && !seen.damaged && !seen.failed),
			      "%s: %s", field[0], err.text);
		ck_assert_msg(strcmp(field[5], "degrade") || (!r && (seen.damaged + seen.failed)),
			      "%s: nothing is wrong", field[0]);
		teardown();
		n++;
	}
	ck_assert_uint_gt(n, 30);
}
END_TEST

START_TEST(what_would_wait_says_so_and_then_succeeds)
{
	static const struct xattr_view view = { .trusted = true };
	CLEANUP(buffer_release) struct buffer b = { 0 };
	struct dir *dir = NULL;
	struct dir_entry found;
	struct entry e, file, link, hard;
	char text[FORMAT_PATH_MAX + 1];
	uint64_t number;

	use_open(archive_sample(_i));
	file = entry_of("dressed");
	link = entry_of("link");
	hard = entry_of("hard");
	meta.waits = payload.waits = true;
	for (unsigned i = 0; i < 2; i++) {
		const struct io *io = i ? &waiting : &not_waiting;
		int want = i ? 0 : 1;

		ck_assert_int_eq(accessor_dir(acc, io, ENTRY_ROOT, &dir, &err), want);
		ck_assert_int_eq(accessor_find(acc, io, ENTRY_ROOT, "a", 1, &found, &err), want);
		ck_assert_int_eq(accessor_entry(acc, io, ENTRY_ROOT, &e, NULL, &err), want);
		ck_assert_int_eq(accessor_entry(acc, io, file.number, &e, NULL, &err), want);
		ck_assert_int_eq(accessor_number_at(acc, io, hard.size, &number, &err), want);
		ck_assert_int_eq(accessor_link_path(acc, io, hard.number, text, &err), want);
		ck_assert_int_eq(accessor_readlink(acc, io, &link, text, &err), want);
		ck_assert_int_eq(accessor_check(acc, io, &file, &err), a.split ? want : 0);
		ck_assert_int_eq(accessor_read(acc, io, &file, 0, text, 5, &err), want);
		ck_assert_int_eq(accessor_listxattr(acc, io, file.number, &view, &b, &err), want);
		ck_assert_int_eq(
			accessor_getxattr(acc, io, file.number, &view, "user.comment", &b, &err),
			want);
	}
	dir_free(dir);
}
END_TEST

START_TEST(any_failing_read_is_an_error_and_then_forgotten)
{
	unsigned reads;

	use_open(archive_sample(_i));
	reads = meta.reads;
	for (unsigned i = 1; i <= reads; i++) {
		int r;

		meta.reads = 0;
		meta.bad_one = i;
		r = open_again();
		ck_assert(r == -EIO || r == 0); /* only read ahead */
		meta.bad_one = 0;
		ck_assert_int_eq(open_again(), 0);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("accessor");
	TCase *tc = tcase_create("accessor");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_loop_test(tc, random_access_and_reading_in_order_agree, 0, COUNT(references));
	tcase_add_loop_test(tc, listing_lookup_and_walk_agree, 0, COUNT(references));
	tcase_add_loop_test(tc, contents_are_read_from_where_they_are, 0, 2);
	tcase_add_loop_test(tc, a_hardlink_leads_to_its_target, 0, 2);
	tcase_add_test(tc, the_prelude_is_where_it_is_said_to_be);
	tcase_add_test(tc, a_huge_prelude_is_not_read);
	tcase_add_loop_test(tc, a_damaged_frame_is_refused, 0, COUNT(refused));
	tcase_add_loop_test(tc, what_follows_the_archive_is_refused, 0, 2);
	tcase_add_test(tc, payload_files_are_given_where_they_belong);
	tcase_add_test(tc, without_a_payload_file_only_contents_are_missing);
	tcase_add_test(tc, a_reference_must_lead_to_its_payload);
	tcase_add_loop_test(tc, numbers_that_nothing_has_are_malformed, 0, 2);
	tcase_add_loop_test(tc, every_prefix_is_refused, 0, 2);
	tcase_add_test(tc, a_cut_payload_file_costs_only_contents);
	tcase_add_loop_test(tc, any_flipped_bit_does_no_harm, 0, 2);
	tcase_add_test(tc, hostile_archives_do_no_harm);
	tcase_add_loop_test(tc, what_would_wait_says_so_and_then_succeeds, 0, 2);
	tcase_add_loop_test(tc, any_failing_read_is_an_error_and_then_forgotten, 0, 2);
	tcase_set_timeout(tc, 100);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
