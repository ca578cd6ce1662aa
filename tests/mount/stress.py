#!/usr/bin/env python3
"""Many readers at once get the right bytes, and the daemon is afterwards as it was before.

PXAR_SECONDS is how long they read: 5 by default.
"""
import hashlib
import os
import random
import threading
import time

from mountlib import check, check_equal, drop_caches, run_tests, test

SECONDS = float(os.environ.get("PXAR_SECONDS", "5"))
READERS, WALKERS = 32, 8
DROP_S = 0.1  # between two drop_caches


def make_tree(top):
    """Files of many sizes in directories of many sizes, some with more names; their digests."""
    noise = random.Random(1)
    digests = {}

    def put(path, size):
        content = noise.randbytes(size)
        with open(path, "wb") as f:
            f.write(content)
        digests[path] = hashlib.sha256(content).digest()

    for i, files in enumerate((0, 1, 3, 60, 400)):
        directory = "%s/d%d/sub" % (top, i)
        os.makedirs(directory)
        for j in range(files):
            path = "%s/%d" % (directory, j)
            put(path, noise.choice((0, 1, 4095, 4096, 70000)))
            if j % 10 == 1:
                link = "%s/d%d/link%d" % (top, i, j)
                os.link(path, link)
                digests[link] = digests[path]
    put(top + "/large", 20 << 20)
    return {os.path.relpath(path, top): digest for path, digest in digests.items()}


class Load:
    """Readers, walkers and drop_caches, until it is stopped; what was wrong."""

    def __init__(self, path, digests, names):
        self.path, self.digests, self.names = path, digests, names
        self.stop = threading.Event()
        self.wrong = []
        self.rounds = [0] * (READERS + WALKERS)
        self.threads = [threading.Thread(target=self._guard, args=(n,), daemon=True)
                        for n in range(READERS + WALKERS)]
        for thread in self.threads:
            thread.start()

    def _guard(self, n):
        choice = random.Random(n)
        while not self.stop.is_set() and not self.wrong:
            try:
                (self._read if n < READERS else self._walk)(choice)
            except OSError as e:
                self.wrong.append(str(e))
            self.rounds[n] += 1

    def _read(self, choice):
        name = choice.choice(list(self.digests))
        digest = hashlib.sha256()
        with open(self.path + "/" + name, "rb", buffering=0) as f:
            while piece := f.read(choice.choice((1000, 4096, 1 << 20))):
                digest.update(piece)
            if choice.random() < 0.3:
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if digest.digest() != self.digests[name]:
            self.wrong.append("content of " + name)

    def _walk(self, choice):
        if choice.random() < 0.5:
            os.path.lexists("%s/d4/sub/no%d" % (self.path, choice.randrange(1000)))
        if names_below(self.path) != self.names:
            self.wrong.append("the names of a walk")

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        check_equal(self.wrong, [], "what was wrong")
        check(min(self.rounds) > 0, "a thread that has done nothing", self.rounds)


def names_below(top):
    return sorted(os.path.relpath(os.path.join(at, name), top)
                  for at, dirs, files in os.walk(top) for name in dirs + files)


def check_all(path, digests, names):
    check_equal(names_below(path), names, "names")
    for name, digest in digests.items():
        with open(path + "/" + name, "rb") as f:
            check(hashlib.sha256(f.read()).digest() == digest, "content of " + name)


def stress(work, *options, split=False):
    tree = work.directory()
    digests, names = make_tree(tree), names_below(tree)
    mount = work.mount(work.pack(tree, split=split), *options)
    check_all(mount.path, digests, names)
    descriptors = len(os.listdir("/proc/%d/fd" % mount.pid))
    end = time.monotonic() + SECONDS / 2
    load = Load(mount.path, digests, names)
    while time.monotonic() < end:
        drop_caches()
        time.sleep(DROP_S)
    load.end()
    drop_caches()
    check_all(mount.path, digests, names)
    check_equal(len(os.listdir("/proc/%d/fd" % mount.pid)), descriptors, "open descriptors")
    check_equal(mount.output().count("\n"), 0, "lines in the log but for the first")
    mount.unmount()


@test
def readers_and_walkers_of_a_unified_archive(work):
    stress(work)


@test
def readers_and_walkers_of_a_split_archive_with_little_memory(work):
    stress(work, "--dir-cache=1M", "--threads=2", split=True)


if __name__ == "__main__":
    run_tests()
