/*
 * fuzz-acl.c - ACL items to the kernel's bytes and back
 *
 * Input: the mode (16 bits), then items. What is made of them is an ACL that Linux takes, and
 * taking it apart and storing it again gives the same. The input is also taken for the kernel's
 * bytes: what is accepted of those can be stored and read again.
 */
#include <stdlib.h>
#include <string.h>

#include "core/acl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int encode_fn(const struct acl *acl, uint64_t mode, struct buffer *out, struct error *err);
typedef int decode_fn(struct acl *acl, const void *bytes, size_t n, struct error *err);

/* Adds items until one is refused. */
static void add_items(struct acl *acl, const uint8_t *at, size_t left)
{
	struct format_header header;
	struct cursor c;

	while (left >= FORMAT_HEADER_SIZE && !format_decode_header(at, &header, NULL) &&
	       header.size <= left) {
		c = cursor_init(at + FORMAT_HEADER_SIZE, (size_t)header.size - FORMAT_HEADER_SIZE);
		if (acl_add_item(acl, header.type, &c, NULL) < 0)
			break;
		at += header.size;
		left -= (size_t)header.size;
	}
}

/* The rules of Linux: tags ascend, ids within a tag do not descend and are ids, each base entry is
   there once, and so is a mask where there is any named entry. */
static void check_linux(const struct buffer *b)
{
	struct cursor c = cursor_init(b->bytes, b->len);
	unsigned tags[0x21] = { 0 };
	uint64_t last = 0;

	if (cursor_le32(&c) != 2)
		abort();
	while (cursor_left(&c)) {
		uint16_t tag = cursor_le16(&c), permissions = cursor_le16(&c);
		uint32_t id = cursor_le32(&c);
		bool named = tag == 2 || tag == 8;
		uint64_t key = (uint64_t)tag << 32 | id;

		if (!tag || tag > 0x20 || (tag & (tag - 1)) || permissions > 7 || key < last ||
		    named != (id != UINT32_MAX))
			abort();
		last = key;
		tags[tag]++;
	}
	if (cursor_finish(&c, NULL, "ACL") < 0 || tags[1] != 1 || tags[4] != 1 || tags[0x20] != 1)
		abort();
	if (tags[0x10] > 1 || ((tags[2] || tags[8]) && !tags[0x10]))
		abort();
}

static void store_again(const struct acl *acl, struct acl *again)
{
	struct buffer items = { 0 };

	acl_encode_items(acl, &items);
	add_items(again, items.bytes, items.len);
	buffer_release(&items);
}

static void check_trip(const struct acl *acl, uint64_t mode, encode_fn *encode, decode_fn *decode)
{
	struct buffer bytes = { 0 }, bytes_again = { 0 };
	struct acl decoded = { 0 }, again = { 0 };
	int r = encode(acl, mode, &bytes, NULL);

	if (r < 0 && r != -EUCLEAN)
		abort();
	if (r == 0 && bytes.len) {
		check_linux(&bytes);
		if (decode(&decoded, bytes.bytes, bytes.len, NULL) < 0)
			abort();
		store_again(&decoded, &again);
		if (encode(&again, mode, &bytes_again, NULL) < 0 || bytes_again.len != bytes.len ||
		    memcmp(bytes.bytes, bytes_again.bytes, bytes.len))
			abort();
	}
	acl_release(&decoded);
	acl_release(&again);
	buffer_release(&bytes);
	buffer_release(&bytes_again);
}

static bool same_list(const struct acl_list *a, const struct acl_list *b)
{
	size_t n = a->n < FORMAT_ACL_MAX ? a->n : FORMAT_ACL_MAX;

	return b->n == n && a->n == b->n + b->lost &&
	       (!n || !memcmp(a->at, b->at, n * sizeof(*a->at)));
}

static void check_kernel_bytes(const uint8_t *data, size_t size)
{
	struct acl acl = { 0 }, again = { 0 };

	if (!acl_decode_access(&acl, data, size, NULL)) {
		store_again(&acl, &again);
		if (!same_list(&acl.user, &again.user) || !same_list(&acl.group, &again.group) ||
		    acl.has_group_obj != again.has_group_obj || acl.group_obj != again.group_obj)
			abort();
	}
	acl_release(&acl);
	acl_release(&again);
	if (!acl_decode_default(&acl, data, size, NULL)) {
		store_again(&acl, &again);
		if (!same_list(&acl.default_user, &again.default_user) ||
		    !same_list(&acl.default_group, &again.default_group) ||
		    acl.has_default != again.has_default ||
		    (acl.has_default && memcmp(&acl.base, &again.base, sizeof(acl.base))))
			abort();
	}
	acl_release(&acl);
	acl_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct acl acl = { 0 };
	uint64_t mode;

	check_kernel_bytes(data, size);
	if (size < 2)
		return 0;
	mode = (uint64_t)(data[0] | data[1] << 8);
	add_items(&acl, data + 2, size - 2);
	check_trip(&acl, mode, acl_encode_access, acl_decode_access);
	check_trip(&acl, mode, acl_encode_default, acl_decode_default);
	acl_release(&acl);
	return 0;
}
