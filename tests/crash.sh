#!/bin/sh
# tests/crash.sh BUILD_DIR [short]: kill -9 at every named point of the queue, several times each, on a store that has
# been killed before; after each kill queue_check must be content and nothing acknowledged may be missing.
# The last line is "N passed, N failed".
set -u
tool=$1/tests/tools/queue_crash
passes="1 2 3 5 8 13 30"
[ "${2:-}" = short ] && passes="1 4"
work=$(mktemp -d "${TMPDIR:-/tmp}/tombolo-crash.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT INT TERM

TOMBOLO_FAULT_LIST=$work/points "$tool" run "$work/list" "$work/list.journal" || exit 1
TOMBOLO_FAULT_LIST=$work/points "$tool" verify "$work/list" "$work/list.journal" >/dev/null || exit 1
rm -rf "$work/list"

passed=0 failed=0 kills=0 duplicates=0
for point in $(sort -u "$work/points"); do
	dir=$work/queue journal=$work/journal
	rm -rf "$dir" "$journal"
	for pass in $passes; do
		# a shell of its own hears of the kill and is not to say so
		TOMBOLO_FAULT=$point:$pass:kill sh -c '"$@" >"$0/run.out" 2>"$0/run.err"; exit $?' "$work" "$tool" run "$dir" "$journal" 2>/dev/null
		status=$?
		[ $status = 137 ] && kills=$((kills + 1))
		if [ $status != 137 ] && [ $status != 0 ]; then
			echo "FAIL $point:$pass: the run itself ended with $status"
			cat "$work/run.out" "$work/run.err"
			failed=$((failed + 1))
			continue
		fi
		if "$tool" verify "$dir" "$journal" >"$work/out" 2>"$work/err"; then
			passed=$((passed + 1))
			n=$(sed -n 's/.*duplicates=\([0-9]*\).*/\1/p' "$work/out")
			duplicates=$((duplicates + ${n:-0}))
		else
			echo "FAIL $point:$pass"
			cat "$work/out" "$work/err"
			failed=$((failed + 1))
		fi
	done
done
echo "$kills kills at $(sort -u "$work/points" | wc -l) points, $duplicates recipients served twice, none lost"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
