#!/bin/sh
# tests/interop/bulk.sh BUILD [MESSAGES] [SEED]: many random messages through one gateway to both sides of a hybrid
# organisation; every recipient, every byte and every refusal is checked (see tests/tools/bulk.c).
#
# On-prem takes its mail in the clear, the cloud by STARTTLS with tls = domain.  The last line is `N passed, N failed`;
# besides the messages it counts the ends: the queue is empty, the gateway stops cleanly and no sanitizer complained.
set -u
B=${1:?usage: bulk.sh BUILD [MESSAGES] [SEED]}
N=${2:-10000}
SEED=${3:-$(date +%s)}
PEOPLE=6000
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/lib.sh"
trap 'stop_all; [ -n "${KEEP:-}" ] || rm -rf "$W"' EXIT
trap 'exit 130' INT TERM
certs

P=$(first_block 3)
cat >"$W/bulk.conf" <<-CONF
	hostname = mail.contoso.com
	resolvers = 127.0.0.1
	control = $W/control
	loops = 2
	queue { path = $W/queue }
	recipients { path = $W/recipients }
	log { file = $W/log; level = warn }
	limits { connections = 1000; connections_per_ip = 1000; errors = 1000 }
	tls { certificate = $CERTS/server.pem; key = $CERTS/server.key; ca = $CERTS/ca.pem; crl = off }
	domain "contoso.com" { routing_domain = contoso.mail.cloud.example }
	receive "internet" { listen = "127.0.0.1:$P"; tarpit = 0 }
	send "mailboxes" { space = "@local"; smarthosts = "[127.0.0.1]:$((P + 1))"; tls = none }
	send "to-cloud" {
		space = { "contoso.mail.cloud.example", "@peer" }
		smarthosts = "[127.0.0.1]:$((P + 2))"
		peer = yes
		tls = domain
		tls_domain = mail.contoso.mail.cloud.example
	}
CONF
gateway_up bulk || exit 1
"$B/tests/tools/bulk" table -u $PEOPLE >"$W/people.csv"
"$B/tombolo" recipients import "$W/people.csv" >"$W/import" 2>&1 || { cat "$W/import" >&2; exit 1; }

"$B/tests/tools/bulk" run -p "$P" -l $((P + 1)) -r $((P + 2)) -C "$CERTS/cloud.pem" -K "$CERTS/cloud.key" \
	-n "$N" -u $PEOPLE -S "$SEED" -T >"$W/bulk"
awk '/ passed, / { exit } { print }' "$W/bulk"
sum=$(tail -n 1 "$W/bulk")
PASSED=${sum%% *}
FAILED=${sum#*, }
FAILED=${FAILED%% *}
[ "$FAILED" = 0 ] || tail -n 20 "$W/log"
check "the queue is empty" wait_until 10 queue_is_empty
check "the gateway stops when asked to" gateway_stops
check "no sanitizer complains" gateway_is_clean
echo "$PASSED passed, $FAILED failed"
[ "$FAILED" = 0 ]
