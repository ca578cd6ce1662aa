/*
 * Every reference set, read from front to back: names, attributes and links must be those of its
 * expected.tsv. Contents are left to whoever reads them through a mount.
 */
#define _GNU_SOURCE
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/decoder.h"
#include "core/xattr.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct io waiting = { .may_wait = true };

static const char *reference_path(const char *name)
{
	static char path[512];
	const char *base = getenv("REFERENCE");

	snprintf(path, sizeof(path), "%s/%s", base ? base : "tests/reference", name);
	return path;
}

enum { COLUMNS = 14, SHA256 = 10, LINK = 12 };

struct row {
	char *column[COLUMNS];
	bool seen;
};

struct table {
	struct row *rows;
	size_t n;
};

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->column[0], ((const struct row *)b)->column[0]);
}

static void add_row(struct table *t, char *line)
{
	struct row *row;

	t->rows = reallocarray(t->rows, t->n + 1, sizeof(*t->rows));
	row = &t->rows[t->n++];
	row->seen = false;
	for (size_t i = 0; i < COLUMNS; i++) {
		const char *text = strsep(&line, "\t");

		row->column[i] = strdup(text ? text : "-");
	}
}

static struct table read_table(const char *name)
{
	bool packed = !strcmp(strrchr(name, '.'), ".gz");
	struct table t = { 0 };
	char *line = NULL, command[600];
	size_t room = 0;
	FILE *f;

	snprintf(command, sizeof(command), "%s '%s'", packed ? "gzip -dc" : "cat",
		 reference_path(name));
	f = popen(command, "r");
	while (getline(&line, &room, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (*line != '#')
			add_row(&t, line);
	}
	free(line);
	ck_assert_int_eq(pclose(f), 0);
	qsort(t.rows, t.n, sizeof(*t.rows), by_path);
	return t;
}

static void table_release(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		for (size_t k = 0; k < COLUMNS; k++)
			free(t->rows[i].column[k]);
	free(t->rows);
}

static struct row *find_row(struct table *t, char *path)
{
	struct row key = { .column = { path } };

	return t->n ? bsearch(&key, t->rows, t->n, sizeof(key), by_path) : NULL;
}

static void print_escaped(FILE *f, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] >= 0x20 && bytes[i] < 0x7f && bytes[i] != '\\')
			fputc(bytes[i], f);
		else
			fprintf(f, "\\x%02x", bytes[i]);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void print_xattrs(FILE *f, struct source *meta, const struct decoder_item *item)
{
	static const struct xattr_view view = { .trusted = true };
	struct window w = window_init(meta, &waiting, 4096);
	struct buffer names = { 0 }, value = { 0 };
	char *sorted[256];
	size_t n = 0;

	ck_assert_int_eq(xattr_list(&w, &item->entry, &item->more, &view, &names, NULL), 0);
	for (size_t at = 0; at < names.len; at += strlen(sorted[n++]) + 1)
		sorted[n] = (char *)names.bytes + at;
	qsort(sorted, n, sizeof(*sorted), by_text);
	for (size_t i = 0; i < n; i++) {
		buffer_reset(&value);
		ck_assert_int_eq(
			xattr_get(&w, &item->entry, &item->more, &view, sorted[i], &value, NULL),
			0);
		fputs(i ? ";" : "", f);
		print_escaped(f, (const uint8_t *)sorted[i], strlen(sorted[i]));
		fputc('=', f);
		for (size_t k = 0; k < value.len; k++)
			fprintf(f, "%02x", value.bytes[k]);
	}
	fputs(n ? "" : "-", f);
	buffer_release(&names);
	buffer_release(&value);
	window_release(&w);
}

static char type_letter(const struct entry *e)
{
	static const char letters[] = { [ENTRY_FILE] = 'f',
					[ENTRY_DIRECTORY] = 'd',
					[ENTRY_SYMLINK] = 'l',
					[ENTRY_FIFO] = 'p',
					[ENTRY_SOCKET] = 's' };

	return e->kind != ENTRY_DEVICE ? letters[e->kind] : S_ISCHR(e->mode) ? 'c' : 'b';
}

static void print_target(FILE *f, struct source *meta, const struct entry *e)
{
	uint8_t target[FORMAT_LINK_MAX];

	if (e->kind != ENTRY_SYMLINK) {
		fputc('-', f);
		return;
	}
	ck_assert_int_eq(source_read(meta, &waiting, e->place, target, e->size, NULL), 0);
	print_escaped(f, target, e->size);
}

/* The entry as a line of expected.tsv, the digest and the link left empty. */
static char *print_entry(struct source *meta, const struct decoder_item *item)
{
	const struct entry *e = &item->entry;
	uint64_t rdev = e->kind == ENTRY_DEVICE ? e->place : 0;
	char *text;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	fprintf(f, "%c\t%04o\t%u\t%u\t%" PRId64 "\t%u\t", type_letter(e), e->mode & 07777u, e->uid,
		e->gid, e->mtime_sec, e->mtime_nsec);
	if (e->kind == ENTRY_FILE || e->kind == ENTRY_SYMLINK)
		fprintf(f, "%" PRIu64, e->size);
	else
		fputc('-', f);
	fprintf(f, "\t%" PRIu64 "\t%" PRIu64 "\t-\t", rdev >> 32, rdev & UINT32_MAX);
	print_target(f, meta, e);
	fprintf(f, "\t-\t");
	print_xattrs(f, meta, item);
	fclose(f);
	return text;
}

