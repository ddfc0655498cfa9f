#!/bin/sh
# tests/explain.sh BUILD [TRANSACTIONS] [SEED]: `route explain` against recorded decisions of the real gateway.
#
# Rounds of random gateways (site, tables, policies, connectors), each through all four modes; what the tracking log
# recorded of every recipient must be what explain tells (see tests/tools/explain_check.c).  The last line is
# `N passed, N failed`, counting compared values.
set -u
B=${1:?usage: explain.sh BUILD [TRANSACTIONS] [SEED]}
N=${2:-10000}
SEED=${3:-$(date +%s)}
HERE=$(cd "$(dirname "$0")/interop" && pwd)
. "$HERE/lib.sh"
trap 'stop_all; [ -n "${KEEP:-}" ] || rm -rf "$W"' EXIT
trap 'exit 130' INT TERM
EACH=100 # transactions in one mode of one round

P=$(first_block 3)
"$B/perf/sink" -p $((P + 2)) -S "$W/sink" >"$W/sink.out" 2>&1 &
keep $!
wait_port $((P + 2)) || exit 1

idle() { "$B/tombolo" --json queue list 2>/dev/null | grep -c '"state":"active"' | grep -qx 0; }

passed=0 failed=0 done=0 round=0
while [ $done -lt "$N" ]; do
	round=$((round + 1))
	D=$W/r$round
	mkdir "$D"
	"$B/tests/tools/explain_check" make "$D" $((SEED + round)) "$P" $((P + 2)) || exit 1
	"$B/tombolod" -c "$D/tombolo.conf" >"$D/out" 2>&1 &
	GATEWAY=$!
	keep $GATEWAY
	export TOMBOLO_CONTROL=$D/control
	wait_until 10 gateway_answers || { cat "$D/out" "$D/log" >&2; exit 1; }
	"$B/tombolo" recipients import "$D/people.csv" >"$D/import" 2>&1 || { cat "$D/import" >&2; exit 1; }
	for mode in M1 M2 M3 M4; do
		"$B/tombolo" mode set $mode >/dev/null 2>&1 # exit 1: it is in force already
		"$B/tests/tools/explain_check" send "$D" "$SEED$round${mode#M}" $EACH "$P" || exit 1
		wait_until 20 idle || { echo "deliveries do not end" >&2; exit 1; }
		done=$((done + EACH))
		[ $done -lt "$N" ] || break
	done
	stop $GATEWAY || failed=$((failed + 1))
	"$B/tests/tools/explain_check" check "$D" >"$D/check" || cat "$D/check"
	sum=$(tail -n 1 "$D/check")
	passed=$((passed + ${sum%% *}))
	sum=${sum#*, }
	failed=$((failed + ${sum%% *}))
	[ $failed -gt 0 ] || [ -n "${KEEP:-}" ] || rm -rf "$D"
done
echo "seed $SEED: $done transactions, $round gateways"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
