#!/bin/sh
# perf/run.sh BUILD_DIR [OUT.jsonl]: what `make perf` runs: Tombolo beside Postfix, in one interleaved run.
#
# Every server relays everything to one sink; "wire" is the load client straight into that sink, the ceiling of this
# machine.  One JSON line a run goes to OUT (and the screen), then a table of medians.  Numbers from different runs do
# not compare (machines drift); ratios within one run do.  Takes under four minutes; Postfix needs root and is left out
# without it.  TOMBOLO_PERF_REPS, _SECS and _DIR (where the queues lie; default /var/tmp) change the defaults.
set -eu
B=$1
OUT=${2:-$B/perf.jsonl}
REPS=${TOMBOLO_PERF_REPS:-3}
SECS=${TOMBOLO_PERF_SECS:-2}
HERE=$(cd "$(dirname "$0")" && pwd)
sh "$HERE/../tests/deps.sh" perf >&2 || echo "perf: going on without the missing packages" >&2
command -v jq >/dev/null || { echo "perf: needs jq" >&2; exit 1; }

W=$(mktemp -d "${TOMBOLO_PERF_DIR:-/var/tmp}/tombolo-perf.XXXXXX")
SHM=$([ -d /dev/shm ] && mktemp -d /dev/shm/tombolo-perf.XXXXXX || echo "$W")
. "$HERE/servers.sh"
trap 'stop_all; rm -rf "$W" "$SHM"' EXIT
trap 'exit 130' INT TERM
: >"$OUT"

median() { jq -s "map($1) | sort | .[length / 2 | floor] // 0"; }

# one NAME PORT SINK CONNECTIONS MESSAGES_EACH TLS: one timed run, one JSON line
one() {
	name=$1 port=$2 sink=$3 conns=$4 each=$5 tls=$6
	run=$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')
	root=$(root_of "$name")
	"$B/perf/sink" -S "$SHM/$sink" reset "$run"
	cpu0=$(tree_cpu_ms $root) flush0=$(flushes) sync0=$(own_syncs "$name")
	load=$("$B/perf/swarm" -p "$port" -c "$conns" -m "$each" -t "$SECS" -R "$run" ${tls:+-T} 2>>"$W/swarm.log") || true
	rss=$(tree_pss_kib $root)
	"$B/perf/sink" -S "$SHM/$sink" wait "$(echo "$load" | jq .accepted)" 6 || true
	sleep 0.3 # outcomes are written after the fact
	cpu1=$(tree_cpu_ms $root) flush1=$(flushes) sync1=$(own_syncs "$name")
	"$B/perf/sink" -S "$SHM/$sink" show | jq -c --argjson load "$load" --arg name "$name" --arg case "${conns}x$each${tls:+ TLS}" \
		--argjson cpu $((cpu1 - cpu0)) --argjson flush $((flush1 - flush0)) --argjson sync $((sync1 - sync0)) --argjson pss "$rss" '
		([.unique, 1] | max) as $n | ((.last_ns - $load.start_ns) / 1e9) as $secs |
		{case: $case, name: $name, per_s: (if $secs > 0 then (.unique / $secs | round) else 0 end),
		 accepted: $load.accepted, arrived: .unique, missing: ($load.accepted - .unique), duplicates,
		 refused: ($load.transient + $load.permanent), connect_errors: $load.connect_errors,
		 cpu_ms: ($cpu / $n), load_cpu_ms: ($load.cpu_s * 1000 / $n), flushes: ($flush / $n), own_syncs: ($sync / $n),
		 accept_p50_ms: $load.p50_ms, accept_p99_ms: $load.p99_ms, p50_ms, p99_ms, pss_mib: ($pss / 1024)}' | tee -a "$OUT"
}

# handshakes NAME PORT: STARTTLS sessions a second
handshakes() {
	root=$(root_of "$1")
	cpu0=$(tree_cpu_ms $root)
	"$B/perf/swarm" -p "$2" -K -c 20 -t 2 2>>"$W/swarm.log" >"$W/hs" || true
	jq -c --arg name "$1" --argjson cpu $(($(tree_cpu_ms $root) - cpu0)) \
		'{case: "handshakes", name: $name, per_s: (.per_s | round), cpu_ms: ($cpu / ([.secured, 1] | max)), p50_ms, p99_ms}' "$W/hs" |
		tee -a "$OUT"
}

# what openssl itself reaches: the same certificate, a new session each time, no mail protocol around it
handshakes_openssl() {
	openssl s_server -accept 127.0.0.1:$P_OPENSSL -cert "$W/cert.pem" -key "$W/key.pem" -quiet >/dev/null 2>&1 &
	server=$!
	keep $server
	sleep 0.3
	began=$(date +%s%N)
	done=$(openssl s_time -connect 127.0.0.1:$P_OPENSSL -new -time 2 2>/dev/null | awk '/real seconds/ { print $1 }')
	took=$(($(date +%s%N) - began))
	kill $server 2>/dev/null || true
	jq -nc --argjson n "${done:-0}" --argjson ns "$took" \
		'{case: "handshakes", name: "openssl s_time", per_s: ($n / ($ns / 1e9) | round)}' | tee -a "$OUT"
}

# idle NAME PORT COUNT TLS: memory of COUNT connections that said EHLO and wait
idle() {
	root=$(root_of "$1")
	before=$(tree_pss_kib $root)
	rm -f "$W/idle"
	"$B/perf/swarm" -p "$2" -I -c "$3" -t 15 ${4:+-T} >"$W/idle" 2>>"$W/swarm.log" &
	load=$!
	keep $load
	tries=0
	while [ ! -s "$W/idle" ] && [ $tries -lt 60 ] && kill -0 $load 2>/dev/null; do sleep 0.2; tries=$((tries + 1)); done
	after=$(tree_pss_kib $root)
	kill $load 2>/dev/null || true
	wait $load 2>/dev/null || true
	jq -c --arg name "$1" --arg case "idle${4:+ TLS}" --argjson kib $((after - before)) \
		'{case: $case, name: $name, open, kib_each: (if .open > 0 then $kib / .open * 10 | round / 10 else null end)}' "$W/idle" |
		tee -a "$OUT"
}

servers_up "$B"
idle tombolo $P_OURS 1000 ""
idle tombolo-tls $P_OURS_TLS 1000 tls
if [ -n "$POSTFIX" ]; then
	idle postfix $P_POSTFIX 80 ""
	idle postfix-tls $P_POSTFIX_TLS 80 tls
fi
for rep in $(seq "$REPS"); do
	for scenario in 1:1 50:1 50:100; do
		one wire $P_SINK sink ${scenario%:*} ${scenario#*:} ""
		one tombolo $P_OURS sink ${scenario%:*} ${scenario#*:} ""
		[ -z "$POSTFIX" ] || one postfix $P_POSTFIX sink ${scenario%:*} ${scenario#*:} ""
	done
	for scenario in 50:1 50:100; do
		one wire $P_SINK_TLS sink-tls ${scenario%:*} ${scenario#*:} tls
		one tombolo-tls $P_OURS_TLS sink-tls ${scenario%:*} ${scenario#*:} tls
		[ -z "$POSTFIX" ] || one postfix-tls $P_POSTFIX_TLS sink-tls ${scenario%:*} ${scenario#*:} tls
	done
done
for rep in 1 2; do
	handshakes_openssl
	handshakes tombolo-tls $P_OURS_TLS
	[ -z "$POSTFIX" ] || handshakes postfix-tls $P_POSTFIX_TLS
done

echo
jq -r -s -f "$HERE/table.jq" "$OUT"
