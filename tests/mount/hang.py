#!/usr/bin/env python3
"""What waits for an archive that hangs, and what does not.

HANG_MOUNT names tests/mount/hang-mount.c, built: a daemon whose archive hangs where and as long as
a test says.
"""
import contextlib
import os
import signal
import subprocess
import threading
import time

from mountlib import (ROOT, SLOW, check, check_equal, lazily_unmount, run, run_tests,
                      test, wait_until)

HANG_MOUNT = os.environ.get("HANG_MOUNT", ROOT + "/build/tests/mount/hang-mount")
FAR = 16384  # of content between entries, so that reading one does not touch the next
SOON_S = 1  # what does not wait must not take longer
END_S = 2
EXIT_HUNG = 1


def pack_tree(work):
    """dir has entries far from each other, other has some, big has content of its own."""
    tree = work.directory()
    for name in ("dir/first", "dir/slow", "dir/tail", "dir/tail2", "other/x", "other/y", "big"):
        os.makedirs(os.path.dirname(tree + "/" + name), exist_ok=True)
        with open(tree + "/" + name, "wb") as f:
            f.write(name.encode() * (64 * FAR if name == "big" else FAR))
    return work.pack(tree, os.path.basename(tree))


def place_of(archive, name):
    """Where the FILENAME with the name and the ENTRY behind it are."""
    with open(archive, "rb") as f:
        at = f.read().find(b"\x16" + (17 + len(name)).to_bytes(8, "little") + name + b"\0") - 7
    check(at > 0, "no entry %r in the archive" % name)
    return at, at + 17 + len(name) + 56


class Hanging:
    """A mount whose archive hangs at this range until it is released."""

    def __init__(self, work, archive, place, threads=4, scan=False):
        self.gate = work.file("gate", b"")
        os.environ["UV_THREADPOOL_SIZE"] = str(threads)
        self.hung = 0
        if not scan:
            os.unlink(self.gate)
        self.mount = work.mount(archive, program=(
            HANG_MOUNT, self.gate, str(place[0]), str(place[1]), "scan" if scan else "no-scan"))
        self.path = self.mount.path
        work.file("gate", b"")

    def release(self):
        os.unlink(self.gate)

    def hang(self, call, *args):
        """Starts a call in a thread; returns when the archive hangs in it."""
        waiting = Waiting(call, *args)
        self.hung += 1
        wait_until(lambda: self.mount.output().count("hangs") >= self.hung, "the archive to hang")
        return waiting


class Waiting(threading.Thread):
    """A call that may take its time, in a thread of its own."""

    def __init__(self, call, *args):
        super().__init__(daemon=True)
        self.call = lambda: call(*args)
        self.result = self.error = None
        self.start()

    def run(self):
        try:
            self.result = self.call()
        except OSError as e:
            self.error = e

    def wait(self, limit_s=10):
        self.join(limit_s * SLOW)
        check(not self.is_alive(), "a call has not returned within %d s" % (limit_s * SLOW))


@contextlib.contextmanager
def soon(what):
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    check(took < SOON_S * SLOW, "%s took %.1f s" % (what, took))


def at_once(what, call, *args):
    """The result of a call that must not hang."""
    waiting = Waiting(call, *args)
    with soon(what):
        waiting.wait(SOON_S)
    check(waiting.error is None, "%s: %s" % (what, waiting.error))
    return waiting.result


