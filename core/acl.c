#include "core/acl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	XATTR_VERSION = 2,
	XATTR_HEADER_SIZE = 4,
	XATTR_ENTRY_SIZE = 8,
	TAG_USER_OBJ = 0x01,
	TAG_USER = 0x02,
	TAG_GROUP_OBJ = 0x04,
	TAG_GROUP = 0x08,
	TAG_MASK = 0x10,
	TAG_OTHER = 0x20,
	PERMISSIONS = 7,
};

#define NO_ID UINT32_MAX

void acl_release(struct acl *acl)
{
	free(acl->user.at);
	free(acl->group.at);
	free(acl->default_user.at);
	free(acl->default_group.at);
	*acl = (struct acl){ 0 };
}

static bool before(const struct format_acl *a, const struct format_acl *b)
{
	return a->id != b->id ? a->id < b->id : a->permissions < b->permissions;
}

static int list_grow(struct acl_list *list, struct error *err)
{
	size_t room = list->room ? list->room * 2 : 8;
	struct format_acl *at = realloc(list->at, room * sizeof(*at));

	if (!at)
		return error_set(err, ENOMEM, "out of memory");
	list->at = at;
	list->room = room;
	return 0;
}

/* Puts it where it belongs. Writers sort, so that is nearly always the end. */
static int list_add(struct acl_list *list, struct format_acl item, struct error *err)
{
	size_t i = list->n;

	if (list->n == list->room && list_grow(list, err) < 0)
		return -ENOMEM;
	item.permissions &= PERMISSIONS;
	if (item.id >= NO_ID)
		item.id = ACL_OVERFLOW_ID;
	while (i && before(&item, &list->at[i - 1]))
		i--;
	memmove(list->at + i + 1, list->at + i, (list->n - i) * sizeof(*list->at));
	list->at[i] = item;
	list->n++;
	return 0;
}

static int add_named(struct acl_list *list, struct cursor *c, struct error *err)
{
	struct format_acl item;
	int r = format_decode_acl(c, &item, err);

	if (r < 0)
		return r;
	if (list->n < FORMAT_ACL_MAX)
		return list_add(list, item, err);
	list->lost++;
	return 0;
}

static int add_group_obj(struct acl *acl, struct cursor *c, struct error *err)
{
	if (acl->has_group_obj)
		return error_set(err, EUCLEAN, "ACL_GROUP_OBJ: the entry has one already");
	acl->has_group_obj = true;
	return format_decode_u64(c, &acl->group_obj, err);
}

static int add_default(struct acl *acl, struct cursor *c, struct error *err)
{
	if (acl->has_default)
		return error_set(err, EUCLEAN, "ACL_DEFAULT: the entry has one already");
	acl->has_default = true;
	return format_decode_acl_default(c, &acl->base, err);
}

int acl_add_item(struct acl *acl, uint64_t type, struct cursor *c, struct error *err)
{
	switch (type) {
	case FORMAT_ACL_USER:
		return add_named(&acl->user, c, err);
	case FORMAT_ACL_GROUP:
		return add_named(&acl->group, c, err);
	case FORMAT_ACL_GROUP_OBJ:
		return add_group_obj(acl, c, err);
	case FORMAT_ACL_DEFAULT:
		return add_default(acl, c, err);
	case FORMAT_ACL_DEFAULT_USER:
		return add_named(&acl->default_user, c, err);
	case FORMAT_ACL_DEFAULT_GROUP:
		return add_named(&acl->default_group, c, err);
	default:
		return error_set(err, EUCLEAN, "%s is no part of an ACL", format_type_name(type));
	}
}

/* All that the kernel's form has, whichever ACL it is for. */
struct complete {
	uint64_t user_obj, group_obj, other;
	uint64_t mask; /* FORMAT_ACL_ABSENT: none */
	const struct acl_list *user, *group;
};

static void encode_entry(struct buffer *out, uint16_t tag, uint64_t permissions, uint64_t id)
{
	buffer_le16(out, tag);
	buffer_le16(out, (uint16_t)(permissions & PERMISSIONS));
	buffer_le32(out, (uint32_t)id);
}

static void encode_list(struct buffer *out, uint16_t tag, const struct acl_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		encode_entry(out, tag, list->at[i].permissions, list->at[i].id);
}

static int encode(const struct complete *all, struct buffer *out, struct error *err)
{
	size_t named = all->user->n + all->group->n + all->user->lost + all->group->lost;

	if (named > FORMAT_ACL_MAX)
		return error_set(err, EUCLEAN, "ACL: %zu users and groups, more than %d", named,
				 FORMAT_ACL_MAX);
	buffer_le32(out, XATTR_VERSION);
	encode_entry(out, TAG_USER_OBJ, all->user_obj, NO_ID);
	encode_list(out, TAG_USER, all->user);
	encode_entry(out, TAG_GROUP_OBJ, all->group_obj, NO_ID);
	encode_list(out, TAG_GROUP, all->group);
	if (all->mask != FORMAT_ACL_ABSENT)
		encode_entry(out, TAG_MASK, all->mask, NO_ID);
	encode_entry(out, TAG_OTHER, all->other, NO_ID);
	return buffer_finish(out, err);
}

int acl_encode_access(const struct acl *acl, uint64_t mode, struct buffer *out, struct error *err)
{
	uint64_t group_bits = mode >> 3 & PERMISSIONS;
	struct complete all = {
		.user_obj = mode >> 6,
		.group_obj = acl->has_group_obj ? acl->group_obj : group_bits,
		.mask = group_bits,
		.other = mode,
		.user = &acl->user,
		.group = &acl->group,
	};

	if (!acl->user.n && !acl->group.n && !acl->has_group_obj)
		return 0;
	return encode(&all, out, err);
}

