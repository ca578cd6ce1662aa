"""What the mount tests share: temporary places, mounts that always end, and the runner.

A test is a function `def what_it_claims(work):` marked with @test; `work` (class Work) is a fresh
temporary directory that packs, mounts and, when the test is over, unmounts and removes. run()
calls all of them and ends with "N passed, N failed". Exit status 0, 1, or 77 (skipped) where
there is no /dev/fuse.

PXAR_MOUNT and PXAR_PACK name the programs, by default those in build/. PXAR_SANITIZE is set by
meson in a sanitizer build, where everything takes longer and memory is not measured.
"""
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PXAR_MOUNT = os.environ.get("PXAR_MOUNT", ROOT + "/build/daemon/pxar-mount")
PXAR_PACK = os.environ.get("PXAR_PACK", ROOT + "/build/tools/pxar-pack")
SANITIZE = bool(os.environ.get("PXAR_SANITIZE"))
SLOW = 4 if SANITIZE else 1
LIMIT_S = 60 * SLOW  # after which a daemon is killed, whatever its test waits for
libc = ctypes.CDLL(None, use_errno=True)

tests = []


class Failure(Exception):
    """A claim that does not hold."""


def test(function):
    tests.append(function)
    return function


def check(claim, what, *details):
    if not claim:
        raise Failure(what + "".join("\n  " + str(d) for d in details))


def check_equal(got, want, what):
    if isinstance(want, list) and isinstance(got, list):  # of long ones, what differs
        both = set(got) & set(want)
        check(got == want, what, "only got    %.1500r" % [g for g in got if g not in both][:5],
              "only wanted %.1500r" % [w for w in want if w not in both][:5])
    else:
        check(got == want, what, "got    %.1500r" % (got,), "wanted %.1500r" % (want,))


def run(*argv, **options):
    """Run a program that must succeed; its output."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S,
                          **options)
    check(done.returncode == 0, "%s: exit status %d" % (argv[0], done.returncode),
          done.stderr.decode("utf-8", "replace")[-2000:])
    return done.stdout


def errno_of(call, *args):
    """The errno that a call fails with, 0 when it succeeds."""
    try:
        call(*args)
    except OSError as e:
        return e.errno
    return 0


def mounted(path):
    """The fields of what is mounted on path in /proc/self/mountinfo, or None."""
    found = None
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as f:
        for line in f:
            if line.split()[4] == path:
                found = line.split()
    return found


def drop_caches():
    """Make the kernel forget what it can of names, attributes and pages."""
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("3")


def lazily_unmount(path):
    while mounted(path):
        if libc.umount2(os.fsencode(path), 2):  # MNT_DETACH
            raise OSError(ctypes.get_errno(), "umount2 " + path)


def wait_until(condition, what, limit_s=10):
    end = time.monotonic() + limit_s * SLOW
    while not condition():
        check(time.monotonic() < end, "waited %d s for: %s" % (limit_s * SLOW, what))
        time.sleep(0.005)


class Mount:
    """A pxar-mount in the foreground, so that its end can be seen, under a watchdog."""

    def __init__(self, path, args, program):
        self.path = path
        self.log = tempfile.TemporaryFile()
        self.proc = subprocess.Popen([*program, *args, path], stdin=subprocess.DEVNULL,
                                     stdout=self.log, stderr=self.log)
        self.timed_out = False
        self.watchdog = threading.Timer(LIMIT_S, self._bite)
        self.watchdog.daemon = True
        self.watchdog.start()

    def wait_ready(self):
        wait_until(lambda: mounted(self.path) or self.proc.poll() is not None, "the mount")
        check(mounted(self.path), "not mounted", self.output())
        os.stat(self.path)  # and until it answers

    def _bite(self):
        """The end of the daemon is the end of every wait for its answers."""
        self.timed_out = True
        self.proc.kill()

    @property
    def pid(self):
        return self.proc.pid

    def output(self):
        # without moving the offset, which is the daemon's too
        return os.pread(self.log.fileno(), 1 << 20, 0).decode("utf-8", "replace").strip()

    def join(self, limit_s=10):
        """The daemon's exit status, once it has ended by itself."""
        try:
            return self.proc.wait(limit_s * SLOW)
        except subprocess.TimeoutExpired:
            raise Failure("the daemon did not end within %d s" % (limit_s * SLOW)) from None

    def unmount(self):
        """Unmount as a user does; the daemon must end well."""
        run("fusermount3", "-u", self.path)
        self.ended(self.join())

    def ended(self, status, want=0):
        check(status == want and not self.timed_out,
              "exit status %s%s" % (status, ", killed by the watchdog" * self.timed_out),
              self.output()[-3000:])
        check(not mounted(self.path), "still mounted after the daemon's end")

    def discard(self):
        self.watchdog.cancel()
        lazily_unmount(self.path)
        if self.proc.poll() is None:
            try:
                self.proc.wait(2)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
        self.log.close()


