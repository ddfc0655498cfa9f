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
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/gateway.sh"
RUN=c4a54
free_ports 2
configure "recipients { path = \"$W/recipients\" }
domain \"perf.example\" { type = authoritative; default = yes }
send \"sink\" { space = {\"*;1\"}; smarthosts = {\"[127.0.0.1]:$((PORT + 1))\"}; tls = none }"

load_up() {
	"$B/perf/swarm" -p $PORT -c 10 -m 20 -s 3000 -r "$1" -t 600 -R $RUN -a "$W/accepted" >"$W/load" 2>&1 &
	LOAD=$!
	"$B/perf/swarm" -p $PORT -c 2 -m 5 -s 40000 -r 30 -t 600 -R $RUN -a "$W/accepted" -f 4000000 >"$W/big" 2>&1 &
	BIG=$!
	OTHERS="$LOAD $BIG"
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

kills=0 at_points=0
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
sink_reset $RUN
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
daemon_up
wait_for 300 answers
sleep 1 # the clients come back
kill $LOAD $BIG
wait $LOAD $BIG
OTHERS= tries=0
until none_missing || [ $tries -ge 300 ]; do
	sleep 0.1
	tries=$((tries + 1))
	# two kills may have met the same message, which then waits for somebody to release it
	[ $tries != 20 ] || tb queue release --held >/dev/null 2>&1
done
check "it ends well" daemon_down
check "all that was acknowledged has arrived" none_missing
check "something was acknowledged" [ "$(sed 's/^accepted=\([0-9]*\) .*/\1/' "$W/missing")" -gt 0 ]
check "the store is sound in the end" is_sound
echo "$kills kills of the gateway, $at_points of them at a named point: $(cat "$W/missing")"
total
