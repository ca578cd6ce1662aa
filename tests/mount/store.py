#!/usr/bin/env python3
"""What is packed into a datastore and mounted from there is what was packed."""
import os

import sampletree
from mountlib import PXAR_PACK, check, check_equal, run, run_tests, test
from sametree import compare

TIMES = ("2026-01-02T03:04:05Z", "2026-01-03T03:04:05Z")


def make_store(work):
    store = work.directory()
    os.mkdir(store + "/.chunks")
    return store


def make_key(work):
    run(PXAR_PACK, "--create-key", work.path("key.json"), "--kdf", "none")
    return ["--keyfile", work.path("key.json")]


def snapshot(store, tree, time, *options):
    run(PXAR_PACK, "--store", store, "--snapshot", "host/web/" + time, "--chunk-size", "64K",
        *options, tree)


def chunks(store):
    return {name: os.stat(os.path.join(here, name)).st_mtime_ns
            for here, _, names in os.walk(store + "/.chunks") for name in names}


def round_trip(work, *options, key=False):
    """Pack twice; the second time nothing is new. Both show the tree."""
    tree, store = work.directory(), make_store(work)
    sampletree.make(tree)
    keys = make_key(work) if key else []
    snapshot(store, tree, TIMES[0], *options, *keys)
    before = chunks(store)
    check(len(before) > 20, "only %d chunks" % len(before))
    snapshot(store, tree, TIMES[1], *options, *keys)
    check_equal(chunks(store), before, "chunks after the second snapshot")
    for time in TIMES:
        mount = work.mount("host/web/%s/root.pxar" % time, "--store", store, "--scan=wait", *keys)
        compare(tree, mount.path)
        mount.unmount()


@test
def a_unified_snapshot_shows_the_tree(work):
    round_trip(work)


@test
def a_split_snapshot_shows_the_tree(work):
    round_trip(work, "--split")


@test
def an_encrypted_snapshot_shows_the_tree(work):
    round_trip(work, key=True)


@test
def an_encrypted_split_snapshot_shows_the_tree(work):
    round_trip(work, "--split", key=True)


@test
def an_uncompressed_snapshot_shows_the_tree(work):
    round_trip(work, "--no-compress")


@test
def a_changed_file_stores_little(work):
    tree, store = work.directory(), make_store(work)
    sampletree.make(tree)
    snapshot(store, tree, TIMES[0], "--split")
    before = chunks(store)
    with open(tree + "/content/131072", "r+b") as f:
        f.write(b"changed")
    snapshot(store, tree, TIMES[1], "--split")
    after = chunks(store)
    check(len(after) - len(before) <= 6, "%d new chunks" % (len(after) - len(before)))
    for time, seen in zip(TIMES, (False, True)):
        mount = work.mount("host/web/%s/root.mpxar" % time, "--store", store)
        with open(mount.path + "/content/131072", "rb") as f:
            check_equal(f.read(7) == b"changed", seen, "the change shows in " + time)
        mount.unmount()


if __name__ == "__main__":
    run_tests()
