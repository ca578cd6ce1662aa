#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "core/dir.h"
#include "core/siphash.h"
#include "tests/unit/archives.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct io waiting = { .may_wait = true }, not_waiting = { .may_wait = false };

/* The archive of a test and what was decoded of it last. */
static struct archive a;
static struct flaky source;
static struct dir_archive archive;
static struct dir *dir;
static struct error err;

static void use(struct archive made)
{
	a = made;
	source = flaky_init(&a.meta);
	archive = (struct dir_archive){ .meta = &source.source, .split = a.split };
	if (a.split)
		archive.root = archive_item(&a, 0, FORMAT_ENTRY);
}

static void teardown(void)
{
	dir_free(TAKE(dir));
	archive_release(&a);
}

static int decode_at(uint64_t end)
{
	dir_free(TAKE(dir));
	return dir_decode(&dir, &archive, &waiting, end, &err);
}

static void decode_root(void)
{
	ck_assert_msg(decode_at(a.meta.len) == 0, "%s", err.text);
}

static const struct dir_entry *find(const char *name)
{
	return dir_find(dir, name, strlen(name));
}

static int find_one(const char *name, struct dir_entry *found)
{
	return dir_decode_one(&archive, &waiting, a.meta.len, name, strlen(name), found, &err);
}

static bool is_damaged(const struct dir_entry *e)
{
	return e->entry.flags & ENTRY_DAMAGED;
}

/* Alone and in the directory every name gives the same. */
static void check_lookups(void)
{
	struct dir_entry found;

	for (uint32_t i = 0; i < dir->count; i++) {
		const struct dir_entry *e = &dir->entries[i];
		const char *name = dir->names + e->name;

		ck_assert_uint_eq(strlen(name), e->name_len);
		ck_assert_ptr_eq(find(name), e);
		ck_assert_ptr_eq(dir_at(dir, e->start), e);
		ck_assert_int_eq(dir_decode_one(&archive, &waiting, dir->goodbye.end, name,
						e->name_len, &found, &err),
				 0);
		ck_assert_uint_eq(found.start, e->start);
		ck_assert_uint_eq(found.entry.number, e->entry.number);
		ck_assert_uint_eq(found.entry.size, e->entry.size);
	}
}

START_TEST(all_kinds_are_listed_in_the_order_of_the_archive)
{
	static const char *const names[] = { "a",    "dressed", "dir",	"hard",	  "block",
					     "char", "fifo",	"link", "socket", "zero" };
	static const uint8_t kinds[] = { ENTRY_FILE,	 ENTRY_FILE,	ENTRY_DIRECTORY,
					 ENTRY_HARDLINK, ENTRY_DEVICE,	ENTRY_DEVICE,
					 ENTRY_FIFO,	 ENTRY_SYMLINK, ENTRY_SOCKET,
					 ENTRY_FILE };

	use(archive_sample(_i));
	decode_root();
	ck_assert_uint_eq(dir->count, COUNT(names));
	ck_assert_uint_eq(dir->hidden + dir->damaged + dir->duplicates + dir->transient, 0);
	ck_assert(dir->self.number == ENTRY_ROOT && dir->self.mode == (S_IFDIR | 0755));
	for (uint32_t i = 0; i < dir->count; i++) {
		const struct dir_entry *e = &dir->entries[i];

		ck_assert_str_eq(dir->names + e->name, names[i]);
		ck_assert_uint_eq(e->entry.kind, kinds[i]);
		ck_assert_uint_eq(e->start, archive_name(&a, names[i]));
	}
	ck_assert_uint_eq(find("hard")->entry.size, find("a")->start);
	check_lookups();
	ck_assert_ptr_null(find("b"));
	ck_assert_int_eq(find_one("b", &(struct dir_entry){ 0 }), DIR_NONE);
	ck_assert_int_eq(decode_at(find("dir")->entry.number), 0);
	ck_assert_uint_eq(dir->count, 5);
	check_lookups();
}
END_TEST

