#!/bin/bash
# tests/races.sh BUILD_DIR [SECONDS]: the daemon on three event loops under load, and everything that changes its mind
# meanwhile: certificates, configuration, recipients, mode, queue, drains.
#
# For V=tsan (`make check-tsan-load T=SECONDS`), where one report fails it; any other build will do, too.  Mail comes in
# clear and by STARTTLS, from connections that stay and that come and go, to hosts that take it, refuse it, offer TLS or
# are not there, and to a group that is expanded here; each message is journaled.  Now and then SIGTERM in the middle of
# it, and a start.  No report is suppressed.  The last line is "N passed, N failed".
set -u
B=$(cd "${1:?usage: races.sh BUILD_DIR [SECONDS]}" && pwd)
SECS=${2:-60}
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/lib.sh"
# the first report does not end it: all of them are wanted at once
export TSAN_OPTIONS="exitcode=99 halt_on_error=0 second_deadlock_stack=1 log_path=$W/report"
export ASAN_OPTIONS="detect_leaks=1 exitcode=99 log_path=$W/report"
logged() { grep -q "$1" "$W/log"; }
PORT=$((20000 + $$ % 20000))
SINK=$((PORT + 1)) CLOUD=$((PORT + 2)) PAGE=$((PORT + 3)) CLOSED=$((PORT + 4)) # nobody listens on the last one

sh "$HERE/certs.sh" "$W/certs" && sh "$HERE/store.sh" "$W/certs" || exit 1
rm "$W/certs/store/older.pem" "$W/certs/store/older.key"
mkdir "$W/crls" "$W/track"
conf() { # LIMIT: a number that differs from reload to reload
	cat >"$W/conf.new" <<-CONF
		hostname = mail.contoso.com
		control = "$W/control"
		loops = 3
		validate = 10s
		hosts = "$W/hosts"
		queue {
			path = "$W/queue" segment_size = 1M segment_message_max = 8K map_size = 128M keep_free = 0 memory_max = 4M
			checkpoint = 20ms settle_window = 10ms retry_first = 1s retry_message = 1s retry_glitch = 1s
		}
		recipients { path = "$W/recipients" map_size = 64M }
		log { file = "$W/log" }
		track { path = "$W/track/track.jsonl" rotate = 256K ring = 64K }
		metrics { listen = "127.0.0.1:$PAGE" }
		limits { connections_per_ip = $1 errors = 100 }
		tls { ca = "$W/certs/ca.pem" store = "$W/certs/store" certificate = "name:mail.contoso.com" crl_dir = "$W/crls"
			crl_fetch = "http://127.0.0.1:$PAGE/metrics" crl_cache = "$W/fetched" crl_fetch_timeout = 2s }
		loop { token_key = "$W/keys" }
		srs { key = "$W/keys" }
		domain "contoso.com" { type = authoritative routing_domain = "contoso.mail.cloud.example" default = yes }
		receive in { listen = "127.0.0.1:$PORT" permissions = servers tarpit = 0 }
		receive stranger { listen = "127.0.0.1:$PORT" from = "192.0.2.0/24" }
		inbound cloud { type = peer sender_certificate = "mail.contoso.mail.cloud.example" cloud_mail = yes }
		send cloud {
			space = {"contoso.mail.cloud.example", "@peer"} smarthosts = "[127.0.0.1]:$CLOUD" peer = yes
			tls = domain tls_domain = "mail.contoso.mail.cloud.example" connections_first = 2
		}
		send mailboxes { space = "@local" smarthosts = {"[127.0.0.1]:$SINK", "[127.0.0.1]:$CLOSED"} tls = may }
		send archive { space = "archive.example" smarthosts = "[127.0.0.1]:$CLOUD" tls = encrypt scoped = yes }
		journal all { to = "j@archive.example" connector = archive }
		send nowhere { space = "nowhere.example" smarthosts = "[127.0.0.1]:$CLOSED" tls = may }
		send internet { space = "*;10" dns = yes port = $SINK tls = may messages_per_connection = 7 }
	CONF
	mv "$W/conf.new" "$W/conf"
}
echo "1 $(openssl rand -hex 32)" >"$W/keys"
echo "127.0.0.1 mx.perf.example" >"$W/hosts"
for n in 0 1 2 3 4 5; do echo "MX 10 d$n.perf.example mx.perf.example"; done >>"$W/hosts"
table() { # LOCATION_OF_THE_SWARM: two thousand recipients, a group among them
	echo address,loc,routing,members,expand_at
	echo "swarm@contoso.com,$1,$([ "$1" = local ] || echo swarm@contoso.mail.cloud.example),,"
	echo "all@contoso.com,group,,$(seq -s';' -f 'u%.0f@contoso.com' 1 60),here"
	seq -f 'u%.0f@contoso.com,local,,,' 1 1000
	echo "r1@contoso.com,remote,r1@contoso.mail.cloud.example,,"
}
table local >"$W/local.csv"
table remote >"$W/remote.csv"

