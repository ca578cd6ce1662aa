#!/usr/bin/env python3
"""Listing and looking up agree, in every order, also in very large directories."""
import ctypes
import errno
import os
import random

from mountlib import check, check_equal, drop_caches, libc, run_tests, test

BIG = 100000


class Dirent(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_uint64), ("off", ctypes.c_int64), ("reclen", ctypes.c_ushort),
                ("type", ctypes.c_ubyte), ("name", ctypes.c_char * 256)]


libc.opendir.restype = ctypes.c_void_p
libc.opendir.argtypes = [ctypes.c_char_p]
libc.readdir.restype = ctypes.POINTER(Dirent)
libc.telldir.restype = ctypes.c_long
for call in (libc.readdir, libc.telldir, libc.rewinddir, libc.closedir):
    call.argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]


class Listing:
    """readdir(3), with the positions that Python does not give."""

    def __init__(self, path):
        self.dir = libc.opendir(os.fsencode(path))
        check(self.dir, "opendir %s" % path)

    def next(self):
        entry = libc.readdir(self.dir)
        return entry.contents.name if entry else None

    def tell(self):
        return libc.telldir(self.dir)

    def seek(self, position):
        libc.seekdir(self.dir, position)

    def rest(self):
        names = []
        while (name := self.next()) is not None:
            names.append(name)
        return names

    def close(self):
        libc.closedir(self.dir)


def big_directory(work):
    tree = work.directory()
    for i in range(BIG):
        os.symlink("t", "%s/entry-%d" % (tree, i))
    mount = work.mount(work.pack(tree))
    return {b"entry-%d" % i for i in range(BIG)}, mount


def same_names(names, want, what):
    check_equal(len(names), len(want) + 2, "%s: number of names" % what)
    check(set(names) == want | {b".", b".."}, "%s: other names" % what)


@test
def a_large_directory_is_listed_completely_from_any_position(work):
    want, mount = big_directory(work)
    first = Listing(mount.path)
    positions, order = [first.tell()], []
    while (name := first.next()) is not None:
        order.append(name)
        positions.append(first.tell())
    same_names(order, want, "first listing")
    chance = random.Random(1)
    for at in [0, 1, 2, BIG, BIG + 1] + [chance.randrange(BIG) for _ in range(300)]:
        first.seek(positions[at])
        check_equal(first.next(), order[at], "the name at position %d" % at)
    first.seek(positions[BIG - 1000])
    check_equal(first.rest(), order[BIG - 1000:], "the last thousand")
    drop_caches()
    libc.rewinddir(first.dir)
    check_equal(first.rest(), order, "the listing after the caches were dropped")
    first.close()
    mount.unmount()


@test
def interleaved_listings_do_not_disturb_each_other(work):
    want, mount = big_directory(work)
    chance = random.Random(2)
    listings = [Listing(mount.path) for _ in range(3)]
    names = [[] for _ in listings]
    open_ones = [0, 1, 2]
    while open_ones:
        which = chance.choice(open_ones)
        for _ in range(chance.randrange(3000)):
            name = listings[which].next()
            if name is None:
                open_ones.remove(which)
                break
            names[which].append(name)
    for which, listing in enumerate(listings):
        same_names(names[which], want, "listing %d" % which)
        check(names[which] == names[0], "listings have different orders")
        listing.close()
    mount.unmount()


@test
def every_listed_name_is_found_and_no_other(work):
    tree = work.directory()
    names = [b"%d" % i for i in range(3000)] + [b"x" * n for n in range(1, 256)]
    for name in names:
        os.mkfifo(os.fsencode(tree) + b"/" + name)
    mount = work.mount(work.pack(tree))
    top = os.fsencode(mount.path)
    for when in ("before listing", "after listing", "after the caches were dropped"):
        numbers = {name: os.lstat(top + b"/" + name).st_ino for name in names}
        for name in [b"-1", b"3000", b"00", b"x0", b"X", b" 1", b"1 ", b"y" * 255]:
            check(not os.path.lexists(top + b"/" + name), "%r is found %s" % (name, when))
        for name, code in (b"x" * 256, errno.ENAMETOOLONG), (b"1/1", errno.ENOTDIR):
            try:
                os.lstat(top + b"/" + name)
                check(False, "%r is found %s" % (name, when))
            except OSError as e:
                check_equal(e.errno, code, "errno of %r %s" % (name, when))
        with os.scandir(top) as listing:
            listed = {e.name: e.inode() for e in listing}
        check_equal(listed, numbers, "names and inode numbers listed, %s" % when)
        if when == "after listing":
            drop_caches()
    mount.unmount()


@test
def dots_have_the_numbers_of_what_they_stand_for(work):
    tree = work.directory()
    os.makedirs(tree + "/a/b")
    mount = work.mount(work.pack(tree))
    a = os.stat(mount.path + "/a").st_ino
    b = os.stat(mount.path + "/a/b").st_ino
    check_equal(os.stat(mount.path).st_ino, 1, "the root's number")
    check_equal(os.stat(mount.path + "/a/b/..").st_ino, a, "the number of a/b/..")
    for path, here, above in ("/a/b", b, a), ("/a", a, 1), ("", 1, 1):
        listing = Listing(mount.path + path)
        found = {}
        while entry := libc.readdir(listing.dir):
            found[entry.contents.name] = entry.contents.ino
        listing.close()
        check_equal(found[b"."], here, "the number of . in the listing of %r" % path)
        if path:  # the kernel shows another file system's number for the .. of a root, or 1
            check_equal(found[b".."], above, "the number of .. in the listing of %r" % path)
    mount.unmount()


@test
def numbers_are_the_same_in_the_next_mount(work):
    tree = work.directory()
    os.makedirs(tree + "/a/b")
    os.mkfifo(tree + "/a/fifo")
    archive = work.pack(tree)
    seen = []
    for _ in range(2):
        mount = work.mount(archive)
        seen.append([os.lstat(mount.path + p).st_ino for p in ("/a", "/a/b", "/a/fifo")])
        mount.unmount()
    check_equal(seen[1], seen[0], "inode numbers")
    check(seen[0][2] >> 63 == 1 and seen[0][0] >> 63 == 0, "bit 63 says what is no directory",
          seen[0])


@test
def totals_are_shown(work):
    tree = work.directory()
    for i in range(5):
        with open(tree + "/%d" % i, "wb") as f:
            f.write(bytes(10000))
    mount = work.mount(work.pack(tree), "--scan=wait")
    vfs = os.statvfs(mount.path)
    check(vfs.f_blocks * vfs.f_frsize >= 50000, "statfs: size", vfs)
    check_equal((vfs.f_bfree, vfs.f_bavail, vfs.f_ffree), (0, 0, 0), "statfs: free")
    check_equal(vfs.f_files, 6, "statfs: number of files")
    check_equal(vfs.f_namemax, 255, "statfs: length of names")
    mount.unmount()


if __name__ == "__main__":
    run_tests()
