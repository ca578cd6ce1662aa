#define _GNU_SOURCE
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/decoder.h"
#include "core/siphash.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct io waiting = { .may_wait = true }, inline_only = { .may_wait = false };

static const char *reference_path(const char *name)
{
	static char path[512];
	const char *base = getenv("REFERENCE");

	snprintf(path, sizeof(path), "%s/%s", base ? base : "tests/reference", name);
	return path;
}

static struct buffer read_reference(const char *name)
{
	FILE *f = fopen(reference_path(name), "rb");
	struct buffer b = { 0 };
	char piece[4096];
	size_t n;

	ck_assert_msg(f != NULL, "cannot open %s", name);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		buffer_add(&b, piece, n);
	fclose(f);
	return b;
}

/* A source in memory that fails after `good` reads: with `failure` from then on, or, where that is
   1, once. */
struct flaky {
	struct source source;
	const uint8_t *bytes;
	unsigned reads, good;
	int failure;
};

static int flaky_read(struct source *source, const struct io *io, uint64_t offset, void *buf,
		      size_t n, struct error *err)
{
	struct flaky *f = (struct flaky *)source;
	bool fails = f->failure < 0 ? f->reads >= f->good : f->reads == f->good;

	(void)io;
	f->reads++;
	if (f->failure && fails)
		return f->failure < 0 ? error_set(err, f->failure, "made to fail") : f->failure;
	memcpy(buf, f->bytes + offset, n);
	return 0;
}

static const struct source_ops flaky_ops = { .read = flaky_read };

static struct flaky flaky_init(const void *bytes, size_t n)
{
	return (struct flaky){ .source = { &flaky_ops, n }, .bytes = bytes };
}

/* What a whole reading amounts to. */
struct outcome {
	int r;
	size_t events;
	uint64_t digest; /* of all that was reported */
	struct error err;
};

static uint64_t mix(uint64_t digest, const void *bytes, size_t n)
{
	return siphash24(digest, n, bytes, n);
}

static uint64_t mix_item(uint64_t digest, const struct decoder_item *item)
{
	digest = mix(digest, &item->event, sizeof(item->event));
	digest = mix(digest, &item->start, sizeof(item->start));
	digest = mix(digest, &item->entry.number, sizeof(item->entry.number));
	digest = mix(digest, &item->entry.size, sizeof(item->entry.size));
	digest = mix(digest, item->name.bytes, item->name.len);
	return mix(digest, item->path.bytes, item->path.len);
}

/* Reads to the end or the first error; a call that would wait is made again. */
static struct outcome read_all(struct source *meta, struct source *payload)
{
	CLEANUP(decoder_freep) struct decoder *d = NULL;
	struct outcome o = { 0 };
	struct decoder_item item = { .event = DECODER_ENTRY };

	do
		o.r = decoder_open(&d, meta, payload, &inline_only, &o.err);
	while (o.r == 1);
	while (o.r == 0 && item.event != DECODER_END) {
		do
			o.r = decoder_next(d, &item, &o.err);
		while (o.r == 1);
		o.events++;
		if (o.r == 0)
			o.digest = mix_item(o.digest, &item);
		ck_assert_uint_le(o.events, meta->size / 16 + 2);
	}
	ck_assert(o.r == 0 || (o.err.code == o.r && *o.err.text));
	return o;
}

/* Bytes are handed over in a block of exactly their size. */
static struct outcome read_bytes(const void *meta, size_t n, const void *payload, size_t m)
{
	CLEANUP(freep) uint8_t *copy = malloc(n ? n : 1), *payload_copy = malloc(m ? m : 1);
	struct flaky meta_source = flaky_init(copy, n);
	struct flaky payload_source = flaky_init(payload_copy, m);

	if (n)
		memcpy(copy, meta, n);
	if (payload)
		memcpy(payload_copy, payload, m);
	return read_all(&meta_source.source, payload ? &payload_source.source : NULL);
}

