/*
 * operands.h - what is to be mounted, and where: arguments and options taken together
 *
 *     ARCHIVE MOUNTPOINT               without a store: a file
 *     TYPE/ID/TIME/NAME MOUNTPOINT     with a store: an archive of a snapshot
 *     INDEX.didx MOUNTPOINT            with a store, and not of the above form: as fstab has to
 *                                      write --didx INDEX, whose first argument is MOUNTPOINT
 *     MOUNTPOINT                       with --didx or --unmount
 */
#ifndef DAEMON_OPERANDS_H
#define DAEMON_OPERANDS_H

#include "daemon/options.h"

/* Sets archive, didx and mountpoint in o, whose options are complete, to borrowed words. < 0 when
   there are too many or too few words, or they and the options contradict one another. */
int operands_take(struct options *o, const char *const *words, size_t n, struct error *err);

#endif