static void check_row(struct row *row, struct source *meta, const struct decoder_item *item)
{
	char *text, *rest, *line;

	ck_assert(!row->seen);
	row->seen = true;
	if (item->entry.kind == ENTRY_HARDLINK) {
		ck_assert_str_ne(row->column[LINK], "-");
		return;
	}
	ck_assert_str_eq(row->column[LINK], "-");
	line = rest = print_entry(meta, item);
	for (size_t i = 1; i < COLUMNS; i++) {
		text = strsep(&rest, "\t");
		if (i != SHA256)
			ck_assert_msg(!strcmp(text, row->column[i]),
				      "%s, column %zu: %.100s, not %.100s", row->column[0], i, text,
				      row->column[i]);
	}
	free(line);
}

/* Where the escaped names of the open directories end in a path. */
struct path {
	char text[65536];
	size_t end[DECODER_DEPTH_MAX + 2];
};

static void path_set(struct path *p, const struct decoder_item *item)
{
	FILE *f;

	if (!item->depth) {
		strcpy(p->text, "/");
		p->end[0] = 0;
		return;
	}
	f = fmemopen(p->text + p->end[item->depth - 1], 2048, "w");
	fputc('/', f);
	print_escaped(f, item->name.bytes, item->name.len);
	fclose(f);
	p->end[item->depth] = strlen(p->text);
}

/* The stored path of a hardlink is its target's, without the leading slash. */
static void check_link(const struct row *row, const struct decoder_item *item)
{
	char *text;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	print_escaped(f, item->path.bytes, item->path.len);
	fclose(f);
	ck_assert_str_eq(text, row->column[LINK] + (*text != '/'));
	free(text);
}

/* Entries with inode flags or a project id are those of extra.tsv: path, flags, project id. */
static void check_extra(struct table *extra, char *path, const struct entry_more *more)
{
	char flags[32], projid[32] = "-";
	struct row *row = find_row(extra, path);

	if (!row) {
		ck_assert_msg(!more->inode_flags && !more->projid, "%s has extras", path);
		return;
	}
	row->seen = true;
	snprintf(flags, sizeof(flags), "0x%" PRIx64, more->inode_flags);
	if (more->projid)
		snprintf(projid, sizeof(projid), "%" PRIu64, more->projid);
	ck_assert_str_eq(flags, row->column[1]);
	ck_assert_str_eq(projid, row->column[2]);
}

static void check_all_seen(const struct table *table)
{
	for (size_t i = 0; i < table->n; i++)
		ck_assert_msg(table->rows[i].seen, "%s is missing", table->rows[i].column[0]);
}

static void check_tree(struct source *meta, struct source *payload, struct table *expected,
		       struct table *extra)
{
	CLEANUP(decoder_freep) struct decoder *d = NULL;
	CLEANUP(freep) struct path *path = calloc(1, sizeof(*path));
	struct decoder_item item;
	struct error err = { 0 };
	struct row *row;

	ck_assert_int_eq(decoder_open(&d, meta, payload, &waiting, &err), 0);
	for (;;) {
		ck_assert_msg(decoder_next(d, &item, &err) == 0, "%s", err.text);
		if (item.event == DECODER_END)
			break;
		if (item.event == DECODER_LEAVE)
			continue;
		path_set(path, &item);
		row = find_row(expected, path->text);
		ck_assert_msg(row != NULL, "%s is not expected", path->text);
		check_row(row, meta, &item);
		if (item.entry.kind == ENTRY_HARDLINK)
			check_link(row, &item);
		check_extra(extra, path->text, &item.more);
	}
	check_all_seen(expected);
	check_all_seen(extra);
}

static const struct {
	const char *set, *meta, *payload, *expected, *extra;
} sets[] = {
	{ "basic", "basic.pxar", NULL, "expected.tsv", "extra.tsv" },
	{ "bigdir", "bigdir.pxar", NULL, "expected.tsv.gz", NULL },
	{ "empty-root", "empty.pxar", NULL, "expected.tsv", NULL },
	{ "fstree", "fstree.pxar", NULL, "expected.tsv", "extra.tsv" },
	{ "fstree-split", "fstree.mpxar", "fstree.ppxar", "expected.tsv", "extra.tsv" },
	{ "legacy", "legacy.pxar", NULL, "expected.tsv", NULL },
	{ "split", "split.mpxar", "split.ppxar", "expected.tsv", "extra.tsv" },
	{ "split-bigprelude", "data.mpxar", "data.ppxar", "expected.tsv", NULL },
	{ "split-empty", "empty.mpxar", "empty.ppxar", "expected.tsv", NULL },
	{ "split-refs", "refs.mpxar", "refs.ppxar", "expected.tsv", NULL },
	{ "unsorted", "unsorted.pxar", NULL, "expected.tsv", NULL },
};

static const char *set_path(const char *set, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", set, name);
	return path;
}

START_TEST(reference_archives_hold_what_they_should)
{
	CLEANUP(table_release) struct table expected = { 0 }, extra = { 0 };
	CLEANUP(source_freep) struct source *meta = NULL, *payload = NULL;
	const char *set = sets[_i].set;

	ck_assert_int_eq(
		source_open_file(&meta, reference_path(set_path(set, sets[_i].meta)), NULL), 0);
	if (sets[_i].payload)
		ck_assert_int_eq(source_open_file(&payload,
						  reference_path(set_path(set, sets[_i].payload)),
						  NULL),
				 0);
	expected = read_table(set_path(set, sets[_i].expected));
	if (sets[_i].extra)
		extra = read_table(set_path(set, sets[_i].extra));
	check_tree(meta, payload, &expected, &extra);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("reference");
	TCase *tc = tcase_create("reference");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, reference_archives_hold_what_they_should, 0, COUNT(sets));
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