def read_piece(path, offset):
    """4096 bytes, without the kernel's read-ahead."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        return os.pread(fd, 4096, offset)
    finally:
        os.close(fd)


def hang_at_name(work, **options):
    archive = pack_tree(work)
    return Hanging(work, archive, place_of(archive, b"slow"), **options)


def hang_in_big(work, **options):
    archive = pack_tree(work)
    end = place_of(archive, b"big")[1] + 16  # big is the first in the archive
    return Hanging(work, archive, (end + 10 * FAR, end + 64 * FAR), **options)


@test
def a_lookup_that_hangs_keeps_no_other_waiting(work):
    h = hang_at_name(work)
    slow = h.hang(os.stat, h.path + "/dir/slow")
    for name in ("tail", "first", "tail2"):
        st = at_once("a lookup beside it", os.stat, h.path + "/dir/" + name)
        check_equal(st.st_size, len("dir/" + name) * FAR, "size of " + name)
    check_equal(sorted(at_once("a listing elsewhere", os.listdir, h.path + "/other")),
                ["x", "y"], "names")
    check(slow.is_alive(), "the lookup does not hang: nothing was tested")
    h.release()
    slow.wait()
    check_equal(slow.result and slow.result.st_size, len("dir/slow") * FAR, "size in the end")
    h.mount.unmount()


@test
def reads_that_hang_leave_a_thread_for_others(work):
    h = hang_in_big(work, threads=4)
    slow = [h.hang(read_piece, h.path + "/big", (20 + 10 * i) * FAR) for i in range(3)]
    check_equal(at_once("content", read_piece, h.path + "/other/x", 0), b"other/x" * 585 + b"o",
                "content of another file")
    check_equal(at_once("content", read_piece, h.path + "/big", 0), (b"big" * 1366)[:4096],
                "content of another part")
    at_once("a listing", os.listdir, h.path + "/dir")
    h.release()
    for i, waiting in enumerate(slow):
        waiting.wait()
        at = (20 + 10 * i) * FAR % 3
        check_equal(waiting.result, (b"big" * 1367)[at:at + 4096], "content in the end")
    h.mount.unmount()


@test
def what_is_in_memory_needs_no_thread(work):
    h = hang_in_big(work, threads=2)
    at_once("a listing", os.listdir, h.path + "/dir")
    at_once("content", read_piece, h.path + "/other/x", 0)
    slow = [h.hang(read_piece, h.path + "/big", (20 + 10 * i) * FAR) for i in range(2)]
    check_equal(at_once("the kernel's copy", read_piece, h.path + "/other/x", 0)[:7], b"other/x",
                "content")
    run("sh", "-c", "echo 2 >/proc/sys/vm/drop_caches")
    check_equal(sorted(at_once("the daemon's copy", os.listdir, h.path + "/dir")),
                ["first", "slow", "tail", "tail2"], "names")
    at_once("a name in it", os.stat, h.path + "/dir/slow")
    check(not os.path.lexists(h.path + "/dir/none"), "a name that is not there")
    h.release()
    for waiting in slow:
        waiting.wait()
    h.mount.unmount()


@test
def a_signal_ends_a_mount_whose_requests_hang(work):
    for end in (signal.SIGTERM, signal.SIGINT):
        h = hang_in_big(work, threads=2)
        slow = [h.hang(read_piece, h.path + "/big", (20 + 10 * i) * FAR) for i in range(2)]
        slow.append(Waiting(os.stat, h.path + "/dir/tail"))
        h.mount.proc.send_signal(end)
        h.mount.ended(h.mount.join(END_S), want=EXIT_HUNG)
        for waiting in slow:
            waiting.wait(SOON_S)
            check(waiting.error or waiting is slow[-1], "a read succeeded that cannot have")
        os.unlink(h.gate)


@test
def a_second_signal_does_not_wait_at_all(work):
    h = hang_in_big(work, threads=2)
    slow = h.hang(read_piece, h.path + "/big", 20 * FAR)
    h.mount.proc.terminate()
    wait_until(lambda: "unmounting" in h.mount.output(), "the first signal to be noticed")
    with soon("the second signal"):
        h.mount.proc.terminate()
        h.mount.ended(h.mount.join(END_S), want=EXIT_HUNG)
    slow.wait(SOON_S)


@test
def a_walk_that_hangs_does_not_keep_the_daemon(work):
    for end in (lambda h: h.mount.proc.terminate(), lambda h: lazily_unmount(h.path)):
        h = hang_at_name(work, scan=True)
        wait_until(lambda: "hangs" in h.mount.output(), "the walk to hang")
        check_equal(os.stat(h.path + "/dir/tail").st_nlink, 2, "links that are not counted yet")
        end(h)
        h.mount.ended(h.mount.join(END_S))
        os.unlink(h.gate)


def waiting_requests(work, h):
    """How many requests the kernel has no answer to; None where it does not tell."""
    control = work.path("fusectl")
    if not os.path.isdir(control):
        os.mkdir(control)
        if subprocess.run(["mount", "-t", "fusectl", "none", control], check=False,
                          stderr=subprocess.DEVNULL).returncode:
            return None
    with open("%s/%d/waiting" % (control, os.minor(os.stat(h.path).st_dev)),
              encoding="ascii") as f:
        return int(f.read())


@test
def who_waits_in_the_queue_can_be_interrupted(work):
    h = hang_in_big(work, threads=1)
    at_once("an attribute", os.stat, h.path)
    if waiting_requests(work, h) is None:
        return
    slow = h.hang(read_piece, h.path + "/big", 20 * FAR)
    check_equal(waiting_requests(work, h), 1, "waiting requests")
    queued = subprocess.Popen(["stat", h.path + "/dir/tail"], stdout=subprocess.DEVNULL)
    wait_until(lambda: waiting_requests(work, h) == 2, "the request to be queued")
    with soon("the interruption"):
        queued.send_signal(signal.SIGINT)
        check_equal(queued.wait(SOON_S * SLOW), -signal.SIGINT, "end of who was interrupted")
    check(slow.is_alive(), "nothing hangs: nothing was tested")
    h.release()
    slow.wait()
    at_once("afterwards", os.stat, h.path + "/dir/tail")
    h.mount.unmount()


if __name__ == "__main__":
    run_tests()
