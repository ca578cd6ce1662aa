/*
 * ops.h - one handler for each operation: arguments in, reply out
 *
 * A handler has no effect but its reply before it returns, so it may be run again from the start:
 * it is run first with an io that may not wait, and once more where it may when it returned 1.
 * 0 means that the reply is complete; < 0 that err is the answer.
 *
 * Threads: handlers run in any thread.
 */
#ifndef DAEMON_OPS_H
#define DAEMON_OPS_H

#include "daemon/fs.h"

struct request {
	uint64_t number;
	uint64_t offset;
	size_t size;
	const char *name; /* of the entry, or of the attribute */
	uid_t uid;
};

typedef int ops_handler(struct fs *fs, const struct io *io, const struct request *rq,
			struct reply *reply, struct error *err);

ops_handler ops_lookup;
ops_handler ops_getattr;
ops_handler ops_readlink;
ops_handler ops_read;
ops_handler ops_readdir;
ops_handler ops_readdirplus;
ops_handler ops_statfs;
ops_handler ops_getxattr;
ops_handler ops_listxattr;

/* Nothing is kept for the kernel, so nothing is to be forgotten. */
ops_handler ops_forget;

/* Open and opendir: there is nothing to open, and the kernel need not ask again. */
ops_handler ops_not_needed;

/* Everything that would change something. */
ops_handler ops_refuse;

#endif