START_TEST(directories_of_any_size_are_decoded_whole)
{
	static const unsigned sizes[] = { 0, 1, 2, 3, 16, 17, 255, 1000, 3000 };

	for (size_t i = 0; i < 2 * COUNT(sizes); i++) {
		unsigned n = sizes[i / 2], reads;

		use(archive_wide(i % 2, n));
		decode_root();
		source.reads = 0;
		ck_assert_int_eq(decode_at(find("many")->entry.number), 0);
		reads = source.reads;
		ck_assert_uint_eq(dir->count, n);
		ck_assert_uint_le(dir->bytes, sizeof(*dir) + n * (sizeof(*dir->entries) + 10));
		ck_assert_uint_le(reads, 8 + n / 300); /* they are fetched together */
		check_lookups();
		teardown();
	}
}
END_TEST

START_TEST(unsorted_names_are_found)
{
	struct raw raw;
	char name[8];

	raw_begin(&raw);
	for (unsigned i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "%u", i * 37 % 60);
		raw_file(&raw, name, "");
	}
	use(raw_finish(&raw));
	decode_root();
	ck_assert_uint_eq(dir->count, 60);
	check_lookups();
}
END_TEST

START_TEST(of_equal_names_the_first_wins)
{
	struct raw raw;
	struct dir_entry found;
	uint64_t first;

	raw_begin(&raw);
	raw_file(&raw, "x", "");
	first = raw.bytes.len;
	raw_file(&raw, "same", "first");
	raw_file(&raw, "b", "");
	raw_file(&raw, "same", "second");
	raw_file(&raw, "same", "third");
	raw_file(&raw, "c", "");
	use(raw_finish(&raw));
	decode_root();
	ck_assert_uint_eq(dir->count, 4);
	ck_assert_uint_eq(dir->duplicates, 2);
	ck_assert_uint_eq(find("same")->start, first);
	ck_assert_int_eq(find_one("same", &found), 0);
	ck_assert_uint_eq(found.start, first);
	check_lookups();
}
END_TEST

/* Hashes can be made equal. Up to a limit the names tell them apart, then the whole is decoded. */
START_TEST(equal_hashes_are_told_apart_by_name)
{
	struct dir_entry found;
	struct raw raw;
	char name[8];

	for (unsigned n = 1; n < 40; n++) {
		raw_begin(&raw);
		for (unsigned i = 0; i < n; i++) {
			snprintf(name, sizeof(name), "%u", i);
			raw_file(&raw, name, name);
			raw.records[i].hash = siphash_name("7", 1);
		}
		use(raw_finish(&raw));
		decode_root();
		ck_assert_uint_eq(dir->count, n);
		ck_assert_int_eq(find_one("7", &found), n > 7 && n < 16 ? 0 : DIR_NONE);
		if (n > 7 && n < 16)
			ck_assert_uint_eq(found.start, find("7")->start);
		teardown();
	}
}
END_TEST

/* What may be wrong with a child, between two that are good. */
enum outcome { GOOD, DAMAGED, HIDDEN };

struct badly {
	const char *name;
	const char *victim;
	size_t victim_len;
	uint64_t mode; /* 0: no ENTRY */
	uint64_t type; /* of a further item; 0: none */
	const char *content;
	size_t content_len;
	enum outcome want;
};

#define TEXT(s) s, sizeof(s) - 1

