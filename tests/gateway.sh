# tests/gateway.sh: one gateway, killed and started again, and what stands around it (sourced; uses B, the build directory,
# and HERE, this folder; makes the folder $W).
#
#   DAEMON, SINK   ids of the two, empty while there is none; $OTHERS: further ones that end with the script
#   PORT           the gateway's, PORT + 1 that of the sink
# Only these are stopped, by their ids, and $W goes with them.  The last line of a script is that of `total`.
W=$(mktemp -d "${TMPDIR:-/tmp}/tombolo-${0##*/}.XXXXXX") || exit 1
DAEMON= SINK= OTHERS=
passed=0 failed=0
. "$HERE/ports.sh"

finish() {
	trap - EXIT INT TERM
	for p in $DAEMON $SINK $OTHERS; do kill -CONT "$p" && kill "$p"; done 2>/dev/null # one may be stopped
	wait 2>/dev/null
	rm -rf "$W"
}
trap finish EXIT
trap 'exit 130' INT TERM

# configure LINES [QUEUE]: relays everything of everybody on loopback as LINES say
configure() {
	cat >"$W/tombolo.conf" <<CONF
hostname = "tombolo.example"
control = "$W/control.sock"
log { file = "$W/log"; level = ${LEVEL:-warn} }
queue { path = "$W/queue"; keep_free = 1M; ${2:-segment_size = 1M; segment_message_max = 16K; map_size = 256M
	checkpoint = 50ms; settle_window = 20ms; retry_first = 1s; retry_max_interval = 1s} }
limits { connections_per_ip = 1000 }
receive "all" { listen = {"127.0.0.1:$PORT"}; from = {"127.0.0.0/8"}; permissions = {"servers"} }
$1
CONF
}

wait_for() { # TENTHS COMMAND...: until it is true
	left=$1
	shift
	until "$@"; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		sleep 0.1
	done
}
check() { # WHAT COMMAND...
	what=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $what"
		tail -n 5 "$W/log" "$W/out" "$W/missing" 2>/dev/null
	fi
}
total() { # the last line, and the status
	echo "$passed passed, $failed failed"
	[ $failed = 0 ]
}

tb() { "$B/tombolo" "$@" --socket "$W/control.sock"; }
answers() { tb status >/dev/null 2>&1; }
gone() { ! kill -0 "$DAEMON" 2>/dev/null; }
listening() { taken "$PORT" || gone; }
daemon_up() { # [FAULT]: until it listens, or has ended because of the fault
	TOMBOLO_FAULT=${1:-} "$B/tombolod" -c "$W/tombolo.conf" >>"$W/out" 2>&1 &
	DAEMON=$!
	wait_for 300 listening
}
daemon_down() { # as an administrator stops it; its exit status
	wait_for 300 answers
	kill "$DAEMON"
	wait "$DAEMON"
	set -- $?
	DAEMON=
	return "$1"
}
is_sound() { "$B/tests/tools/queue_crash" check "$W/queue"; }

sink_up() {
	[ -z "$SINK" ] || return 0
	"$B/perf/sink" -p $((PORT + 1)) -S "$W/sink" &
	SINK=$!
	wait_for 100 taken $((PORT + 1))
}
sink_away() {
	[ -n "$SINK" ] || return 0
	kill "$SINK"
	wait "$SINK"
	SINK=
}
sink_reset() { "$B/perf/sink" -S "$W/sink" reset "$1"; } # RUN: what it counts
none_missing() { "$B/perf/sink" -S "$W/sink" missing "$W/${1:-accepted}" >"$W/missing"; }
