#!/bin/bash
# behaviour.sh - exit statuses, reports, and what is left when something goes wrong
self=$(realpath "$0")
. "$(dirname "$0")/lib.sh"

usage_errors_are_2() {
	status 2 "$PXAR_PACK"
	status 2 "$PXAR_PACK" .
	status 2 "$PXAR_PACK" a b c
	status 2 "$PXAR_PACK" --nonsense . x
	status 2 "$PXAR_PACK" --exclude
	status 2 "$PXAR_PACK" --exclude '[' . x
	said "--exclude '['"
	only . err out
}

help_and_version_are_not_errors() {
	status 0 "$PXAR_PACK" --help
	grep -q -- --split out || fail "no help"
	[ -s err ] && fail "$(cat err)"
	status 0 "$PXAR_PACK" --version
	grep -q '^pxar-pack [0-9]' out || fail "no version"
}

failures_are_1_and_leave_nothing() {
	mkdir tree full
	head -c 100000 /dev/zero >tree/file
	status 1 "$PXAR_PACK" missing full/x.pxar
	said "missing"
	status 1 "$PXAR_PACK" tree/file full/x.pxar
	status 1 "$PXAR_PACK" tree nowhere/x.pxar
	status 1 "$PXAR_PACK" tree full/
	status 1 "$PXAR_PACK" /proc full/x.pxar
	said "virtual"
	(ulimit -f 8 && status 1 "$PXAR_PACK" tree full/x.pxar && said "write x.pxar" && exit "$bad") || bad=1
	(ulimit -f 8 && status 1 "$PXAR_PACK" --split tree full/x && exit "$bad") || bad=1
	only full
}

an_archive_that_exists_is_kept() {
	mkdir tree
	echo precious >one.pxar
	echo precious >two.ppxar
	status 1 "$PXAR_PACK" tree one.pxar
	said "one.pxar exists"
	status 1 "$PXAR_PACK" --split tree two
	[ "$(cat one.pxar two.ppxar)" = "$(printf 'precious\nprecious')" ] || fail "overwritten"
	only . err one.pxar out tree two.ppxar
	status 0 "$PXAR_PACK" --force tree one.pxar
	"$LIST" one.pxar || fail "not replaced"
	echo precious >two.mpxar
	status 0 "$PXAR_PACK" --force --split tree two
	"$LIST" two.mpxar two.ppxar || fail "not replaced"
	ln -s one.pxar link.pxar
	status 1 "$PXAR_PACK" --force tree link.pxar
	said "no regular file"
}

interrupted() {
	mkdir tree full
	truncate -s 1T tree/endless
	for signal in INT TERM HUP; do
		# It must not get to the limit before a busy machine gets to the signal, nor have
		# been told to ignore it by what started the tests.
		(ulimit -f 8000000 && exec env --default-signal nice -n 19 "$PXAR_PACK" $1 tree full/x) 2>err &
		pid=$!
		until [ -n "$(find full -type f -size +0)" ]; do sleep 0.01; done
		kill -s $signal $pid
		wait $pid
		got=$?
		[ $got -eq 1 ] || fail "SIG$signal: exit status $got"
		said "interrupted"
		only full
	done
}

an_interrupted_run_leaves_nothing() {
	interrupted ""
}

an_interrupted_split_run_leaves_nothing() {
	interrupted --split
}

# Background jobs of a script ignore SIGINT, and so would pxar-pack.
set -m

the_archive_does_not_hold_itself() {
	mkdir tree
	touch tree/x
	(cd tree && status 0 "$PXAR_PACK" . one.pxar && exit "$bad") || bad=1
	[ "$("$LIST" tree/one.pxar)" = x ] || fail "$("$LIST" tree/one.pxar)"
	status 0 "$PXAR_PACK" --force tree tree/one.pxar
	said "it is the archive"
	[ "$("$LIST" tree/one.pxar)" = x ] || fail "$("$LIST" tree/one.pxar)"
	status 0 "$PXAR_PACK" --split tree tree/two
	[ "$("$LIST" tree/two.mpxar tree/two.ppxar)" = "$(printf 'one.pxar\nx')" ] || fail "split"
}

