#!/usr/bin/env python3
"""Every mount ends: on signals, on unmounting, under load, and after the daemon was killed.

PXAR_RUNS is the number of rounds of what is repeated: 5 by default, 50 for the long form.
"""
import os
import signal
import subprocess
import threading
import time

from mountlib import (PXAR_MOUNT, SLOW, check, check_equal, drop_caches, errno_of, lazily_unmount,
                      mounted, refused, run, run_tests, test, wait_until)

RUNS = int(os.environ.get("PXAR_RUNS", "5"))
READERS = 32
END_S = 2  # how long an end may take


def pack_files(work):
    tree = work.directory()
    for i in range(200):
        with open(tree + "/%d" % i, "wb") as f:
            f.write(b"%04d" % i * 5000)
    return work.pack(tree)


class Readers:
    """Threads that read all files of a mount until they get an error."""

    def __init__(self, mount):
        self.stop = False
        self.reads = 0
        self.wrong = None
        self.threads = [threading.Thread(target=self._read, args=(mount.path, n), daemon=True)
                        for n in range(READERS)]
        for thread in self.threads:
            thread.start()
        wait_until(lambda: self.reads > 2 * READERS, "the readers to read")

    def _read(self, path, n):
        while not self.stop:
            n = (n + 7) % 200
            try:
                with open(path + "/%d" % n, "rb", buffering=0) as f:
                    content = f.read()  # to the end: what is cut off must end in an error
                    os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            except OSError:
                return
            if content != b"%04d" % n * 5000:
                self.wrong = n
            self.reads += 1

    def join(self):
        end = time.monotonic() + END_S * SLOW
        for thread in self.threads:
            thread.join(max(0, end - time.monotonic()))
            check(not thread.is_alive(), "a reader hangs %d s after the end" % (END_S * SLOW))
        check_equal(self.wrong, None, "a file whose content was wrong")


@test
def an_idle_mount_ends_on_signals_and_on_unmount(work):
    archive = pack_files(work)
    for _ in range(RUNS):
        for end in (signal.SIGTERM, signal.SIGINT):
            mount = work.mount(archive)
            mount.proc.send_signal(end)
            mount.ended(mount.join(END_S))
        work.mount(archive).unmount()
        mount = work.mount(archive)
        run(PXAR_MOUNT, "--unmount", mount.path)
        mount.ended(mount.join(END_S))


@test
def a_signal_ends_a_mount_under_load(work):
    archive = pack_files(work)
    for i in range(RUNS):
        mount = work.mount(archive)
        readers = Readers(mount)
        mount.proc.send_signal((signal.SIGTERM, signal.SIGINT)[i % 2])
        mount.ended(mount.join(END_S))
        readers.join()


@test
def a_second_signal_forces_the_end(work):
    archive = pack_files(work)
    for i in range(4 * RUNS):
        mount = work.mount(archive)
        held = os.open(mount.path + "/1", os.O_RDONLY)
        mount.proc.terminate()
        time.sleep(i % 20 / 5000)  # at any point of the end that the first has begun
        mount.proc.terminate()
        mount.ended(mount.join(END_S))
        errno_of(os.close, held)


@test
def a_lazy_unmount_under_load_ends_with_the_last_reader(work):
    archive = pack_files(work)
    for _ in range(RUNS):
        mount = work.mount(archive)
        readers = Readers(mount)
        held = open(mount.path + "/1", "rb", buffering=0)
        lazily_unmount(mount.path)
        readers.stop = True
        check_equal(held.read(4), b"0001", "a file that is still open")
        check_equal(mount.proc.poll(), None, "the daemon's status while a file is open")
        held.close()
        readers.join()
        mount.ended(mount.join(END_S))


@test
def an_unmount_while_a_file_is_open_is_refused(work):
    mount = work.mount(pack_files(work))
    with open(mount.path + "/1", "rb") as f:
        refused("--unmount", mount.path, status=1)
        check_equal(f.read(4), b"0001", "the file afterwards")
    mount.unmount()


@test
def after_a_kill_the_mount_point_can_be_used_again(work):
    archive = pack_files(work)
    for _ in range(RUNS):
        mount = work.mount(archive)
        readers = Readers(mount)
        mount.proc.kill()
        check_equal(mount.join(END_S), -signal.SIGKILL, "exit status")
        readers.join()
        if mounted(mount.path):  # not where the kernel or fusermount3 has cleared it
            refused(archive, mount.path, status=1, words=[mount.path, "--unmount"])
            run(PXAR_MOUNT, "--unmount", mount.path)
        check(not mounted(mount.path), "a dead mount is still there")
        again = work.mount(archive, on=mount.path)
        check_equal(len(os.listdir(again.path)), 200, "names in the new mount")
        again.unmount()


