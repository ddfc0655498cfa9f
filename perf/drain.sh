#!/bin/sh
# perf/drain.sh BUILD_DIR [OUT.jsonl]: the next host was away, 10,000 messages wait; how fast do they leave when it is back?
#
# Tombolo and Postfix one after the other in each repetition, the same sink.  "Back" is the order to try all of it now
# (tombolo queue retry --all, postqueue -f); the time is from there to the last message at the sink.  Takes about a
# minute a repetition.  TOMBOLO_PERF_REPS, TOMBOLO_PERF_WAITING and TOMBOLO_PERF_DIR change the defaults.
set -eu
B=$1
OUT=${2:-$B/drain.jsonl}
REPS=${TOMBOLO_PERF_REPS:-3}
COUNT=${TOMBOLO_PERF_WAITING:-10000}
HERE=$(cd "$(dirname "$0")" && pwd)
sh "$HERE/../tests/deps.sh" perf >&2 || echo "drain: going on without the missing packages" >&2
command -v jq >/dev/null || { echo "drain: needs jq" >&2; exit 1; }

W=$(mktemp -d "${TOMBOLO_PERF_DIR:-/var/tmp}/tombolo-perf.XXXXXX")
SHM=$([ -d /dev/shm ] && mktemp -d /dev/shm/tombolo-perf.XXXXXX || echo "$W")
. "$HERE/servers.sh"
trap 'stop_all; rm -rf "$W" "$SHM"' EXIT
trap 'exit 130' INT TERM
: >"$OUT"

sink_up() {
	"$B/perf/sink" -p $P_SINK -S "$SHM/sink" &
	SINK=$!
	keep $SINK
	wait_for $P_SINK
}
sink_down() {
	kill $SINK
	wait $SINK 2>/dev/null || true
}
waiting_at() {
	case $1 in
	tombolo) "$B/tombolo" --socket "$W/tombolo/control.sock" --json status | jq -s '.[0].queue.deferred' ;;
	postfix) find "$W/postfix/spool/deferred" -type f | wc -l ;;
	esac
}
try_now() {
	case $1 in
	tombolo) "$B/tombolo" --socket "$W/tombolo/control.sock" queue retry --all >/dev/null ;;
	postfix) postqueue -c "$W/postfix/etc" -f ;;
	esac
}

# drain NAME PORT: one run, one JSON line
drain() {
	run=$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')
	sink_down
	accepted=$("$B/perf/swarm" -p "$2" -c 50 -m 100 -n "$COUNT" -t 120 -R "$run" 2>>"$W/swarm.log" | jq .accepted)
	tries=0
	until [ "$(waiting_at "$1")" -ge "$accepted" ]; do
		tries=$((tries + 1))
		[ $tries -lt 240 ] || { echo "drain: $1 does not defer all of it" >&2; return 1; }
		sleep 0.5
	done
	sleep 3 # outcomes are on disk, and all is quiet
	sink_up
	"$B/perf/sink" -S "$SHM/sink" reset "$run"
	began=$(awk '{ printf "%.0f", $1 * 1e9 }' /proc/uptime)
	try_now "$1"
	"$B/perf/sink" -S "$SHM/sink" wait "$accepted" 120 || true
	"$B/perf/sink" -S "$SHM/sink" show | jq -c --arg name "$1" --argjson began "$began" --argjson accepted "$accepted" '
		((.last_ns - $began) / 1e9) as $secs |
		{case: "drain", name: $name, waiting: $accepted, arrived: .unique, duplicates,
		 secs: ($secs * 1000 | round / 1000), per_s: (if $secs > 0 then (.unique / $secs | round) else 0 end)}' | tee -a "$OUT"
}

base=$(first_block)
P_SINK=$base P_OURS=$((base + 1)) P_POSTFIX=$((base + 2))
DISK=$(basename "$(df --output=source "$W" | tail -n 1)")
sink_up
tombolo_up tombolo $P_OURS $P_SINK ""
POSTFIX=
if [ "$(id -u)" = 0 ] && command -v postfix >/dev/null; then
	POSTFIX=yes
	postfix_up postfix $P_POSTFIX $P_SINK ""
fi
for rep in $(seq "$REPS"); do
	drain tombolo $P_OURS
	[ -z "$POSTFIX" ] || drain postfix $P_POSTFIX
done
echo
jq -rs 'def mid: sort | .[length / 2 | floor];
	group_by(.name) | map({name: .[0].name, per_s: (map(.per_s) | mid)}) | . as $all |
	.[] | "\(.name): \(.per_s)/s" + (if .name == "tombolo" then ($all[] | select(.name == "postfix")) as $p | ", \(.per_s / $p.per_s * 10 | round / 10) x Postfix" else "" end)' "$OUT"
