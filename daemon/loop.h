/*
 * loop.h - the life of a mount: waiting for requests and signals, and ending well
 *
 * SIGTERM, SIGINT and SIGHUP end it: no more requests are taken, those in the pool get a moment to
 * be answered, then the file system is unmounted. A second signal cuts the moment short. Being
 * unmounted from outside ends it as well.
 *
 * Threads: the loop runs in the thread that calls it.
 */
#ifndef DAEMON_LOOP_H
#define DAEMON_LOOP_H

#include "daemon/session.h"

struct loop;

/* A loop exists before there is something to mount, for its pool is needed to open it. */
int loop_new(struct loop **out, struct error *err);

/* No job may be in the pool any more. */
void loop_free(struct loop *l);
DEFINE_CLEANUP(struct loop, loop_free);

struct pool *loop_pool(struct loop *l);

struct loop_mount {
	struct fs *fs;
	const char *mountpoint;
	const char *fuse_options;
	bool debug;
	unsigned timeout_ms; /* after which a request that waits gets EIO */
	/* Called once, when the mount answers; < 0 ends it. */
	int (*ready)(void *arg, struct error *err);
	void *arg;
};

/* Mounts, serves and unmounts, once. 0 after a clean end; < 0 when mounting failed or the
   connection broke. When requests hang past the moment they get, it ends the process with this
   status rather than return to code that would free what they use. */
enum { LOOP_EXIT_HUNG = 1 };
int loop_run(struct loop *l, const struct loop_mount *mount, struct error *err);

#endif
