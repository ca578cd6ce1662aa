/*
 * goodbye.h - the table that ends every directory
 *
 *     | GOODBYE header | record 0 | ... | record n-1 | tail |     24 bytes each but the header
 *
 * A record says how far back the child's FILENAME is; the tail says so of the directory's own
 * ENTRY. The end of the table therefore identifies a directory completely. Records are ordered
 * as an implicit search tree by name hash: record i has children 2i+1 and 2i+2. The hash is only
 * a hint: it can be forged or damaged, so a name that is not found by it may still be there.
 */
#ifndef CORE_GOODBYE_H
#define CORE_GOODBYE_H

#include "core/format.h"
#include "core/window.h"

struct goodbye {
	uint64_t end;	 /* of the table, and so of the directory */
	uint64_t offset; /* of the GOODBYE item */
	uint64_t entry;	 /* of the directory's ENTRY; 0 for the root */
	uint64_t count;	 /* of records, the tail not counted */
};

/* Reads tail and header of the table that ends at end and checks that they agree.
   0; 1 would wait; -EUCLEAN and others. */
int goodbye_open(struct window *w, uint64_t end, struct goodbye *g, struct error *err);

/* Only the tail: what it takes to see where a child directory begins. */
int goodbye_peek(struct window *w, uint64_t end, struct goodbye *g, struct error *err);

/* A record that was read from a table, its offset made absolute. */
struct goodbye_child {
	uint64_t start; /* of the FILENAME */
	uint64_t size;
	uint64_t hash;
};

/* Reads all records; a child whose offset points outside the directory has start 0. The array
   has g->count places. */
int goodbye_read(struct window *w, const struct goodbye *g, struct goodbye_child *children,
		 struct error *err);

/* Finds the records with this hash by descending the tree, at most max of them, in *n; more than
   max are not told apart from max. It reads about log2(count) records and no names. */
int goodbye_find(struct window *w, const struct goodbye *g, uint64_t hash,
		 struct goodbye_child *found, size_t max, size_t *n, struct error *err);

/* Orders records as the tree; -ENOMEM is the only error. Equal hashes keep their order. */
int goodbye_build(struct format_record *records, size_t n, struct error *err);

#endif
