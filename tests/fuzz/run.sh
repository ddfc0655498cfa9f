#!/bin/sh
# tests/fuzz/run.sh SECONDS [NAME...]: fuzzes every target (or the named ones) that long with clang's libFuzzer.
# New inputs go to build/fuzz/corpus/NAME; a crash leaves its input in build/fuzz/crash-* and ends the run with 1.
set -eu
seconds=${1:-60}
[ $# -eq 0 ] || shift
sh tests/deps.sh fuzz
# libFuzzer ends without a goodbye: what its targets leave is removed here
TMPDIR=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)" tombolo-fuzz-XXXXXX)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
san=-fsanitize=address,undefined
flags="-O1 -g $san -fsanitize=fuzzer-no-link -fno-sanitize-recover=all -fno-omit-frame-pointer -w"
make="make -s -j2 --no-print-directory V=fuzz CC=clang"
libs=$(sed -n 's/^LIBS *:= *//p' Makefile)
[ $# -gt 0 ] || set -- $(ls tests/fuzz/*_fuzz.c | sed 's,.*/,,; s,_fuzz\.c$,,')
objects=
for name in "$@"; do
	objects="$objects build/fuzz/tests/fuzz/${name}_fuzz.o"
done
$make "F.fuzz=$flags" build/fuzz/libtombolo.a $objects
failed=0
for name in "$@"; do
	target=build/fuzz/${name}_fuzz
	seeds=tests/fuzz/corpus/$name
	mkdir -p "build/fuzz/corpus/$name"
	[ -d "$seeds" ] || seeds=
	dict=tests/fuzz/$name.dict
	[ -f "$dict" ] && dict=-dict=$dict || dict=
	clang $san -fsanitize=fuzzer -pthread -o "$target" "build/fuzz/tests/fuzz/${name}_fuzz.o" build/fuzz/libtombolo.a $libs
	if "$target" -max_total_time="$seconds" -max_len=4096 -timeout=10 -print_final_stats=1 $dict \
		-artifact_prefix="build/fuzz/crash-$name-" "build/fuzz/corpus/$name" $seeds >"build/fuzz/$name.log" 2>&1; then
		result=ok
	else
		result=FAILED
		failed=1
		grep -a -m5 -E 'must\(|ERROR|runtime error|SUMMARY' "build/fuzz/$name.log" || true
	fi
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/$name.log")
	printf '%-8s %12s executions in %s s  %s\n' "$name" "${runs:-?}" "$seconds" "$result"
done
exit $failed