static const struct badly badly[] = {
	{ "nothing", TEXT("victim"), S_IFREG, FORMAT_PAYLOAD, TEXT("x"), GOOD },
	{ "empty name", TEXT(""), S_IFREG, FORMAT_PAYLOAD, TEXT("x"), HIDDEN },
	{ "dot", TEXT("."), S_IFREG, FORMAT_PAYLOAD, TEXT("x"), HIDDEN },
	{ "dot dot", TEXT(".."), S_IFREG, FORMAT_PAYLOAD, TEXT("x"), HIDDEN },
	{ "slash", TEXT("a/b"), S_IFREG, FORMAT_PAYLOAD, TEXT("x"), HIDDEN },
	{ "NUL", TEXT("a\0b"), S_IFREG, FORMAT_PAYLOAD, TEXT("x"), HIDDEN },
	{ "newline", TEXT("a\nb\x1b\xff"), S_IFREG, FORMAT_PAYLOAD, TEXT("x"), GOOD },
	{ "no ENTRY", TEXT("victim"), 0, FORMAT_PAYLOAD, TEXT("x"), DAMAGED },
	{ "type 0", TEXT("victim"), 0644, FORMAT_PAYLOAD, TEXT("x"), DAMAGED },
	{ "type 017", TEXT("victim"), 0170644, FORMAT_PAYLOAD, TEXT("x"), DAMAGED },
	{ "mode of 17 bits", TEXT("victim"), 0300644, FORMAT_PAYLOAD, TEXT("x"), DAMAGED },
	{ "setuid", TEXT("victim"), S_IFREG | 04777, FORMAT_PAYLOAD, TEXT("x"), GOOD },
	{ "no content", TEXT("victim"), S_IFREG, 0, TEXT(""), DAMAGED },
	{ "link as file", TEXT("victim"), S_IFREG, FORMAT_SYMLINK, TEXT("x\0"), DAMAGED },
	{ "content of a directory", TEXT("victim"), S_IFDIR, FORMAT_PAYLOAD, TEXT("x"), DAMAGED },
	{ "no table", TEXT("victim"), S_IFDIR, 0, TEXT(""), DAMAGED },
	{ "reference", TEXT("victim"), S_IFREG, FORMAT_PAYLOAD_REF, TEXT("12345678abcdefgh"),
	  DAMAGED },
	{ "link to nothing", TEXT("victim"), S_IFLNK, FORMAT_SYMLINK, TEXT("\0\0"), DAMAGED },
	{ "absolute link", TEXT("victim"), S_IFLNK, FORMAT_SYMLINK, TEXT("/etc/shadow\0"), GOOD },
	{ "xattr without NUL", TEXT("victim"), S_IFIFO, FORMAT_XATTR, TEXT("user.x"), DAMAGED },
	{ "xattr without name", TEXT("victim"), S_IFIFO, FORMAT_XATTR, TEXT("\0x"), GOOD },
	{ "short ACL", TEXT("victim"), S_IFIFO, FORMAT_ACL_USER, TEXT("12345678"), DAMAGED },
	{ "short device", TEXT("victim"), S_IFCHR, FORMAT_DEVICE, TEXT("12345678"), DAMAGED },
	{ "device of 64 bits", TEXT("victim"), S_IFCHR, FORMAT_DEVICE,
	  TEXT("\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0"), DAMAGED },
	{ "unknown item", TEXT("victim"), S_IFIFO, UINT64_C(0x4242424242424242), TEXT("x"),
	  DAMAGED },
	{ "version inside", TEXT("victim"), S_IFIFO, FORMAT_VERSION, TEXT("\2\0\0\0\0\0\0\0"),
	  DAMAGED },
	{ "link to itself", TEXT("victim"), 0, FORMAT_HARDLINK, TEXT("\0\0\0\0\0\0\0\0a\0"),
	  DAMAGED },
	{ "link before the archive", TEXT("victim"), 0, FORMAT_HARDLINK,
	  TEXT("\0\0\0\0\0\0\0\x7f"
	       "a\0"),
	  DAMAGED },
	{ "link without path", TEXT("victim"), 0, FORMAT_HARDLINK, TEXT("\1\0\0\0\0\0\0\0\0\0"),
	  DAMAGED },
};

static void check_victim(const char *name, size_t len, enum outcome want, const char *what)
{
	const struct dir_entry *e = dir_find(dir, name, len);

	ck_assert_msg(!!e == (want != HIDDEN), "%s", what);
	ck_assert_msg(!e || is_damaged(e) == (want == DAMAGED), "%s", what);
	ck_assert_uint_eq(dir->hidden, want == HIDDEN);
	ck_assert_uint_eq(dir->damaged, want == DAMAGED);
	ck_assert_int_eq(dir->why.code, want == GOOD ? 0 : -EUCLEAN);
	ck_assert_int_eq(!dir->why.text[0], want == GOOD);
	ck_assert(!dir->transient);
}

START_TEST(damage_costs_the_one_entry)
{
	const struct badly *bad = &badly[_i];
	struct raw raw;

	raw_begin(&raw);
	raw_file(&raw, "good", "good");
	raw_name(&raw, bad->victim, bad->victim_len);
	if (bad->mode)
		raw_stat(&raw, bad->mode);
	if (bad->type)
		format_encode_bytes(&raw.bytes, bad->type, bad->content, bad->content_len);
	raw_end(&raw);
	raw_file(&raw, "too", "good as well");
	use(raw_finish(&raw));
	decode_root();
	check_victim(bad->victim, bad->victim_len, bad->want, bad->name);
	ck_assert(find("good") && !is_damaged(find("good")));
	ck_assert(find("too") && !is_damaged(find("too")));
	ck_assert_uint_eq(find("too")->entry.size, 12);
}
END_TEST

