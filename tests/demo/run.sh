#!/bin/sh
# tests/demo/run.sh BUILD_DIR: what `make run` shows: one domain, two homes for its mailboxes, and a gateway between.
#
# Starts the gateway on loopback with an on-prem host, a cloud host, a host of the Internet and one with a wrong
# certificate behind it (small real SMTP servers, tests/tools/host), sends a dozen real messages and prints what became
# of each and why.  Then it stays up, so that you can send your own; Ctrl-C ends it.  Without a terminal, or with
# DEMO_ONCE=1, it ends after the table.  Nothing outside its own folder and loopback is touched.
set -eu
B=$1
HERE=$(cd "$(dirname "$0")" && pwd)
D=$(mktemp -d "${TMPDIR:-/tmp}/tombolo-demo.XXXXXX")
PIDS=

finish() {
	trap - EXIT INT TERM
	for p in $PIDS; do kill "$p" 2>/dev/null || true; done
	for p in $PIDS; do wait "$p" 2>/dev/null || true; done
	rm -rf "$D"
	echo "The demo is over; all its processes have ended and $D is gone."
}
trap finish EXIT
trap 'exit 0' INT TERM

die() {
	echo "demo: $*" >&2
	tail -n 5 "$D"/*.out "$D/tombolo.log" >&2 2>/dev/null
	exit 1
}

# ---- ports: 2525 and its neighbours, or the first block that is free ----

. "$HERE/../ports.sh"
free_ports 6 2525
INET=$PORT HUB=$((PORT + 1)) ONPREM=$((PORT + 2)) CLOUD=$((PORT + 3)) WORLD=$((PORT + 4)) WRONG=$((PORT + 5))

# ---- certificates, recipients, configuration ----

echo "Making a demo CA and certificates of both sides ..."
sh "$HERE/../certs.sh" "$D/certs" contoso.com contoso.mail.cloud.example || die "no certificates"
C=$D/certs

cat >"$D/recipients.csv" <<'X1'
address,loc,routing
erika@contoso.com,local,
hans@contoso.com,local,
max@contoso.com,remote,max@contoso.mail.cloud.example
mia@contoso.com,remote,mia@contoso.mail.cloud.example
anna@tailspin.example,remote,anna@tailspin.mail.cloud.example
X1

cat >"$D/hosts" <<X2
127.0.0.1 mail.contoso.mail.cloud.example ex1.corp.contoso.com mx.fabrikam.example mail.tailspin.mail.cloud.example
MX 10 fabrikam.example mx.fabrikam.example
X2

cat >"$D/tombolo.conf" <<X3
# The gateway of contoso.com, on-prem: MX for Internet mail, smart host of the on-prem servers, peer of the cloud.
hostname = "mail.contoso.com"
control = "$D/control"
hosts = "$D/hosts"                      # static names for this closed demo; DNS otherwise
log { file = "$D/tombolo.log" }
queue { path = "$D/queue" }
recipients { path = "$D/recipients" }
tls { certificate = "$C/server.pem"; key = "$C/server.key"; ca = "$C/ca.pem" }

domain "contoso.com" { type = authoritative; routing_domain = contoso.mail.cloud.example; default = yes }
domain "tailspin.example" { type = authoritative; routing_domain = tailspin.mail.cloud.example }

receive "inet" { listen = {"127.0.0.1:$INET"}; permissions = {anonymous} }
receive "hub" { listen = {"127.0.0.1:$HUB"}; permissions = {servers} }

inbound "cloud" {
	type = peer
	sender_certificate = {"mail.contoso.mail.cloud.example"}
	cloud_mail = yes
	trusted_orgs = {"contoso.com"}
}

send "mailboxes" { space = {"@local"}; smarthosts = {"ex1.corp.contoso.com:$ONPREM"}; tls = encrypt }
send "to-cloud" {
	space = {"contoso.mail.cloud.example"}
	smarthosts = {"mail.contoso.mail.cloud.example:$CLOUD"}
	tls = domain; tls_domain = mail.contoso.mail.cloud.example; peer = yes
	certificate = "$C/server.pem"; key = "$C/server.key"
}
send "to-tailspin" {
	space = {"tailspin.mail.cloud.example"}
	smarthosts = {"mail.tailspin.mail.cloud.example:$WRONG"}
	tls = domain; tls_domain = mail.tailspin.mail.cloud.example; peer = yes
}
send "internet" { space = {"*;10"}; dns = yes; port = $WORLD; tls = may }
X3

# ---- servers ----

host() { # NAME PORT CERTIFICATE
	"$B/tests/tools/host" -p "$2" -n "$1" -d "$D/$2" -c "$C/$3.pem" -k "$C/$3.key" -a "$C/ca.pem" >"$D/$2.out" 2>&1 &
	PIDS="$PIDS $!"
}
host ex1.corp.contoso.com $ONPREM server
host mail.contoso.mail.cloud.example $CLOUD cloud
host mx.fabrikam.example $WORLD chained
host mail.tailspin.mail.cloud.example $WRONG wrongname

"$B/tombolod" -c "$D/tombolo.conf" >"$D/tombolod.out" 2>&1 &
PIDS="$PIDS $!"
tombolo() { "$B/tombolo" --socket "$D/control" "$@"; }
tries=0
until tombolo status >/dev/null 2>&1; do
	tries=$((tries + 1))
	[ $tries -lt 100 ] || die "the gateway did not start"
	sleep 0.1
done
tombolo recipients import "$D/recipients.csv" >/dev/null || die "the recipients were not imported"
echo "The gateway is up: 127.0.0.1:$INET is the MX, 127.0.0.1:$HUB is for the on-prem servers."

# ---- the messages ----

: >"$D/rows"
n=0
row() { printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$@" >>"$D/rows"; }
value() { sed -n "s/.* $1=\"\([^\"]*\)\".*/\1/p; t; s/.* $1=\([^ ]*\).*/\1/p"; } # of one log line

# The last line of the log that matches, once there is one (lines are written a moment after the event).
logged() {
	line=
	tries=0
	while [ -z "$line" ] && [ $tries -lt 50 ]; do
		line=$(grep -aE "$1" "$D/tombolo.log" | tail -n 1 || true)
		[ -n "$line" ] || sleep 0.1
		tries=$((tries + 1))
	done
	echo "$line"
}

# letter WHAT PORT FROM TO [option of send]...
letter() {
	what=$1 port=$2 from=$3 to=$4
	shift 4
	n=$((n + 1))
	"$B/tests/tools/send" -p "$port" -f "$from" -t "$to" -s "Demo $n: $what" "$@" >"$D/said" 2>&1 || true
	printf '  %2d  %s\n' $n "$what" >>"$D/legend"
	id=$(sed -n 's/^message\t250 .*queued as \([0-9A-Z]*\).*/\1/p' "$D/said")
	trace=
	[ -z "$id" ] || trace=$(logged " message.queued .*queue=$id " | value trace)
	for rcpt in $(echo "$to" | tr , ' '); do
		answer=$(sed -n "s/^$rcpt\t//p; s/^sender\t//p; s/^connection\t//p" "$D/said" | head -n 1)
		case $answer in
		250*) ;;
		*)
			rule=$(logged " rcpt.refused .*from=\"?$from\"? to=\"?$rcpt\"? ")
			row $n "$from" "$rcpt" "refused: $(echo "$answer" | cut -c1-9)" "-" "$(echo "$rule" | value rule) $(echo "$rule" | value reason)"
			continue
			;;
		esac
		line=$(logged " delivery\.[a-z]+ id=$trace to=$rcpt ")
		case $line in
		*delivery.sent*) row $n "$from" "$rcpt" "$(echo "$line" | value host)" "$(echo "$line" | value tls | sed 's/^$/clear/')" \
			"$(echo "$line" | value rule) $(echo "$line" | value reason)" ;;
		*delivery.deferred*) row $n "$from" "$rcpt" "waits in the queue" "refused by us" \
			"$(echo "$line" | value rule) $(echo "$line" | value reply | sed 's/^[^:]*: //' | cut -c1-72)" ;;
		*) row $n "$from" "$rcpt" "${line:-nothing happened}" "?" "?" ;;
		esac
	done
}

