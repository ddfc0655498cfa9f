#!/bin/sh
# tests/analyse.sh [gcc] [tidy] [cppcheck] [-- FILE...]: static analysis of the whole tree, without open findings.
#
# gcc 12's -fanalyzer, clang-tidy 14 (.clang-tidy says which checks, and why not the others) and cppcheck 2.10; two files
# at a time, each for at most five minutes.  What is no mistake is silenced where it stands or in the tables below, with
# its reason.  A line for each finding; the last line is "N passed, N failed" (files by tools).
set -u
cd "$(dirname "$0")/.."
tools=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
	tools="$tools $1"
	shift
done
[ $# -eq 0 ] || shift
tools=${tools:-gcc tidy cppcheck}
sh tests/deps.sh build analyse || exit 1
OUT=build/analyse
rm -rf $OUT
mkdir -p $OUT
[ $# -gt 0 ] || set -- $(git ls-files '*.c' 2>/dev/null || find . -name '*.c' -not -path './build/*' | sed 's|^\./||')
flags="-std=c17 -D_GNU_SOURCE -DTOMBOLO_ANALYSE -pthread -I. -include tests/lint/banned.h"

# ---- gcc ----

# Checkers of gcc 12 that are off:
#   malloc-leak, file-leak   it forgets what was stored behind a pointer that came from elsewhere and takes all of that for
#                            lost (places.c, live.c, gate.c ...): nothing but false ones here.  LeakSanitizer watches.
gcc_off="-Wno-analyzer-malloc-leak -Wno-analyzer-file-leak"
# of one file:
gcc_off_for() {
	case $1 in
	base/str.c | base/str_test.c)
		# a view without bytes may be NULL; that n is 0 then it cannot know
		echo -Wno-analyzer-null-dereference -Wno-analyzer-null-argument ;;
	tls/*_test.c) # the same in tls/test_pair.h
		echo -Wno-analyzer-null-dereference ;;
	routing/*_test.c | connectors/*_test.c | wire/*_test.c)
		# structs that come back by value from a function of another file count as not set
		echo -Wno-analyzer-use-of-uninitialized-value ;;
	esac
}

one_gcc() {
	timeout 300 gcc $flags -O1 -fanalyzer $gcc_off $(gcc_off_for "$1") -fdiagnostics-plain-output \
		-fdiagnostics-path-format=none -Werror -S -o /dev/null "$1"
}

# ---- clang-tidy ----

# Its path analysis takes minutes for a large file: of tests and tools gcc does that alone.
one_tidy() {
	case $1 in
	*_test.c | tests/* | perf/*) checks='--checks=-clang-analyzer-*' ;;
	*) checks= ;;
	esac
	timeout 300 clang-tidy --quiet $checks "$1" -- $flags -Wno-unknown-warning-option
}

# ---- cppcheck ----

# Off for all: it does not read <stdint.h> (uintmax_t is another word for unsigned long), it cannot follow what a function
# of another file sets through a pointer (uninitvar, ctuuninitvar: gcc and clang can), and some of its messages say only
# that a header of the system was not read.  The rest, message by file, with reasons: tests/lint/cppcheck.supp.
cppcheck_off="--suppress=invalidPrintfArgType_uint --suppress=invalidPrintfArgType_sint --suppress=uninitvar
	--suppress=ctuuninitvar --suppress=missingIncludeSystem --suppress=unknownMacro --suppress=preprocessorErrorDirective
	--suppressions-list=tests/lint/cppcheck.supp"

one_cppcheck() {
	timeout 300 cppcheck --std=c11 --enable=warning,performance,portability --inline-suppr --quiet --error-exitcode=1 \
		--template='{file}:{line}: {message} [{id}]' $cppcheck_off --library=gnu,posix -D_GNU_SOURCE \
		-DTOMBOLO_ANALYSE -I. -I/usr/include/x86_64-linux-gnu "$1"
}

# ---- all ----

half() { # TOOL NUMBER FILE...: every other file
	tool=$1 turn=$2 sums=$OUT/sums-$2-$1
	shift 2
	for file in "$@"; do
		turn=$((1 - turn))
		[ $turn = 0 ] || continue
		log=$OUT/$tool-$(echo "$file" | tr / _).log
		if "one_$tool" "$file" >"$log" 2>&1; then
			echo passed >>"$sums"
		else
			echo failed >>"$sums"
			grep -hE '(warning|error): |\[[a-zA-Z]+\]$' "$log" | sort -u | head -n 20
			grep -qE '(warning|error): |\[[a-zA-Z]+\]$' "$log" || echo "$file: $tool gave up: $(tail -n 1 "$log")"
		fi
	done
}

for tool in $tools; do
	half "$tool" 0 "$@" &
	one=$!
	half "$tool" 1 "$@" &
	wait $one
	wait $!
done
touch $OUT/sums-
passed=$(cat $OUT/sums-* | grep -c passed)
failed=$(cat $OUT/sums-* | grep -c failed)
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