conf 1000
"$B/perf/sink" -p "$SINK" -S "$W/stats" -B >"$W/sink.log" 2>&1 &
pids="$pids $!"
"$B/perf/sink" -p "$CLOUD" -S "$W/stats-cloud" -c "$W/certs/cloud.pem" -k "$W/certs/cloud.key" >"$W/cloud.log" 2>&1 &
pids="$pids $!"
start() {
	"$B/tombolod" -c "$W/conf" 2>>"$W/start" &
	daemon=$!
	pids="$pids $daemon"
	soon tb status || { echo "FAIL the daemon does not answer"; cat "$W/start"; tail -n 5 "$W/log"; }
}
start
check "recipients" tb recipients import "$W/local.csv"

swarm() { # NAME OPTION...
	name=$1
	shift
	"$B/perf/swarm" -p "$PORT" "$@" >"$W/$name.json" 2>"$W/$name.err" &
	pids="$pids $!"
	loads="$loads $!"
}
loads=
until_s=$(($(date +%s) + SECS))
swarm clear -c 6 -m 20 -s 3000 -r 150 -t "$SECS" -d contoso.com
swarm tls -T -c 4 -m 3 -s 2048 -r 60 -t "$SECS" -d contoso.com
swarm big -c 2 -m 5 -s 40000 -r 10 -t "$SECS" -d contoso.com
swarm net -c 4 -m 50 -s 1000 -r 100 -t "$SECS" -D 6 -d perf.example
swarm lost -P -c 1 -m 1 -s 500 -r 5 -t "$SECS" -d nowhere.example
swarm unknown -c 2 -m 2 -s 500 -r 20 -t "$SECS" -D 2 -d unknown.contoso.com
swarm shakes -K -c 2 -r 20 -t "$SECS"

turn=0
# what may be refused here is refused in words; a report is what fails, or a daemon that is gone
order() {
	timeout 60 "$B/tombolo" --socket "$W/control" "$@" >"$W/said" 2>&1
	[ $? != 75 ] || { echo "FAIL no answer to: $*"; cat "$W/said"; failed=$((failed + 1)); }
}
while [ "$(date +%s)" -lt $until_s ] && kill -0 "$daemon" 2>/dev/null; do
	turn=$((turn + 1))
	n=$((turn % 2 + 1))
	cp "$W/certs/swap-$n.pem" "$W/certs/store/.next" && mv "$W/certs/store/.next" "$W/certs/store/mail.pem"
	order tls reload
	order recipients import "$W/$([ $n = 1 ] && echo local || echo remote).csv" --replace
	timeout 30 "$B/tests/tools/send" -p "$PORT" -f "u1@contoso.com" -t all@contoso.com,nobody@contoso.com,u2@contoso.com \
		>"$W/said" 2>&1
	order mode set M$((turn % 4 + 1))
	conf $((1000 + turn)) && kill -HUP "$daemon"
	order queue summary
	order queue list --where "attempts > 0"
	order recipients set "u$turn@contoso.com" loc=remote "routing=u$turn@contoso.mail.cloud.example"
	order route explain swarm@contoso.com --from a@x.example
	order connector list
	order queue hold --to "@d$((turn % 6)).perf.example"
	order connector hops
	order status
	order metrics
	(exec 3<>"/dev/tcp/127.0.0.1/$PAGE" && printf 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n' >&3 && timeout 5 cat <&3) \
		>"$W/said" 2>&1
	order queue reroute --all
	order queue release --all
	order queue retry --all
	order tls show
	order config reload
	order connector test cloud
	order queue remove --to @nowhere.example --ndr --reason closed
	order mode history
	order recipients conflicts
	order recipients remove "u$((turn + 500))@contoso.com"
	order trace --from u1@contoso.com --since 1m
	order mode stragglers
	order top --count 1
	order queue hold --where "attempts > 3"
	if [ $((turn % 3)) = 0 ]; then
		order mode plan M2
		order mode switch --dry-run
		order mode rollback
		order queue drain --reason "turn $turn"
		sleep 0.3
		order queue drain --stop
	fi
	if [ $((turn % 4)) = 0 ]; then # a stop and a start in the middle of it
		kill -TERM "$daemon"
		check "a clean end, turn $turn" wait "$daemon"
		start
	fi
done
check "turns were made" [ "$turn" -gt 0 ]
kill -TERM "$daemon"
check "a clean end in the middle of it" wait "$daemon"
wait $loads
for name in clear tls big net; do
	check "the load had messages: $name" grep -qE '"accepted":[1-9][0-9]*,' "$W/$name.json"
done
check "no wrong invariant" refused logged 'must('
check "the store is sound" "$B/tombolo" queue check "$W/queue"
reports=$(cat "$W"/report.* 2>/dev/null | grep -c '^WARNING\|^==[0-9]*==ERROR')
check "no report of a sanitizer" [ "$reports" = 0 ]
[ "$reports" = 0 ] || cat "$W"/report.* | head -n "${LINES_MAX:-400}"
accepted=$(cat "$W/clear.json" "$W/tls.json" "$W/big.json" "$W/net.json" | sed -n 's/.*"accepted":\([0-9]*\),.*/\1/p' | awk '{ n += $1 } END { print n }')
echo "$turn turns, $accepted messages accepted, $reports reports"
total