/* A root with a file, a directory with a link to it, and a symlink. */
static struct buffer make_unified(void)
{
	static const char hex[] =
		"efac88e5746495d53800000000000000ed41000000000000000000000000000000000000"
		"00000000d87f4355000000000500000000000000b3173906211170161600000000000000"
		"622e74787400efac88e5746495d53800000000000000a481000000000000000000000000"
		"0000e8030000e8030000d87f4355000000000500000000000000251a7c0b1b7a14281600"
		"00000000000068656c6c6f0ab31739062111701612000000000000006400efac88e57464"
		"95d53800000000000000c0410000000000000000000000000000e8030000e8030000d87f"
		"4355000000000500000000000000b317390621117016120000000000000068007572bd22"
		"849c26511e00000000000000ae00000000000000622e747874001d73d542a64fec2f4000"
		"000000000000008069b2b217b5fc3000000000000000300000000000000055153e755bed"
		"5eef68000000000000004000000000000000b31739062111701612000000000000007300"
		"efac88e5746495d53800000000000000ffa1000000000000000000000000000000000000"
		"00000000d87f43550000000005000000000000005fdcf5dbe771f9271600000000000000"
		"622e747874001d73d542a64fec2f70000000000000006123299d8c54aecc600000000000"
		"00006000000000000000c3472fbc6c1db6251a01000000000000ba000000000000000db8"
		"3f0c507437f97e01000000000000640000000000000055153e755bed5eefb60100000000"
		"00007000000000000000";
	struct buffer b = { 0 };
	char pair[3] = "";

	for (size_t i = 0; i + 1 < sizeof(hex); i += 2) {
		uint8_t byte;

		memcpy(pair, hex + i, 2);
		byte = (uint8_t)strtoul(pair, NULL, 16);
		buffer_add(&b, &byte, 1);
	}
	ck_assert_uint_eq(b.len, 550);
	return b;
}

/* Split, one file of 3 bytes. What its record says of its size is given. */
static struct buffer make_split(uint64_t record_size)
{
	struct format_stat st = { .mode = 040755 };
	struct buffer b = { 0 };

	format_encode_version(&b, 2);
	format_encode_bytes(&b, FORMAT_PRELUDE, "anything", 8);
	format_encode_stat(&b, &st);
	format_encode_string(&b, FORMAT_FILENAME, "a", 1);
	st.mode = 0100644;
	format_encode_stat(&b, &st);
	format_encode_ref(&b, &(struct format_ref){ 16, 3 });
	ck_assert_uint_eq(b.len, 104 + 106);
	format_encode_header(&b, FORMAT_GOODBYE, 48);
	format_encode_record(&b, &(struct format_record){ siphash_name("a", 1), 106, record_size });
	format_encode_record(&b, &(struct format_record){ FORMAT_GOODBYE_TAIL, 210, 64 });
	return b;
}

static struct buffer make_payload(void)
{
	struct buffer b = { 0 };

	format_encode_header(&b, FORMAT_PAYLOAD_START, 0);
	format_encode_bytes(&b, FORMAT_PAYLOAD, "abc", 3);
	format_encode_header(&b, FORMAT_PAYLOAD_TAIL, 0);
	return b;
}

/* Entries of the unified example, as they come. */
static const struct {
	enum decoder_event event;
	unsigned depth;
	uint64_t start, number;
	const char *name, *path;
	uint64_t size;
} events[] = {
	{ DECODER_ENTRY, 0, 0, 0, "", "", 0 },
	{ DECODER_ENTRY, 1, 56, 0x800000000000004e, "b.txt", "", 6 },
	{ DECODER_ENTRY, 1, 156, 0, "d", "", 0 },
	{ DECODER_ENTRY, 2, 230, 0x80000000000000f8, "h", "b.txt", 56 },
	{ DECODER_LEAVE, 1, 156, 342, "", "", 64 },
	{ DECODER_ENTRY, 1, 342, 0x8000000000000168, "s", "", 5 },
	{ DECODER_LEAVE, 0, 0, 1, "", "", 112 },
	{ DECODER_END, 0, 0, 0, "", "", 0 },
	{ DECODER_END, 0, 0, 0, "", "", 0 }, /* and so for ever */
};

