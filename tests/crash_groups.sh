#!/bin/sh
# tests/crash_groups.sh BUILD_DIR: kill -9 while a group is expanded: before a copy, behind a copy that is durable, before
# the outcome.  After the restart every member has got the message; a second time is legal and counted.
# The last line is "N passed, N failed".
set -u
B=$1
W=$(mktemp -d "${TMPDIR:-/tmp}/tombolo-groups.XXXXXX") || exit 1
DAEMON= HOST=

finish() {
	trap - EXIT INT TERM
	for p in $DAEMON $HOST; do kill "$p"; done 2>/dev/null
	wait 2>/dev/null
	rm -rf "$W"
}
trap finish EXIT
trap 'exit 130' INT TERM

. "$(dirname "$0")/ports.sh"
free_ports 2

members="a b c d e f g h i j"
list=
for m in $members; do list="$list$m@far.example;"; done
cat >"$W/tombolo.conf" <<CONF
hostname = "tombolo.example"
control = "$W/control.sock"
log { file = "$W/log"; level = info }
queue {
	path = "$W/queue"
	segment_size = 1M; segment_message_max = 16K; map_size = 64M; keep_free = 1M
	checkpoint = 50ms; settle_window = 20ms; retry_first = 1s; retry_max_interval = 1s
}
recipients { path = "$W/recipients"; map_size = 16M; expansion_limit = 3 }
domain "contoso.com" { type = authoritative; default = yes }
receive "all" { listen = {"127.0.0.1:$PORT"}; from = {"127.0.0.0/8"}; permissions = {"servers"} }
send "out" { space = {"*;1"}; smarthosts = {"[127.0.0.1]:$((PORT + 1))"}; tls = none }
CONF
printf 'address,loc,expand_at,members\nall@contoso.com,group,here,%s\n' "$list" >"$W/table.csv"
"$B/tombolo" recipients import "$W/table.csv" --offline -c "$W/tombolo.conf" >/dev/null || exit 1
mkdir "$W/mail"
"$B/tests/tools/host" -p $((PORT + 1)) -n far.example -d "$W/mail" >/dev/null 2>&1 &
HOST=$!

wait_for() { # SECONDS/10 COMMAND...
	left=$1
	shift
	until "$@"; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		sleep 0.1
	done
}
listens() { taken $PORT; }
arrived() { # SUBJECT: to every member
	for m in $members; do
		awk -F'\t' -v s="$1" -v m="$m@far.example" \
			'$6 == s && index("," $3 ",", "," m ",") { f = 1 } END { exit !f }' "$W/mail/log" || return 1
	done
}

passed=0 failed=0 kills=0
round() { # FAULT
	subject="kill at $1"
	: >>"$W/mail/log"
	began=$(date +%s%N)
	TOMBOLO_FAULT=$1:kill timeout -s KILL 10 "$B/tombolod" -c "$W/tombolo.conf" >>"$W/out" 2>&1 &
	DAEMON=$!
	wait_for 50 listens || echo "no gateway"
	# the message is durable before it is expanded, but the kill may come before the answer does
	"$B/tests/tools/send" -p $PORT -f boss@contoso.com -t all@contoso.com -s "$subject" >"$W/sent" 2>&1
	wait "$DAEMON" 2>/dev/null
	status=$?
	# at its point, not because the time was over
	[ $status = 137 ] && [ $((($(date +%s%N) - began) / 1000000)) -lt 10000 ] && kills=$((kills + 1))
	"$B/tests/tools/queue_crash" check "$W/queue" >"$W/check" 2>&1
	sound=$?
	"$B/tombolod" -c "$W/tombolo.conf" >>"$W/out" 2>&1 &
	DAEMON=$!
	if [ $sound = 0 ] && wait_for 100 arrived "$subject"; then
		passed=$((passed + 1))
	else
		echo "FAIL $1"
		cat "$W/sent" "$W/check"
		tail -n 5 "$W/log"
		failed=$((failed + 1))
	fi
	kill "$DAEMON"
	wait "$DAEMON" 2>/dev/null
	DAEMON=
}
# ten members and three a copy: four copies
for pass in 1 2 4; do
	round "expand.copy:$pass"
	round "expand.copied:$pass"
done
[ $kills = 6 ] || { echo "FAIL only $kills of 6 kills at their point" && failed=$((failed + 1)); }
again=$(awk -F'\t' '{ n = split($3, r, ","); for (i = 1; i <= n; i++) if (seen[$6 r[i]]++) d++ } END { print d + 0 }' "$W/mail/log")
echo "$kills kills while a group was expanded, $again members served twice, none lost"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
