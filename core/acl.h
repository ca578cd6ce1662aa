/*
 * acl.h - ACL items of an archive <-> the bytes of system.posix_acl_access and _default
 *
 * An access ACL is stored without what the mode bits already say: when it has a mask, the group
 * bits of the mode are the mask and the group's own permissions are in ACL_GROUP_OBJ.
 */
#ifndef CORE_ACL_H
#define CORE_ACL_H

#include "core/format.h"

struct acl_list {
	struct format_acl *at;
	size_t n;
};

struct acl {
	struct acl_list user, group, default_user, default_group;
	bool has_group_obj, has_default;
	uint64_t group_obj;
	struct format_acl_default base; /* of the default ACL */
};

void acl_release(struct acl *acl);

/* Takes an ACL item's content in. -EUCLEAN when malformed, repeated where that is not allowed, or
   past FORMAT_ACL_MAX; -ENOMEM. */
int acl_add_item(struct acl *acl, uint64_t type, struct cursor *c, struct error *err);

/* Append the kernel's form. Both return 0, or -EUCLEAN for one that no kernel would take. */
int acl_encode_access(const struct acl *acl, uint64_t mode, struct buffer *out, struct error *err);
int acl_encode_default(const struct acl *acl, uint64_t mode, struct buffer *out, struct error *err);

/* Takes the kernel's bytes apart as the archive stores them: lists sorted by id and permissions,
   ACL_GROUP_OBJ only where there is a mask. */
int acl_decode_access(struct acl *acl, const void *bytes, size_t n, struct error *err);
int acl_decode_default(struct acl *acl, const void *bytes, size_t n, struct error *err);

/* Appends the items in the archive's order. */
void acl_encode_items(const struct acl *acl, struct buffer *out);

#endif
