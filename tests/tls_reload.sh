#!/bin/sh
# tests/tls_reload.sh BUILD_DIR: certificates are replaced 20 times under TLS sessions that come and go.
#
# Each time `tombolo tls reload` (and now and then SIGHUP) takes the other one of two certificates out of the store, and
# the next connection must see it; a broken one in between is refused and changes nothing; no session of the load may
# fail.  Then a revocation list and a degraded connector.  The last line is "N passed, N failed".
set -u
B=$(cd "${1:?usage: tls_reload.sh BUILD_DIR}" && pwd)
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/lib.sh"
logged() { grep -q "$1" "$W/log" || { sleep 0.5 && grep -q "$1" "$W/log"; }; } # a log is written a moment later
shown() { # the fingerprint that a client is shown, with and without asking for a name
	openssl s_client -connect "127.0.0.1:$PORT" -starttls smtp ${1:--noservername} ${2:-} </dev/null 2>/dev/null |
		openssl x509 -noout -fingerprint -sha256 2>/dev/null
}
is_shown() { [ "$(shown)" = "$(openssl x509 -in "$1" -noout -fingerprint -sha256)" ]; }
is_shown_for() { [ "$(shown -servername "$2")" = "$(openssl x509 -in "$1" -noout -fingerprint -sha256)" ]; }
swap() { cp "$1" "$W/certs/store/.next" && mv "$W/certs/store/.next" "$W/certs/store/mail.pem"; }

sh "$HERE/certs.sh" "$W/certs" && sh "$HERE/store.sh" "$W/certs" || exit 1
mkdir "$W/crls"
free_ports 2
SINK=$((PORT + 1))
rm "$W/certs/store/older.pem" "$W/certs/store/older.key"
cat >"$W/conf" <<EOF
hostname = mail.contoso.com
control = "$W/control"
queue { path = "$W/queue" segment_size = 4M map_size = 64M keep_free = 0 }
recipients { path = "$W/recipients" map_size = 64M }
log { file = "$W/log" }
tls { ca = "$W/certs/ca.pem" store = "$W/certs/store" certificate = "name:mail.contoso.com" crl_dir = "$W/crls" }
receive in { listen = "127.0.0.1:$PORT" permissions = servers tarpit = 0 }
send out { space = "*" smarthosts = "[127.0.0.1]:$SINK" tls = may }
send bare { space = "degraded.example" smarthosts = "[127.0.0.1]:$SINK" tls = may certificate = "name:lost.contoso.com" }
EOF
"$B/perf/sink" -p "$SINK" -S "$W/stats" >"$W/sink.log" 2>&1 &
pids="$pids $!"
"$B/tombolod" -c "$W/conf" 2>"$W/start" &
daemon=$!
pids="$pids $daemon"
soon logged tombolod.ready || { echo "FAIL the daemon does not start"; cat "$W/start" "$W/log"; }
check "a missing client certificate is an alarm" soon logged 'tls.alarm alarm=CERT-MISSING.*send bare'
check "the daemon names it at the start" grep -q 'warning: CERT-MISSING.*send bare' "$W/start"

"$B/perf/swarm" -p "$PORT" -T -c 8 -m 3 -s 2048 -t 4 >"$W/swarm.json" 2>"$W/swarm.err" &
load=$!
pids="$pids $load"
# strict from here on: a reload takes everything or nothing
check "a reload is refused while a certificate is missing" refused tb tls reload
cp "$W/certs/lost.pem" "$W/certs/store/lost.pem"
cp "$W/certs/lost.key" "$W/certs/store/lost.key"
i=0
while [ $i -lt 20 ]; do
	i=$((i + 1))
	which=$W/certs/swap-$((i % 2 + 1)).pem
	swap "$which"
	if [ $((i % 5)) = 0 ]; then
		kill -HUP $daemon
		check "SIGHUP $i" soon is_shown "$which"
	else
		check "reload $i" tb tls reload
		check "the new certificate is seen, $i" is_shown "$which"
	fi
	if [ $i = 10 ]; then
		head -n 3 "$which" >"$W/certs/store/broken.pem"
		check "a broken file is refused" refused tb tls reload
		check "and named" grep -q broken.pem "$W/before"
		check "what was in use stays" is_shown "$which"
		rm "$W/certs/store/broken.pem"
	fi
done
check "alarms follow a reload" soon logged 'tls.alarm alarm=CHAIN-INCOMPLETE.*send bare'
check "SNI chooses another certificate" is_shown_for "$W/certs/store/any.pem" crm.apps.contoso.com
check "an unknown name gets the listener's" is_shown_for "$which" nobody.example
wait $load
check "the load had sessions" grep -qE '"accepted":[1-9][0-9]+,' "$W/swarm.json"
check "no session failed" grep -q '"transient":0,"permanent":0,"connect_errors":0,' "$W/swarm.json"
[ -z "${VERBOSE:-}" ] || { cat "$W/swarm.json"; tb tls show; grep tls.alarm "$W/log"; }
[ -s "$W/swarm.err" ] && cat "$W/swarm.err"

check "tls show" tb tls show
check "tls show names who uses it" grep -q 'receive in .*CN=mail.contoso.com' "$W/before"
check "tls show --json" tb tls show --json
check "an alarm in it" grep -q '"alarms": *"CHAIN-INCOMPLETE' "$W/before"
cp "$W/certs/crl.pem" "$W/crls/ca.crl"
check "lists come with a reload" tb tls reload
check "and are shown" sh -c "'$B/tombolo' --socket '$W/control' tls show --json | grep -q '\"lists\": *1'"
kill -TERM $daemon
check "a clean end" wait $daemon
check "nothing went wrong" refused logged ' error '

total