class Work:
    """A temporary directory, and what a test starts in it."""

    def __init__(self):
        # /tmp may be a file system without extended attributes
        self.dir = tempfile.mkdtemp(prefix="pxar-test-", dir=os.environ.get("TMPDIR", "/var/tmp"))
        os.chmod(self.dir, 0o755)
        self.mounts = []
        self.made = 0

    def path(self, name):
        return os.path.join(self.dir, name)

    def file(self, name, content):
        with open(self.path(name), "wb") as f:
            f.write(content)
        return self.path(name)

    def directory(self):
        """A new empty directory."""
        self.made += 1
        path = self.path("dir%d" % self.made)
        os.mkdir(path)
        return path

    def pack(self, tree, name="a", split=False):
        """Pack tree with pxar-pack; the path to mount."""
        if split:
            run(PXAR_PACK, "--split", tree, self.path(name))
            return self.path(name + ".mpxar")
        run(PXAR_PACK, tree, self.path(name + ".pxar"))
        return self.path(name + ".pxar")

    def mount(self, archive, *options, on=None, program=(PXAR_MOUNT, "-f")):
        m = Mount(on or self.directory(), [*options, archive], program)
        self.mounts.append(m)
        m.wait_ready()
        return m

    def close(self):
        for m in self.mounts:
            m.discard()
        for name in os.listdir(self.dir):  # mounts of background daemons
            lazily_unmount(self.path(name))
        shutil.rmtree(self.dir)


def refused(*args, status, words=(), limit_s=5):
    """pxar-mount ARGS must end with this status and one line that holds the words; the line."""
    try:
        done = subprocess.run([PXAR_MOUNT, *args], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=limit_s * SLOW)
    except subprocess.TimeoutExpired:
        raise Failure("%s: no end within %d s" % (args, limit_s * SLOW)) from None
    text = done.stderr.decode("utf-8", "replace")
    check_equal(done.returncode, status, "exit status of %s, which says %r" % (args, text))
    check(text.startswith("pxar-mount: ") and text.count("\n") == 1 and text.endswith("\n"),
          "%s: not one line that begins with the program's name" % (args,), text)
    check_equal(done.stdout, b"", "standard output of %s" % (args,))
    for word in words:
        check(word in text, "%s: the message lacks %r" % (args, word), text)
    return text


def rss_anon_mib(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        for line in f:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    raise Failure("no RssAnon in /proc/%d/status" % pid)


def need_fuse():
    if not os.path.exists("/dev/fuse"):
        print("skipped: no /dev/fuse")
        sys.exit(77)


def run_tests():
    need_fuse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was begun is ended
    os.umask(0o022)
    chosen = [t for t in tests if not sys.argv[1:] or t.__name__ in sys.argv[1:]]
    failed = 0
    for t in chosen:
        began = time.monotonic()
        work = Work()
        try:
            t(work)
            print("ok   %s, %.1f s" % (t.__name__, time.monotonic() - began), flush=True)
        except (Failure, OSError, subprocess.SubprocessError) as e:
            failed += 1
            print("FAIL %s: %s" % (t.__name__, e), flush=True)
            for m in work.mounts:
                print("  log: " + m.output().replace("\n", "\n       ")[-4000:], flush=True)
        finally:
            work.close()
    print("%d passed, %d failed" % (len(chosen) - failed, failed))
    sys.exit(1 if failed else 0)
