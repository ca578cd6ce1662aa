/*
 * packed.h - archives that tests build in memory
 *
 * A call that fails ends the program: it is the test that is wrong. What must be wrong in an
 * archive is changed in its bytes afterwards.
 */
#ifndef TESTS_UNIT_PACKED_H
#define TESTS_UNIT_PACKED_H

#include "core/encoder.h"

struct packed_sink {
	struct sink sink;
	struct buffer *bytes;
};

struct packed {
	struct buffer meta, payload;
	bool split;
	struct packed_sink meta_sink, payload_sink;
	struct encoder *encoder;
};

/* Owner 1000:100, a time in 2015. */
struct encoder_meta packed_meta(uint64_t mode);

/* p must stay where it is until packed_finish(). */
void packed_begin(struct packed *p, bool split);
void packed_finish(struct packed *p);
void packed_release(struct packed *p);

/* Each returns where the entry's FILENAME begins. */
uint64_t packed_dir(struct packed *p, const char *name);
uint64_t packed_file(struct packed *p, const char *name, const char *content);
uint64_t packed_bytes(struct packed *p, const char *name, const struct encoder_meta *m,
		      const void *bytes, size_t n);
uint64_t packed_symlink(struct packed *p, const char *name, const char *target);
uint64_t packed_hardlink(struct packed *p, const char *name, uint64_t start, const char *path);

/* Returns where the directory ends, which is its number. */
uint64_t packed_end_dir(struct packed *p);

/* The number of what is no directory, from where its FILENAME begins. */
uint64_t packed_number(uint64_t start, const char *name);

/* Changes a number in the metadata. */
void packed_patch(struct packed *p, uint64_t offset, uint64_t value);

/* Makes something else of the entry's ENTRY or HARDLINK item, so that it cannot be decoded. */
void packed_damage(struct packed *p, uint64_t start, const char *name);

/* Puts a '/' into the name, which then cannot be shown. */
void packed_hide(struct packed *p, uint64_t start);

#endif
