/*
 * mountpoint.h - the directory that is mounted on
 */
#ifndef DAEMON_MOUNTPOINT_H
#define DAEMON_MOUNTPOINT_H

#include "core/error.h"

/* The type of our mounts in /proc/self/mountinfo. */
#define MOUNTPOINT_TYPE "fuse.pxar"

/* 0 and the path without symlinks in *resolved, to be freed; or < 0 with a sentence for what cannot
   be mounted on: no directory, a dead mount, a directory where an archive is mounted already. */
int mountpoint_check(const char *path, char **resolved, struct error *err);

/* Ends a mount of ours, also one whose daemon is dead; any other is refused. */
int mountpoint_unmount(const char *path, struct error *err);

/* After fuse_session_mount() has failed: finds out what is missing here and sets err to it. */
int mountpoint_explain_failure(struct error *err);

/* The same for another device file than /dev/fuse, as tests have. */
int mountpoint_explain(const char *device, struct error *err);

#endif