/* Where in an archive_sample() something is written over. */
enum place {
	RECORD_HASH,
	RECORD_OFFSET,
	RECORD_SIZE,
	NAME_SIZE,
	ITEM_SIZE,     /* of what follows the name */
	TERMINAL_SIZE, /* of content, target or device */
	LINK_DELTA,
	TABLE_TYPE, /* of the victim's own table */
	TABLE_SIZE,
	TAIL_MARK,
	TAIL_OFFSET,
	TAIL_SIZE,
};

static uint64_t find_place(const char *victim, enum place place)
{
	uint64_t start = archive_name(&a, victim), record, table;
	uint64_t item = start + archive_get64(&a, start + 8);

	table = archive_table(&a, start, &record);
	if (place >= TABLE_TYPE) {
		uint64_t end = start + archive_get64(&a, record + 16);

		table = end - archive_get64(&a, end - 8);
		return place == TABLE_TYPE   ? table
		       : place == TABLE_SIZE ? table + 8
					     : end - 24 + 8 * (place - TAIL_MARK);
	}
	ck_assert_uint_lt(item, table);
	switch (place) {
	case NAME_SIZE:
		return start + 8;
	case ITEM_SIZE:
		return item + 8;
	case TERMINAL_SIZE:
		return item + FORMAT_ENTRY_SIZE + 8;
	case LINK_DELTA:
		return item + 16;
	default:
		return record + 8 * place;
	}
}

static const struct {
	const char *victim;
	enum place place;
	uint64_t value;
	bool add; /* to what is there */
	enum outcome want, want_split;
} patches[] = {
	{ "a", RECORD_HASH, 1, true, GOOD, GOOD },
	{ "a", RECORD_OFFSET, 0, false, HIDDEN, HIDDEN },   /* the table itself */
	{ "a", RECORD_OFFSET, 1, true, HIDDEN, HIDDEN },    /* before all children */
	{ "link", RECORD_OFFSET, 1, true, HIDDEN, HIDDEN }, /* the middle of an item */
	{ "a", RECORD_OFFSET, UINT64_MAX, false, HIDDEN, HIDDEN },
	{ "zero", RECORD_OFFSET, 16, false, HIDDEN, HIDDEN },
	{ "a", RECORD_SIZE, 0, false, DAMAGED, GOOD },
	{ "a", RECORD_SIZE, 17, false, DAMAGED, GOOD }, /* less than the name */
	{ "a", RECORD_SIZE, UINT64_MAX, true, DAMAGED, GOOD },
	{ "a", RECORD_SIZE, 1, true, DAMAGED, GOOD },
	{ "a", RECORD_SIZE, UINT64_MAX, false, DAMAGED, GOOD },
	{ "a", RECORD_SIZE, UINT64_C(1) << 63, false, DAMAGED, GOOD },
	{ "link", RECORD_SIZE, 1, true, DAMAGED, DAMAGED },
	{ "link", RECORD_SIZE, UINT64_MAX, false, DAMAGED, DAMAGED },
	{ "fifo", RECORD_SIZE, 16, true, DAMAGED, DAMAGED },
	{ "hard", RECORD_SIZE, UINT64_MAX, true, DAMAGED, DAMAGED },
	{ "dir", RECORD_SIZE, 0, false, DAMAGED, DAMAGED },
	{ "dir", RECORD_SIZE, 24, true, DAMAGED, DAMAGED },
	{ "dir", RECORD_SIZE, UINT64_MAX, false, DAMAGED, DAMAGED },
	{ "a", NAME_SIZE, 0, false, HIDDEN, HIDDEN },
	{ "a", NAME_SIZE, 15, false, HIDDEN, HIDDEN },
	{ "a", NAME_SIZE, UINT64_MAX, false, HIDDEN, HIDDEN },
	{ "a", ITEM_SIZE, 0, false, DAMAGED, DAMAGED },
	{ "a", ITEM_SIZE, 15, false, DAMAGED, DAMAGED },
	{ "a", ITEM_SIZE, UINT64_C(1) << 63, false, DAMAGED, DAMAGED },
	{ "a", ITEM_SIZE, UINT64_MAX, false, DAMAGED, DAMAGED },
	{ "a", TERMINAL_SIZE, 0, false, DAMAGED, DAMAGED },
	{ "a", TERMINAL_SIZE, 1, true, DAMAGED, DAMAGED },
	{ "a", TERMINAL_SIZE, UINT64_MAX, true, DAMAGED, DAMAGED },
	{ "a", TERMINAL_SIZE, UINT64_C(1) << 62, false, DAMAGED, DAMAGED },
	{ "a", TERMINAL_SIZE, UINT64_MAX - 7, false, DAMAGED, DAMAGED },
	{ "link", TERMINAL_SIZE, 17, false, DAMAGED, DAMAGED },
	{ "block", TERMINAL_SIZE, 24, false, DAMAGED, DAMAGED },
	{ "hard", LINK_DELTA, 0, false, DAMAGED, DAMAGED },
	{ "hard", LINK_DELTA, UINT64_MAX, false, DAMAGED, DAMAGED },
	{ "dir", TAIL_MARK, 0, false, DAMAGED, DAMAGED },
	{ "dir", TAIL_OFFSET, 0, false, DAMAGED, DAMAGED },		  /* itself */
	{ "dir", TAIL_OFFSET, 56, true, DAMAGED, DAMAGED },		  /* something before */
	{ "dir", TAIL_OFFSET, UINT64_MAX - 100, true, DAMAGED, DAMAGED }, /* something inside */
	{ "dir", TAIL_OFFSET, UINT64_MAX, false, DAMAGED, DAMAGED },	  /* forward */
	{ "dir", TAIL_SIZE, 16, false, DAMAGED, DAMAGED },
	{ "dir", TAIL_SIZE, 1, true, DAMAGED, DAMAGED },
	{ "dir", TAIL_SIZE, 24, true, DAMAGED, DAMAGED },
	{ "dir", TAIL_SIZE, UINT64_MAX, false, DAMAGED, DAMAGED },
};

