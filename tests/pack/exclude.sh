#!/bin/bash
# exclude.sh - what exclude patterns leave out, and how an archive records them
. "$(dirname "$0")/lib.sh"

# The tree: every name once as a file, dirs among them.
make_tree() {
	mkdir -p tree/sub/deep tree/keep tree/dir.o
	touch tree/{a.o,a.c,x} tree/sub/{a.o,a.c,x} tree/sub/deep/{a.o,x,b.tmp} tree/keep/a.o
}

all="a.c a.o dir.o/ keep/ keep/a.o sub/ sub/a.c sub/a.o sub/deep/ sub/deep/a.o sub/deep/b.tmp"
all="$all sub/deep/x sub/x x"

# case_of 'PATTERN...' 'PATH...': with these patterns, only these paths are missing
case_of() {
	args=()
	set -f
	for pattern in $1; do
		args+=(--exclude "$pattern")
	done
	set +f
	rm -f one.pxar
	status 0 "$PXAR_PACK" "${args[@]}" tree one.pxar
	"$LIST" one.pxar | grep -vx '\.pxarexclude-cli' >list
	for path in $all; do
		case " $2 " in
		*" $path "*) ;;
		*) echo "$path" ;;
		esac
	done | diff - list >differs || fail "$1: $(cat differs)"
}

patterns_leave_out_what_they_say() {
	make_tree
	case_of 'nothing' ''
	case_of '*.o' 'a.o dir.o/ keep/a.o sub/a.o sub/deep/a.o'
	case_of '/*.o' 'a.o dir.o/'
	case_of '*.o/' 'dir.o/'
	case_of 'x' 'x sub/x sub/deep/x'
	case_of '/x' 'x'
	case_of '/sub/x' 'sub/x'
	case_of 'sub/x' 'sub/x'
	case_of 'deep/x' 'sub/deep/x'
	case_of '/deep/x' ''
	case_of '/sub/*' 'sub/a.c sub/a.o sub/deep/ sub/deep/a.o sub/deep/b.tmp sub/deep/x sub/x'
	case_of '/sub/**/x' 'sub/x sub/deep/x'
	case_of '**/deep' 'sub/deep/ sub/deep/a.o sub/deep/b.tmp sub/deep/x'
	case_of '/sub/' 'sub/ sub/a.c sub/a.o sub/deep/ sub/deep/a.o sub/deep/b.tmp sub/deep/x sub/x'
	case_of '[a-b].?' 'a.o a.c keep/a.o sub/a.o sub/a.c sub/deep/a.o'
	case_of '[!a].*' 'sub/deep/b.tmp'
	case_of '[^a].*' 'sub/deep/b.tmp'
	case_of '\x' 'x sub/x sub/deep/x'
	case_of '\*' ''
	# later ones win
	case_of '*.o !/keep/*.o' 'a.o dir.o/ sub/a.o sub/deep/a.o'
	case_of '!/keep/*.o *.o' 'a.o dir.o/ keep/a.o sub/a.o sub/deep/a.o'
	# what is in an excluded directory is not looked at
	case_of '/sub !/sub/x' 'sub/ sub/a.c sub/a.o sub/deep/ sub/deep/a.o sub/deep/b.tmp sub/deep/x sub/x'
}

pxarexclude_files_count_where_they_are() {
	make_tree
	printf '# a comment\n\n  /x  \n*.o\r\n!/keep/a.o\n' >tree/.pxarexclude
	printf '/x\n!a.o\ndeep/x\n' >tree/sub/.pxarexclude
	status 0 "$PXAR_PACK" tree one.pxar
	"$LIST" one.pxar >list
	diff list - <<-'END' || fail "not these"
		.pxarexclude
		a.c
		keep/
		keep/a.o
		sub/
		sub/.pxarexclude
		sub/a.c
		sub/a.o
		sub/deep/
		sub/deep/a.o
		sub/deep/b.tmp
	END
	status 0 "$PXAR_PACK" --no-pxarexclude tree all.pxar
	[ "$("$LIST" all.pxar | wc -l)" -eq 16 ] || fail "--no-pxarexclude leaves something out"
}

