/*
 * acl.h - ACL items of an archive <-> the bytes of system.posix_acl_access and _default
 *
 *     bytes := version (u32 = 2) (tag u16, permissions u16, id u32)*     little endian
 *
 * in the order USER_OBJ, USER by id, GROUP_OBJ, GROUP by id, MASK, OTHER. An access ACL is stored
 * without what the mode bits already say: when it has a mask, the group bits of the mode are the
 * mask and the group's own permissions are in ACL_GROUP_OBJ.
 *
 * Permissions are cut to rwx on the way in. An id that Linux cannot have becomes ACL_OVERFLOW_ID:
 * cut to 32 bits it might turn into root's, and 0xffffffff means "none" to the kernel.
 *
 * Ownership: acl_release() frees the lists; a zeroed struct is an empty ACL.
 */
#ifndef CORE_ACL_H
#define CORE_ACL_H

#include "core/format.h"

enum { ACL_OVERFLOW_ID = 65534 };

/* Sorted by id and permissions. */
struct acl_list {
	struct format_acl *at;
	size_t n, room;
	size_t lost; /* further items, which acl_add_item() only counted */
};

struct acl {
	struct acl_list user, group, default_user, default_group;
	bool has_group_obj, has_default;
	uint64_t group_obj;
	struct format_acl_default base; /* of the default ACL */
};

void acl_release(struct acl *acl);

/* Takes an ACL item's content in. -EUCLEAN when malformed, or repeated where that is not allowed;
   -ENOMEM. Of each type it keeps FORMAT_ACL_MAX items and counts the rest. */
int acl_add_item(struct acl *acl, uint64_t type, struct cursor *c, struct error *err);

/* Append the kernel's form, nothing where there is no such ACL. -EUCLEAN when it has more than
   FORMAT_ACL_MAX users and groups; -ENOMEM. A mask or base entry that is missing, and that the
   kernel insists on, is made up so that it grants what the other entries and the mode do. */
int acl_encode_access(const struct acl *acl, uint64_t mode, struct buffer *out, struct error *err);
int acl_encode_default(const struct acl *acl, uint64_t mode, struct buffer *out, struct error *err);

/* Take the kernel's bytes apart into what the archive stores: ACL_GROUP_OBJ only where there is a
   mask, ACL_DEFAULT where there is any of its four entries. -EUCLEAN when malformed; -ENOMEM. */
int acl_decode_access(struct acl *acl, const void *bytes, size_t n, struct error *err);
int acl_decode_default(struct acl *acl, const void *bytes, size_t n, struct error *err);

/* Appends the items in the archive's order. */
void acl_encode_items(const struct acl *acl, struct buffer *out);

#endif