static void check_patch(unsigned i, bool split)
{
	const char *victim = patches[i].victim;
	uint64_t at;
	uint32_t all;

	use(archive_sample(split));
	decode_root();
	all = dir->count;
	at = find_place(victim, patches[i].place);
	archive_put64(&a, at, patches[i].value + (patches[i].add ? archive_get64(&a, at) : 0));
	decode_root();
	check_victim(victim, strlen(victim), split ? patches[i].want_split : patches[i].want,
		     victim);
	ck_assert_uint_eq(dir->count + dir->hidden, all); /* the siblings */
	teardown();
}

START_TEST(a_forged_number_costs_the_one_entry)
{
	check_patch((unsigned)_i, false);
	check_patch((unsigned)_i, true);
}
END_TEST

START_TEST(a_directory_whose_table_is_bad_fails_alone)
{
	static const struct {
		enum place place;
		uint64_t value;
	} bad[] = {
		{ TABLE_TYPE, FORMAT_FILENAME },
		{ TABLE_TYPE, 0 },
		{ TABLE_SIZE, 0 },
		{ TABLE_SIZE, 40 },
		{ TABLE_SIZE, UINT64_MAX },
	};

	for (size_t i = 0; i < COUNT(bad); i++) {
		use(archive_sample(i % 2));
		archive_put64(&a, find_place("dir", bad[i].place), bad[i].value);
		decode_root();
		check_victim("dir", 3, GOOD, "dir"); /* only what leads to its start was read */
		ck_assert_int_eq(decode_at(find("dir")->entry.number), -EUCLEAN);
		teardown();
	}
}
END_TEST

START_TEST(two_records_for_one_entry_are_one_entry)
{
	uint64_t record, other;

	use(archive_sample(_i));
	archive_table(&a, archive_name(&a, "a"), &record);
	archive_table(&a, archive_name(&a, "zero"), &other);
	for (unsigned i = 0; i < 24; i += 8)
		archive_put64(&a, other + i, archive_get64(&a, record + i));
	decode_root();
	ck_assert_uint_eq(dir->count, 9);
	ck_assert_uint_eq(dir->duplicates, 1);
	ck_assert(find("a") && !is_damaged(find("a")));
	ck_assert_ptr_null(find("zero"));
}
END_TEST