the_root_of_a_pattern_is_the_directory_of_its_file() {
	mkdir -p tree/sub/sub
	touch tree/sub/x tree/sub/sub/x
	echo '*/x' >tree/sub/.pxarexclude
	status 0 "$PXAR_PACK" tree one.pxar
	"$LIST" one.pxar | grep -qx 'sub/x' || fail "sub/x is above what the pattern can see"
	"$LIST" one.pxar | grep -qx 'sub/sub/x' && fail "sub/sub/x is not left out"
	return 0
}

bad_lines_are_reported_and_do_not_count() {
	mkdir tree
	printf '[\nx\n' >tree/.pxarexclude
	touch tree/x tree/y
	status 3 "$PXAR_PACK" tree one.pxar
	said ".pxarexclude: a line is no pattern"
	"$LIST" one.pxar | grep -qx x && fail "x is not left out"
	rm tree/.pxarexclude one.pxar
	ln -s /etc/passwd tree/.pxarexclude
	status 3 "$PXAR_PACK" tree one.pxar
	said "patterns not honoured"
}

a_unified_archive_has_a_file_of_the_patterns() {
	mkdir tree
	touch tree/x tree/y
	echo theirs >tree/.pxarexclude-cli
	status 0 "$PXAR_PACK" tree none.pxar
	"$LIST" none.pxar | grep -q pxarexclude-cli && fail "the source's file is stored"
	status 0 "$PXAR_PACK" --exclude '/x//' --exclude '!b*' tree one.pxar
	"$LIST" one.pxar >list
	printf 'x\ny\n.pxarexclude-cli\n' | diff - list || fail "not last"
	rm tree/.pxarexclude-cli
	printf '/x/\n!b*\n' >tree/.pxarexclude-cli
	chmod 600 tree/.pxarexclude-cli
	touch -d @0 tree/.pxarexclude-cli tree
	# Only the root's times have changed since.
	"$COMPARE" tree one.pxar 2>err >/dev/null
	grep -q "depth 0: not the same: mtime" err || fail "$(cat err)"
	touch -d @0 tree
	rm one.pxar
	status 0 "$PXAR_PACK" --exclude '/x//' --exclude '!b*' tree one.pxar
	"$COMPARE" tree one.pxar >/dev/null || fail "not such a file"
}

a_split_archive_has_a_prelude() {
	mkdir tree
	status 0 "$PXAR_PACK" --split --exclude 'a"\b/' --exclude $'!\t\x01é' tree one
	printf %s '{"exclude-patterns":"a\"\\b/\n!\t\u0001é\n"}' >want
	tail -c +41 one.mpxar | head -c "$(stat -c %s want)" | cmp - want || fail "not that JSON"
	status 2 "$PXAR_PACK" --split --exclude $'\xff' tree two
	said "UTF-8"
	status 0 "$PXAR_PACK" --split tree three
	[ "$(stat -c %s three.mpxar)" -eq 120 ] || fail "a prelude without patterns"
}

nodump_counts_only_when_asked_for() {
	mkdir -p tree/dir
	touch tree/x tree/dir/y
	chattr +d tree/x tree/dir 2>/dev/null || return 0
	status 0 "$PXAR_PACK" tree one.pxar
	[ "$("$LIST" one.pxar | wc -l)" -eq 3 ] || fail "something is left out"
	status 0 "$PXAR_PACK" --skip-nodump tree two.pxar
	[ -z "$("$LIST" two.pxar)" ] || fail "something is stored"
}

run patterns_leave_out_what_they_say
run pxarexclude_files_count_where_they_are
run the_root_of_a_pattern_is_the_directory_of_its_file
run bad_lines_are_reported_and_do_not_count
run a_unified_archive_has_a_file_of_the_patterns
run a_split_archive_has_a_prelude
run nodump_counts_only_when_asked_for
exit "$failed"
