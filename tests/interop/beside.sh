#!/bin/sh
# tests/interop/beside.sh BUILD [protocol|postfix|tables|sendmail]...: a real Postfix and a real Sendmail that ask tombolod and
# tombolo-milter where mail goes; two servers behind them keep what they get.
#
#   post.py ----> Postfix or Sendmail ----> sink.py "here" (mailboxes of this side)
#                     |   \---------------> sink.py "cloud" (TLS, the right name)
#          tombolo-milter, socketmap ---> tombolod
#
# The configurations are those of docs/beside, with addresses and paths of this run put in.  Needs root for the servers'
# own accounts.  The last line is `N passed, N failed`.  Takes about a minute.
set -u
B=${1:?usage: beside.sh BUILD [GROUP...]}
shift
[ $# -gt 0 ] || set -- protocol postfix tables sendmail
HERE=$(cd "$(dirname "$0")" && pwd)
DOCS=$HERE/../../docs/beside
sh "$HERE/../deps.sh" interop || exit 1
[ "$(id -u)" = 0 ] || { echo "beside: needs root to start Postfix and Sendmail" >&2; exit 1; }
. "$HERE/lib.sh"
. "$HERE/beside_peers.sh"
trap 'postfix_stop; stop_all; [ -n "${KEEP:-}" ] || rm -rf "$W"' EXIT
trap 'exit 130' INT TERM
certs

P=$(first_block 6 22450) # not where run.sh looks: both may run at once
P_MTA=$P P_HERE=$((P + 1)) P_CLOUD=$((P + 2)) P_MAPS=$((P + 3)) P_MILTER=$((P + 4))

# from_docs FILE: it, with the addresses and paths of this run
from_docs() {
	sed -e "s|127.0.0.1:9626|127.0.0.1:$P_MAPS|g; s|inet:9627@127.0.0.1|inet:$P_MILTER@127.0.0.1|; s|127.0.0.1:9627|127.0.0.1:$P_MILTER|; s|9627@127.0.0.1|$P_MILTER@127.0.0.1|" \
		-e "s|/run/tombolo/beside|$W/beside|; s|/var/lib/tombolo|$W|" \
		-e "s|\[10.0.0.20\]:25|[127.0.0.1]:$P_HERE|; s|\[10.0.0.30\]:25|[127.0.0.1]:$P_CLOUD|" \
		-e "s|10.0.0.20 25|127.0.0.1 $P_HERE|; s|10.0.0.30 25|127.0.0.1 $P_CLOUD|; s|10.0.0.20|127.0.0.1|; s|10.0.0.30|127.0.0.1|" \
		-e "s|/etc/ssl/certs/ca-certificates.crt|$CERTS/ca.pem|; s|/etc/ssl/private/mail.key|$W/mta.key|; s|/etc/ssl/certs/mail.pem|$W/mta.pem|" \
		-e "/^user = /d" "$DOCS/$1"
}

milter_up() {
	"$B/tombolo-milter" -c "$W/tombolo.conf" >>"$W/milter.out" 2>&1 &
	MILTER=$!
	keep $MILTER
	wait_port $P_MILTER
}
sink_up() { # NAME PORT [CERT]
	mkdir -p "$W/$1"
	python3 "$HERE/sink.py" "$2" "$W/$1" ${3:+"$CERTS/$3.pem" "$CERTS/$3.key"} >>"$W/$1.out" 2>&1 &
	SINK=$!
	keep $SINK
	wait_port "$2"
}

cp "$CERTS/server.pem" "$W/mta.pem"
cp "$CERTS/server.key" "$W/mta.key"
{
	from_docs tombolo.conf
	printf 'control = %s/control\nresolvers = 127.0.0.1\nlog { file = %s/log }\n' "$W" "$W"
} >"$W/tombolo.conf"
cat >"$W/people.csv" <<-CSV
	address,loc,routing,redirect
	anna@contoso.com,local,,
	bernd@contoso.com,local,,
	clara@contoso.com,remote,clara@contoso.mail.cloud.example,
	dora@contoso.com,remote,dora@contoso.mail.cloud.example,
	closed@contoso.com,redirect,,x@fabrikam.example
CSV
gateway_up tombolo || exit 1
"$B/tombolo" recipients import "$W/people.csv" >"$W/import" 2>&1 || { cat "$W/import" >&2; exit 1; }
milter_up || { cat "$W/milter.out" >&2; exit 1; }
sink_up here $P_HERE && sink_up cloud $P_CLOUD cloud || exit 1

# ---- what is sent and looked for ----

# message SUBJECT: with headers a stranger may not write, in many shapes, and values whose blanks count
message() {
	printf 'X-MS-Exchange-Organization-SCL: -1\nReceived: from nowhere by nobody; Sat, 28 Nov 2026 10:00:00 +0000\n'
	printf 'Subject: %s\nFrom: x@far.example\nTo: a list\nX-Three-Blanks:   x\nX-No-Blank:y\n' "$1"
	printf 'X-MS-Exchange-Organization-AuthAs: Internal\nx-ms-exchange-organization-authas:\n Internal\n'
	printf 'X-Keep: 1\nX-MS-Exchange-Organization-AuthAs : Internal\nX-Folded: a\n\tb\n  c\n'
	printf 'X-Tombolo-Decision: RELAY; rule=R99\nX-MS-Exchange-CrossPremises-AuthAs: Internal\nX-Keep: 2\n'
	printf 'X-Forefront-Antispam-Report: SCL:-1\nMessage-ID: <%s@far.example>\nDate: Sat, 28 Nov 2026 10:00:00 +0000\n\nbody\n.\n' "$1"
}
post() { # SUBJECT FROM RCPT...: the answers, in $W/said
	subject=$1
	shift
	message "$subject" | timeout 60 python3 "$HERE/post.py" $P_MTA "$@" >"$W/said" 2>&1
}
# kept SINK SUBJECT [RCPT]: the file of that message; fails when there is none
kept() { grep -lE "^Subject: $2.?\$" "$W/$1"/[0-9]* 2>/dev/null | while read -r f; do [ -z "${3:-}" ] || grep -qiF "RCPT TO:<$3>" "$f" && echo "$f"; done | grep .; }
comes() { wait_until 20 kept "$@"; }
nobody_else() { [ "$(kept "$1" "$2" | xargs cat | grep -c '^RCPT')" = "$3" ]; }
text_of() { kept "$1" "$2" | head -n 1 | xargs cat | tr -d '\r'; }
has() { text_of "$1" "$2" | grep -qiE "$3" || { text_of "$1" "$2"; false; }; }
has_not() { kept "$1" "$2" >/dev/null && ! text_of "$1" "$2" | grep -iE "$3"; }
said() { grep -qE "$1" "$W/said" || { cat "$W/said"; false; }; }

# four recipients of one domain, two ways
four_ways() {
	post "$1" x@far.example anna@contoso.com "bernd@contoso.com NOTIFY=NEVER" clara@contoso.com \
		"dora@contoso.com NOTIFY=FAILURE,DELAY ORCPT=rfc822;Dora@contoso.com" nobody@contoso.com
	check "$1: the message is taken" said '^END 250'
	check "$1: anna gets it here" comes here "$1" anna@contoso.com
	check "$1: bernd too" comes here "$1" bernd@contoso.com
	check "$1: clara at the cloud, under her routing address" comes cloud "$1" clara@contoso.mail.cloud.example
	check "$1: dora too" comes cloud "$1" dora@contoso.mail.cloud.example
	check "$1: here nobody else" nobody_else here "$1" 2
	check "$1: there nobody else" nobody_else cloud "$1" 2
	check "$1: the cloud got it over TLS" has cloud "$1" '^TLS$'
}
firewall_holds() {
	for at in here cloud; do
		check "$1: no header of the organisation is left ($at)" has_not $at "$1" '^X-MS-Exchange-(Organization|CrossPremises)'
		check "$1: the forged decision is gone ($at)" has_not $at "$1" 'rule=R99'
		check "$1: what was decided is told ($at)" has $at "$1" '^X-Tombolo-Decision: DELIVER; rule=R30; reason=LOCAL; connector=mailboxes; recipients=2;'
		check "$1: both decisions are ($at)" has $at "$1" '^X-Tombolo-Decision: RELAY; rule=R40; reason=REMOTE; connector=to-cloud; recipients=2;'
		check "$1: the others stay, in order ($at)" test "$(text_of $at "$1" | grep '^X-Keep' | tr '\n' ' ')" = "X-Keep: 1 X-Keep: 2 "
		check "$1: ML-8: blanks stay ($at)" has $at "$1" '^X-Three-Blanks:   x$'
		check "$1: and no blank stays none ($at)" has $at "$1" '^X-No-Blank:y$'
		check "$1: doubtful ones are renamed ($at)" has $at "$1" '^X-Forefront-Antispam-Report-Untrusted: SCL:-1$'
	done
}
dsn_kept() {
	check "$1: what dora's sender asked for goes on" has cloud "$1" '^RCPT TO:<dora@contoso.mail.cloud.example> .*NOTIFY=FAILURE,DELAY'
	check "$1: and whom he wrote to" has cloud "$1" 'ORCPT=rfc822;[Dd]ora@contoso.com'
	check "$1: clara's first address is told" has cloud "$1" '^RCPT TO:<clara@contoso.mail.cloud.example> .*ORCPT=rfc822;clara@contoso.com'
}
unknown_refused() {
	check "$1: unknown recipients are refused at RCPT, in our words" said '^RCPT <nobody@contoso.com> 550 5\.1\.1 .*RCPT-UNKNOWN R10'
}
peer_recognised() {
	message "$1" | timeout 60 python3 "$HERE/post.py" $P_MTA x@far.example anna@contoso.com --cert "$CERTS/cloud.pem" "$CERTS/cloud.key" "$CERTS/ca.pem" >"$W/said" 2>&1
	check "$1: it is taken" said '^END 250'
	check "$1: the certificate's name tells the other side" grep -qE 'beside.decided .*origin=PEER .*inbound=cloud' "$W/log"
}
# a server with a certificate of another name, and then the right one again
wrong_name_waits() {
	stop "$SINK"
	sink_up cloud $P_CLOUD wrongname
	post "$1" x@far.example clara@contoso.com
	check "$1: it is taken" said '^END 250'
	sleep 4
	check "$1: and given to nobody else" not_kept cloud "$1"
	stop "$SINK"
	sink_up cloud $P_CLOUD cloud
	check "$1: until the right one is there" wait_until 40 kept cloud "$1"
}
not_kept() { ! kept "$@"; }
restarted() {
	stop "$GATEWAY"
	post "$1-down" x@far.example anna@contoso.com
	check "$1: without tombolod the client is told to come back" said '^(MAIL|RCPT <anna@contoso.com>) 4[0-9][0-9]'
	gateway_up tombolo
	post "$1-up" x@far.example clara@contoso.com
	check "$1: with it all is well again" said '^END 250'
	check "$1: and delivered" comes cloud "$1-up" clara@contoso.mail.cloud.example
}

for group in "$@"; do
	: >"$W/log"
	case_$group
done
check "tombolo-milter stops when asked to" stop "$MILTER"
check "tombolod does" gateway_stops
check "no sanitizer complains" gateway_is_clean
echo "$PASSED passed, $FAILED failed"
[ "$FAILED" = 0 ]
