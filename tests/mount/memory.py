#!/usr/bin/env python3
"""Memory stays small, however large the tree is."""
import os

from mountlib import SANITIZE, check, rss_anon_mib, run, run_tests, test

DIRS, FILES = 160, 1000
IDLE_MIB = 4
CACHE_MIB = 8
WALKED_MIB = 24 + CACHE_MIB


def large_tree(work):
    tree = work.directory()
    for d in range(DIRS):
        os.mkdir("%s/%d" % (tree, d))
        for i in range(FILES):
            os.symlink("t", "%s/%d/a name of ordinary length %d" % (tree, d, i))
    return tree


@test
def an_idle_mount_is_small(work):
    tree = work.directory()
    os.mkdir(tree + "/d")
    mount = work.mount(work.pack(tree), "--scan=wait")
    used = rss_anon_mib(mount.pid)
    print("idle: %.1f MiB" % used)
    check(used <= IDLE_MIB, "%.1f MiB, more than %d" % (used, IDLE_MIB))
    mount.unmount()


@test
def a_walk_leaves_no_more_than_the_cache(work):
    archive = work.pack(large_tree(work))
    mount = work.mount(archive, "--scan=wait", "--dir-cache", "%dM" % CACHE_MIB)
    for _ in range(2):
        seen = run("find", mount.path, "-printf", "%s %i\n").count(b"\n")
        check(seen == DIRS * FILES + DIRS + 1, "find saw %d entries" % seen)
    used = rss_anon_mib(mount.pid)
    print("after find over %d entries: %.1f MiB" % (seen, used))
    check(used <= WALKED_MIB, "%.1f MiB, more than %d" % (used, WALKED_MIB))
    mount.unmount()


if __name__ == "__main__":
    if SANITIZE:
        print("a sanitizer's memory is not the daemon's: nothing measured")
    else:
        run_tests()
