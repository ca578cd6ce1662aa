#!/bin/sh
# man.sh - a man page says what its program's --help says
#
# usage: man.sh PROGRAM PAGE
#
# mandoc finds nothing wrong with the page, and the options of one are the options of the other,
# in both directions: those that --help puts at the beginnings of lines, and those that OPTIONS
# in the page describes.
set -u

program=${1:?usage: man.sh PROGRAM PAGE}
page=${2:?usage: man.sh PROGRAM PAGE}
failed=0

# The options that lines begin with, one a line: "  -o, --opt=VALUE" gives -o and --opt.
leading_options() {
	option='-{1,2}[A-Za-z0-9][A-Za-z0-9-]*'
	grep -oE "^ +$option([= ][^ ,]+)?(, *$option)*" | grep -oE "(^|[ ,])$option" | tr -d ' ,' |
		sort -u
}

mandoc -T lint -W warning "$page" || failed=1

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
"$program" --help | leading_options >"$dir/help" || failed=1
mandoc -T ascii "$page" | sed 's/.\x08//g' |
	awk '/^[A-Z]/ { within = /^OPTIONS/ } within' | leading_options >"$dir/page" || failed=1

if [ ! -s "$dir/help" ]; then
	echo "$program --help shows no option"
	failed=1
fi
comm -23 "$dir/help" "$dir/page" | sed "s|^|${page##*/} does not describe |" | grep . && failed=1
comm -13 "$dir/help" "$dir/page" | sed "s|^|${page##*/} describes what --help does not show: |" |
	grep . && failed=1
exit "$failed"