static bool is_text(const struct format_string *s, const char *text)
{
	return s->len == strlen(text) &&
	       !memcmp(s->bytes ? s->bytes : (const uint8_t *)"", text, s->len);
}

START_TEST(entries_come_in_the_order_of_the_archive)
{
	CLEANUP(buffer_release) struct buffer b = make_unified();
	CLEANUP(decoder_freep) struct decoder *d = NULL;
	CLEANUP(source_freep) struct source *source = NULL;
	struct decoder_item item;

	ck_assert_int_eq(source_new_memory(&source, b.bytes, b.len, NULL), 0);
	ck_assert_int_eq(decoder_open(&d, source, NULL, &waiting, NULL), 0);
	for (size_t i = 0; i < COUNT(events); i++) {
		ck_assert_int_eq(decoder_next(d, &item, NULL), 0);
		ck_assert_int_eq(item.event, events[i].event);
		ck_assert_uint_eq(item.depth, events[i].depth);
		ck_assert_uint_eq(item.start, events[i].start);
		ck_assert(item.entry.number == events[i].number);
		ck_assert_uint_eq(item.entry.size, events[i].size);
		ck_assert(is_text(&item.name, events[i].name));
		ck_assert(is_text(&item.path, events[i].path));
	}
}
END_TEST

START_TEST(a_flipped_bit_in_a_goodbye_table_is_refused)
{
	CLEANUP(buffer_release) struct buffer b = make_unified();

	for (size_t i = 278; i < 550; i++) {
		for (unsigned bit = 0; bit < 8 && (i < 342 || i >= 438); bit++) {
			b.bytes[i] ^= (uint8_t)(1 << bit);
			ck_assert_msg(read_bytes(b.bytes, b.len, NULL, 0).r == -EUCLEAN,
				      "bit %u at %zu", bit, i);
			b.bytes[i] ^= (uint8_t)(1 << bit);
		}
	}
}
END_TEST

START_TEST(records_that_are_no_search_tree_are_refused)
{
	CLEANUP(buffer_release) struct buffer b = make_unified();
	uint8_t record[24], *records = b.bytes + 454;
	static const size_t swaps[][2] = { { 0, 1 }, { 1, 2 }, { 0, 2 } };

	for (size_t i = 0; i < COUNT(swaps); i++) {
		uint8_t *x = records + 24 * swaps[i][0], *y = records + 24 * swaps[i][1];

		memcpy(record, x, 24);
		memcpy(x, y, 24);
		memcpy(y, record, 24);
		ck_assert_int_eq(read_bytes(b.bytes, b.len, NULL, 0).r, -EUCLEAN);
		memcpy(record, x, 24);
		memcpy(x, y, 24);
		memcpy(y, record, 24);
	}
	memcpy(records + 24, records, 24); /* one child twice, another not at all */
	ck_assert_int_eq(read_bytes(b.bytes, b.len, NULL, 0).r, -EUCLEAN);
}
END_TEST

static const struct {
	const char *what;
	uint64_t delta;
	int want;
} links[] = {
	{ "to the file", 174, 0 },
	{ "to itself", 0, -EUCLEAN },
	{ "before the archive", 231, -EUCLEAN },
	{ "forward", UINT64_MAX - 100, -EUCLEAN },
	{ "to the root's ENTRY", 230, -EUCLEAN },
	{ "to the directory it is in", 74, -EUCLEAN },
	{ "into an item", 173, -EUCLEAN },
	{ "to an ENTRY", 152, -EUCLEAN },
};

START_TEST(hardlinks_lead_to_an_earlier_file)
{
	CLEANUP(buffer_release) struct buffer b = make_unified();

	for (size_t i = 0; i < 8; i++)
		b.bytes[264 + i] = (uint8_t)(links[_i].delta >> (8 * i));
	ck_assert_msg(read_bytes(b.bytes, b.len, NULL, 0).r == links[_i].want, "%s",
		      links[_i].what);
}
END_TEST

