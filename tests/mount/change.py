#!/usr/bin/env python3
"""The archive changes under the mount: errors, never a mixture and never a crash."""
import errno
import os

from mountlib import check_equal, drop_caches, run_tests, test

SIZE = 300000


def content(i):
    return bytes([i]) * SIZE


def mount_files(work, split=False):
    tree = work.directory()
    for i in range(8):
        with open(tree + "/%d" % i, "wb") as f:
            f.write(content(i))
    archive = work.pack(tree, split=split)
    mount = work.mount(archive)
    check_equal(read(mount, 1), content(1), "content before the change")
    return mount, archive


def read(mount, i):
    """The content, or the errno."""
    try:
        with open(mount.path + "/%d" % i, "rb") as f:
            return f.read()
    except OSError as e:
        return e.errno


def reads_fail_and_the_daemon_lives(mount):
    drop_caches()
    for i in (5, 6, 1):
        check_equal(read(mount, i), errno.EIO, "an uncached read after the change")
    mount.unmount()


@test
def a_truncated_archive_reads_as_an_error(work):
    mount, archive = mount_files(work)
    os.truncate(archive, 1000)
    reads_fail_and_the_daemon_lives(mount)


@test
def a_grown_archive_reads_as_an_error(work):
    mount, archive = mount_files(work)
    os.truncate(archive, os.path.getsize(archive) + 1)
    reads_fail_and_the_daemon_lives(mount)


@test
def an_overwritten_archive_reads_as_an_error(work):
    mount, archive = mount_files(work)
    with open(archive, "r+b") as f:
        f.seek(os.path.getsize(archive) // 2)
        f.write(b"something else")
    reads_fail_and_the_daemon_lives(mount)


@test
def a_truncated_payload_file_reads_as_an_error(work):
    mount, archive = mount_files(work, split=True)
    os.truncate(archive.replace(".mpxar", ".ppxar"), 1000)
    reads_fail_and_the_daemon_lives(mount)


@test
def a_change_of_the_name_is_no_change(work):
    for change in (lambda a: os.rename(a, a + ".old"), os.unlink, lambda a: os.chmod(a, 0),
                   lambda a: os.link(a, a + ".link")):
        mount, archive = mount_files(work)
        change(archive)
        drop_caches()
        for i in range(8):
            check_equal(read(mount, i), content(i), "content after a change of the name")
        mount.unmount()
        for name in (archive, archive + ".old", archive + ".link"):
            if os.path.exists(name):
                os.unlink(name)


@test
def a_replaced_archive_goes_on_from_the_open_file(work):
    mount, archive = mount_files(work)
    work.file("other", b"not an archive")
    os.replace(work.path("other"), archive)
    drop_caches()
    for i in range(8):
        check_equal(read(mount, i), content(i), "content after the replacement")
    mount.unmount()


if __name__ == "__main__":
    run_tests()
