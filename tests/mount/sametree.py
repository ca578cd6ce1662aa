"""Whether two trees are the same to every tool that looks."""
import os
import stat

import sampletree
from mountlib import check_equal, run


def rsync_difference(a, b):
    """What rsync would change in b to make it a copy of a; b may be read-only."""
    return run("rsync", "-aHAXn", "--checksum", "--delete", "--itemize-changes", a + "/",
               b + "/").decode("utf-8", "replace")


def find(top, expression):
    return sorted(run("find", ".", *expression.split(), cwd=top).split(b"\0"))


def acls(top):
    return sorted(run("getfacl", "-R", "-n", "-p", ".", cwd=top).split(b"\n\n"))


def xattrs(top, path):
    full = os.path.join(os.fsencode(top), path)
    return {name: os.getxattr(full, name, follow_symlinks=False)
            for name in os.listxattr(full, follow_symlinks=False)}


def total_size(top):
    listing = run("sh", "-c", "find . -type f -print0 | du --files0-from=- -lbc", cwd=top)
    return int(listing.split()[-2])


def compare(tree, mnt):
    check_equal(rsync_difference(tree, mnt), "", "rsync sees a difference")
    for expression in (r"-printf %p\t%y\t%m\t%U\t%G\t%T@\t%l\0",
                       r"! -type d -printf %p\t%n\0", r"-type f -printf %p\t%s\0"):
        check_equal(find(mnt, expression), find(tree, expression), "find %s" % expression)
    run("diff", "-r", "--no-dereference", "-x", "special", tree, mnt)
    check_equal(acls(mnt), acls(tree), "getfacl sees a difference")
    check_equal(total_size(mnt), total_size(tree), "du --apparent-size differs")
    for path in sampletree.paths(tree):
        check_equal(xattrs(mnt, path), xattrs(tree, path), "xattrs of %r" % path)
        st = os.lstat(os.path.join(os.fsencode(mnt), path))
        want = os.lstat(os.path.join(os.fsencode(tree), path))
        check_equal(st.st_rdev, want.st_rdev, "device number of %r" % path)
        if stat.S_ISREG(st.st_mode):  # with no blocks, tar -S would take it for one hole
            check_equal(st.st_blocks, -(-st.st_size // 512), "blocks of %r" % path)
