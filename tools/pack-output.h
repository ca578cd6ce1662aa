/*
 * pack-output.h - a file that is there whole or not at all
 *
 * It is written under a temporary name in the directory of its path, and gets its own name only
 * once everything is on disk.
 */
#ifndef TOOLS_PACK_OUTPUT_H
#define TOOLS_PACK_OUTPUT_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/encoder.h"

struct output {
	struct sink sink; /* what is written ends up in the file */
	int dir_fd, fd;
	char *name;
	char temporary[32]; /* empty: there is none */
	bool force;
	bool published;
	uint8_t *pending; /* bytes that are not written yet */
	size_t n_pending;
};

/* What output_release() may be called with before output_open(). */
#define OUTPUT_CLOSED                  \
	{                              \
		.dir_fd = -1, .fd = -1 \
	}

struct output_id {
	dev_t dev;
	ino_t ino;
};

/* Refuses, with -EEXIST, a path that exists: always, unless force and it is a regular file. */
int output_open(struct output *o, const char *path, bool force, struct error *err);

/* The file that is being written, and the one that it is to replace: 1 or 2 of them. */
size_t output_ids(const struct output *o, struct output_id ids[2]);

/* All bytes to disk. */
int output_sync(struct output *o, struct error *err);

/* After output_sync(): gives the file its name. */
int output_publish(struct output *o, struct error *err);

/* With force: removes what is to be replaced ahead of time. */
void output_remove_old(struct output *o);

/* Takes the file back, if it was published. */
void output_unpublish(struct output *o);

/* Removes what is not published. */
void output_release(struct output *o);

#endif
