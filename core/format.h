/*
 * format.h - the pxar archive format, item by item
 *
 * An archive is a row of items without padding. Each begins with a header:
 *
 *     0        8            16
 *     | type   | size       | content: size - 16 bytes ...      all integers little endian
 *
 *     archive   := [FORMAT_VERSION [PRELUDE]] entry              the root: a directory
 *     entry     := (ENTRY | ENTRY_V1) attribute* terminal | HARDLINK
 *     attribute := XATTR | ACL_... | FCAPS | QUOTA_PROJID        any order
 *     terminal  := PAYLOAD | PAYLOAD_REF                         regular file: unified, split
 *                | SYMLINK | DEVICE
 *                | nothing                                       FIFO, socket
 *                | (FILENAME entry)* GOODBYE                     directory
 *
 * A split archive begins with FORMAT_VERSION = 2; its file contents lie in a payload file,
 * PAYLOAD_START_MARKER (PAYLOAD data)* PAYLOAD_TAIL_MARKER, found only through PAYLOAD_REF.
 *
 * Here is one decode and one encode function for each item's content. Decoding checks what the
 * item alone can tell; what depends on its neighbours is entry.c's and goodbye.c's. Decoders
 * take a cursor over exactly the content; encoders append the whole item, header included.
 */
#ifndef CORE_FORMAT_H
#define CORE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/cursor.h"
#include "core/error.h"

/* Each is the SipHash, under the archive key, of "__PROXMOX_FORMAT_<name>__". */
#define FORMAT_VERSION UINT64_C(0x730f6c75df16a40d)
#define FORMAT_PRELUDE UINT64_C(0xe309d79d9f7b771b)
#define FORMAT_ENTRY UINT64_C(0xd5956474e588acef)
#define FORMAT_ENTRY_V1 UINT64_C(0x11da850a1c1cceff)
#define FORMAT_FILENAME UINT64_C(0x16701121063917b3)
#define FORMAT_SYMLINK UINT64_C(0x27f971e7dbf5dc5f)
#define FORMAT_DEVICE UINT64_C(0x9fc9e906586d5ce9)
#define FORMAT_XATTR UINT64_C(0x0dab0229b57dcd03)
#define FORMAT_ACL_USER UINT64_C(0x2ce8540a457d55b8)
#define FORMAT_ACL_GROUP UINT64_C(0x136e3eceb04c03ab)
#define FORMAT_ACL_GROUP_OBJ UINT64_C(0x10868031e9582876)
#define FORMAT_ACL_DEFAULT UINT64_C(0xbbbb13415a6896f5)
#define FORMAT_ACL_DEFAULT_USER UINT64_C(0xc89357b40532cd1f)
#define FORMAT_ACL_DEFAULT_GROUP UINT64_C(0xf90a8a5816038ffe)
#define FORMAT_FCAPS UINT64_C(0x2da9dd9db5f7fb67)
#define FORMAT_QUOTA_PROJID UINT64_C(0xe07540e82f7d1cbb)
#define FORMAT_HARDLINK UINT64_C(0x51269c8422bd7275)
#define FORMAT_PAYLOAD UINT64_C(0x28147a1b0b7c1a25)
#define FORMAT_PAYLOAD_REF UINT64_C(0x419d3d6bc4ba977e)
#define FORMAT_GOODBYE UINT64_C(0x2fec4fa642d5731d)
#define FORMAT_GOODBYE_TAIL UINT64_C(0xef5eed5b753e1555) /* a hash field, not an item */
#define FORMAT_PAYLOAD_START UINT64_C(0x834c68c2194a4ed2)
#define FORMAT_PAYLOAD_TAIL UINT64_C(0x6c72b78b984c81b5)

enum {
	FORMAT_HEADER_SIZE = 16,
	FORMAT_ENTRY_SIZE = 56,	 /* header included */
	FORMAT_RECORD_SIZE = 24, /* one record of a goodbye table */
	FORMAT_NAME_MAX = 255,	 /* what Linux can show */
	FORMAT_LINK_MAX = 4095,	 /* likewise */
	FORMAT_PATH_MAX = 4096,	 /* what HARDLINK can hold */
	FORMAT_XATTR_NAME_MAX = 255,
	FORMAT_XATTR_VALUE_MAX = 65536,
	FORMAT_ACL_MAX = 1024, /* ACL items of one entry */
};

/* The absent entry of an ACL_DEFAULT field. */
#define FORMAT_ACL_ABSENT UINT64_MAX

struct format_header {
	uint64_t type;
	uint64_t size; /* header included, so at least FORMAT_HEADER_SIZE */
};

/* mode has only type and permission bits; flags are chattr and FAT attributes in the archive's
   own numbering (format_flags_... below); times before 1970 have negative seconds. */
