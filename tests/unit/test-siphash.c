#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/format.h"
#include "core/siphash.h"

START_TEST(the_vector_of_the_algorithms_paper_comes_out)
{
	uint8_t key[16], text[15];

	for (uint8_t i = 0; i < sizeof(key); i++)
		key[i] = i;
	memcpy(text, key, sizeof(text));
	ck_assert(siphash24(UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908), text,
			    sizeof(text)) == UINT64_C(0xa129ca6149be45e5));
}
END_TEST

static const struct {
	const char *name;
	uint64_t hash;
} names[] = {
	{ "", UINT64_C(0x76614015f8d1bb6c) },	       { "a", UINT64_C(0x0c26e9067c2c7bcf) },
	{ "d", UINT64_C(0x25b61d6cbc2f47c3) },	       { "b.txt", UINT64_C(0xf93774500c3fb80d) },
	{ "hello.txt", UINT64_C(0x9b1ee0b84c66190c) },
};

START_TEST(names_have_the_hashes_that_archives_hold)
{
	ck_assert(siphash_name(names[_i].name, strlen(names[_i].name)) == names[_i].hash);
}
END_TEST

/* Each item type is the hash of its own name, which makes the list a set of test vectors. */
static const struct {
	const char *name;
	uint64_t type;
} types[] = {
	{ "VERSION", FORMAT_VERSION },
	{ "PRELUDE", FORMAT_PRELUDE },
	{ "ENTRY_V2", FORMAT_ENTRY },
	{ "ENTRY", FORMAT_ENTRY_V1 },
	{ "FILENAME", FORMAT_FILENAME },
	{ "SYMLINK", FORMAT_SYMLINK },
	{ "DEVICE", FORMAT_DEVICE },
	{ "XATTR", FORMAT_XATTR },
	{ "ACL_USER", FORMAT_ACL_USER },
	{ "ACL_GROUP", FORMAT_ACL_GROUP },
	{ "ACL_GROUP_OBJ", FORMAT_ACL_GROUP_OBJ },
	{ "ACL_DEFAULT", FORMAT_ACL_DEFAULT },
	{ "ACL_DEFAULT_USER", FORMAT_ACL_DEFAULT_USER },
	{ "ACL_DEFAULT_GROUP", FORMAT_ACL_DEFAULT_GROUP },
	{ "FCAPS", FORMAT_FCAPS },
	{ "QUOTA_PROJID", FORMAT_QUOTA_PROJID },
	{ "HARDLINK", FORMAT_HARDLINK },
	{ "PXAR_PAYLOAD", FORMAT_PAYLOAD },
	{ "PXAR_PAYLOAD_REF", FORMAT_PAYLOAD_REF },
	{ "GOODBYE", FORMAT_GOODBYE },
	{ "PXAR_GOODBYE_TAIL_MARKER", FORMAT_GOODBYE_TAIL },
	{ "PXAR_PAYLOAD_START_MARKER", FORMAT_PAYLOAD_START },
	{ "PXAR_PAYLOAD_TAIL_MARKER", FORMAT_PAYLOAD_TAIL },
};

START_TEST(item_types_are_hashes_of_their_names)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "__PROXMOX_FORMAT_%s__", types[_i].name);

	ck_assert_msg(siphash_name(text, (size_t)n) == types[_i].type, "%s", text);
}
END_TEST

/* Read as single bytes: where a text lies in memory makes no difference. */
START_TEST(the_hash_does_not_depend_on_alignment)
{
	uint8_t room[64 + 8];
	uint64_t first;

	for (size_t n = 0; n < 64; n++) {
		memset(room, 0x5a, sizeof(room));
		first = siphash_name(room, n);
		for (size_t at = 1; at < 8; at++)
			ck_assert(siphash_name(room + at, n) == first);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("siphash");
	TCase *tc = tcase_create("siphash");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_test(tc, the_vector_of_the_algorithms_paper_comes_out);
	tcase_add_loop_test(tc, names_have_the_hashes_that_archives_hold, 0,
			    sizeof(names) / sizeof(names[0]));
	tcase_add_loop_test(tc, item_types_are_hashes_of_their_names, 0,
			    sizeof(types) / sizeof(types[0]));
	tcase_add_test(tc, the_hash_does_not_depend_on_alignment);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
