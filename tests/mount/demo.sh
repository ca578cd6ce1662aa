#!/bin/sh
# demo.sh - shows what pxar-mount does, with a sample tree, and holds it against the original
#
# usage: demo.sh PXAR_MOUNT PXAR_PACK
#
# It is a test as well: every command that it shows must succeed. Exit status 77 (skipped) where
# there is no /dev/fuse.
set -eu

: "${2:?usage: demo.sh PXAR_MOUNT PXAR_PACK}"
[ -e /dev/fuse ] || {
	echo "demo: there is no /dev/fuse here"
	exit 77
}
PATH=$(cd "$(dirname "$1")" && pwd):$(cd "$(dirname "$2")" && pwd):$PATH
LC_ALL=C.UTF-8
export PATH LC_ALL

bold='' dim='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m')
fi

dir=$(mktemp -d "${TMPDIR:-/var/tmp}/pxar-demo-XXXXXX")
unmount_all() {
	for at in "$dir/mnt" "$dir/mnt-split"; do
		if grep -qF " $at " /proc/self/mountinfo; then
			fusermount3 -uz "$at"
		fi
	done
}
clean_up() {
	status=$?
	trap - EXIT
	trap '' INT TERM HUP
	cd /
	# More than once: a mount that was under way when we were interrupted may come up later.
	for _ in 1 2 3 4 5; do
		unmount_all && rm -rf --one-file-system "$dir" 2>/dev/null && exit "$status"
		sleep 0.2
	done
	echo "demo: $dir is left behind" >&2
	exit 1
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
cd "$dir"

heading() {
	printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}

# show COMMAND: the command, what it says, how long it took
show() {
	printf '%s$%s %s\n' "$dim" "$plain" "$1"
	began=$(date +%s%3N)
	(eval "$1") </dev/null || {
		echo "demo: that failed" >&2
		exit 1
	}
	[ "${2:-}" != timed ] || printf '%s(%d ms)%s\n' "$dim" "$(($(date +%s%3N) - began))" "$plain"
}

as_root() {
	[ "$(id -u)" = 0 ]
}

make_tree() {
	mkdir -p tree/docs tree/src/deep/er tree/etc "tree/odd names"
	printf 'Hello from an archive.\n' >tree/docs/hello.txt
	ln tree/docs/hello.txt tree/src/same-file.txt
	ln -s ../docs/hello.txt tree/etc/symlink
	ln -s /nowhere tree/etc/dangling
	for n in $(seq 300); do
		printf 'int f%d(void)\n{\n\treturn %d;\n}\n' "$n" "$n" >"tree/src/f$n.c"
	done
	echo 'a needle in the haystack' >tree/src/deep/er/file
	truncate -s 64M tree/sparse.img
	printf 'island' | dd of=tree/sparse.img bs=1 seek=33554432 conv=notrunc status=none
	head -c 20000000 /dev/urandom >tree/random.bin
	printf 'x' >"tree/odd names/new
line"
	printf 'x' >"tree/odd names/$(printf 'no-utf8-\377')"
	printf 'x' >"tree/odd names/ü ☃ \$(ls)"
	printf 'old' >tree/docs/from-1965
	touch -d '1965-03-18 08:34:51.123456789 UTC' tree/docs/from-1965
	mkfifo tree/etc/fifo
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("tree/etc/socket")'
	printf 'secret' >tree/docs/shared
	chmod 640 tree/docs/shared
	setfacl -m u:nobody:r,g:daemon:rw tree/docs/shared
	setfacl -m d:u:nobody:rx tree/docs
	setfattr -n user.origin -v 'made by demo.sh' tree/docs/hello.txt
	if as_root; then
		mknod tree/etc/null c 1 3
		cp /bin/true tree/src/ping
		setcap cap_net_raw+ep tree/src/ping
		chown nobody tree/docs/from-1965
		chmod 4755 tree/src/f1.c
	fi
}

heading 'A tree with a bit of everything'
make_tree
show 'find tree | wc -l'
show 'du -sh --apparent-size tree'

heading 'Pack it: one file, or names and contents apart'
show 'pxar-pack tree tree.pxar' timed
show 'pxar-pack --split tree split' timed
show 'ls -l *.*pxar'

heading 'Mount both; the command returns when the mount answers'
mkdir mnt mnt-split
show 'pxar-mount tree.pxar mnt' timed
show 'pxar-mount split.mpxar mnt-split' timed
show 'mount -t fuse.pxar | grep pxar-demo'

heading 'Names, types, owners, times'
show 'ls -l mnt mnt/etc mnt/docs'
show 'ls -b "mnt/odd names"'
show 'find mnt -type f | wc -l' timed

heading 'A hard link is one file: the same inode, two links'
show 'stat -c "%i  %h links  %n" mnt/docs/hello.txt mnt/src/same-file.txt'

heading 'ACLs and extended attributes'
show 'getfacl mnt/docs/shared'
show 'getfattr -d mnt/docs/hello.txt'
if as_root; then
	show 'getcap mnt/src/ping'
fi

heading 'A sparse file has its size, and a place in df'
show 'stat -c "%s bytes, %b blocks" mnt/sparse.img'
show 'df -h mnt'

heading 'Reading'
show 'cat mnt/docs/hello.txt'
show 'grep -r needle mnt/src' timed
show 'sha256sum <mnt/random.bin; sha256sum <tree/random.bin' timed

heading 'Nothing can be written'
show 'touch mnt/new 2>&1 || true'

heading 'Compare with the original: contents, links, ACLs, attributes, times'
compare='rsync -aHAXn --checksum --delete --itemize-changes'
show "$compare tree/ mnt/ >changes && ! grep . changes && echo identical" timed
show "$compare tree/ mnt-split/ >changes && ! grep . changes && echo identical" timed

heading 'Copy out'
show 'cp -a mnt copy' timed
show "$compare tree/ copy/ >changes && ! grep . changes && echo identical"
show 'mkdir out && tar -C mnt-split -cSf - src sparse.img | tar -C out -xf -' timed
show 'diff -r tree/src out/src && cmp tree/sparse.img out/sparse.img && echo identical'

heading 'Unmount'
show 'pxar-mount --unmount mnt'
show 'pxar-mount --unmount mnt-split'
show 'ls mnt mnt-split'