struct format_stat {
	uint64_t mode;
	uint64_t flags;
	uint32_t uid, gid;
	int64_t mtime_sec;
	uint32_t mtime_nsec;
};

struct format_acl {
	uint64_t id;
	uint64_t permissions;
};

struct format_acl_default {
	uint64_t user_obj, group_obj, other, mask; /* FORMAT_ACL_ABSENT: no such entry */
};

struct format_ref {
	uint64_t offset; /* of the PAYLOAD header in the payload file; the data is 16 bytes on */
	uint64_t size;	 /* of the data */
};

struct format_record {
	uint64_t hash;
	uint64_t offset; /* goodbye offset - offset of the child's FILENAME (tail: ENTRY) */
	uint64_t size;	 /* of the child, FILENAME included (tail: of the GOODBYE item) */
};

/* Bytes inside the content that is being decoded; borrowed. */
struct format_string {
	const uint8_t *bytes;
	size_t len;
};

/* "FILENAME" for FORMAT_FILENAME and so on; "unknown item" for what is none. */
const char *format_type_name(uint64_t type);

/* 16 bytes into a header: refuses unknown types, sizes below 16, and content sizes that the type
   cannot have. A GOODBYE, PAYLOAD or PRELUDE may have any. */
int format_decode_header(const void *bytes, struct format_header *header, struct error *err);

int format_decode_version(struct cursor *c, uint64_t *version, struct error *err);
int format_decode_stat(struct cursor *c, struct format_stat *st, struct error *err);
int format_decode_stat_v1(struct cursor *c, struct format_stat *st, struct error *err);

/* A name that Linux can show: 1 to 255 bytes, no '/', no NUL inside, neither "." nor "..". */
int format_decode_filename(struct cursor *c, struct format_string *name, struct error *err);

/* 1 to FORMAT_LINK_MAX bytes without NUL. */
int format_decode_symlink(struct cursor *c, struct format_string *target, struct error *err);
int format_decode_device(struct cursor *c, uint64_t *dev_major, uint64_t *dev_minor,
			 struct error *err);
int format_decode_hardlink(struct cursor *c, uint64_t *delta, struct format_string *path,
			   struct error *err);

/* The name may be one that the kernel cannot show, even empty: the caller leaves those out. */
int format_decode_xattr(struct cursor *c, struct format_string *name, struct format_string *value,
			struct error *err);
int format_decode_acl(struct cursor *c, struct format_acl *acl, struct error *err);
int format_decode_acl_default(struct cursor *c, struct format_acl_default *acl, struct error *err);

/* ACL_GROUP_OBJ and QUOTA_PROJID: one number. */
int format_decode_u64(struct cursor *c, uint64_t *value, struct error *err);
int format_decode_ref(struct cursor *c, struct format_ref *ref, struct error *err);

/* One record; the caller reads a table's worth of them, so this one does not finish the cursor. */
void format_decode_record(struct cursor *c, struct format_record *record);

void format_encode_header(struct buffer *b, uint64_t type, uint64_t content_size);
void format_encode_version(struct buffer *b, uint64_t version);
void format_encode_stat(struct buffer *b, const struct format_stat *st);
void format_encode_stat_v1(struct buffer *b, const struct format_stat *st);

/* FILENAME or SYMLINK: the text and a NUL. */
void format_encode_string(struct buffer *b, uint64_t type, const void *text, size_t len);
void format_encode_device(struct buffer *b, uint64_t dev_major, uint64_t dev_minor);
void format_encode_hardlink(struct buffer *b, uint64_t delta, const void *path, size_t len);
void format_encode_xattr(struct buffer *b, const void *name, size_t name_len, const void *value,
			 size_t value_len);

/* FCAPS, PRELUDE: the bytes as they are. */
void format_encode_bytes(struct buffer *b, uint64_t type, const void *bytes, size_t n);
void format_encode_acl(struct buffer *b, uint64_t type, const struct format_acl *acl);
void format_encode_acl_default(struct buffer *b, const struct format_acl_default *acl);
void format_encode_u64(struct buffer *b, uint64_t type, uint64_t value);
void format_encode_ref(struct buffer *b, const struct format_ref *ref);
void format_encode_record(struct buffer *b, const struct format_record *record);

/* Between the archive's flag bits and those of chattr (FS_IOC_GETFLAGS) and FAT
   (FAT_IOCTL_GET_ATTRIBUTES). Bits without a counterpart are dropped. */
uint64_t format_flags_from_chattr(uint32_t fs_flags);
uint64_t format_flags_from_fat(uint32_t fat_attributes);
uint32_t format_flags_to_chattr(uint64_t flags);

#endif
