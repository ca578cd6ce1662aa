# lib.sh - what the tests of pxar-pack share; to be sourced
#
# From the environment: PXAR_PACK, LIST and COMPARE, the programs. Each test is a function that
# works in a fresh directory, $dir, and returns non-zero or calls fail when a claim does not hold.
set -u

failed=0
# On /var/tmp: /tmp may be a file system without xattrs and inode flags.
scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/pxar-pack-test.XXXXXX") || exit 1
cleanup() {
	chattr -R -f -ia "$scratch" >/dev/null 2>&1
	chmod -R u+rwx "$scratch" 2>/dev/null
	rm -rf "$scratch"
}
trap cleanup EXIT

fail() {
	echo "  $*"
	bad=1
}

run() {
	bad=0
	dir=$scratch/$1
	mkdir "$dir" && cd "$dir" || exit 1
	"$1" || bad=1
	cd "$scratch" || exit 1
	if [ "$bad" -eq 0 ]; then
		echo "ok      $1"
	else
		echo "FAILED  $1"
		failed=1
	fi
}

skip() {
	echo "skipped $1: $2"
}

# status N COMMAND...: its exit status must be N; what it says goes to ./out and ./err
status() {
	want=$1
	shift
	"$@" >"$dir/out" 2>"$dir/err"
	got=$?
	[ "$got" -eq "$want" ] || fail "exit status $got, not $want: $* ($(cat "$dir/err"))"
}

said() {
	grep -qF -- "$1" "$dir/err" || fail "does not say '$1' but '$(cat "$dir/err")'"
}

# Nothing is left but what is named.
only() {
	left=$(ls -A "$1")
	shift
	[ "$left" = "$(printf '%s\n' "$@" | sort)" ] || fail "left: $left"
}

is_root() {
	[ "$(id -u)" -eq 0 ]
}
