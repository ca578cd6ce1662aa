/*
 * pack-copy.h - a file's content into the archive, in exactly the size that was announced
 *
 * A file may change while it is read. What is missing at its end is filled with zeros, what is
 * too much is cut; both are told. Holes are found rather than read.
 */
#ifndef TOOLS_PACK_COPY_H
#define TOOLS_PACK_COPY_H

#include "core/encoder.h"

enum copy_result {
	COPY_WHOLE,
	COPY_SHRANK,  /* its end is zeros */
	COPY_GREW,    /* its end is missing */
	COPY_DAMAGED, /* what could not be read is zeros; err says what happened */
};

struct copy {
	uint8_t *bytes, *zeros;
	/* Called after each piece, false stops: -EINTR. */
	bool (*tick)(void *arg, size_t n);
	void *arg;
	int fd;
	uint64_t size, at;
	size_t have;	/* bytes that are read and not handed over */
	bool sparse;	/* it has holes to look for */
	bool hole;	/* have counts zeros */
	uint64_t until; /* where the piece of data ends in which at lies */
};

int copy_init(struct copy *c, struct error *err);
void copy_release(struct copy *c);

/* Reads the first piece, so that a file that cannot be read at all is known before the archive
   has anything of it. */
int copy_begin(struct copy *c, int fd, uint64_t size, bool sparse, struct error *err);

/* Hands the content to the encoder, for which encoder_begin_file() was called with the size:
   an enum copy_result; < 0 when the encoder failed or tick() said so. */
int copy_run(struct copy *c, struct encoder *e, struct error *err);

#endif
