# tests/interop/lib.sh: what the runs against real servers share (sourced; uses B, the build directory).
#
# Everything listens on loopback and keeps its files under $W.  Only processes started here are stopped, by their ids.

W=$(mktemp -d "${TMPDIR:-/tmp}/tombolo-interop.XXXXXX")
chmod 755 "$W"
PIDS=
PASSED=0
FAILED=0
export TSAN_OPTIONS=${TSAN_OPTIONS:-exitcode=99} ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:exitcode=99}

keep() { PIDS="$PIDS $1"; }

# stop PID: ends it and says with which status; 124 when it does not want to
stop() {
	kill "$1" 2>/dev/null
	tries=0
	while kill -0 "$1" 2>/dev/null; do
		tries=$((tries + 1))
		[ $tries -lt 150 ] || { kill -9 "$1"; return 124; }
		sleep 0.1
	done
	wait "$1"
}

stop_all() {
	for p in $PIDS; do kill "$p" 2>/dev/null; done
	for p in $PIDS; do wait "$p" 2>/dev/null; done
	PIDS=
}

# first_block N [FROM]: a port whose next N - 1 are free too
first_block() {
	at=${2:-21350}
	while ss -Hltn | awk -v b=$at -v n="$1" '{ k = split($4, a, ":"); if (a[k] >= b && a[k] < b + n) f = 1 } END { exit !f }'; do
		at=$((at + $1))
	done
	echo $at
}

# wait_port PORT: until somebody listens there
wait_port() {
	tries=0
	until ss -Hltn "sport = :$1" | grep -q .; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || { echo "nothing listens on port $1" >&2; return 1; }
		sleep 0.1
	done
}

# wait_until SECONDS COMMAND...: until it succeeds
wait_until() {
	tries=$(($1 * 5))
	shift
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.2
	done
}

pass() { PASSED=$((PASSED + 1)); }
fail() {
	FAILED=$((FAILED + 1))
	echo "FAILED $*"
}
# check NAME COMMAND...: passed when it succeeds
check() {
	what=$1
	shift
	if "$@" >"$W/check" 2>&1 || { sleep 0.5 && "$@" >"$W/check" 2>&1; }; then # logs are written a moment later
		pass
	else
		fail "$what"
		tail -n 8 "$W/check" | sed 's/^/    /'
	fi
}

certs() {
	CERTS=$(pwd)/$B/certs
	[ -f "$CERTS/ca.pem" ] || sh "$HERE/../certs.sh" "$CERTS" >/dev/null
}

# gateway_up NAME: starts tombolod on $W/NAME.conf
gateway_up() {
	"$B/tombolod" -c "$W/$1.conf" >>"$W/$1.out" 2>&1 &
	GATEWAY=$!
	keep $GATEWAY
	export TOMBOLO_CONTROL=$W/control
	wait_until 10 gateway_answers || { echo "tombolod does not start:" >&2; tail -n 5 "$W/$1.out" "$W/log" >&2; return 1; }
}
gateway_answers() { "$B/tombolo" status >/dev/null 2>&1; }
queue_is_empty() { [ "$("$B/tombolo" --json queue list | wc -l)" = 0 ]; }
gateway_stops() { stop "$GATEWAY"; }
# what sanitizers say goes to standard error
gateway_is_clean() { ! grep -aE 'Sanitizer|runtime error' "$W"/*.out; }
