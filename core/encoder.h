/*
 * encoder.h - writing an archive, byte for byte as the reference does
 *
 * Calls follow the archive: the root, then its children depth first, each directory begun and
 * ended, at last encoder_finish(). A file's data comes in pieces that add up to the announced
 * size. What the encoder cannot know, such as the order of the children, is the caller's. Calls
 * that do not fit what was begun, wrong sizes and names that no reader would take are -EINVAL.
 * Memory: one record for each child of the directories that are open.
 *
 * Ownership: borrows the sinks. After an error only encoder_free() may be called.
 */
#ifndef CORE_ENCODER_H
#define CORE_ENCODER_H

#include "core/acl.h"
#include "core/cleanup.h"
#include "core/format.h"

/* Where the bytes of an archive go, in order: all n of them or an error. */
struct sink {
	int (*write)(struct sink *sink, const void *bytes, size_t n, struct error *err);
};

struct encoder_xattr {
	const char *name;
	const void *value;
	size_t value_len;
};

/* The mode's type bits say what the entry is and must agree with the call. */
struct encoder_meta {
	struct format_stat stat;
	const struct encoder_xattr *xattrs; /* in the order in which they are to be stored */
	size_t n_xattrs;
	const struct acl *acl; /* may be NULL */
	const void *fcaps;     /* may be NULL */
	size_t fcaps_len;
	uint64_t projid; /* 0: none */
};

struct encoder;

/* payload is NULL for a unified archive; prelude may be NULL and is written only when split. */
int encoder_open(struct encoder **out, struct sink *meta, struct sink *payload, const void *prelude,
		 size_t prelude_len, const struct encoder_meta *root, struct error *err);
void encoder_free(struct encoder *e);
DEFINE_CLEANUP(struct encoder, encoder_free);

int encoder_begin_dir(struct encoder *e, const char *name, const struct encoder_meta *m,
		      struct error *err);
int encoder_end_dir(struct encoder *e, struct error *err);

/* *start, where not NULL, is what encoder_hardlink() takes as the target. */
int encoder_begin_file(struct encoder *e, const char *name, const struct encoder_meta *m,
		       uint64_t size, uint64_t *start, struct error *err);
int encoder_data(struct encoder *e, const void *bytes, size_t n, struct error *err);
int encoder_end_file(struct encoder *e, struct error *err);
int encoder_symlink(struct encoder *e, const char *name, const struct encoder_meta *m,
		    const char *target, struct error *err);
int encoder_device(struct encoder *e, const char *name, const struct encoder_meta *m,
		   uint64_t dev_major, uint64_t dev_minor, struct error *err);
int encoder_fifo_or_socket(struct encoder *e, const char *name, const struct encoder_meta *m,
			   struct error *err);

/* A further name of a file that is already in the archive; its path is relative to the root,
   without a slash in front, at most FORMAT_PATH_MAX bytes. */
int encoder_hardlink(struct encoder *e, const char *name, uint64_t target_start,
		     const char *target_path, struct error *err);

/* Ends the root; the archive is complete. */
int encoder_finish(struct encoder *e, struct error *err);

#endif
