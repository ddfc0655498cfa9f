#!/bin/sh
# perf/neighbours.sh BUILD_DIR [OUT.jsonl]: does one sick destination slow down a hundred well ones?
#
# 300 messages a second go to 100 domains, and in turns nothing else (quiet), or 300 a second more to one destination
# that refuses connections (dead), accepts them and says nothing (silent), takes a second for each message (slow), or is
# well (busy: what the same load costs without any sickness).  Measured is the time from MAIL of the client to the end
# of the message at the sink, of the hundred only.  TOMBOLO_PERF_REPS, _SECS, _DIR change the defaults.
set -eu
B=$1
OUT=${2:-$B/neighbours.jsonl}
REPS=${TOMBOLO_PERF_REPS:-5}
SECS=${TOMBOLO_PERF_SECS:-6}
RATE=${TOMBOLO_PERF_RATE:-300}
HERE=$(cd "$(dirname "$0")" && pwd)
sh "$HERE/../tests/deps.sh" perf >&2 || echo "neighbours: going on without the missing packages" >&2
command -v jq >/dev/null || { echo "neighbours: needs jq" >&2; exit 1; }

W=$(mktemp -d "${TOMBOLO_PERF_DIR:-/var/tmp}/tombolo-perf.XXXXXX")
SHM=$([ -d /dev/shm ] && mktemp -d /dev/shm/tombolo-perf.XXXXXX || echo "$W")
. "$HERE/servers.sh"
trap 'stop_all; rm -rf "$W" "$SHM"' EXIT
trap 'exit 130' INT TERM
: >"$OUT"

base=$(first_block)
P_SINK=$base P_OURS=$((base + 1)) P_DEAD=$((base + 2)) P_SILENT=$((base + 3)) P_SLOW=$((base + 4)) P_BUSY=$((base + 5))
"$B/perf/sink" -p $P_SINK -S "$SHM/sink" &
keep $!
"$B/perf/sink" -p $P_BUSY -S "$SHM/busy" &
keep $!
# a port whose connections the kernel takes and nobody answers, and a server that thinks for a second
python3 - $P_SILENT $P_SLOW <<'PY' &
import socket, socketserver, sys, time
silent = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1000)
class Slow(socketserver.StreamRequestHandler):
    def handle(self):
        say = lambda text: self.wfile.write(text + b"\r\n")
        say(b"220 slow")
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"DATA":
                say(b"354 go")
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    pass
                time.sleep(1)
            say(b"221 bye" if verb == b"QUIT" else b"250 ok")
socketserver.ThreadingTCPServer.daemon_threads = True
socketserver.ThreadingTCPServer.request_queue_size = 100
socketserver.ThreadingTCPServer(("127.0.0.1", int(sys.argv[2])), Slow).serve_forever()
PY
keep $!

d=$W/tombolo
mkdir "$d"
{
	echo "127.0.0.1 mx.many.example"
	for i in $(seq 0 99); do echo "MX 10 d$i.many.example mx.many.example"; done
} >"$d/hosts"
cat >"$d/tombolo.conf" <<-CONF
	hostname = "tombolo.example"
	control = "$d/control.sock"
	hosts = "$d/hosts"
	log { file = "$d/log"; level = warn }
	queue { path = "$d/queue"; active_max = 1000 } # so that a sick one fills it within seconds
	recipients { path = "$d/recipients" }
	limits { connections = 5000; connections_per_ip = 5000 }
	domain "perf.example" { type = authoritative; default = yes }
	receive "all" { listen = {"127.0.0.1:$P_OURS"}; from = {"127.0.0.0/8"}; permissions = {"servers"} }
	send "dead" { space = {"dead.example"}; smarthosts = {"[127.0.0.1]:$P_DEAD"}; tls = none }
	send "silent" { space = {"silent.example"}; smarthosts = {"[127.0.0.1]:$P_SILENT"}; tls = none }
	send "slow" { space = {"slow.example"}; smarthosts = {"[127.0.0.1]:$P_SLOW"}; tls = none }
	send "busy" { space = {"busy.example"}; smarthosts = {"[127.0.0.1]:$P_BUSY"}; tls = none }
	send "many" { space = {"*;10"}; dns = yes; port = $P_SINK; tls = none }
CONF
"$B/tombolod" -c "$d/tombolo.conf" >"$d/out" 2>&1 &
keep $!
wait_for $P_OURS

# beside NAME: one run, one JSON line
beside() {
	run=$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')
	sick=
	if [ "$1" != quiet ]; then
		"$B/perf/swarm" -p $P_OURS -c 10 -m 1000 -r "$RATE" -t $((SECS + 1)) -R 1 -d "$1.example" >/dev/null 2>>"$W/swarm.log" &
		sick=$!
		sleep 1
	fi
	"$B/perf/sink" -S "$SHM/sink" reset "$run"
	load=$("$B/perf/swarm" -p $P_OURS -c 10 -m 1000 -r "$RATE" -t "$SECS" -R "$run" -d many.example -D 100 2>>"$W/swarm.log") || true
	"$B/perf/sink" -S "$SHM/sink" wait "$(echo "$load" | jq .accepted)" 10 || true
	"$B/perf/sink" -S "$SHM/sink" show | jq -c --arg beside "$1" --argjson load "$load" \
		'{case: "neighbours", beside: $beside, accepted: $load.accepted, arrived: .unique, p50_ms, p99_ms}' | tee -a "$OUT"
	[ -z "$sick" ] || wait "$sick" || true
	"$B/tombolo" --socket "$d/control.sock" queue remove --all >/dev/null || true
	sleep 1
}

beside quiet >/dev/null # once for the connections
: >"$OUT"
for rep in $(seq "$REPS"); do
	for what in ${TOMBOLO_PERF_BESIDE:-quiet busy dead silent slow}; do
		beside $what
	done
done
echo
jq -rs 'def mid: sort | .[length / 2 | floor];
	group_by(.beside) | map({beside: .[0].beside, p50: (map(.p50_ms) | mid), p99: (map(.p99_ms) | mid)}) |
	(.[] | select(.beside == "busy")) as $busy | .[] |
	"beside \(.beside): p50 \(.p50) ms, p99 \(.p99) ms, \((.p99 / $busy.p99 - 1) * 100 | round) % against a well one"' "$OUT"
