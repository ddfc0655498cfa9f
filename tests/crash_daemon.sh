#!/bin/sh
# tests/crash_daemon.sh BUILD_DIR [short]: the whole gateway under load, killed at every named point of its store, and
# at no point in particular; started again each time on what is left.
#
# Two load clients note what was acknowledged with 250 (small messages, and some that get a file of their own), a sink
# notes what arrived; it is away now and then, so that messages are deferred.  After each kill queue_check must be
# content; in the end everything acknowledged must have arrived.  Repetitions are legal and counted.
# The last line is "N passed, N failed".
set -u
B=$1
SHORT=${2:-}
RUN=c4a54
W=$(mktemp -d "${TMPDIR:-/tmp}/tombolo-crash.XXXXXX") || exit 1
DAEMON= SINK= LOAD= BIG=

finish() {
	trap - EXIT INT TERM
	for p in $DAEMON $SINK $LOAD $BIG; do kill "$p"; done 2>/dev/null
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
	segment_size = 1M; segment_message_max = 16K; map_size = 256M; keep_free = 1M
	checkpoint = 50ms; settle_window = 20ms; retry_first = 1s; retry_max_interval = 1s
}
recipients { path = "$W/recipients" }
limits { connections_per_ip = 1000 }
domain "perf.example" { type = authoritative; default = yes }
receive "all" { listen = {"127.0.0.1:$PORT"}; from = {"127.0.0.0/8"}; permissions = {"servers"} }
send "sink" { space = {"*;1"}; smarthosts = {"[127.0.0.1]:$((PORT + 1))"}; tls = none }
CONF

sink_up() {
	[ -n "$SINK" ] && return
	"$B/perf/sink" -p $((PORT + 1)) -S "$W/sink" &
	SINK=$!
}
sink_away() {
	[ -n "$SINK" ] || return
	kill "$SINK"
	wait "$SINK"
	SINK=
}

load_up() {
	"$B/perf/swarm" -p $PORT -c 10 -m 20 -s 3000 -r "$1" -t 600 -R $RUN -a "$W/accepted" >"$W/load" 2>&1 &
	LOAD=$!
	"$B/perf/swarm" -p $PORT -c 2 -m 5 -s 40000 -r 30 -t 600 -R $RUN -a "$W/accepted" -f 4000000 >"$W/big" 2>&1 &
	BIG=$!
}

# live SECONDS [FAULT]: one life of the gateway; its exit status.  A fault that is not met ends with the time.
live() {
	TOMBOLO_FAULT=${2:-} timeout -s KILL "$1" "$B/tombolod" -c "$W/tombolo.conf" >>"$W/out" 2>&1 &
	DAEMON=$!
	wait $DAEMON 2>/dev/null
	status=$?
	DAEMON=
	return $status
}

passed=0 failed=0 kills=0 at_points=0
kill_once() { # SECONDS [FAULT]
	began=$(date +%s%N)
	live "$@"
	status=$?
	took_ms=$((($(date +%s%N) - began) / 1000000))
	kills=$((kills + 1))
	# timeout(1) ends with its own KILL, perhaps before the gateway is quite dead
	tries=0
	until "$B/tests/tools/queue_crash" check "$W/queue" >"$W/check" 2>&1 || [ $tries -ge 50 ] ||
		! grep -q 'is open in a gateway' "$W/check"; do
		sleep 0.1
		tries=$((tries + 1))
	done
	[ $took_ms -ge "$(echo "$1" | awk '{ print int($1 * 1000) }')" ] || at_points=$((at_points + 1))
	if [ $status != 137 ]; then
		echo "FAIL ${2:-kill}: the gateway ended with $status"
		tail -n 5 "$W/out" "$W/log"
		failed=$((failed + 1))
	elif ! "$B/tests/tools/queue_crash" check "$W/queue" >"$W/check" 2>&1; then
		echo "FAIL ${2:-kill}: queue_check"
		cat "$W/check"
		failed=$((failed + 1))
	else
		passed=$((passed + 1))
	fi
}

sink_up
"$B/perf/sink" -S "$W/sink" reset $RUN
if [ "$SHORT" = short ]; then
	load_up 200
	kill_once 2 queue.group_synced:100:kill
	kill_once 2 queue.checkpoint_done:6:kill
	kill_once 0.6
else
	load_up 1000
	sink_away
	export TOMBOLO_FAULT_LIST="$W/points"
	kill_once 2
	sink_up
	kill_once 2
	unset TOMBOLO_FAULT_LIST
	round=0
	for point in $(grep -E '^(queue|store)\.' "$W/points" | sort -u); do
		for pass in 1 7 40; do
			round=$((round + 1))
			# every third life delivers nothing, so that there is something to retry in the next
			if [ $((round % 3)) = 0 ]; then sink_away; else sink_up; fi
			kill_once 1.$((round % 10)) "$point:$pass:kill"
		done
	done
	sink_up
fi

# a last life without a fault, until all has arrived
"$B/tombolod" -c "$W/tombolo.conf" >>"$W/out" 2>&1 &
DAEMON=$! tries=0
until "$B/tombolo" status --socket "$W/control.sock" >/dev/null 2>&1 || [ $tries -ge 300 ]; do
	sleep 0.1
	tries=$((tries + 1))
done
kill $LOAD $BIG
wait $LOAD $BIG
LOAD= BIG= tries=0
until "$B/perf/sink" -S "$W/sink" missing "$W/accepted" >"$W/missing" || [ $tries -ge 300 ]; do
	sleep 0.1
	tries=$((tries + 1))
	# two kills may have met the same message, which then waits for somebody to release it
	[ $tries != 20 ] || "$B/tombolo" queue release --held --socket "$W/control.sock" >/dev/null 2>&1
done
kill $DAEMON
wait $DAEMON
status=$?
DAEMON=
if [ $status = 0 ] && "$B/perf/sink" -S "$W/sink" missing "$W/accepted" >"$W/missing" &&
	! grep -q '^accepted=0 ' "$W/missing" && "$B/tests/tools/queue_crash" check "$W/queue"; then
	passed=$((passed + 1))
else
	echo "FAIL in the end: status $status, $(cat "$W/missing")"
	tail -n 5 "$W/log"
	failed=$((failed + 1))
fi
echo "$kills kills of the gateway, $at_points of them at a named point: $(cat "$W/missing")"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
