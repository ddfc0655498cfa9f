#!/bin/sh
# perf/floods.sh BUILD_DIR [check]: floods (hardening list, DoS-2 to DoS-5): memory and processor time under each of them,
# Tombolo beside Postfix.
#
# Each attack is one client (perf/flood.c) or a crowd (swarm -I), against servers that know it as a stranger.  A line a
# row: the most memory all processes of the server had meanwhile (shared pages once), the processor time they used, and
# what the client was told last.  `check`: Tombolo alone, and the answers and the memory must be as they should; the last
# line is "N passed, N failed".  Every attack ends after FLOOD_SECS (10).
set -eu
B=$1
MODE=${2:-}
SECS=${FLOOD_SECS:-10}
MIB_MOST=${FLOOD_MIB:-40} # more than this over an idle server is a failure
HERE=$(cd "$(dirname "$0")" && pwd)
command -v jq >/dev/null || {
	echo "floods: needs jq: not run"
	[ "$MODE" = check ] || exit 1
	echo "1 passed, 0 failed"
	exit 0
}
W=$(mktemp -d "${TOMBOLO_PERF_DIR:-/var/tmp}/tombolo-floods.XXXXXX")
SHM=$W
. "$HERE/servers.sh"
trap 'stop_all; rm -rf "$W"' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0

# Strangers may write to someone@relay.example, and perf.example has nobody.
flood_tombolo() { # NAME PORT SINKPORT LIMITS
	d=$W/$1
	mkdir -p "$d"
	cat >"$d/tombolo.conf" <<-CONF
		hostname = "tombolo.example"
		control = "$d/control.sock"
		log { file = "$d/log" }
		queue { path = "$d/queue" }
		recipients { path = "$d/recipients" }
		limits { $4 }
		domain "perf.example" { type = authoritative; default = yes }
		domain "relay.example" { type = authoritative }
		receive "all" { listen = {"127.0.0.1:$2"}; tarpit = 0 }
		send "sink" { space = {"*;1"}; smarthosts = {"[127.0.0.1]:$3"}; tls = none }
		send "inside" { space = {"@local;1"}; smarthosts = {"[127.0.0.1]:$3"}; tls = none }
	CONF
	"$B/tombolod" -c "$d/tombolo.conf" >"$d/out" 2>&1 &
	echo $! >"$d/pid"
	keep $!
	printf 'address,loc\nsomeone@relay.example,local\n' >"$d/users.csv"
	tries=0
	until "$B/tombolo" --socket "$d/control.sock" recipients import "$d/users.csv" >"$d/import" 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 30 ] || { cat "$d/out" "$d/import" >&2; exit 1; }
		sleep 0.1
	done
}

flood_postfix() { # NAME PORT SINKPORT
	postfix_up "$1" "$2" "$3" ""
	postconf -c "$W/$1/etc" -e 'mynetworks = 192.0.2.0/24' 'smtpd_relay_restrictions = reject_unauth_destination' \
		'relay_domains = relay.example perf.example' 'relay_recipient_maps = inline:{ someone@relay.example=ok }' \
		'message_size_limit = 37748736'
	postfix -c "$W/$1/etc" reload >/dev/null 2>&1
	sleep 1
}

most_memory() { # ROOT FILE: writes the most until it is told to stop
	most=0
	while [ ! -e "$2.stop" ]; do
		now=$(tree_pss_kib "$1")
		[ "$now" -le "$most" ] || most=$now
		echo "$most" >"$2"
		sleep 0.1
	done
}

# measured ROOT COMMAND...: runs it; sets mib and cpu_ms
measured() {
	root=$1
	shift
	rm -f "$W/most.stop"
	most_memory "$root" "$W/most" &
	watcher=$!
	cpu0=$(tree_cpu_ms "$root")
	"$@" >"$W/said" 2>"$W/said.err" || true
	sleep 0.3
	cpu_ms=$(($(tree_cpu_ms "$root") - cpu0))
	touch "$W/most.stop"
	wait $watcher
	mib=$(($(cat "$W/most") / 1024))
}