static const struct {
	const char *what;
	size_t offset; /* of the header that gets another type */
	uint64_t type;
} misplaced[] = {
	{ "the root has a name", 0, FORMAT_FILENAME },
	{ "no version is so long", 0, FORMAT_VERSION },
	{ "a prelude inside", 342, FORMAT_PRELUDE },
	{ "a payload where a name should be", 342, FORMAT_PAYLOAD },
	{ "an attribute after the terminal item", 156, FORMAT_XATTR },
	{ "a directory ends early", 156, FORMAT_GOODBYE },
	{ "a name where an entry should be", 78, FORMAT_FILENAME },
	{ "a second link", 416, FORMAT_HARDLINK },
	{ "a payload of a directory", 230, FORMAT_PAYLOAD },
	{ "a link with content", 416, FORMAT_PAYLOAD },
};

START_TEST(items_out_of_place_are_refused)
{
	CLEANUP(buffer_release) struct buffer b = make_unified();

	for (size_t i = 0; i < 8; i++)
		b.bytes[misplaced[_i].offset + i] = (uint8_t)(misplaced[_i].type >> (8 * i));
	ck_assert_msg(read_bytes(b.bytes, b.len, NULL, 0).r == -EUCLEAN, "%s", misplaced[_i].what);
}
END_TEST

START_TEST(the_root_is_a_directory)
{
	CLEANUP(buffer_release) struct buffer b = make_unified();

	/* Only the file, with all that belongs to it. */
	ck_assert_int_eq(read_bytes(b.bytes + 78, 78, NULL, 0).r, -EUCLEAN);
}
END_TEST

START_TEST(only_known_versions_are_read)
{
	CLEANUP(buffer_release) struct buffer b = make_split(106), payload = make_payload();

	for (uint8_t version = 0; version < 4; version++) {
		b.bytes[16] = version;
		ck_assert_int_eq(read_bytes(b.bytes, b.len, payload.bytes, payload.len).r,
				 version == 2	? 0
				 : version == 1 ? -EINVAL
						: -EUCLEAN);
	}
	b.bytes[16] = 1; /* unified, and so without references */
	ck_assert_int_eq(read_bytes(b.bytes, b.len, NULL, 0).r, -EUCLEAN);
}
END_TEST

static struct buffer unified_reference(void)
{
	return read_reference("hostile/control-v1/a.pxar");
}

START_TEST(every_prefix_is_refused)
{
	CLEANUP(buffer_release) struct buffer b = unified_reference();
	CLEANUP(buffer_release) struct buffer meta = read_reference("hostile/control-v2/a.mpxar");
	CLEANUP(buffer_release)
	struct buffer payload = read_reference("hostile/control-v2/a.ppxar");

	for (size_t n = 0; n < b.len; n++)
		ck_assert_msg(read_bytes(b.bytes, n, NULL, 0).r < 0, "%zu bytes", n);
	ck_assert_int_eq(read_bytes(b.bytes, b.len, NULL, 0).r, 0);
	for (size_t n = 0; n < meta.len; n++)
		ck_assert_int_lt(read_bytes(meta.bytes, n, payload.bytes, payload.len).r, 0);
	ck_assert_int_eq(read_bytes(meta.bytes, meta.len, payload.bytes, payload.len).r, 0);
	/* The last payload is whole without the tail marker, and not without its last byte. */
	for (size_t n = 0; n < payload.len; n++)
		ck_assert_int_eq(read_bytes(meta.bytes, meta.len, payload.bytes, n).r,
				 n < payload.len - 16 ? -EUCLEAN : 0);
	buffer_le64(&b, 0);
	ck_assert_int_eq(read_bytes(b.bytes, b.len, NULL, 0).r, -EUCLEAN);
}
END_TEST

