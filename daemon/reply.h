/*
 * reply.h - what goes back to the kernel
 *
 * A handler fills a reply and never sees a request; reply_send() is the one place that answers.
 * So a request cannot be answered twice, and every operation can be tested without a mount.
 *
 * Ownership: a reply owns its data until reply_release(); large pieces come from a pool of
 * buffers that are used again.
 */
#ifndef DAEMON_REPLY_H
#define DAEMON_REPLY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "core/cleanup.h"
#include "core/error.h"

struct fuse_req;

/* How long the kernel may keep what it was told: for good, the archive does not change. */
#define REPLY_FOREVER 1e15

/* Large buffers, lent to one reply at a time. Threads: may be used from any thread. */
struct reply_buffers;
int reply_buffers_new(struct reply_buffers **out, struct error *err);
void reply_buffers_free(struct reply_buffers *buffers);
DEFINE_CLEANUP(struct reply_buffers, reply_buffers_free);

enum reply_kind {
	REPLY_NOTHING, /* forget: the kernel waits for no answer */
	REPLY_DONE,    /* success without more */
	REPLY_ENTRY,   /* st of what was found; st.st_ino 0: there is no such name */
	REPLY_ATTR,    /* st */
	REPLY_DATA,    /* data, len */
	REPLY_TEXT,    /* data, with a NUL */
	REPLY_SIZE,    /* len: how much there would be */
	REPLY_STATFS,  /* vfs */
};

struct reply {
	enum reply_kind kind;
	struct stat st;
	double attr_timeout;
	struct statvfs vfs;
	char *data;
	size_t len, room;
	struct reply_buffers *buffers;
	bool pooled; /* data came from there */
};

struct reply reply_init(struct reply_buffers *buffers);
void reply_release(struct reply *reply);

/* Makes room for n bytes of data; replaces what was there. */
int reply_reserve(struct reply *reply, size_t n, struct error *err);

/* Makes the reply data, a copy of these bytes. */
int reply_copy(struct reply *reply, const void *bytes, size_t n, struct error *err);

/* Appends an entry to a listing that has its room reserved; false when it does not fit. What is
   found at `next` follows it. An st of which the mode is 0 is shown by name only: the kernel will
   ask for the rest. `known` lets the kernel take the entry as looked up. */
bool reply_add_name(struct reply *reply, const char *name, const struct stat *st, uint64_t next);
bool reply_add_entry(struct reply *reply, const char *name, const struct stat *st,
		     double attr_timeout, bool known, uint64_t next);

/* Answers the request with the reply, or with an error, which is logged if it is more than an
   ordinary refusal. */
void reply_send(struct fuse_req *req, const struct reply *reply);
void reply_error(struct fuse_req *req, const struct error *err);

#endif
