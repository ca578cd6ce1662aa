#!/usr/bin/env python3
"""Who may see what: the kernel enforces the archive's modes and ACLs."""
import errno
import os

from mountlib import check, check_equal, run, run_tests, test

NOBODY = 65534


def as_nobody(call, *args):
    """errno of the call in a process of another user, 0 when it succeeds."""
    child = os.fork()
    if child == 0:
        code = 255
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            call(*args)
            code = 0
        except OSError as e:
            code = e.errno
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def read(path):
    with open(path, "rb") as f:
        f.read()


def private_tree(work):
    tree = work.directory()
    for name, mode in (("mine", 0o600), ("everybody", 0o644), ("granted", 0o600),
                       ("revoked", 0o644)):
        with open(tree + "/" + name, "wb") as f:
            f.write(name.encode())
        os.chmod(tree + "/" + name, mode)
    run("setfacl", "-m", "u:%d:r" % NOBODY, tree + "/granted")
    run("setfacl", "-m", "u:%d:-" % NOBODY, tree + "/revoked")
    os.mkdir(tree + "/closed", 0o700)
    with open(tree + "/closed/f", "wb"):
        pass
    os.setxattr(tree + "/everybody", "trusted.secret", b"1")
    os.setxattr(tree + "/everybody", "user.open", b"2")
    return tree


@test
def without_allow_other_another_user_sees_nothing(work):
    mount = work.mount(work.pack(private_tree(work)))
    check_equal(as_nobody(os.listdir, mount.path), errno.EACCES, "listing the root")
    check_equal(as_nobody(os.stat, mount.path + "/everybody"), errno.EACCES, "stat of a file")
    mount.unmount()


@test
def modes_and_acls_are_enforced(work):
    mount = work.mount(work.pack(private_tree(work)), "-o", "allow_other")
    want = {"mine": errno.EACCES, "everybody": 0, "granted": 0, "revoked": errno.EACCES,
            "closed/f": errno.EACCES}
    for when in ("first", "after root has read them"):
        for name, code in want.items():
            check_equal(as_nobody(read, mount.path + "/" + name), code, "%s, %s" % (name, when))
        for name in want:
            read(mount.path + "/" + name)
    check_equal(as_nobody(os.listdir, mount.path + "/closed"), errno.EACCES, "listing closed")
    mount.unmount()


@test
def trusted_attributes_are_roots(work):
    mount = work.mount(work.pack(private_tree(work)), "-o", "allow_other")
    path = mount.path + "/everybody"

    def only_open():
        if os.listxattr(path) != ["user.open"]:
            raise OSError(errno.EILSEQ, "other names")

    check_equal(sorted(os.listxattr(path)), ["trusted.secret", "user.open"], "root's listing")
    check_equal(as_nobody(only_open), 0, "the other user's listing")
    check_equal(as_nobody(os.getxattr, path, "user.open"), 0, "the other user's user.open")
    check(as_nobody(os.getxattr, path, "trusted.secret") in (errno.ENODATA, errno.EPERM),
          "the other user can read trusted.secret")
    mount.unmount()


@test
def a_suid_program_gives_no_rights(work):
    tree = work.directory()
    run("cp", "/usr/bin/id", tree + "/id")
    os.chmod(tree + "/id", 0o4755)
    mount = work.mount(work.pack(tree), "-o", "allow_other")

    def effective():
        if run(mount.path + "/id", "-u").strip() != b"%d" % NOBODY:
            raise OSError(errno.EILSEQ, "another user's rights")

    check_equal(as_nobody(effective), 0, "the user that a suid program runs as")
    mount.unmount()


if __name__ == "__main__":
    run_tests()
