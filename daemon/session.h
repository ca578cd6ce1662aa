/*
 * session.h - the connection to the kernel: mounting, receiving, unmounting
 *
 * Threads: the loop's thread only.
 */
#ifndef DAEMON_SESSION_H
#define DAEMON_SESSION_H

#include "daemon/dispatch.h"

struct session;

/* Mounts on the directory; the kernel's first request has not been read yet. fuse_options is what
   would follow libfuse's -o. */
int session_mount(struct session **out, struct dispatch *d, const char *mountpoint,
		  const char *fuse_options, bool debug, struct error *err);

/* Unmounts, if that has not happened, and ends the connection: who still has files open there gets
   an error. No request may be in the pool any more. */
void session_free(struct session *s);
DEFINE_CLEANUP(struct session, session_free);

/* Unmounts, for a process that is about to end while requests are still in the pool. */
void session_abandon(struct session *s);

/* The descriptor to wait on; it does not block. */
int session_fd(const struct session *s);

/* Serves what can be read now, but not for ever: 0; 1 when the file system has been unmounted;
   or < 0 when the connection is broken. */
int session_serve(struct session *s, struct error *err);

#endif