static uint64_t list_union(const struct acl_list *list)
{
	uint64_t permissions = 0;

	for (size_t i = 0; i < list->n; i++)
		permissions |= list->at[i].permissions;
	return permissions;
}

static uint64_t or_else(uint64_t permissions, uint64_t mode_bits)
{
	return permissions != FORMAT_ACL_ABSENT ? permissions : mode_bits;
}

int acl_encode_default(const struct acl *acl, uint64_t mode, struct buffer *out, struct error *err)
{
	struct complete all = {
		.user_obj = or_else(acl->base.user_obj, mode >> 6),
		.group_obj = or_else(acl->base.group_obj, mode >> 3),
		.other = or_else(acl->base.other, mode),
		.mask = acl->base.mask,
		.user = &acl->default_user,
		.group = &acl->default_group,
	};

	if (!acl->has_default)
		return 0;
	if (all.mask == FORMAT_ACL_ABSENT && (all.user->n || all.group->n))
		all.mask = (all.group_obj & PERMISSIONS) | list_union(all.user) |
			   list_union(all.group);
	return encode(&all, out, err);
}

/* An entry that there can be one of. */
static int decode_base(uint64_t *to, uint16_t tag, uint16_t permissions, struct error *err)
{
	if (*to != FORMAT_ACL_ABSENT)
		return error_set(err, EUCLEAN, "ACL: a second entry with tag %#x", tag);
	*to = permissions;
	return 0;
}

static int decode_entry(struct cursor *c, struct format_acl_default *base, struct acl_list *user,
			struct acl_list *group, struct error *err)
{
	uint16_t tag = cursor_le16(c);
	uint16_t permissions = cursor_le16(c);
	uint32_t id = cursor_le32(c);

	if (permissions & ~PERMISSIONS)
		return error_set(err, EUCLEAN, "ACL: permissions %#x", permissions);
	switch (tag) {
	case TAG_USER_OBJ:
		return decode_base(&base->user_obj, tag, permissions, err);
	case TAG_USER:
		return list_add(user, (struct format_acl){ id, permissions }, err);
	case TAG_GROUP_OBJ:
		return decode_base(&base->group_obj, tag, permissions, err);
	case TAG_GROUP:
		return list_add(group, (struct format_acl){ id, permissions }, err);
	case TAG_MASK:
		return decode_base(&base->mask, tag, permissions, err);
	case TAG_OTHER:
		return decode_base(&base->other, tag, permissions, err);
	default:
		return error_set(err, EUCLEAN, "ACL: no entry has the tag %#x", tag);
	}
}

static int decode(const void *bytes, size_t n, struct format_acl_default *base,
		  struct acl_list *user, struct acl_list *group, struct error *err)
{
	struct cursor c = cursor_init(bytes, n);
	uint32_t version = cursor_le32(&c);
	int r;

	*base = (struct format_acl_default){ FORMAT_ACL_ABSENT, FORMAT_ACL_ABSENT,
					     FORMAT_ACL_ABSENT, FORMAT_ACL_ABSENT };
	if (n < XATTR_HEADER_SIZE || (n - XATTR_HEADER_SIZE) % XATTR_ENTRY_SIZE)
		return error_set(err, EUCLEAN, "ACL: %zu bytes", n);
	if (version != XATTR_VERSION)
		return error_set(err, EUCLEAN, "ACL: version %" PRIu32 " is not known", version);
	while (cursor_left(&c)) {
		r = decode_entry(&c, base, user, group, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int acl_decode_access(struct acl *acl, const void *bytes, size_t n, struct error *err)
{
	struct format_acl_default base;
	int r = decode(bytes, n, &base, &acl->user, &acl->group, err);

	if (r < 0 || base.mask == FORMAT_ACL_ABSENT)
		return r;
	if (base.group_obj == FORMAT_ACL_ABSENT)
		return error_set(err, EUCLEAN, "ACL: a mask, but no entry for the group");
	acl->has_group_obj = true;
	acl->group_obj = base.group_obj;
	return 0;
}

int acl_decode_default(struct acl *acl, const void *bytes, size_t n, struct error *err)
{
	int r = decode(bytes, n, &acl->base, &acl->default_user, &acl->default_group, err);

	if (r < 0)
		return r;
	acl->has_default = acl->base.user_obj != FORMAT_ACL_ABSENT ||
			   acl->base.group_obj != FORMAT_ACL_ABSENT ||
			   acl->base.other != FORMAT_ACL_ABSENT ||
			   acl->base.mask != FORMAT_ACL_ABSENT;
	return 0;
}

static void encode_named(struct buffer *out, uint64_t type, const struct acl_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		format_encode_acl(out, type, &list->at[i]);
}

void acl_encode_items(const struct acl *acl, struct buffer *out)
{
	encode_named(out, FORMAT_ACL_USER, &acl->user);
	encode_named(out, FORMAT_ACL_GROUP, &acl->group);
	if (acl->has_group_obj)
		format_encode_u64(out, FORMAT_ACL_GROUP_OBJ, acl->group_obj);
	if (acl->has_default)
		format_encode_acl_default(out, &acl->base);
	encode_named(out, FORMAT_ACL_DEFAULT_USER, &acl->default_user);
	encode_named(out, FORMAT_ACL_DEFAULT_GROUP, &acl->default_group);
}