row() { # ATTACK NAME LAST
	printf '| %-13s | %-8s | %5d MiB | %6d ms | %s |\n' "$1" "$2" "$mib" "$cpu_ms" "$3"
}

judge() { # ATTACK LAST WANTED
	[ "$MODE" = check ] || return 0
	case $2 in
	$3) good=yes ;;
	*) good= ;;
	esac
	if [ -n "$good" ] && [ $((mib - idle_mib)) -le "$MIB_MOST" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $1: told '$2', wanted '$3'; $mib MiB, idle $idle_mib MiB"
	fi
}

flood() { # NAME PORT ATTACK WANTED
	measured "$(root_of "$1")" "$B/perf/flood" -p "$2" -t "$SECS" "$3"
	last=$(jq -r .last "$W/said")
	closed=$(jq -r .closed "$W/said")
	[ "$closed" = true ] && end=", hung up" || end=
	row "$3" "$1" "$last$end"
	judge "$3" "$last$end" "$4"
}

crowd() { # NAME PORT HOW_MANY
	measured "$(root_of "$1")" "$B/perf/swarm" -p "$2" -I -c "$3" -t 5
	open=$(jq -r '.open // 0' "$W/said" 2>/dev/null | tail -n 1)
	row "$3 idle" "$1" "${open:-0} stayed"
}

# Forged senders write to somebody who is not there (DoS-13): refused at RCPT, so nothing is stored and no report is owed.
forged() { # NAME PORT
	measured "$(root_of "$1")" "$B/perf/swarm" -p "$2" -c 20 -m 4 -n 100000 -s 100 -t "$SECS" -d perf.example
	refused=$(jq -r .permanent "$W/said")
	stored=$("$B/tombolo" --socket "$W/$1/control.sock" status --json | jq -r .queue.accepted)
	last="$refused refused, $stored stored"
	row forged "$1" "$last"
	judge forged "$last" "[1-9]* refused, 0 stored"
}

ulimit -n "$(ulimit -Hn)" 2>/dev/null || true
base=$(first_block)
DISK=none
"$B/perf/sink" -p "$base" -S "$SHM/sink" &
keep $!
flood_tombolo tombolo $((base + 1)) "$base" "rate_exempt = 192.0.2.0/24"
flood_tombolo tombolo-open $((base + 2)) "$base" "connections = 20000; connections_per_ip = 20000; command_timeout = 6s"
idle_mib=$(($(tree_pss_kib "$(root_of tombolo)") / 1024))
POSTFIX=
if [ "$MODE" != check ] && [ "$(id -u)" = 0 ] && command -v postfix >/dev/null; then
	POSTFIX=yes
	flood_postfix postfix $((base + 3)) "$base"
fi

echo "| attack        | server   | memory    | processor | last answer |"
echo "|---|---|---|---|---|"
# what Tombolo must say to each
while read -r attack wanted; do
	flood tombolo $((base + 1)) "$attack" "$wanted"
	[ -z "$POSTFIX" ] || flood postfix $((base + 3)) "$attack" ""
done <<-ROWS
	noop 421 4.7.0 *
	rset 421 4.7.0 *
	vrfy 421 4.7.0 *
	ehlo 421 4.7.0 *
	unknown 4*hung up
	command-line 421 4.7.0 *
	header-line 552 5.3.4 *
	body-line 250 2.0.0 *
	header-size 552 5.3.4 *
	header-fields 552 5.3.4 *
	header-fold 552 5.3.4 *
ROWS
# who reads nothing: the server reads nothing either, and hangs up when the command's time is over
# (each answer the kernel still takes begins that time anew: under load it is over three times before, seldom more)
allowed=$SECS SECS=30
flood tombolo-open $((base + 2)) unread "*hung up"
SECS=$allowed
[ -z "$POSTFIX" ] || flood postfix $((base + 3)) unread ""
forged tombolo-open $((base + 2))
for n in 1000 10000; do
	crowd tombolo $((base + 1)) $n
	crowd tombolo-open $((base + 2)) $n
	[ -z "$POSTFIX" ] || crowd postfix $((base + 3)) $n
done
[ "$MODE" != check ] || { echo "$passed passed, $failed failed"; [ "$failed" = 0 ]; }
