#include "tools/pack-attrs.h"

#include <inttypes.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/msdos_fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

#define MAGIC_FUSE 0x65735546
#define MAGIC_XFS 0x58465342
#define MAGIC_ZFS 0x2fc12fc1

int attrs_init(struct attrs *a, struct error *err)
{
	*a = (struct attrs){ .names = malloc(XATTR_LIST_MAX), .value = malloc(XATTR_SIZE_MAX) };
	return a->names && a->value ? 0 : error_set(err, ENOMEM, "out of memory");
}

void attrs_release(struct attrs *a)
{
	acl_release(&a->acl);
	buffer_release(&a->values);
	buffer_release(&a->fcaps);
	free(a->xattrs);
	free(a->names);
	free(a->value);
}

void attrs_from_stat(struct attrs *a, const struct stat *st)
{
	acl_release(&a->acl);
	buffer_reset(&a->values);
	buffer_reset(&a->fcaps);
	a->meta = (struct encoder_meta){
		.stat = { .mode = st->st_mode,
			  .uid = st->st_uid,
			  .gid = st->st_gid,
			  .mtime_sec = st->st_mtim.tv_sec,
			  .mtime_nsec = (uint32_t)st->st_mtim.tv_nsec },
	};
}

static bool is_unsupported(int code)
{
	return code == ENOTTY || code == ENOSYS || code == EBADF || code == EOPNOTSUPP ||
	       code == EINVAL;
}

/* The value's place is set when all are there: until then they move. */
static int keep_xattr(struct attrs *a, const char *name, size_t len, struct error *err)
{
	struct encoder_xattr *grown;

	if (strlen(name) + 1 + len > FORMAT_XATTR_NAME_MAX + FORMAT_XATTR_VALUE_MAX) {
		error_set(err, E2BIG, "xattr %s: %zu bytes do not fit an archive", name, len);
		return ATTRS_PARTLY;
	}
	if (a->meta.n_xattrs == a->room_xattrs) {
		grown = reallocarray(a->xattrs, 2 * a->room_xattrs + 8, sizeof(*grown));
		if (!grown)
			return error_set(err, ENOMEM, "out of memory");
		a->xattrs = grown;
		a->room_xattrs = 2 * a->room_xattrs + 8;
	}
	a->xattrs[a->meta.n_xattrs++] = (struct encoder_xattr){ .name = name, .value_len = len };
	buffer_add(&a->values, a->value, len);
	return buffer_finish(&a->values, err);
}

/* An ACL that cannot be understood is dropped whole. */
static int keep_acl(struct attrs *a, bool is_default, size_t len, struct error *err)
{
	int (*decode)(struct acl *, const void *, size_t, struct error *) =
		is_default ? acl_decode_default : acl_decode_access;
	int r = decode(&a->acl, a->value, len, err);

	a->meta.acl = &a->acl;
	if (r >= 0 || r == -ENOMEM)
		return r;
	acl_release(&a->acl);
	return ATTRS_PARTLY;
}

enum keep { KEEP_NOT, KEEP_XATTR, KEEP_FCAPS, KEEP_ACCESS, KEEP_DEFAULT };

static enum keep keep_as(const char *name)
{
	if (!strcmp(name, "security.capability"))
		return KEEP_FCAPS;
	if (!strcmp(name, "system.posix_acl_access"))
		return KEEP_ACCESS;
	if (!strcmp(name, "system.posix_acl_default"))
		return KEEP_DEFAULT;
	if (!strncmp(name, "user.", 5) || !strncmp(name, "trusted.", 8) ||
	    !strcmp(name, "security.NTACL"))
		return KEEP_XATTR;
	return KEEP_NOT;
}

