/*
 * double.h - a source in memory that does as a test says
 */
#ifndef TESTS_UNIT_DOUBLE_H
#define TESTS_UNIT_DOUBLE_H

#include <stdatomic.h>

#include "core/buffer.h"
#include "core/source.h"

struct double_source {
	struct source source;
	const struct buffer *bytes; /* borrowed */

	/* Where set, asked before every read: 0 goes on, anything else is the answer. */
	int (*hook)(struct double_source *d, const struct io *io, uint64_t offset, size_t n,
		    struct error *err);

	/* For double_fault(). */
	atomic_int reads, frees;
	int fault;	/* 1 would wait, where io does not allow it; else a negative errno */
	int fault_from; /* it strikes at this read, counted from 1; 0: never */
};

/* As large as the bytes are now. Freeing the source only counts. */
void double_init(struct double_source *d, const struct buffer *bytes);

/* The n-th read from now on meets the fault, and so does the next, for core/window.c tries again
   with less; 0: none does. */
void double_fault(struct double_source *d, int fault, int n);

/* Whether the fault has struck. */
bool double_has_struck(const struct double_source *d);

/* For the hook: everything would wait. */
int double_waits(struct double_source *d, const struct io *io, uint64_t offset, size_t n,
		 struct error *err);

#endif