/* A directory may not be reached twice: by a record that leads to what another one holds, to an
   ancestor, or to the directory itself. */
START_TEST(records_that_lead_in_a_circle_are_no_entries)
{
	static const char *const held[] = { "hollow", "inner" };
	uint64_t record, empty, table;

	for (size_t i = 0; i < COUNT(held); i++) {
		use(archive_sample(false));
		table = archive_table(&a, archive_name(&a, "zero"), &record);
		archive_put64(&a, record + 8, table - archive_name(&a, held[i]));
		decode_root();
		ck_assert(find(held[i]) && is_damaged(find(held[i])));
		ck_assert_uint_eq(dir->damaged, 1);
		ck_assert_uint_eq(dir->count, 10);
		teardown();
	}
	use(archive_sample(false));
	table = archive_table(&a, archive_name(&a, "empty"), &empty);
	archive_table(&a, archive_name(&a, "inner"), &record);
	archive_put64(&a, record + 8, table - archive_name(&a, "dir")); /* the directory itself */
	archive_put64(&a, empty + 8, table);				/* the root */
	decode_root();
	ck_assert_int_eq(decode_at(find("dir")->entry.number), 0);
	ck_assert_uint_eq(dir->hidden, 2);
	ck_assert_uint_eq(dir->count, 3);
}
END_TEST

/* The child's record gives it the end of another directory. */
START_TEST(a_directory_does_not_get_the_table_of_another)
{
	uint64_t record, hollow;

	use(archive_sample(_i));
	decode_root();
	ck_assert_int_eq(decode_at(find("dir")->entry.number), 0);
	hollow = find("hollow")->entry.number;
	archive_table(&a, archive_name(&a, "inner"), &record);
	archive_put64(&a, record + 16, hollow - archive_name(&a, "inner"));
	decode_root();
	ck_assert_int_eq(decode_at(find("dir")->entry.number), 0);
	ck_assert(is_damaged(find("inner")));
	ck_assert(!is_damaged(find("hollow")));
	archive_table(&a, archive_name(&a, "hollow"), &record);
	archive_put64(&a, record + 16, dir->goodbye.offset - archive_name(&a, "hollow"));
	ck_assert_int_eq(decode_at(dir->self.number), 0);
	ck_assert(is_damaged(find("hollow")));
}
END_TEST

/* A file whose content looks like a file, with a record that leads there. */
static struct archive nested(void)
{
	CLEANUP(buffer_release) struct buffer inner = { 0 };
	struct format_stat st = { .mode = S_IFREG | 04755 };
	struct raw raw;
	uint64_t start;

	format_encode_string(&inner, FORMAT_FILENAME, "forged", 6);
	format_encode_stat(&inner, &st);
	format_encode_bytes(&inner, FORMAT_PAYLOAD, "evil", 4);
	raw_begin(&raw);
	raw_file(&raw, "before", "");
	raw_name(&raw, "innocent", 8);
	raw_stat(&raw, S_IFREG | 0644);
	start = raw.bytes.len + 16;
	format_encode_bytes(&raw.bytes, FORMAT_PAYLOAD, inner.bytes, inner.len);
	raw_end(&raw);
	raw.records[raw.n++] =
		(struct format_record){ siphash_name("forged", 6), start, inner.len };
	raw_file(&raw, "later", "");
	return raw_finish(&raw);
}

START_TEST(content_of_a_file_does_not_become_an_entry)
{
	struct dir_entry found;

	use(nested());
	decode_root();
	ck_assert_uint_eq(dir->count, 4);
	ck_assert_uint_eq(dir->damaged, 1);
	ck_assert(is_damaged(find("forged")));
	ck_assert(!is_damaged(find("innocent")) && !is_damaged(find("later")));
	ck_assert_int_eq(find_one("forged", &found), DIR_NONE);
	ck_assert_int_eq(find_one("innocent", &found), 0);
	ck_assert_int_eq(find_one("later", &found), 0);
	ck_assert_ptr_eq(dir_at(dir, find("forged")->start), find("innocent"));
}
END_TEST

