#!/bin/sh
# layering.sh - refuses an arrow that points the wrong way
#
# usage: layering.sh ROOT
#
# Greps the sources under ROOT for what their place forbids. A grep that never fails proves
# nothing, so afterwards each rule is broken once in a copy and must be named.
set -u

root=$(cd "${1:?usage: layering.sh ROOT}" && pwd) || exit 1
violations=0

# What core may take from outside itself: the C library, but neither its threads nor its log.
core_headers='assert|ctype|dirent|endian|errno|fcntl|inttypes|limits|string|time|unistd'
core_headers="$core_headers|std(align|arg|atomic|bool|def|int|io|lib|noreturn)|(sys|linux)/.*"
variables='^(static|extern) (struct |unsigned |_Atomic )*[a-z_0-9]+ [*a-z_0-9]+( =|;|\[)'
prints='\b(v?f?d?printf|f?puts|f?putc|putchar|perror|v?warnx?|v?errx?)\('
prints="$prints|\\bv?syslog\\([^3]" # syslog(3) is prose

# violation WHY: every line of the input is one
violation() {
	lines=$(cut -c -140)
	[ -n "$lines" ] || return 0
	printf '%s\n' "$lines" | sed "s|\$|: $1|"
	violations=$((violations + 1))
}

# forbid WHY PATTERN FILE...: no line of the files may match
forbid() {
	why=$1 pattern=$2
	shift 2
	[ $# -eq 0 ] || violation "$why" <<-HITS
	$(grep -nHE "$pattern" "$@")
	HITS
}

# allow WHY PATTERN FILE...: every include of the files must match
allow() {
	why=$1 pattern=$2
	shift 2
	[ $# -eq 0 ] || violation "$why" <<-HITS
	$(grep -nHE '^#[[:space:]]*include' "$@" | grep -vE "$pattern")
	HITS
}

# Includes are written from the root, so that the arrow can be seen.
includes_exist() {
	violation "an include is written from the root" <<-HITS
	$(grep -HoE '^#[[:space:]]*include[[:space:]]*".*"' "$@" | while IFS=\" read -r file name _; do
		case $name in
		*/*) [ -f "$name" ] && continue ;;
		esac
		echo "$file\"$name\""
	done)
	HITS
}

# The sources in these folders; those that do not exist have none.
sources() {
	find "$@" -name '*.[ch]' 2>/dev/null | sort
}

check() {
	cd "$1" || return 1
	violations=0
	# File names here have no blanks: word splitting makes the argument lists.
	# shellcheck disable=SC2046
	{
		allow "core includes core and the C library alone" \
			"include (\"core/|<($core_headers)\.h>)" $(sources core)
		forbid "core does not print" "$prints" $(sources core)
		forbid "core has no variables of its own" "$variables" $(sources core)
		forbid "chunkcache knows neither FUSE nor what is above it" \
			'include [<"](fuse|daemon/|tools/)' $(sources chunkcache)
		forbid "chunkcache does not print" "$prints" $(sources chunkcache)
		forbid "nothing includes the tests" 'include "tests/' \
			$(sources core chunkcache daemon tools)
		forbid "the daemon does not include the tools" 'include "tools/' $(sources daemon)
		forbid "the tools do not include the daemon" 'include "daemon/' $(sources tools)
		forbid "only daemon/reply.c replies" 'fuse_reply_[a-z_]+\(' \
			$(sources core chunkcache daemon tools | grep -vx daemon/reply.c)
		forbid "only daemon/log.c prints" "$prints" \
			$(sources daemon | grep -vxE 'daemon/(log|options)\.c')
		includes_exist $(sources core chunkcache daemon tools tests)
	}
	[ "$violations" -eq 0 ]
}

# plant FILE LINE WORDS: with the line at its end, the file must be refused with these words
plant() {
	mkdir -p "$copy/$(dirname "$1")"
	cp "$copy/$1" "$copy/saved" 2>/dev/null || : >"$copy/saved"
	echo "$2" >>"$copy/$1"
	if out=$(check "$copy") || ! echo "$out" | grep -F "$1" | grep -qF "$3"; then
		echo "not noticed: '$2' in $1"
		failed=1
	fi
	mv "$copy/saved" "$copy/$1"
}

check "$root" || exit 1

copy=$(mktemp -d) || exit 1
trap 'rm -rf "$copy"' EXIT
# shellcheck disable=SC2046
(cd "$root" && cp --parents $(sources core chunkcache daemon tools tests) "$copy") || exit 1
failed=0
plant core/error.c '#include <fuse_lowlevel.h>' 'C library alone'
plant core/error.c '#include <pthread.h>' 'C library alone'
plant core/error.h '#include "daemon/log.h"' 'C library alone'
plant core/error.c 'fprintf(stderr, "x");' 'does not print'
plant core/error.c 'static int calls;' 'variables of its own'
plant chunkcache/cache.c '#include <fuse_lowlevel.h>' 'neither FUSE'
plant daemon/ops.c '#include "tests/unit/x.h"' 'includes the tests'
plant daemon/ops.c '#include "log.h"' 'from the root'
plant daemon/ops.c 'fuse_reply_err(req, 0);' 'reply.c replies'
plant daemon/ops.c 'printf("x");' 'log.c prints'
plant daemon/ops.c '#include "tools/pack.h"' 'the tools'
plant tools/x.c '#include "daemon/log.h"' 'the daemon'
[ "$failed" -eq 0 ] && echo "layering holds"
exit "$failed"
