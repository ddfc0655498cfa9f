#!/bin/sh
# tests/crash_poison.sh BUILD_DIR: a message that ends the whole gateway each time an answer about it is read.  After the
# second crash the gateway starts, lives, says so, and delivers what else there is; released, the message is tried again.
# The last line is "N passed, N failed".
set -u
B=$1
RUN=b0150
W=$(mktemp -d "${TMPDIR:-/tmp}/tombolo-poison.XXXXXX") || exit 1
DAEMON= SINK=

finish() {
	trap - EXIT INT TERM
	for p in $DAEMON $SINK; do kill "$p"; done 2>/dev/null
	wait 2>/dev/null
	rm -rf "$W"
}
trap finish EXIT
trap 'exit 130' INT TERM

. "$(dirname "$0")/ports.sh"
free_ports 2
cat >"$W/tombolo.conf" <<CONF
hostname = "tombolo.example"
control = "$W/control.sock"
log { file = "$W/log"; level = warn }
queue {
	path = "$W/queue"
	segment_size = 1M; segment_message_max = 16K; map_size = 64M; keep_free = 1M
	checkpoint = 50ms; settle_window = 20ms; retry_first = 1s; retry_max_interval = 1s
}
recipients { path = "$W/recipients"; map_size = 16M }
limits { connections_per_ip = 1000 }
domain "perf.example" { type = authoritative; default = yes }
receive "all" { listen = {"127.0.0.1:$PORT"}; from = {"127.0.0.0/8"}; permissions = {"servers"} }
send "sink" { space = {"*;1"}; smarthosts = {"[127.0.0.1]:$((PORT + 1))"}; tls = none }
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
passed=0 failed=0
check() { # WHAT COMMAND...
	what=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $what"
		tail -n 5 "$W/log" "$W/out" 2>/dev/null
	fi
}

start() { # [FAULT]: the shell in between hears of the kill and says nothing
	TOMBOLO_FAULT=${1:-} "$B/tombolod" -c "$W/tombolo.conf" >>"$W/out" 2>&1 &
	DAEMON=$!
	wait_for 100 listening
}
listening() { taken $PORT || ! kill -0 "$DAEMON" 2>/dev/null; }
gone() { ! kill -0 "$DAEMON" 2>/dev/null; }
was_killed() { # within ten seconds
	wait_for 100 gone || return 1
	wait "$DAEMON" 2>/dev/null
	status=$?
	DAEMON=
	[ $status = 137 ]
}
stop() {
	kill "$DAEMON"
	wait "$DAEMON"
	DAEMON=
}
accept() { "$B/perf/swarm" -p $PORT -c 1 -m 1 -n "$1" -s 500 -f "$2" -t 5 -R $RUN -a "$W/accepted" >/dev/null 2>&1; }
listed() { "$B/tombolo" queue list --json --socket "$W/control.sock" 2>/dev/null | grep -q "\"state\": *\"$1\""; }
all_arrived() { "$B/perf/sink" -S "$W/sink" missing "$W/accepted" >"$W/missing" && grep -q "^accepted=$1 " "$W/missing"; }

"$B/perf/sink" -p $((PORT + 1)) -S "$W/sink" &
SINK=$!
wait_for 50 taken $((PORT + 1))
"$B/perf/sink" -S "$W/sink" reset $RUN

kill_at=client.event:1:kill
# the answer 250 is on its way when the first answer of the sink ends the process: it is given with the sink away
kill $SINK
wait $SINK
SINK=
start
accept 1 0
check "one message waits" wait_for 50 listed deferred
stop
"$B/perf/sink" -p $((PORT + 1)) -S "$W/sink" &
SINK=$!
wait_for 50 taken $((PORT + 1))
for life in first second; do
	start $kill_at
	check "the $life crash" was_killed
done
start $kill_at # whatever else is tried now would end it
sleep 2
check "the third start lives" kill -0 "$DAEMON"
check "the message is put aside" listed poison
check "the log says so" grep -q 'queue.poison' "$W/log"
stop
start
accept 1 1
one_missing() { "$B/perf/sink" -S "$W/sink" missing "$W/accepted" >"$W/missing"; grep -q '^accepted=2 missing=1 ' "$W/missing"; }
check "another message is delivered" wait_for 50 one_missing
check "the poison still waits" listed poison
"$B/tombolo" queue release --all --socket "$W/control.sock" >/dev/null
check "released, it arrives" wait_for 100 all_arrived 2
stop
check "the store is sound" "$B/tests/tools/queue_crash" check "$W/queue"
echo "a message that ends the gateway: $(cat "$W/missing")"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