/* Most flips are found; those of contents and of times cannot be. None is the end of the test. */
START_TEST(any_flipped_bit_does_no_harm)
{
	CLEANUP(buffer_release) struct buffer b = unified_reference();
	size_t refused = 0;

	for (size_t i = 0; i < b.len * 8; i++) {
		b.bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		refused += read_bytes(b.bytes, b.len, NULL, 0).r < 0;
		b.bytes[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	ck_assert_uint_gt(refused, b.len * 8 / 4);
	ck_assert_int_eq(read_bytes(b.bytes, b.len, NULL, 0).r, 0);
}
END_TEST

START_TEST(a_split_files_size_may_count_its_content)
{
	CLEANUP(buffer_release) struct buffer payload = make_payload();

	for (uint64_t size = 100; size < 115; size++) {
		CLEANUP(buffer_release) struct buffer b = make_split(size);

		ck_assert_int_eq(read_bytes(b.bytes, b.len, payload.bytes, payload.len).r,
				 size == 106 || size == 109 ? 0 : -EUCLEAN);
	}
}
END_TEST

START_TEST(references_must_lead_to_a_payload)
{
	CLEANUP(buffer_release) struct buffer meta = make_split(106);
	CLEANUP(buffer_release) struct buffer b = make_payload();

	for (size_t i = 0; i < 32 * 8; i++) { /* both headers */
		b.bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		ck_assert_int_eq(read_bytes(meta.bytes, meta.len, b.bytes, b.len).r, -EUCLEAN);
		b.bytes[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (size_t i = 0; i < 8; i++) /* an item of the right size, but no PAYLOAD */
		b.bytes[16 + i] = (uint8_t)(FORMAT_PRELUDE >> (8 * i));
	ck_assert_int_eq(read_bytes(meta.bytes, meta.len, b.bytes, b.len).r, -EUCLEAN);
}
END_TEST

START_TEST(a_payload_file_is_there_when_it_is_needed_and_only_then)
{
	CLEANUP(buffer_release) struct buffer unified = make_unified(), split = make_split(106);
	CLEANUP(buffer_release) struct buffer payload = make_payload();

	ck_assert_int_eq(read_bytes(split.bytes, split.len, NULL, 0).r, -EINVAL);
	ck_assert_int_eq(read_bytes(unified.bytes, unified.len, payload.bytes, payload.len).r,
			 -EINVAL);
}
END_TEST

/* Directories called "d" inside each other. */
static struct buffer make_deep(unsigned depth)
{
	struct format_stat st = { .mode = 040755 };
	struct buffer b = { 0 };

	for (unsigned i = 0; i <= depth; i++) {
		if (i)
			format_encode_string(&b, FORMAT_FILENAME, "d", 1);
		format_encode_stat(&b, &st);
	}
	for (unsigned i = depth + 1; i-- > 0;) {
		uint64_t entry = i ? 56 + 74 * (uint64_t)(i - 1) + 18 : 0, at = b.len;
		uint64_t child = 56 + 74 * (uint64_t)i;
		bool leaf = i == depth;

		format_encode_header(&b, FORMAT_GOODBYE, leaf ? 24 : 48);
		if (!leaf)
			format_encode_record(&b, &(struct format_record){ siphash_name("d", 1),
									  at - child, at - child });
		format_encode_record(&b, &(struct format_record){ FORMAT_GOODBYE_TAIL, at - entry,
								  leaf ? 40 : 64 });
	}
	return b;
}

START_TEST(depth_is_limited)
{
	CLEANUP(buffer_release) struct buffer deepest = make_deep(DECODER_DEPTH_MAX);
	CLEANUP(buffer_release) struct buffer deeper = make_deep(DECODER_DEPTH_MAX + 1);
	CLEANUP(buffer_release) struct buffer abyss = make_deep(100000);

	ck_assert_int_eq(read_bytes(deepest.bytes, deepest.len, NULL, 0).r, 0);
	ck_assert_int_eq(read_bytes(deeper.bytes, deeper.len, NULL, 0).r, -ELOOP);
	ck_assert_int_eq(read_bytes(abyss.bytes, abyss.len, NULL, 0).r, -ELOOP);
}
END_TEST

static const int failures[] = { -EIO, -ENOMEM, 1 };

START_TEST(a_failing_read_is_reported_and_a_waiting_one_made_again)
{
	CLEANUP(buffer_release) struct buffer meta = read_reference("split-refs/refs.mpxar");
	CLEANUP(buffer_release) struct buffer payload = read_reference("split-refs/refs.ppxar");
	struct flaky m = flaky_init(meta.bytes, meta.len),
		     p = flaky_init(payload.bytes, payload.len);
	struct outcome good = read_all(&m.source, &p.source);
	struct flaky *const both[] = { &m, &p };

	ck_assert_int_eq(good.r, 0);
	for (size_t i = 0; i < COUNT(both); i++) {
		struct flaky *f = both[i];

		f->failure = failures[_i];
		for (f->good = 0;; f->good++) {
			struct outcome o;

			f->reads = 0;
			o = read_all(&m.source, &p.source);
			if (f->reads <= f->good)
				break;
			ck_assert_int_eq(o.r, failures[_i] < 0 ? failures[_i] : 0);
			if (o.r == 0)
				ck_assert(o.digest == good.digest && o.events == good.events);
		}
		ck_assert_uint_gt(f->good, 0);
		f->failure = 0;
	}
}
END_TEST

/* Each line of cases.tsv: what is wrong is found, and a control case is read through. */
START_TEST(hostile_archives_are_refused)
{
	FILE *f = fopen(reference_path("hostile/cases.tsv"), "r");
	size_t room = 0, cases = 0;
	char *line = NULL;

	ck_assert_ptr_nonnull(f);
	while (getline(&line, &room, f) > 0) {
		char *rest = NULL, *name = strtok_r(line, "\t", &rest);
		char *meta_name = strtok_r(NULL, "\t", &rest);
		char *payload_name = strtok_r(NULL, "\t", &rest);
		CLEANUP(buffer_release) struct buffer meta = { 0 }, payload = { 0 };
		char *kind, path[256];
		struct outcome o;

		if (*name == '#' || strstr(meta_name, "/store/")) /* an index is no archive */
			continue;
		strtok_r(NULL, "\t", &rest);
		strtok_r(NULL, "\t", &rest);
		kind = strtok_r(NULL, "\t", &rest);
		snprintf(path, sizeof(path), "hostile/%s", meta_name);
		meta = read_reference(path);
		snprintf(path, sizeof(path), "hostile/%s", payload_name);
		if (*payload_name != '-')
			payload = read_reference(path);
		o = read_bytes(meta.bytes, meta.len, payload.bytes, payload.len);
		if (strcmp(kind, "any"))
			ck_assert_msg((o.r == 0) == !strcmp(kind, "ok"), "%s: %d %s", name, o.r,
				      o.err.text);
		cases++;
	}
	ck_assert_uint_gt(cases, 40);
	free(line);
	fclose(f);
}
END_TEST

static Suite *decoder_suite(void)
{
	Suite *s = suite_create("decoder");
	TCase *tc = tcase_create("decoder");

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, entries_come_in_the_order_of_the_archive);
	tcase_add_test(tc, a_flipped_bit_in_a_goodbye_table_is_refused);
	tcase_add_test(tc, records_that_are_no_search_tree_are_refused);
	tcase_add_loop_test(tc, hardlinks_lead_to_an_earlier_file, 0, COUNT(links));
	tcase_add_loop_test(tc, items_out_of_place_are_refused, 0, COUNT(misplaced));
	tcase_add_test(tc, the_root_is_a_directory);
	tcase_add_test(tc, only_known_versions_are_read);
	tcase_add_test(tc, every_prefix_is_refused);
	tcase_add_test(tc, any_flipped_bit_does_no_harm);
	tcase_add_test(tc, a_split_files_size_may_count_its_content);
	tcase_add_test(tc, references_must_lead_to_a_payload);
	tcase_add_test(tc, a_payload_file_is_there_when_it_is_needed_and_only_then);
	tcase_add_test(tc, depth_is_limited);
	tcase_add_loop_test(tc, a_failing_read_is_reported_and_a_waiting_one_made_again, 0,
			    COUNT(failures));
	tcase_add_test(tc, hostile_archives_are_refused);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(decoder_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