static int read_xattr(struct attrs *a, int fd, const char *name, struct error *err)
{
	enum keep keep = keep_as(name);
	ssize_t len;

	if (keep == KEEP_NOT)
		return 0;
	len = fgetxattr(fd, name, a->value, XATTR_SIZE_MAX);
	if (len < 0 && (errno == ENODATA || errno == EOPNOTSUPP))
		return 0; /* removed since it was listed */
	if (len < 0) {
		error_set(err, errno, "xattr %s: %m", name);
		return ATTRS_PARTLY;
	}
	if (keep == KEEP_XATTR)
		return keep_xattr(a, name, (size_t)len, err);
	if (keep == KEEP_ACCESS || keep == KEEP_DEFAULT)
		return keep_acl(a, keep == KEEP_DEFAULT, (size_t)len, err);
	buffer_add(&a->fcaps, a->value, (size_t)len);
	return buffer_finish(&a->fcaps, err);
}

static void set_places(struct attrs *a)
{
	const uint8_t *value = a->values.bytes;

	for (size_t i = 0; i < a->meta.n_xattrs; i++) {
		a->xattrs[i].value = value;
		if (a->xattrs[i].value_len)
			value += a->xattrs[i].value_len;
	}
	a->meta.xattrs = a->xattrs;
	a->meta.fcaps = a->fcaps.len ? a->fcaps.bytes : NULL;
	a->meta.fcaps_len = a->fcaps.len;
}

static int read_xattrs(struct attrs *a, int fd, struct error *err)
{
	int r, result = 0;
	ssize_t n;

	n = flistxattr(fd, a->names, XATTR_LIST_MAX);
	if (n < 0 && is_unsupported(errno))
		return 0;
	if (n < 0) {
		error_set(err, errno, "list of xattrs: %m");
		return ATTRS_PARTLY;
	}
	for (const char *name = a->names; name < a->names + n; name += strlen(name) + 1) {
		r = read_xattr(a, fd, name, err);
		if (r < 0)
			return r;
		if (r)
			result = r;
	}
	set_places(a);
	return result;
}

static int read_flags(struct attrs *a, int fd, long magic, struct error *err)
{
	int chattr = 0;
	uint32_t fat = 0;

	if (ioctl(fd, FS_IOC_GETFLAGS, &chattr) == 0) {
		a->meta.stat.flags |= format_flags_from_chattr((uint32_t)chattr);
	} else if (!is_unsupported(errno)) {
		error_set(err, errno, "inode flags: %m");
		return ATTRS_PARTLY;
	}
	if (magic != MSDOS_SUPER_MAGIC && magic != MAGIC_FUSE)
		return 0;
	if (ioctl(fd, FAT_IOCTL_GET_ATTRIBUTES, &fat) == 0) {
		a->meta.stat.flags |= format_flags_from_fat(fat);
	} else if (!is_unsupported(errno)) {
		error_set(err, errno, "FAT attributes: %m");
		return ATTRS_PARTLY;
	}
	return 0;
}

static int read_projid(struct attrs *a, int fd, long magic, struct error *err)
{
	struct fsxattr fsx = { 0 };

	if (magic != EXT4_SUPER_MAGIC && magic != MAGIC_XFS && magic != MAGIC_FUSE &&
	    magic != MAGIC_ZFS)
		return 0;
	if (ioctl(fd, FS_IOC_FSGETXATTR, &fsx) == 0) {
		a->meta.projid = fsx.fsx_projid;
	} else if (!is_unsupported(errno)) {
		error_set(err, errno, "project id: %m");
		return ATTRS_PARTLY;
	}
	return 0;
}

int attrs_read(struct attrs *a, int fd, const struct stat *st, long magic, struct error *err)
{
	int xattrs, flags, projid;

	attrs_from_stat(a, st);
	xattrs = read_xattrs(a, fd, err);
	if (xattrs < 0)
		return xattrs;
	flags = read_flags(a, fd, magic, err);
	projid = read_projid(a, fd, magic, err);
	return xattrs || flags || projid ? ATTRS_PARTLY : 0;
}
