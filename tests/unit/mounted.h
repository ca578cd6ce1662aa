/*
 * mounted.h - an archive in memory, asked through the handlers as the kernel would ask
 */
#ifndef TESTS_UNIT_MOUNTED_H
#define TESTS_UNIT_MOUNTED_H

#include "daemon/ops.h"
#include "tests/unit/double.h"
#include "tests/unit/listing.h"
#include "tests/unit/packed.h"

struct mounted {
	struct double_source meta, payload;
	struct fs *fs;
};

struct answer {
	int r; /* what the handler returned; err.code is the same when it is < 0 */
	struct reply reply;
	struct error err;
};

/* Serves the archive, which must live longer, with this much memory for directories; counts links
   to the end where scan. Fails the test that calls it when the archive is refused. */
void mounted_open(struct mounted *m, const struct packed *p, size_t dir_cache_bytes, bool scan);
void mounted_close(struct mounted *m);

/* Asks once, in memory that the handler may not keep. To be released. */
struct answer mounted_ask(struct mounted *m, ops_handler *handler, const struct request *rq,
			  bool may_wait);
void answer_release(struct answer *a);

/* Whether two answers would tell the kernel the same. */
bool answer_equals(const struct answer *a, const struct answer *b);

/* The common questions. The first two give what was asked for by value. */
int mounted_lookup(struct mounted *m, uint64_t parent, const char *name, struct stat *st);
int mounted_getattr(struct mounted *m, uint64_t number, struct stat *st);

/* How many bytes of content (at most n) there were. */
int mounted_read(struct mounted *m, uint64_t number, uint64_t offset, void *buf, size_t n);

/* The listing from the offset on, in buffers of this size; how many lines it has, or < 0. */
int mounted_list(struct mounted *m, uint64_t number, bool plus, uint64_t offset, size_t size,
		 struct listing_line *lines, size_t room);

/* The line of that name, or NULL. */
const struct listing_line *mounted_line(const struct listing_line *lines, int n, const char *name);

#endif
