#!/bin/sh
# tests/crash_poison.sh BUILD_DIR: a message that ends the whole gateway each time an answer about it is read.  After the
# second crash the gateway starts, lives, says so, and delivers what else there is; released, the message is tried again.
# The last line is "N passed, N failed".
set -u
B=$1
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/gateway.sh"
RUN=b0150
free_ports 2
configure "recipients { path = \"$W/recipients\"; map_size = 16M }
domain \"perf.example\" { type = authoritative; default = yes }
send \"sink\" { space = {\"*;1\"}; smarthosts = {\"[127.0.0.1]:$((PORT + 1))\"}; tls = none }"

was_killed() { # within ten seconds
	wait_for 100 gone || return 1
	wait "$DAEMON" 2>/dev/null
	status=$?
	DAEMON=
	[ $status = 137 ]
}
accept() { "$B/perf/swarm" -p $PORT -c 1 -m 1 -n "$1" -s 500 -f "$2" -t 5 -R $RUN -a "$W/accepted" >/dev/null 2>&1; }
listed() { tb queue list --json 2>/dev/null | grep -q "\"state\": *\"$1\""; }
missing_is() { none_missing; grep -q "^$1 " "$W/missing"; }

sink_up
sink_reset $RUN
kill_at=client.event:1:kill
# the answer 250 is on its way when the first answer of the sink ends the process: it is given with the sink away
sink_away
daemon_up
accept 1 0
check "one message waits" wait_for 50 listed deferred
daemon_down
sink_up
for life in first second; do
	daemon_up $kill_at
	check "the $life crash" was_killed
done
daemon_up $kill_at # whatever else is tried now would end it
sleep 2
check "the third start lives" kill -0 "$DAEMON"
check "the message is put aside" listed poison
check "the log says so" grep -q 'queue.poison' "$W/log"
daemon_down
daemon_up
accept 1 1
check "another message is delivered" wait_for 100 missing_is "accepted=2 missing=1"
check "the poison still waits" listed poison
tb queue release --all >/dev/null
check "released, it arrives" wait_for 100 missing_is "accepted=2 missing=0"
daemon_down
check "the store is sound" is_sound
echo "a message that ends the gateway: $(cat "$W/missing")"
total