/* The first one's record and content reach over the second. */
START_TEST(what_overlaps_a_good_entry_is_damaged)
{
	uint64_t start, next, record, payload;

	use(archive_sample(false));
	start = archive_name(&a, "a");
	next = archive_name(&a, "dir");
	payload = archive_item(&a, start, FORMAT_PAYLOAD);
	archive_table(&a, start, &record);
	archive_put64(&a, payload + 8, next - payload);
	archive_put64(&a, record + 16, next - start);
	decode_root();
	ck_assert(!is_damaged(find("a")));
	ck_assert_uint_eq(find("a")->entry.size, next - payload - 16);
	ck_assert(is_damaged(find("dressed")));
	ck_assert_uint_eq(dir->damaged, 1);
	ck_assert_ptr_eq(dir_at(dir, next - 1), find("a"));
	ck_assert_ptr_eq(dir_at(dir, next), find("dir"));
	ck_assert_ptr_null(dir_at(dir, start - 1));
}
END_TEST

START_TEST(unreadable_items_cost_the_entry_for_now)
{
	uint64_t start, item;

	use(archive_sample(_i));
	start = archive_name(&a, "link");
	item = archive_item(&a, start, FORMAT_SYMLINK);
	source.bad = (struct range){ item, item + 1 };
	decode_root();
	ck_assert(is_damaged(find("link")));
	ck_assert_uint_eq(dir->damaged, 1);
	ck_assert(dir->transient);
	ck_assert_int_eq(dir->why.code, -EIO);
	source.failure = -EBADMSG;
	decode_root();
	ck_assert(is_damaged(find("link")) && dir->transient);
	source.bad = (struct range){ 0, 0 };
	decode_root();
	check_lookups();
	ck_assert(!dir->transient && !dir->damaged);
}
END_TEST

/* No file may seem not to be there because its name could not be read. */
START_TEST(an_unreadable_name_or_table_fails_the_directory)
{
	uint64_t record, bad[4];

	use(archive_sample(_i));
	bad[0] = archive_name(&a, "link") + 20;
	bad[1] = archive_table(&a, archive_name(&a, "link"), &record);
	bad[2] = record;
	bad[3] = a.meta.len - 1;
	for (size_t i = 0; i < COUNT(bad); i++) {
		source.bad = (struct range){ bad[i], bad[i] + 1 };
		ck_assert_int_eq(decode_at(a.meta.len), -EIO);
		ck_assert_int_lt(find_one("link", &(struct dir_entry){ 0 }), 0);
		source.bad = (struct range){ 0, 0 };
		decode_root();
		check_lookups();
	}
}
END_TEST

START_TEST(any_failing_read_is_an_error_and_then_forgotten)
{
	struct dir_entry found;
	unsigned reads;
	int r;

	use(archive_sample(_i));
	decode_root();
	reads = source.reads;
	for (unsigned i = 1; i <= reads; i++) {
		source.reads = 0;
		source.bad_one = i;
		r = decode_at(a.meta.len);
		ck_assert(r == -EIO || (r == 0 && (!dir->damaged || dir->transient)));
		source.reads = 0;
		r = find_one("zero", &found);
		ck_assert(r == -EIO || r == 0);
		source.bad_one = 0;
		decode_root();
		check_lookups();
	}
}
END_TEST

START_TEST(what_would_wait_says_so_and_then_succeeds)
{
	struct dir_entry found;

	use(archive_sample(_i));
	source.waits = true;
	ck_assert_int_eq(dir_decode(&dir, &archive, &not_waiting, a.meta.len, &err), 1);
	ck_assert_ptr_null(dir);
	ck_assert_int_eq(
		dir_decode_one(&archive, &not_waiting, a.meta.len, "zero", 4, &found, &err), 1);
	decode_root();
	check_lookups();
	source.waits = false;
	dir_free(TAKE(dir));
	ck_assert_int_eq(dir_decode(&dir, &archive, &not_waiting, a.meta.len, NULL), 0);
}
END_TEST