echo "Sending ..."
cloud="-e mail.contoso.mail.cloud.example -c $C/cloud.pem -k $C/cloud.key"
letter "Internet to a mailbox on-prem" $INET guest@fabrikam.example erika@contoso.com -T
letter "Internet to a mailbox in the cloud, same domain" $INET guest@fabrikam.example max@contoso.com -T
letter "Internet to both sides in one message" $INET guest@fabrikam.example hans@contoso.com,mia@contoso.com
letter "Internet to nobody" $INET guest@fabrikam.example nobody@contoso.com
letter "a stranger tries to relay" $INET spammer@fabrikam.example victim@fabrikam.example
letter "a stranger uses our name and a certificate of another CA" $INET erika@contoso.com victim@fabrikam.example \
	-c "$C/stranger.pem" -k "$C/stranger.key"
letter "on-prem to the cloud" $HUB erika@contoso.com max@contoso.com -T
letter "on-prem to the Internet" $HUB erika@contoso.com guest@fabrikam.example
letter "cloud to on-prem, known by its certificate" $INET max@contoso.com erika@contoso.com $cloud
letter "cloud to the Internet through us, centralized flow off" $INET max@contoso.com guest@fabrikam.example $cloud -o contoso.com
tombolo mode set cmt=on >/dev/null
letter "the same after \`tombolo mode set cmt=on\`" $INET max@contoso.com guest@fabrikam.example $cloud -o contoso.com
tombolo mode set cmt=off >/dev/null
letter "to a cloud host with the wrong certificate name" $HUB erika@contoso.com anna@tailspin.example
tombolo recipients set erika@contoso.com loc=remote routing=erika@contoso.mail.cloud.example >/dev/null
letter "erika has moved to the cloud: message 1 again" $INET guest@fabrikam.example erika@contoso.com -T

