"""A small tree with one of everything that an archive can hold."""
import os
import random
import socket
import stat
import struct
import subprocess

NAMES = [b"with space", b"tab\tin it", b"new\nline", b"back\\slash", b"-dash", b"*?[glob]",
         b"$(x)`y`", b"'quotes\"", b"umlaut-\xc3\xa4", b"not-utf8-\xff\xfe", b"\x01\x1b[31m",
         b"...", b" ", b"x" * 255]
TIMES_S = [-1, 0, 1, -86400 * 365 * 30, 1 << 31, (1 << 32) + 5]  # from 1940 to after 2106
CAP_NET_RAW = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)  # version 2, effective


def write(path, content, mode=0o644):
    with open(path, "wb") as f:
        f.write(content)
    os.chmod(path, mode)


def setfacl(*args):
    subprocess.run(["setfacl", *args], check=True, stdin=subprocess.DEVNULL)


def make_names(top):
    os.mkdir(top)
    for name in NAMES:
        write(os.fsencode(top) + b"/" + name, b"named " + name)
    os.mkdir(os.fsencode(top) + b"/dir \xff\n")
    os.symlink(b"\xff \n", os.fsencode(top) + b"/to nowhere")


def make_content(top):
    """Files of sizes at which something ends: a page, a request, nothing at all."""
    noise = random.Random(1)
    os.mkdir(top)
    for size in (0, 1, 511, 512, 513, 4095, 4096, 4097, 131072, 1048577, 3000000):
        write(top + "/%d" % size, noise.randbytes(size))
    with open(top + "/sparse", "wb") as f:
        f.seek(1 << 20)
        f.write(b"island")
        f.truncate(5 << 20)


def make_modes(top):
    os.mkdir(top)
    for mode in (0, 0o400, 0o644, 0o777, 0o4755, 0o2755, 0o6711, 0o1644):
        write(top + "/%04o" % mode, b"", mode)
    os.mkdir(top + "/sticky")
    os.chmod(top + "/sticky", 0o1777)
    os.mkdir(top + "/setgid")
    os.chmod(top + "/setgid", 0o2770)
    for uid, gid in ((1000, 1001), (65534, 65534), (4294967294, 4294967294)):
        write(top + "/owned by %d" % uid, b"")
        os.chown(top + "/owned by %d" % uid, uid, gid)


def make_links(top):
    os.makedirs(top + "/a")
    os.mkdir(top + "/b")
    write(top + "/a/target", b"many names, one file\n")
    os.setxattr(top + "/a/target", "user.shared", b"by all of them")
    for name in ("a/same directory", "b/other directory", "top"):
        os.link(top + "/a/target", top + "/" + name)
    os.symlink("a/target", top + "/relative")
    os.symlink("/nowhere/at all", top + "/dangling")
    os.symlink("itself", top + "/itself")
    os.symlink("t" * 4000, top + "/long")


def make_special(top):
    os.mkdir(top)
    os.mkfifo(top + "/fifo")
    with socket.socket(socket.AF_UNIX) as s:
        here = os.getcwd()
        os.chdir(top)  # a socket's path has 108 bytes
        s.bind("socket")
        os.chdir(here)
    os.mknod(top + "/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(top + "/block", stat.S_IFBLK | 0o660, os.makedev(4095, 1048575))


def make_attributes(top):
    os.mkdir(top)
    write(top + "/xattrs", b"x")
    for name, value in (("user.empty", b""), ("user.binary", bytes(range(256))),
                        ("user." + "n" * 250, b"long name"), ("trusted.for root", b"root's")):
        os.setxattr(top + "/xattrs", name, value)
    os.setxattr(top, "user.directory", b"has one too")
    write(top + "/capable", b"x", 0o755)
    os.setxattr(top + "/capable", "security.capability", CAP_NET_RAW)
    write(top + "/acl", b"x", 0o640)
    setfacl("-m", "u:65534:rw,u:1000:---,g:1001:r", top + "/acl")
    write(top + "/acl and xattr", b"x")
    setfacl("-m", "g:1002:rx,m::r", top + "/acl and xattr")
    os.setxattr(top + "/acl and xattr", "user.too", b"1")
    os.mkdir(top + "/inherit")
    setfacl("-m", "u:1000:rwx,d:u:1000:rx,d:g:1001:rwx,d:o::-", top + "/inherit")
    write(top + "/inherit/heir", b"x")


def make_times(top):
    os.mkdir(top)
    for seconds in TIMES_S:
        for ns in (0, 1, 999999999):
            path = top + "/%d.%09d" % (seconds, ns)
            write(path, b"")
            os.utime(path, ns=(0, seconds * 10**9 + ns))


def make_directories(top):
    deep = top + "/deep"
    for level in range(40):
        deep += "/%d" % level
    os.makedirs(deep)
    write(deep + "/bottom", b"reached")
    os.mkdir(top + "/empty")
    for n in (1, 2, 3, 64, 500):
        os.mkdir(top + "/%d" % n)
        for i in range(n):
            write(top + "/%d/%d" % (n, i), b"%d" % i)


def make(top):
    """Makes the tree in the empty directory top.  Needs root."""
    for name, maker in (("names", make_names), ("content", make_content), ("modes", make_modes),
                        ("links", make_links), ("special", make_special), ("times", make_times),
                        ("attributes", make_attributes), ("directories", make_directories)):
        maker(top + "/" + name)
    os.chmod(top, 0o751)
    os.utime(top, ns=(0, -1))


def paths(top):
    """Every path below top, relative, as bytes."""
    top = os.fsencode(top)
    for here, dirs, files in os.walk(top):
        for name in dirs + files:
            yield os.path.relpath(here + b"/" + name, top)
