#!/usr/bin/env python3
"""Nothing can be written, by whatever call, and the mount says so itself."""
import errno
import os
import socket
import stat

from mountlib import check, check_equal, drop_caches, errno_of, mounted, run_tests, test


def bind(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)


MUTATORS = {
    "open to write": lambda m: os.open(m + "/f", os.O_WRONLY),
    "open to read and write": lambda m: os.open(m + "/f", os.O_RDWR),
    "open and truncate": lambda m: os.open(m + "/f", os.O_RDONLY | os.O_TRUNC),
    "open and append": lambda m: os.open(m + "/f", os.O_WRONLY | os.O_APPEND),
    "create": lambda m: os.open(m + "/new", os.O_CREAT | os.O_WRONLY),
    "create unnamed": lambda m: os.open(m, os.O_TMPFILE | os.O_RDWR),
    "mkdir": lambda m: os.mkdir(m + "/new"),
    "rmdir": lambda m: os.rmdir(m + "/d"),
    "unlink": lambda m: os.unlink(m + "/f"),
    "rename": lambda m: os.rename(m + "/f", m + "/new"),
    "link": lambda m: os.link(m + "/f", m + "/new"),
    "symlink": lambda m: os.symlink("f", m + "/new"),
    "mkfifo": lambda m: os.mkfifo(m + "/new"),
    "mknod": lambda m: os.mknod(m + "/new", stat.S_IFCHR | 0o600, os.makedev(1, 3)),
    "bind a socket": lambda m: bind(m + "/new"),
    "chmod": lambda m: os.chmod(m + "/f", 0o777),
    "chown": lambda m: os.chown(m + "/f", 1, 1),
    "lchown": lambda m: os.lchown(m + "/l", 1, 1),
    "utimens": lambda m: os.utime(m + "/f"),
    "truncate": lambda m: os.truncate(m + "/f", 0),
    "setxattr": lambda m: os.setxattr(m + "/f", "user.x", b"1"),
    "removexattr": lambda m: os.removexattr(m + "/f", "user.kept"),
}


def make(tree):
    with open(tree + "/f", "wb") as f:
        f.write(b"content")
    os.setxattr(tree + "/f", "user.kept", b"v")
    os.mkdir(tree + "/d")
    os.symlink("f", tree + "/l")


@test
def every_mutator_gives_erofs(work):
    tree = work.directory()
    make(tree)
    mount = work.mount(work.pack(tree))
    for known in ("before", "after"):  # the kernel knows the names
        for what, call in MUTATORS.items():
            code = errno_of(call, mount.path)
            check_equal(errno.errorcode.get(code, "no error"), "EROFS",
                        "%s, %s they were looked up" % (what, known))
        check_equal(sorted(os.listdir(mount.path)), ["d", "f", "l"], "what is there afterwards")
    check(not os.access(mount.path + "/f", os.W_OK), "access says that it can be written")
    with open(mount.path + "/f", "rb") as f:
        check_equal(f.read(), b"content", "what is in it afterwards")
    mount.unmount()


@test
def the_mount_is_read_only_and_cannot_raise_privileges(work):
    tree = work.directory()
    make(tree)
    archive = work.pack(tree)
    for options in (), ("-o", "rw,suid,dev,exec"):  # which "defaults" in an fstab stands for
        mount = work.mount(archive, *options)
        fields = mounted(mount.path)
        dash = fields.index("-")
        flags = fields[5].split(",")
        check(all(word in flags for word in ("ro", "nosuid", "nodev")), "mount flags", flags)
        check_equal(fields[dash + 1], "fuse.pxar", "type")
        check_equal(os.path.basename(fields[dash + 2]), "a.pxar", "source")
        check("default_permissions" in fields[dash + 3].split(","), "default_permissions",
              fields[dash + 3])
        check("allow_other" not in fields[dash + 3].split(","), "allow_other", fields[dash + 3])
        mount.unmount()


@test
def a_device_cannot_be_opened(work):
    tree = work.directory()
    os.mknod(tree + "/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    mount = work.mount(work.pack(tree))
    check_equal(os.stat(mount.path + "/null").st_rdev, os.makedev(1, 3), "device number")
    check_equal(errno_of(os.open, mount.path + "/null", os.O_RDONLY), errno.EACCES, "open")
    mount.unmount()


@test
def the_name_of_the_archive_is_no_option(work):
    tree = work.directory()
    make(tree)
    os.rename(work.pack(tree), work.path("odd,suid,rw \\x,dev\n.pxar"))
    mount = work.mount(work.path("odd,suid,rw \\x,dev\n.pxar"))
    flags = mounted(mount.path)[5].split(",")
    check(all(word in flags for word in ("ro", "nosuid", "nodev")), "mount flags", flags)
    mount.unmount()


@test
def noexec_is_honoured(work):
    tree = work.directory()
    with open(tree + "/script", "wb") as f:
        f.write(b"#!/bin/sh\nexit 0\n")
    os.chmod(tree + "/script", 0o755)
    archive = work.pack(tree)
    for options, want in (((), 0), (("-o", "noexec"), errno.EACCES)):
        mount = work.mount(archive, *options)
        drop_caches()
        code = errno_of(lambda: os.posix_spawn(mount.path + "/script", ["script"], {}))
        check_equal(code, want, "running a script with %s" % (options,))
        while code == 0 and os.wait()[1] != 0:
            check(False, "the script failed")
        mount.unmount()


if __name__ == "__main__":
    run_tests()