what_cannot_be_read_is_3_and_named() {
	mkdir -p tree/closed tree/open
	touch tree/open/x $'tree/secret\e'
	chmod 000 tree/closed $'tree/secret\e'
	if is_root; then
		if ! setpriv --reuid=65534 --clear-groups test -x "$PXAR_PACK"; then
			echo "  not as nobody: it cannot reach $PXAR_PACK"
			return 0
		fi
		chmod 755 "$scratch" . && chown -R nobody . && user="setpriv --reuid=65534 --clear-groups"
	else
		user=
	fi
	status 3 $user "$PXAR_PACK" tree one.pxar
	said 'secret\x1b: left out: Permission denied'
	said 'closed: left out: Permission denied'
	said '1 file, 2 directories, 0 links, 0 B; 2 could not be stored as found'
	[ "$("$LIST" one.pxar)" = "$(printf 'open/\nopen/x')" ] || fail "$("$LIST" one.pxar)"
}

the_account_tells_what_there_is() {
	mkdir tree
	head -c 9000 /dev/zero >tree/file
	ln tree/file tree/hard
	ln -s file tree/soft
	mkfifo tree/fifo
	status 0 "$PXAR_PACK" tree one.pxar
	said '1 file, 1 directory, 2 links, 1 special file, 8.789 KiB'
	status 0 "$PXAR_PACK" --quiet tree two.pxar
	[ -s err ] && fail "--quiet says '$(cat err)'"
	cmp one.pxar two.pxar
}

a_virtual_file_system_is_an_empty_directory() {
	mkdir -p tree/proc tree/disk
	mount -t proc proc tree/proc
	mount -t tmpfs tmpfs tree/disk
	touch tree/disk/x
	status 0 "$PXAR_PACK" tree one.pxar
	said "proc: content left out: a virtual file system"
	[ "$("$LIST" one.pxar)" = "$(printf 'disk/\ndisk/x\nproc/')" ] || fail "$("$LIST" one.pxar)"
	status 0 "$PXAR_PACK" --one-file-system tree two.pxar
	said "disk: content left out: another file system"
	[ "$("$LIST" two.pxar)" = "$(printf 'disk/\nproc/')" ] || fail "$("$LIST" two.pxar)"
	umount tree/proc tree/disk
}

reading_leaves_access_times_alone() {
	mkdir tree
	echo x >tree/file
	touch -a -d '2001-01-01' tree/file
	status 0 "$PXAR_PACK" tree one.pxar
	[ "$(stat -c %X tree/file)" -eq "$(date -d 2001-01-01 +%s)" ] || fail "the time has changed"
}

the_same_tree_gives_the_same_bytes() {
	mkdir -p tree/a/b
	echo x >tree/a/b/c
	status 0 "$PXAR_PACK" tree one.pxar
	status 0 "$PXAR_PACK" tree two.pxar
	cmp one.pxar two.pxar || fail "not the same"
}

a_given_prelude_is_stored_as_it_is() {
	mkdir tree
	printf '*.swp\n' >prelude
	status 2 "$PXAR_PACK" --prelude prelude tree one.pxar
	said "--split"
	status 1 "$PXAR_PACK" --split --prelude missing tree two
	status 0 "$PXAR_PACK" --split --prelude prelude --exclude x tree two
	# after FORMAT_VERSION, 24 bytes, and the item's header, 16
	tail -c +41 two.mpxar | head -c 6 | cmp - prelude || fail "another prelude"
	"$LIST" two.mpxar two.ppxar || fail "not readable"
}

if [ "${1:-}" = mounts ]; then
	run a_virtual_file_system_is_an_empty_directory
	exit "$failed"
fi
run usage_errors_are_2
run help_and_version_are_not_errors
run failures_are_1_and_leave_nothing
run an_archive_that_exists_is_kept
run an_interrupted_run_leaves_nothing
run an_interrupted_split_run_leaves_nothing
run the_archive_does_not_hold_itself
run what_cannot_be_read_is_3_and_named
run the_account_tells_what_there_is
run reading_leaves_access_times_alone
run the_same_tree_gives_the_same_bytes
run a_given_prelude_is_stored_as_it_is
# In a mount namespace of its own: whatever happens, no mount stays.
if is_root && unshare -m true 2>/dev/null; then
	unshare -m "$self" mounts || failed=1
else
	skip a_virtual_file_system_is_an_empty_directory "not root, or no mount namespaces"
fi
exit "$failed"
