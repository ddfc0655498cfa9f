#!/bin/sh
# tests/fair.sh BUILD_DIR [N]: N due messages (50,000) for a host that takes connections and never says a word, and behind them
# 100 for hosts that work: those arrive within a minute, though all that is before them in the schedule is for the mute one.
# The last line is "N passed, N failed".
set -u
B=$1
N=${2:-50000}
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/gateway.sh"
RUN=fa12
free_ports 3
configure "recipients { path = \"$W/recipients\"; map_size = 16M }
domain \"contoso.com\" { type = authoritative; default = yes }
send \"mute\" { space = {\"mute.example;1\"}; smarthosts = {\"[127.0.0.1]:$((PORT + 2))\"}; tls = none }
send \"rest\" { space = {\"*;1\"}; smarthosts = {\"[127.0.0.1]:$((PORT + 1))\"}; tls = none }" \
	"map_size = 512M; active_max = ${ACTIVE:-2000}"

# send COUNT DOMAIN RUN FILE; a run numbers its messages with four digits
send() {
	"$B/perf/swarm" -p $PORT -c 20 -m 100000 -n "$1" -s 1500 -d "$2" -t 120 -R "$3" -a "$W/$4" >"$W/load" 2>&1
}

# a stopped process: the kernel takes the connections, nobody greets
"$B/perf/sink" -p $((PORT + 2)) -S "$W/mute" &
OTHERS=$!
wait_for 100 taken $((PORT + 2))
kill -STOP $OTHERS
daemon_up
sent=0
while [ $sent -lt "$N" ]; do
	send 10000 mute.example 1 mute-accepted
	sent=$((sent + $(sed -n 's/.*"accepted":\([0-9]*\).*/\1/p' "$W/load")))
done
check "all for the mute host is accepted" [ $sent -ge "$N" ]
send 100 other.example $RUN others # their host is away yet
sink_up
sink_reset $RUN
began=$(date +%s%N)
tb queue retry --all >"$W/retry" 2>&1
due=$(date +%s%N)
check "the others are served within a minute" wait_for 300 none_missing others
echo "$(tail -n 1 "$W/retry") $(((due - began) / 1000000)) ms until all were due; the others had arrived $((($(date +%s%N) - due) / 1000000)) ms later: $(cat "$W/missing")"
kill -CONT $OTHERS
daemon_down
check "the store is sound" is_sound
total
