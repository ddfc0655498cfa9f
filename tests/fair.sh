#!/bin/sh
# tests/fair.sh BUILD_DIR [N]: N due messages (50,000) for a host that takes connections and never says a word, and behind them
# 100 for hosts that work: those arrive within a minute, though all that is before them in the schedule is for the mute one.
# The last line is "N passed, N failed".
set -u
B=$1
N=${2:-50000}
RUN=fa12
W=$(mktemp -d "${TMPDIR:-/tmp}/tombolo-fair.XXXXXX") || exit 1
DAEMON= SINK= MUTE=

finish() {
	[ -z "${KEEPLOG:-}" ] || cp "$W/log" "$KEEPLOG"
	trap - EXIT INT TERM
	[ -z "$MUTE" ] || kill -CONT "$MUTE" 2>/dev/null
	for p in $DAEMON $SINK $MUTE; do kill "$p"; done 2>/dev/null
	wait 2>/dev/null
	rm -rf "$W"
}
trap finish EXIT
trap 'exit 130' INT TERM

. "$(dirname "$0")/ports.sh"
free_ports 3
cat >"$W/tombolo.conf" <<CONF
hostname = "tombolo.example"
control = "$W/control.sock"
log { file = "$W/log"; level = ${LEVEL:-warn} }
queue { path = "$W/queue"; map_size = 512M; keep_free = 1M; active_max = ${ACTIVE:-2000} }
recipients { path = "$W/recipients"; map_size = 16M }
limits { connections_per_ip = 1000 }
domain "contoso.com" { type = authoritative; default = yes }
receive "all" { listen = {"127.0.0.1:$PORT"}; from = {"127.0.0.0/8"}; permissions = {"servers"} }
send "mute" { space = {"mute.example;1"}; smarthosts = {"[127.0.0.1]:$((PORT + 2))"}; tls = none }
send "rest" { space = {"*;1"}; smarthosts = {"[127.0.0.1]:$((PORT + 1))"}; tls = none }
CONF

wait_for() { # SECONDS/10 COMMAND...
	left=$1
	shift
	until "$@"; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		sleep 0.1
	done
}
start() {
	"$B/tombolod" -c "$W/tombolo.conf" >>"$W/out" 2>&1 &
	DAEMON=$!
	wait_for 100 taken $PORT
}
# send COUNT DOMAIN RUN FILE; a run numbers its messages with four digits
send() {
	"$B/perf/swarm" -p $PORT -c 20 -m 100000 -n "$1" -s 1500 -d "$2" -t 120 -R "$3" -a "$W/$4" >"$W/load" 2>&1
}
arrived() { "$B/perf/sink" -S "$W/sink" missing "$W/others" >"$W/missing"; }
passed=0 failed=0
check() { # WHAT COMMAND...
	what=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $what"
		tail -n 3 "$W/log" "$W/load" "$W/missing" 2>/dev/null
	fi
}

# a stopped process: the kernel takes the connections, nobody greets
"$B/perf/sink" -p $((PORT + 2)) -S "$W/mute" &
MUTE=$!
wait_for 50 taken $((PORT + 2))
kill -STOP $MUTE
start
sent=0
while [ $sent -lt "$N" ]; do
	send 10000 mute.example 1 mute-accepted
	sent=$((sent + $(sed -n 's/.*"accepted":\([0-9]*\).*/\1/p' "$W/load")))
done
check "all for the mute host is accepted" [ $sent -ge "$N" ]
send 100 other.example $RUN others # their host is away yet
"$B/perf/sink" -p $((PORT + 1)) -S "$W/sink" &
SINK=$!
wait_for 50 taken $((PORT + 1))
"$B/perf/sink" -S "$W/sink" reset $RUN
began=$(date +%s%N)
"$B/tombolo" queue retry --all --socket "$W/control.sock" >"$W/retry" 2>&1
due=$(date +%s%N)
check "the others are served within a minute" wait_for 300 arrived
echo "$(cat "$W/retry" | tail -n 1) $(((due - began) / 1000000)) ms until all were due; the others had arrived $((($(date +%s%N) - due) / 1000000)) ms later: $(cat "$W/missing")"
kill -CONT $MUTE
kill $DAEMON
wait $DAEMON
DAEMON=
check "the store is sound" "$B/tests/tools/queue_crash" check "$W/queue"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
