#!/usr/bin/env python3
"""What is mounted is what was packed, to every tool that looks."""
import os
import subprocess

import sampletree
from mountlib import check_equal, run, run_tests, test
from sametree import compare, rsync_difference


def sample(work, split):
    tree = work.directory()
    sampletree.make(tree)
    return tree, work.mount(work.pack(tree, split=split), "--scan=wait")


@test
def a_unified_archive_shows_the_tree(work):
    tree, mount = sample(work, split=False)
    compare(tree, mount.path)
    mount.unmount()


@test
def a_split_archive_shows_the_tree(work):
    tree, mount = sample(work, split=True)
    compare(tree, mount.path)
    mount.unmount()


@test
def copies_equal_the_tree(work):
    tree, mount = sample(work, split=True)
    copy = work.directory()
    run("cp", "-a", mount.path + "/.", copy)
    check_equal(rsync_difference(tree, copy), "", "a copy by cp -a differs")

    os.remove(tree + "/special/socket")  # which tar leaves out
    os.utime(tree + "/special", ns=(0, os.stat(mount.path + "/special").st_mtime_ns))
    copy = work.directory()
    keep = "--format=posix --xattrs --xattrs-include=* --acls".split()
    run("tar", "-C", mount.path, *keep, "-cSf", work.path("tar"), ".")
    run("tar", "-C", copy, *keep, "-xpf", work.path("tar"))
    check_equal(rsync_difference(tree, copy), "", "a copy by tar -S differs")
    mount.unmount()


@test
def a_copy_keeps_hard_links_that_were_not_counted(work):
    tree = work.directory()
    sampletree.make_links(tree + "/links")
    archive = work.pack(tree)
    for options in ("--scan=off",), ("--scan-wait=0",):
        mount, copy = work.mount(archive, *options), work.directory()
        run("cp", "-a", mount.path + "/.", copy)
        check_equal(rsync_difference(tree, copy), "", "a copy with %s differs" % options)
        mount.unmount()


@test
def the_archive_of_a_mount_is_the_archive(work):
    tree, mount = sample(work, split=False)
    again = work.pack(mount.path, "again")
    run("cmp", work.path("a.pxar"), again)
    mount.unmount()


@test
def an_empty_tree_shows_nothing(work):
    for split in (False, True):
        tree = work.directory()
        mount = work.mount(work.pack(tree, "empty", split))
        check_equal(os.listdir(mount.path), [], "listing")
        check_equal(rsync_difference(tree, mount.path), "", "rsync sees a difference")
        mount.unmount()


@test
def headers_of_the_system_are_the_same(work):
    tree = "/usr/include"
    if not os.path.isdir(tree):
        return
    mount = work.mount(work.pack(tree))
    check_equal(rsync_difference(tree, mount.path), "", "rsync sees a difference")
    mount.unmount()


@test
def inode_flags_can_be_asked_for(work):
    tree = work.directory()
    with open(tree + "/f", "wb"):
        pass
    if subprocess.run(["chattr", "+A", tree + "/f"], stderr=subprocess.DEVNULL).returncode:
        return  # not on this file system
    archive = work.pack(tree)
    for options, listed in ((), []), (("--pxar-xattrs",), ["user.pxar.chattr", "user.pxar.flags"]):
        mount = work.mount(archive, *options)
        check_equal(sorted(os.listxattr(mount.path + "/f")), listed,
                    "listing with %s" % (options,))
        check_equal(os.getxattr(mount.path + "/f", "user.pxar.chattr"), b"A", "chattr's letters")
        mount.unmount()


if __name__ == "__main__":
    run_tests()