@test
def a_stopped_daemon_goes_on(work):
    mount = work.mount(pack_files(work))
    mount.proc.send_signal(signal.SIGSTOP)
    waiting = threading.Thread(target=errno_of, args=(os.listdir, mount.path), daemon=True)
    waiting.start()
    mount.proc.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    check(mounted(mount.path), "unmounted while stopped")
    mount.proc.send_signal(signal.SIGCONT)
    mount.ended(mount.join(END_S))
    waiting.join(END_S)
    check(not waiting.is_alive(), "a listing hangs")


@test
def a_hanging_archive_hangs_its_readers_alone(work):
    pack_files(work)
    os.mkdir(work.path("store"))
    os.rename(work.path("a.pxar"), work.path("store/a.pxar"))
    outer = work.mount(work.pack(work.path("store"), "outer"))  # which can be stopped
    inner = work.mount(outer.path + "/a.pxar", "--scan=wait")
    names = sorted(os.listdir(inner.path))
    drop_caches()
    outer.proc.send_signal(signal.SIGSTOP)
    hanging = []

    def read(name):
        with open(inner.path + "/" + name, "rb") as f:
            f.read()

    for name in names[:16]:  # more than the pool has threads
        hanging.append(threading.Thread(target=errno_of, args=(read, name), daemon=True))
        hanging[-1].start()
    time.sleep(0.2)
    began = time.monotonic()
    check_equal(sorted(os.listdir(inner.path)), names, "names while the archive hangs")
    for name in names:
        os.lstat(inner.path + "/" + name)
        check(not os.path.lexists(inner.path + "/no " + name), "a name that is not there")
    check(time.monotonic() - began < SLOW, "metadata waits for contents")
    check(all(thread.is_alive() for thread in hanging), "reading does not hang: nothing was tested")
    inner.proc.terminate()
    wait_until(lambda: not mounted(inner.path), "the mount to be gone", 2 * END_S)
    outer.proc.send_signal(signal.SIGCONT)  # before it the kernel does not let the process go
    inner.ended(inner.join(), want=1)
    for thread in hanging:
        thread.join(END_S)
        check(not thread.is_alive(), "a reader hangs after the end")
    outer.unmount()


def pid_of(mount_point):
    """The daemon that was started with this mount point."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                argv = f.read().split(b"\0")
        except OSError:
            continue
        if argv[0] == os.fsencode(PXAR_MOUNT) and os.fsencode(mount_point) in argv:
            return int(pid)
    return None


@test
def in_the_background_it_returns_when_the_mount_answers(work):
    archive = pack_files(work)
    for _ in range(RUNS):
        on = work.directory()
        # a pipe shows whether the daemon keeps what it was given open
        done = subprocess.run([PXAR_MOUNT, archive, on], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=END_S * SLOW)
        check_equal((done.returncode, done.stdout, done.stderr), (0, b"", b""), "result")
        check_equal(len(os.listdir(on)), 200, "names right after the return")
        pid = pid_of(on)
        check(pid, "no daemon")
        check_equal(os.readlink("/proc/%d/cwd" % pid), "/", "the daemon's directory")
        check_equal([os.readlink("/proc/%d/fd/%d" % (pid, n)) for n in range(3)],
                    ["/dev/null"] * 3, "the daemon's standard streams")
        check(os.getsid(pid) != os.getsid(0), "the daemon is in our session")
        run(PXAR_MOUNT, "--unmount", on)
        wait_until(lambda: pid_of(on) is None, "the daemon's end", END_S)
        check_equal(mounted(on), None, "mount")


@test
def relative_paths_are_those_of_the_starter(work):
    pack_files(work)
    on = work.directory()
    run(PXAR_MOUNT, "a.pxar", os.path.basename(on), cwd=work.dir)
    check_equal(len(os.listdir(on)), 200, "names")
    run(PXAR_MOUNT, "--unmount", os.path.basename(on), cwd=work.dir)
    wait_until(lambda: not mounted(on), "the unmount", END_S)


@test
def closed_standard_streams_do_no_harm(work):
    archive = pack_files(work)
    on = work.directory()
    run("sh", "-c", '"$0" "$1" "$2" <&- >&- 2>&-', PXAR_MOUNT, archive, on)
    drop_caches()
    with open(on + "/7", "rb") as f:
        check_equal(f.read(), b"0007" * 5000, "content")
    run(PXAR_MOUNT, "--unmount", on)
    wait_until(lambda: not mounted(on), "the unmount", END_S)


@test
def two_mounts_of_one_archive_are_independent(work):
    archive = pack_files(work)
    first, second = work.mount(archive), work.mount(archive)
    first.unmount()
    check_equal(len(os.listdir(second.path)), 200, "names in the second mount")
    second.unmount()


@test
def no_descriptor_is_left_open_by_readers(work):
    mount = work.mount(pack_files(work))
    fds = "/proc/%d/fd" % mount.pid
    before = len(os.listdir(fds))
    for _ in range(2):
        for i in range(200):
            with open(mount.path + "/%d" % i, "rb") as f:
                f.read()
        drop_caches()
    check_equal(len(os.listdir(fds)), before, "open descriptors")
    mount.unmount()


if __name__ == "__main__":
    run_tests()
