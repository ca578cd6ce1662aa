#!/bin/bash
# entries.sh - every kind of entry is stored as it is in the file system
. "$(dirname "$0")/lib.sh"

# same WHAT-IS-COUNTED: both forms of archive of ./tree are like it, and hold so many entries
same() {
	rm -f ./*pxar
	status 0 "$PXAR_PACK" tree one.pxar
	status 0 "$PXAR_PACK" --split tree two
	for files in one.pxar "two.mpxar two.ppxar"; do
		# shellcheck disable=SC2086 # two files
		counts=$("$COMPARE" tree $files) || fail "$files is not like the tree"
		[ "$counts" = "$1" ] || fail "$counts in $files, not $1"
	done
}

counts() {
	echo "$1 files $2 directories $3 symlinks $4 devices $5 fifos $6 sockets $7 hardlinks"
}

plain_files_directories_and_links() {
	mkdir -p tree/sub/empty tree/Z
	echo hello >tree/sub/file
	: >tree/empty
	head -c 3000000 /dev/urandom >tree/Z/large
	ln -s ../file tree/sub/link
	ln -s /nowhere tree/dangling
	mkfifo tree/fifo
	touch -d '1965-01-02 03:04:05.678901234 UTC' tree/sub/file
	touch -h -d '2100-01-02 03:04:05.999999999 UTC' tree/dangling
	chmod 4751 tree/Z/large
	chmod 1777 tree/Z
	same "$(counts 3 4 2 0 1 0 0)"
}

names_are_bytes() {
	mkdir tree
	printf 'a%.0s' {1..255} | (cd tree && xargs touch)
	touch tree/$'new\nline' tree/$'\xff\xfe' tree/$'\x01' 'tree/ blank ' tree/-n "tree/\\" tree/*.c
	same "$(counts 8 1 0 0 0 0 0)"
}

children_are_sorted_by_bytes() {
	mkdir tree tree/a tree/a.d
	touch tree/B tree/b tree/a/x tree/a.d/y tree/é tree/Z
	status 0 "$PXAR_PACK" tree one.pxar
	"$LIST" one.pxar >list
	printf '%s\n' B Z a/ a/x a.d/ a.d/y b '\xc3\xa9' | diff - list || fail "not that order"
}

hardlinks_lead_to_the_first_name() {
	mkdir -p tree/a tree/b
	echo one >tree/b/first
	ln tree/b/first tree/b/second
	ln tree/b/first tree/a/before
	: >tree/z-empty
	ln tree/z-empty tree/zz-empty
	ln -s x tree/s1
	ln tree/s1 tree/s2
	same "$(counts 2 3 2 0 0 0 3)"
}

holes_are_zeros() {
	mkdir tree
	truncate -s 3M tree/all-hole
	truncate -s 5M tree/islands
	printf x | dd of=tree/islands bs=1 seek=1500000 conv=notrunc status=none
	printf y | dd of=tree/islands bs=1 seek=5242879 conv=notrunc status=none
	truncate -s 100001 tree/tail-hole
	printf z | dd of=tree/tail-hole bs=1 conv=notrunc status=none
	same "$(counts 3 1 0 0 0 0 0)"
}

xattrs_are_kept() {
	mkdir tree
	touch tree/none tree/some
	setfattr -n user.one -v 1 tree/some
	setfattr -n user.empty tree/some
	setfattr -n user.binary -v 0x00ff00 tree/some
	setfattr -n user.dir -v d tree
	same "$(counts 2 1 0 0 0 0 0)"
}

acls_are_kept() {
	mkdir -p tree/dir
	touch tree/named tree/masked
	setfacl -m u:1001:rw,g:1002:r,g:1001:rwx tree/named
	setfacl -m m::r tree/masked
	setfacl -m u:5:r -d -m u:1003:rx,g:7:w tree/dir
	touch tree/dir/inherits
	mkdir tree/base
	setfacl -d -m u::rwx,g::rx,o::- tree/base
	same "$(counts 3 3 0 0 0 0 0)"
}

inode_flags_are_kept() {
	mkdir -p tree/dir
	touch tree/nodump tree/immutable tree/append tree/several
	chattr +d tree/nodump
	chattr +A tree/dir
	is_root && chattr +i tree/immutable && chattr +a tree/append && chattr +dA tree/several
	same "$(counts 4 2 0 0 0 0 0)"
	lsattr -d tree/nodump | grep -q d || fail "the flag was not set"
}

what_only_root_can_make() {
	mkdir tree
	mknod tree/null c 1 3
	mknod tree/large b 4095 1048575
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("tree/socket")'
	touch tree/owned tree/capable tree/trusted
	chown 4294967294:12345 tree/owned
	chown -h 7:8 tree/null
	setcap cap_net_raw+ep tree/capable
	setfattr -n trusted.x -v 0x0001 tree/trusted
	setfattr -n security.other -v dropped tree/trusted
	same_but_for_security_other
}

# The reference drops what is in security. but two names.
same_but_for_security_other() {
	status 0 "$PXAR_PACK" tree one.pxar
	"$COMPARE" tree one.pxar >/dev/null 2>err && fail "security.other was not dropped"
	grep -q "'trusted'.*number of xattrs" err || fail "$(cat err)"
	setfattr -x security.other tree/trusted
	same "$(counts 3 1 0 2 0 1 0)"
}

deep_trees_work() {
	python3 - <<-'END'
		import os
		os.mkdir("tree"); os.chdir("tree")
		for i in range(1023):
		    os.mkdir("d" * 9); os.chdir("d" * 9)
		open("bottom", "w").write("b")
		os.mkdir("too-deep")
	END
	status 3 "$PXAR_PACK" tree one.pxar
	said "deeper than 1024 levels"
	"$LIST" one.pxar | tail -n 1 | grep -q '/bottom$' || fail "the bottom is missing"
	find tree -depth -delete
}

many_entries_work() {
	mkdir tree
	(cd tree && seq 20000 | xargs touch)
	same "$(counts 20000 1 0 0 0 0 0)"
}

run plain_files_directories_and_links
run names_are_bytes
run children_are_sorted_by_bytes
run hardlinks_lead_to_the_first_name
run holes_are_zeros
run deep_trees_work
run many_entries_work
if command -v setfattr >/dev/null; then run xattrs_are_kept; else skip xattrs "no setfattr"; fi
if command -v setfacl >/dev/null; then run acls_are_kept; else skip acls "no setfacl"; fi
if touch "$scratch/f" && chattr +d "$scratch/f" 2>/dev/null; then
	run inode_flags_are_kept
else
	skip inode_flags "no chattr on this file system"
fi
if is_root && command -v setcap >/dev/null && command -v setfattr >/dev/null; then
	run what_only_root_can_make
else
	skip what_only_root_can_make "not root, or no setcap or setfattr"
fi
exit "$failed"
