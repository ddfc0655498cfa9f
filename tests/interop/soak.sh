#!/bin/sh
# tests/interop/soak.sh BUILD [SECONDS]: two loops under load, clear and TLS at once, while everything else goes on that
# threads could trip over: reloads, mode switches, changes of the table, queue listings, holds, a next hop that comes and
# goes, a restart in the middle.  For the sanitizer builds: `make V=tsan tests-built && sh tests/interop/soak.sh build/tsan`.
#
# Nothing that was accepted may be missing at the end.  The last line is `N passed, N failed`.
set -u
B=${1:?usage: soak.sh BUILD [SECONDS]}
SECS=${2:-20}
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/lib.sh"
trap 'stop_all; [ -n "${KEEP:-}" ] || rm -rf "$W"' EXIT
trap 'exit 130' INT TERM
certs

P=$(first_block 3)
cat >"$W/soak.conf" <<-CONF
	hostname = mail.contoso.com
	resolvers = 127.0.0.1
	control = $W/control
	loops = 2
	queue { path = $W/queue; retry_first = 1s; retry_max_interval = 2s; settle_window = 20ms; checkpoint = 50ms }
	recipients { path = $W/recipients }
	log { file = $W/log; level = info }
	limits { connections_per_ip = 1000 }
	tls { certificate = $CERTS/server.pem; key = $CERTS/server.key; ca = $CERTS/ca.pem; crl = off }
	domain "contoso.com" { routing_domain = contoso.mail.cloud.example }
	receive "hub" { listen = "127.0.0.1:$P"; permissions = servers }
	send "to-cloud" { space = "@peer"; smarthosts = "[127.0.0.1]:$((P + 2))"; tls = encrypt; peer = yes }
	send "clear" { space = "*;10"; smarthosts = "[127.0.0.1]:$((P + 1))"; tls = none; enabled = yes }
	send "secured" { space = "*;5"; smarthosts = "[127.0.0.1]:$((P + 2))"; tls = encrypt; idle_timeout = 1s }
CONF

clear_sink_up() {
	"$B/perf/sink" -p $((P + 1)) -S "$W/stats-clear" &
	keep $!
	wait_port $((P + 1))
}
tls_sink_up() {
	"$B/perf/sink" -p $((P + 2)) -S "$W/stats-tls" -c "$CERTS/cloud.pem" -k "$CERTS/cloud.key" &
	SINK_TLS=$!
	keep $SINK_TLS
	wait_port $((P + 2))
}
# which way a message took does not matter
arrived() { for w in clear tls; do "$B/perf/sink" -S "$W/stats-$w" show; done | sed 's/.*"strays":\([0-9]*\).*/\1/' | awk '{ n += $1 } END { print n }'; }
load() { # SECONDS NAME SWARM-OPTION...
	secs=$1 out=$2
	shift 2
	"$B/perf/swarm" -p "$P" -t "$secs" -m 20 "$@" >"$W/$out" 2>>"$W/swarm.log" &
	LOADS="$LOADS $!"
	keep $!
}
accepted() { cat "$W"/load-* | sed 's/.*"accepted":\([0-9]*\).*/\1/' | awk '{ n += $1 } END { print n + 0 }'; }

# what an administrator does, over and over
meddle() {
	while :; do
		kill -HUP "$GATEWAY"
		"$B/tombolo" status
		"$B/tombolo" mode set mx=cloud
		"$B/tombolo" recipients set "u$$@contoso.com" loc=local
		"$B/tombolo" queue list --max 50
		"$B/tombolo" --json queue summary
		"$B/tombolo" queue hold --to nobody@sink.example
		"$B/tombolo" connector hops
		"$B/tombolo" route explain "u$$@contoso.com"
		# the way out changes with every round
		if grep -q 'tls = none; enabled = yes' "$W/soak.conf"; then
			sed -i 's/enabled = yes/enabled = no/; s/;5"/;20"/' "$W/soak.conf"
		else
			sed -i 's/enabled = no/enabled = yes/; s/;20"/;5"/' "$W/soak.conf"
		fi
		"$B/tombolo" config reload
		"$B/tombolo" mode set mx=onprem
		"$B/tombolo" recipients remove "u$$@contoso.com"
		"$B/tombolo" queue retry --all
		sleep 0.1
	done >"$W/meddle" 2>&1
}

half=$(((SECS + 1) / 2))
gateway_up soak || exit 1
clear_sink_up && tls_sink_up || exit 1
LOADS=
for round in 1 2; do
	load $half load-$round-clear -c 20 -s 4000 -R 1
	load $half load-$round-tls -c 10 -s 20000 -R 2 -T
	meddle &
	MEDDLE=$!
	keep $MEDDLE
	sleep $((half / 2))
	stop $SINK_TLS # the secured way is gone for a while
	tls_sink_up
	sleep $((half - half / 2 - 1))
	if [ $round = 1 ]; then
		check "the gateway drains and stops under load" gateway_stops
		gateway_up soak || exit 1
	fi
	for p in $LOADS; do wait "$p"; done
	LOADS=
	kill $MEDDLE
	wait $MEDDLE 2>/dev/null
done
"$B/tombolo" queue release --all >"$W/release" 2>&1
check "the queue runs empty" wait_until 60 queue_is_empty
n=$(accepted)
echo "$n accepted in $SECS s, $(arrived) arrived"
check "what was accepted has arrived" [ "$(arrived)" -ge "$n" ]
check "there was something to carry" [ "$n" -gt 100 ]
check "the gateway stops" gateway_stops
check "no sanitizer complains" gateway_is_clean
echo "$PASSED passed, $FAILED failed"
[ "$FAILED" = 0 ]
