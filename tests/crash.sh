#!/bin/sh
# tests/crash.sh BUILD_DIR [short]: kill -9 at every named point of the queue, several times each, on a store that has
# been killed before; after each kill queue_check must be content and nothing acknowledged may be missing.  Then the
# same to the whole gateway under load (tests/crash_daemon.sh), while it expands a group (tests/crash_groups.sh) and
# by one and the same message (tests/crash_poison.sh); and the power goes (tests/powerloss/run.sh).
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
			rm -f "$journal" # all of it is over: what comes back of it is stale
		else
			echo "FAIL $point:$pass"
			cat "$work/out" "$work/err"
			failed=$((failed + 1))
		fi
	done
done
queue_passed=$passed queue_failed=$failed
here=$(dirname "$0")
for part in crash_daemon.sh crash_groups.sh crash_poison.sh powerloss/run.sh; do
	sh "$here/$part" "$1" "${2:-}" >"$work/part" 2>&1
	cat "$work/part"
	sum=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$work/part" | tail -n 1)
	sum=${sum:-0 passed, 1 failed}
	passed=$((passed + ${sum%% *}))
	sum=${sum#*, }
	failed=$((failed + ${sum%% *}))
done
echo "$kills kills of the queue alone at $(sort -u "$work/points" | wc -l) points, $duplicates recipients served twice; $queue_passed passed, $queue_failed failed"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
