#!/usr/bin/env python3
"""What cannot be mounted is refused at once, with one line that says why, and nothing mounted."""
import os

from mountlib import check_equal, mounted, refused, run_tests, test

FAILED, USAGE = 1, 2


def small(work, name="a", split=False, content=b"content"):
    tree = work.directory()
    with open(tree + "/f", "wb") as f:
        f.write(content)
    return work.pack(tree, name, split)


def refused_and_unmounted(work, *args, status=FAILED, words=()):
    """Both ways of starting say the same."""
    on = work.directory()
    for foreground in ((), ("-f",)):
        text = refused(*foreground, *args, on, status=status, words=words)
        check_equal(mounted(on), None, "what is mounted after %r" % text)


@test
def what_is_no_archive(work):
    archive = small(work)
    with open(archive, "rb") as f:
        whole = f.read()
    os.mkfifo(work.path("fifo"))
    os.symlink("nowhere", work.path("dangling"))
    bad = {
        "missing": work.path("missing"),
        "dangling": work.path("dangling"),
        "a directory": work.directory(),
        "a FIFO": work.path("fifo"),
        "a device": "/dev/null",
        "empty": work.file("empty", b""),
        "15 bytes": work.file("15", whole[:15]),
        "its first half": work.file("half", whole[:len(whole) // 2]),
        "without its last byte": work.file("last", whole[:-1]),
        "text": work.file("text", b"no archive\n" * 100),
        "zeros": work.file("zeros", bytes(5000)),
        "with a tail": work.file("tail", whole + b"x"),
    }
    for path in bad.values():
        refused_and_unmounted(work, path, words=[path])


@test
def a_split_archive_without_its_payload(work):
    archive = small(work, split=True)
    payload = archive.replace(".mpxar", ".ppxar")
    os.rename(payload, payload + ".away")
    refused_and_unmounted(work, archive)
    refused_and_unmounted(work, "--payload", work.path("missing"), archive,
                          words=[work.path("missing")])
    refused_and_unmounted(work, "--payload", work.file("empty", b""), archive)
    refused_and_unmounted(work, "--payload", work.file("text", b"no payload\n" * 9), archive)
    mount = work.mount(archive, "--payload", payload + ".away")
    mount.unmount()


@test
def a_payload_for_an_archive_that_has_its_own(work):
    payload = small(work, "split", split=True).replace(".mpxar", ".ppxar")
    refused_and_unmounted(work, "--payload", payload, small(work, "whole"))
    refused_and_unmounted(work, payload)


@test
def metadata_alone_when_it_is_asked_for(work):
    archive = small(work, split=True)
    os.unlink(archive.replace(".mpxar", ".ppxar"))
    mount = work.mount(archive, "--metadata-only")
    check_equal(os.stat(mount.path + "/f").st_size, 7, "size")
    try:
        with open(mount.path + "/f", "rb") as f:
            f.read()
        check_equal("content", "an error", "reading")
    except OSError:
        pass
    mount.unmount()


@test
def what_is_no_mount_point(work):
    archive = small(work)
    for on in work.path("missing"), work.file("file", b""), archive:
        for foreground in ((), ("-f",)):
            refused(*foreground, archive, on, status=FAILED, words=[on])


@test
def a_mount_point_that_is_in_use(work):
    archive, other = small(work), small(work, "other")
    mount = work.mount(archive)
    for foreground in ((), ("-f",)):
        refused(*foreground, other, mount.path, status=FAILED, words=[mount.path])
    check_equal(os.listdir(mount.path), ["f"], "what is mounted still")
    mount.unmount()


@test
def a_mount_point_that_is_not_empty_or_behind_a_symlink(work):
    archive = small(work)
    on = work.directory()
    work.file(os.path.join(on, "hidden"), b"")
    mount = work.mount(archive, on=on)
    check_equal(os.listdir(on), ["f"], "what covers it")
    mount.unmount()
    check_equal(os.listdir(on), ["hidden"], "what was there")


@test
def command_lines_that_make_no_sense(work):
    archive, on = small(work), work.directory()
    for args in (
            [], [archive], [archive, on, "third"], ["--unmount"], ["--unmount", on, on],
            ["--no-such-option", archive, on], ["-Z", archive, on], ["--payload"],
            ["-o", "nosuchword", archive, on], ["-o", "nosuchkey=1", archive, on],
            ["-o", "threads", archive, on], ["-o", "metadata-only=1", archive, on],
            ["--threads", "0", archive, on], ["--threads", "-1", archive, on],
            ["--threads", "x", archive, on], ["--threads", "", archive, on],
            ["--threads", "99999999999999999999", archive, on],
            ["--scan=perhaps", archive, on], ["--scan-wait", "soon", archive, on],
            ["--scan-wait", "-5", archive, on], ["--dir-cache", "1X", archive, on],
            ["--dir-cache", "99999999999T", archive, on]):
        refused(*args, status=USAGE)
        check_equal(mounted(on), None, "what is mounted after %s" % args)


@test
def unmounting_what_is_not_ours(work):
    refused("--unmount", work.directory(), status=FAILED)
    refused("--unmount", work.path("missing"), status=FAILED)
    refused("--unmount", "/proc", status=FAILED)


if __name__ == "__main__":
    run_tests()