# ---- the table ----

echo
cat "$D/legend"
echo
awk -F'\t' '
	BEGIN { split("#|from|to|went to|TLS and certificate of the host|rule and why", head, "|"); for (i = 1; i <= 6; i++) w[i] = length(head[i]) }
	{ rows = NR; for (i = 1; i <= 6; i++) { cell[NR, i] = $i; if (length($i) > w[i]) w[i] = length($i) } }
	function line(r, i, out) { for (i = 1; i <= 6; i++) out = out sprintf("%-" (i < 6 ? w[i] + 2 : 0) "s", r ? cell[r, i] : head[i]); print out }
	END { line(0); for (i = 1; i <= 6; i++) { s = sprintf("%" w[i] "s", ""); gsub(/ /, "-", s); printf "%s  ", s }; print ""; for (r = 1; r <= rows; r++) line(r) }' "$D/rows"
bad=$(awk -F'\t' '$4 == "nothing happened"' "$D/rows" | wc -l)
echo
[ "$bad" = 0 ] || die "$bad of the recipients above got neither mail nor a reason"
echo "Why?  $B/tombolo --socket $D/control route explain max@contoso.com --from guest@fabrikam.example"
echo
tombolo route explain max@contoso.com --from guest@fabrikam.example | sed 's/^/    /'

if [ ! -t 0 ] || [ "${DEMO_ONCE:-0}" = 1 ]; then
	echo
	echo "demo: ok, $n messages sent"
	exit 0
fi
cat <<X4

It stays up.  Send your own, from another terminal:

    swaks --server 127.0.0.1:$INET --from you@fabrikam.example --to mia@contoso.com -tls
    $B/tests/tools/send -p $INET -f you@fabrikam.example -t mia@contoso.com -T

    messages that arrived   $D/$ONPREM (on-prem)  $D/$CLOUD (cloud)  $D/$WORLD (Internet)
    the configuration       $D/tombolo.conf
    the log                 tail -f $D/tombolo.log
    the queue               $B/tombolo --socket $D/control queue list

Ctrl-C ends everything.
X4
while :; do sleep 1; done
