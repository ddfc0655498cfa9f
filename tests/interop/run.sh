#!/bin/sh
# tests/interop/run.sh BUILD [GROUP...]: what `make interop` runs: the gateway between real servers, checked at both ends.
#
#   swaks (Internet, devices) ----> gateway <====> Postfix, the on-prem host: smart host one way, mailboxes the other
#   smtp-source, bulk         ---->         <====> Exim, the cloud: BDAT, client certificate, several server certificates
#                                           ----> smtp-sink, the rest of the world
#
# Needs root for the servers' own accounts.  Instances, ports and files are private (peers.sh); what is delivered is
# read in the receivers' mailboxes.  The last line is `N passed, N failed`.  Takes about two minutes.
set -u
B=${1:?usage: run.sh BUILD [GROUP...]}
shift
[ $# -gt 0 ] || set -- greeting secured content addresses balanced both_ways moved_people refusals reports volume held certificates openssl outage testssl
HERE=$(cd "$(dirname "$0")" && pwd)
sh "$HERE/../deps.sh" interop || exit 1
[ "$(id -u)" = 0 ] || { echo "interop: needs root to start Postfix and Exim" >&2; exit 1; }
EXIM=$(pwd)/build/peers/usr/sbin/exim4
. "$HERE/lib.sh"
. "$HERE/peers.sh"
. "$HERE/cases.sh"
trap 'postfix_stop; stop_all; [ -n "${KEEP:-}" ] || rm -rf "$W"' EXIT
trap 'exit 130' INT TERM
certs

P=$(first_block 11)
P_NET=$P P_HUB=$((P + 1)) P_PROXY=$((P + 2)) P_POSTFIX=$((P + 3)) P_SINK=$((P + 4))
P_EXIM=$((P + 5)) P_WRONG=$((P + 6)) P_EXPIRED=$((P + 7)) P_CLEAR=$((P + 8))
P_POSTFIX_CERT=$((P + 9)) P_EXIM_CERT=$((P + 10))

cat >"$W/gateway.conf" <<-CONF
	hostname = mail.contoso.com
	resolvers = 127.0.0.1
	control = $W/control
	loops = 2
	queue { path = $W/queue }
	recipients { path = $W/recipients }
	log { file = $W/log }
	limits { message_max = 4M; connections_per_ip = 1000 }
	tls { certificate = $CERTS/server.pem; key = $CERTS/server.key; ca = $CERTS/ca.pem; crl = off }
	domain "contoso.com" { routing_domain = contoso.mail.cloud.example }

	receive "internet" { listen = "127.0.0.1:$P_NET"; tarpit = 0 }
	receive "hub" { listen = "127.0.0.1:$P_HUB"; permissions = servers }
	receive "balanced" { listen = "127.0.0.1:$P_PROXY"; proxy_from = "127.0.0.0/8"; tarpit = 0 }
	receive "balanced-hub" { listen = "127.0.0.1:$P_PROXY"; proxy_from = "127.0.0.0/8"; from = "10.0.0.0/8"; permissions = servers }

	inbound "cloud" { type = peer; sender_certificate = mail.contoso.mail.cloud.example; cloud_mail = yes; trusted_orgs = contoso.com }

	send "mailboxes" { space = "@local"; smarthosts = "[127.0.0.1]:$P_POSTFIX"; tls = domain; tls_domain = mail.contoso.com }
	send "to-cloud" {
		space = { "contoso.mail.cloud.example", "@peer" }
		smarthosts = "[127.0.0.1]:$P_EXIM"
		peer = yes
		tls = domain
		tls_domain = mail.contoso.mail.cloud.example
	}
	send "wrong" { space = "wrong.example"; smarthosts = "[127.0.0.1]:$P_WRONG"; tls = domain; tls_domain = mail.contoso.mail.cloud.example }
	send "expired" { space = "expired.example"; smarthosts = "[127.0.0.1]:$P_EXPIRED"; tls = validate }
	send "clear" { space = "clear.example"; smarthosts = "[127.0.0.1]:$P_CLEAR"; tls = encrypt; delay_report = 1s; retry_glitch = 2s }
	domain "certified.example" { type = external-relay }
	domain "bare.example" { type = external-relay }
	send "certified" { space = { "certified.example", "bare.example" }; smarthosts = "[127.0.0.1]:$P_EXIM"; tls = encrypt; certificate = $CERTS/server.pem }
	send "strict" { space = "strict.example"; smarthosts = "[127.0.0.1]:$P_EXIM_CERT"; tls = encrypt; certificate = $CERTS/server.pem }
	send "strict-bare" { space = "strict-bare.example"; smarthosts = "[127.0.0.1]:$P_EXIM_CERT"; tls = encrypt }
	send "required" { space = "required.example"; smarthosts = "[127.0.0.1]:$P_POSTFIX_CERT"; tls = domain; tls_domain = mail.contoso.com; certificate = $CERTS/server.pem }
	send "refused" { space = "refused.example"; smarthosts = "[127.0.0.1]:$P_POSTFIX_CERT"; tls = domain; tls_domain = mail.contoso.com }
	send "internet" { space = "*;10"; smarthosts = "[127.0.0.1]:$P_SINK" }
CONF
cat >"$W/people.csv" <<-CSV
	address,loc,routing
	anna@contoso.com,local,
	bernd@contoso.com,local,
	everyone@contoso.com,local,
	ghost@contoso.com,local,
	ghost2@contoso.com,local,
	ghost3@contoso.com,local,
	кто@contoso.com,local,
	jürgen@contoso.com,local,
	clara@contoso.com,remote,clara@contoso.mail.cloud.example
	dora@contoso.com,remote,dora@contoso.mail.cloud.example
	nobody@contoso.com,remote,nobody@contoso.mail.cloud.example
CSV

gateway_up gateway || exit 1
"$B/tombolo" recipients import "$W/people.csv" >"$W/import" 2>&1 || { cat "$W/import" >&2; exit 1; }
postfix_up $P_POSTFIX $P_HUB $P_POSTFIX_CERT $P_NET || { cat "$W/postfix/start" >&2; exit 1; }
exim_up $P_EXIM $P_WRONG $P_EXPIRED $P_CLEAR $P_NET $P_EXIM_CERT || { cat "$W/exim/start" "$W"/exim/log/* >&2; exit 1; }
mkdir "$W/sink" && chown nobody "$W/sink"
smtp-sink -N -u nobody -D "$W/sink/mail" 127.0.0.1:$P_SINK 500 >"$W/sink.out" 2>&1 &
keep $!
wait_port $P_SINK || exit 1

for group in "$@"; do
	cases_$group
done
check "content filters: the same behind us as behind Postfix" sh "$HERE/milters.sh" "$B"
# bash, and an independent reader of what a monitoring system is given
check "Prometheus reads our figures" env PARSER=1 bash "$HERE/../metrics.sh" "$B"
check "ARC chains of dkimpy and ours, sound and damaged" /usr/bin/python3 "$HERE/arc.py" "$B"
check "our Authentication-Results, whatever peers call themselves" /usr/bin/python3 "$HERE/results.py" "$B"
check "nothing is left but what must wait" wait_until 10 only_held_mail_waits
check "the gateway stops when asked to" gateway_stops
check "no sanitizer complains" gateway_is_clean
echo "$PASSED passed, $FAILED failed"
[ "$FAILED" = 0 ]
