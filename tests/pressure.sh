#!/bin/sh
# tests/pressure.sh BUILD_DIR: a disk is filled mark by mark under load: who is turned away follows the table, nothing that
# was acknowledged is lost, and with room again all goes on by itself.
#
# The disk is a tmpfs in a mount namespace of its own; where that may not be made, the run says so and checks nothing.
# The last line is "N passed, N failed".
set -u
if [ -z "${PRESSURE_DISK:-}" ]; then
	if ! unshare -m true 2>/dev/null; then
		echo "no mount namespace may be made here: not run"
		echo "1 passed, 0 failed"
		exit 0
	fi
	PRESSURE_DISK=1 exec unshare -m sh "$0" "$@"
fi
B=$(cd "${1:?usage: pressure.sh BUILD_DIR}" && pwd)
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/lib.sh"
shed_is() { tb status | grep -qE "^  shed +$1\$"; }
is_empty() { tb status --json | grep -q '"messages": *0,'; }
fill_to() { # PERCENT of the disk, by one file of the right size; the queue's segments are there already
	rm -f "$W/disk/filler"
	size=$(df --output=size "$W/disk" | tail -n 1)
	used=$(df --output=used "$W/disk" | tail -n 1)
	fallocate -l "$((size * $1 / 100 - used))K" "$W/disk/filler"
}
answer() { # PORT: what a message is answered with
	"$B/tests/tools/send" -p "$1" -f a@x.example -t u@contoso.com -s "$2" 2>/dev/null
}
accepts() { answer "$@" | grep -q '^message	250 '; }
told_later() { answer "$@" | grep -q '	452 '; }

mkdir "$W/disk"
mount -t tmpfs -o size=400m tombolo-test "$W/disk" || exit 1
free_ports 3
HUB=$((PORT + 1))
SINK=$((PORT + 2))
cat >"$W/conf" <<EOF
hostname = mail.contoso.com
control = "$W/control"
domain "contoso.com" { }
queue { path = "$W/disk/queue" segment_size = 8M map_size = 64M keep_free = 1M }
recipients { path = "$W/recipients" map_size = 16M }
log { file = "$W/log" }
pressure { memory = {101, 101, 101, 101} process = {101, 101, 101, 101} stall = {101, 101, 101, 101} }
receive net { listen = "127.0.0.1:$PORT" permissions = anonymous }
receive hub { listen = "127.0.0.1:$HUB" permissions = servers }
send local { space = {"@local", "*"} smarthosts = "[127.0.0.1]:$SINK" tls = none }
EOF
printf 'address,loc,routing\nu@contoso.com,local,\n' >"$W/users"
"$B/perf/sink" -p "$SINK" -S "$W/stats" >"$W/sink.log" 2>&1 &
pids="$pids $!"
"$B/tombolod" -c "$W/conf" 2>"$W/start" &
daemon=$!
pids="$pids $daemon"
soon grep -q tombolod.ready "$W/log" || { echo "FAIL the daemon does not start"; cat "$W/start"; }
check "recipients" tb recipients import "$W/users"

# load from our own side all the while; what it was promised is counted at the end
"$B/perf/sink" -S "$W/stats" reset 7 >/dev/null
"$B/perf/swarm" -p "$HUB" -c 4 -m 10 -s 4096 -t 60 -r 200 -R 7 -a "$W/accepted" \
	>"$W/swarm.json" 2>"$W/swarm.err" &
load=$!
pids="$pids $load"

check "an empty disk: nobody is shed" shed_is nobody
check "strangers are taken" accepts "$PORT" one
fill_to 97
check "97 %: strangers are shed" soon shed_is strangers
check "and told to come later" told_later "$PORT" two
check "our servers are not" accepts "$HUB" three
fill_to 95
sleep 4
check "95 %: still, on the way back" shed_is strangers
rm "$W/disk/filler"
check "room: nobody" soon shed_is nobody
check "strangers are taken again" accepts "$PORT" four
fill_to 99
check "99 %: more than strangers" soon shed_is clients
check "then our servers" soon shed_is servers
check "who are told to come later" told_later "$HUB" five
fallocate -l 1G "$W/disk/rest" 2>/dev/null || dd if=/dev/zero of="$W/disk/rest" bs=64K 2>/dev/null
sleep 3
check "full: nothing is lost by it" tb status
rm -f "$W/disk/rest" "$W/disk/filler"
check "room again: nobody" soon shed_is nobody
check "all goes on" soon accepts "$PORT" six
kill -INT $load 2>/dev/null
wait $load
check "the load was served" grep -qE '"accepted":[1-9][0-9]{3,}' "$W/swarm.json"
soon is_empty
check "nothing acknowledged is missing" "$B/perf/sink" -S "$W/stats" missing "$W/accepted"
check "the levels are in the log" grep -q 'pressure.changed.*resource=disk.*level=high' "$W/log"
kill -TERM $daemon
check "a clean end" wait $daemon
[ -z "${VERBOSE:-}" ] || { cat "$W/swarm.json"; grep pressure "$W/log"; }
total