START_TEST(large_directories_count_as_waiting)
{
	uint64_t number;

	use(archive_wide(false, DIR_INLINE_MAX + 1));
	decode_root();
	number = find("many")->entry.number;
	dir_free(TAKE(dir));
	ck_assert_int_eq(dir_decode(&dir, &archive, &not_waiting, number, &err), 1);
	ck_assert_int_eq(dir_decode(&dir, &archive, &waiting, number, &err), 0);
	ck_assert_uint_eq(dir->count, DIR_INLINE_MAX + 1);
}
END_TEST

/* Damaged entries that share a row of items, as many and as long as fit into 1 MiB. Each has an
   XATTR that reaches over the next ones, and so in some steps to the shared items. */
static struct archive sharing(void)
{
	enum { N = 4000, UNIT = 91, JUMP = 700, ITEMS = 30000 };
	struct format_stat st = { .mode = S_IFDIR };
	struct archive made = { 0 };
	struct buffer *b = &made.meta;
	uint64_t at;

	format_encode_stat(b, &st);
	st.mode = S_IFREG; /* without content */
	for (unsigned i = 0; i <= N; i++) {
		format_encode_string(b, FORMAT_FILENAME, "n", 1);
		format_encode_stat(b, &st);
		if (i == N)
			break;
		format_encode_header(b, FORMAT_XATTR,
				     (N - i < JUMP ? N - i : JUMP) * UNIT - FORMAT_HEADER_SIZE);
		buffer_add(b, "", 1); /* the end of its name */
	}
	for (unsigned i = 0; i < ITEMS; i++)
		format_encode_bytes(b, FORMAT_XATTR, "", 1);
	at = b->len;
	format_encode_header(b, FORMAT_GOODBYE, (N + 1) * FORMAT_RECORD_SIZE);
	for (unsigned i = 0; i < N; i++)
		format_encode_record(
			b, &(struct format_record){ i, at - FORMAT_ENTRY_SIZE - i * UNIT, UNIT });
	format_encode_record(
		b, &(struct format_record){ FORMAT_GOODBYE_TAIL, at,
					    FORMAT_HEADER_SIZE + (N + 1) * FORMAT_RECORD_SIZE });
	return made;
}

START_TEST(damaged_entries_that_share_items_are_given_up)
{
	clock_t began;

	use(sharing());
	ck_assert_uint_le(a.meta.len, 1 << 20);
	began = clock();
	decode_root();
	ck_assert_int_lt(clock() - began, CLOCKS_PER_SEC); /* took six */
	ck_assert_uint_eq(dir->damaged, 4000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dir");
	TCase *tc = tcase_create("dir");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_loop_test(tc, all_kinds_are_listed_in_the_order_of_the_archive, 0, 2);
	tcase_add_test(tc, directories_of_any_size_are_decoded_whole);
	tcase_add_test(tc, unsorted_names_are_found);
	tcase_add_test(tc, of_equal_names_the_first_wins);
	tcase_add_test(tc, equal_hashes_are_told_apart_by_name);
	tcase_add_loop_test(tc, damage_costs_the_one_entry, 0, COUNT(badly));
	tcase_add_loop_test(tc, a_forged_number_costs_the_one_entry, 0, COUNT(patches));
	tcase_add_test(tc, a_directory_whose_table_is_bad_fails_alone);
	tcase_add_loop_test(tc, two_records_for_one_entry_are_one_entry, 0, 2);
	tcase_add_test(tc, records_that_lead_in_a_circle_are_no_entries);
	tcase_add_loop_test(tc, a_directory_does_not_get_the_table_of_another, 0, 2);
	tcase_add_test(tc, content_of_a_file_does_not_become_an_entry);
	tcase_add_test(tc, what_overlaps_a_good_entry_is_damaged);
	tcase_add_loop_test(tc, unreadable_items_cost_the_entry_for_now, 0, 2);
	tcase_add_loop_test(tc, an_unreadable_name_or_table_fails_the_directory, 0, 2);
	tcase_add_loop_test(tc, any_failing_read_is_an_error_and_then_forgotten, 0, 2);
	tcase_add_loop_test(tc, what_would_wait_says_so_and_then_succeeds, 0, 2);
	tcase_add_test(tc, large_directories_count_as_waiting);
	tcase_add_test(tc, damaged_entries_that_share_items_are_given_up);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
