# tests/interop/cases.sh: what run.sh checks, in groups (sourced).  A case is a line: its name, what must be seen, what is done.

# talk PORT SWAKS-OPTION...: one dialogue, kept in $W/talk
talk() {
	port=$1
	shift
	swaks --server 127.0.0.1 --port "$port" --helo mta.outside.example --from ines@outside.example --timeout 15 \
		--suppress-data "$@" >"$W/talk" 2>&1
}
# expect NAME REGEX PORT SWAKS-OPTION...: the dialogue shows a line like this
expect() {
	what=$1 wanted=$2
	shift 2
	talk "$@"
	if grep -aqE -- "$wanted" "$W/talk"; then
		pass
	else
		fail "$what: no line like '$wanted' in"
		tail -n 12 "$W/talk" | sed 's/^/    /'
	fi
}
# tell NAME HOST USER SUBJECT PORT SWAKS-OPTION...: it arrives there
tell() {
	name=$1 host=$2 user=$3 subject=$4
	shift 4
	talk "$@" --h-Subject "$subject"
	if arrives "$host" "$user" "$subject"  >"$W/check"; then
		pass
	else
		fail "$name: '$subject' did not reach $user at $host"
		tail -n 6 "$W/talk" "$W/log" | sed 's/^/    /'
	fi
}
not() { ! "$@"; }

cases_greeting() {
	for word in PIPELINING SIZE 8BITMIME SMTPUTF8 CHUNKING DSN ENHANCEDSTATUSCODES STARTTLS; do
		expect "EHLO offers $word" "^<-  250[- ]$word" $P_NET --quit-after EHLO
	done
	expect "HELO is understood" "^<-  250 mail.contoso.com" $P_NET --protocol SMTP --quit-after HELO
	expect "the banner names the gateway" "^<-  220 mail.contoso.com" $P_NET --quit-after BANNER
}

cases_secured() {
	expect "STARTTLS with a verified chain and name" "^=== TLS started with cipher" $P_NET --tls --tls-verify --tls-ca-path "$CERTS/ca.pem" \
		--quit-after TLS
	expect "a client that trusts another authority hangs up" "certificate verify failed" $P_NET --tls --tls-verify \
		--tls-ca-path "$CERTS/other-ca.pem" --quit-after TLS
	expect "TLS 1.2" "^=== TLS started with cipher TLSv1.2" $P_NET --tls --tls-protocol tlsv1_2 --quit-after TLS
	expect "TLS 1.3" "^=== TLS started with cipher TLSv1.3" $P_NET --tls --tls-protocol tlsv1_3 --quit-after TLS
	expect "TLS 1.1 is refused" "TLS startup failed|STARTTLS attempted but failed" $P_NET --tls --tls-protocol tlsv1_1 \
		--tls-cipher ALL:@SECLEVEL=0 --quit-after TLS
	expect "after STARTTLS it is not offered again" "^<~  250[- ]PIPELINING" $P_NET --tls --quit-after EHLO
	not grep -q '^<~  250[- ]STARTTLS' "$W/talk" && pass || fail "STARTTLS is offered inside TLS"
	tell "a message over TLS" postfix anna tls-1 $P_NET --tls --to anna@contoso.com
	check "its trace names the protocol" grep -aqE 'with ESMTPS' "$(mail_at postfix anna tls-1)"
}

cases_content() {
	printf 'From: <ines@outside.example>\nTo: <anna@contoso.com>\nSubject: dots\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n.\n..\n.a line\n..two\n\nGrüße aus Köln, naïve café, \343\201\202\n.\nFrom here\nend\n' >"$W/dots"
	for way in "" --pipeline "--tls --pipeline"; do
		sed "s/^Subject: dots/Subject: dots${way:+ }$way/" "$W/dots" >"$W/dots-now"
		talk $P_NET --to anna@contoso.com,clara@contoso.com --data "@$W/dots-now" $way
		check "dots and 8-bit text reach Postfix as they were ($way)" same_body postfix anna "dots${way:+ }$way"
		check "dots and 8-bit text reach Exim as they were ($way)" same_body exim clara "dots${way:+ }$way"
	done
	awk 'BEGIN { print "Subject: big\n"; for (i = 0; i < 40000; i++) print i, "................................................................" }' >"$W/dots-now"
	talk $P_NET --to anna@contoso.com,clara@contoso.com --data "@$W/dots-now"
	check "3 MB reach Postfix" same_body postfix anna big
	check "3 MB reach Exim" same_body exim clara big
	awk 'BEGIN { print "Subject: huge\n"; for (i = 0; i < 80000; i++) print i, "................................................................" }' >"$W/huge"
	expect "more than limits.message_max is refused" "^<\*\* 552[ -]5.3.4" $P_NET --to anna@contoso.com --data "@$W/huge"
}
same_body() {
	arrives "$@" >/dev/null && body "$W/dots-now" >"$W/sent" && body "$(mail_at "$@")" >"$W/got" && [ "$(cat "$W/sent")" = "$(cat "$W/got")" ]
}

cases_addresses() {
	expect "an unknown mailbox is refused" "^<\*\* 550[ -]5.1.1" $P_NET --to stranger@contoso.com
	expect "the Internet may not relay" "^<\*\* 550[ -]5.7" $P_NET --to somebody@far.example
	expect "no recipient, no message" "^<\*\* 50|^<\*\* 55" $P_NET --to stranger@contoso.com --pipeline
	expect "a sender that is no address" "^<\*\* 5" $P_NET --from 'a@b@c' --to anna@contoso.com
	expect "8-bit addresses need SMTPUTF8" "^<\*\* 5" $P_NET --to jürgen@contoso.com
	tell "the null sender" postfix anna null-1 $P_NET --from '<>' --to anna@contoso.com
	tell "the case of an address does not matter" postfix anna case-1 $P_NET --to ANNA@Contoso.COM
	tell "both sides, some recipients refused: on-prem" postfix anna mixed-1 $P_NET --pipeline \
		--to anna@contoso.com,stranger@contoso.com,clara@contoso.com,bernd@contoso.com
	check "the same, the second on-prem" arrives postfix bernd mixed-1
	check "the same, in the cloud" arrives exim clara mixed-1
	check "the cloud was asked for the routing address" grep -aq '^Envelope-to: clara@contoso.mail.cloud.example' "$(mail_at exim clara mixed-1)"
	tell "the hub may send anywhere" exim gustav relay-1 $P_HUB --to gustav@contoso.mail.cloud.example
}

cases_balanced() {
	expect "PROXY v1: a stranger behind the balancer may not relay" "^<\*\* 550[ -]5.7" $P_PROXY --proxy-version 1 --proxy-family TCP4 \
		--proxy-source 192.0.2.9 --proxy-source-port 4321 --proxy-dest 192.0.2.1 --proxy-dest-port 25 --to somebody@far.example
	expect "PROXY v1: one of our servers may" "^<-  250[ -]2.1.5" $P_PROXY --proxy-version 1 --proxy-family TCP4 \
		--proxy-source 10.1.2.3 --proxy-source-port 4321 --proxy-dest 192.0.2.1 --proxy-dest-port 25 --to somebody@far.example
	expect "PROXY v2: one of our servers may" "^<-  250[ -]2.1.5" $P_PROXY --proxy-version 2 --proxy-family AF_INET --proxy-protocol STREAM \
		--proxy-command PROXY --proxy-source 10.1.2.3 --proxy-source-port 4321 --proxy-dest 192.0.2.1 --proxy-dest-port 25 --to somebody@far.example
	talk $P_PROXY --to anna@contoso.com
	not grep -qE '^(<-|<~)  250' "$W/talk" && pass || fail "a client without the PROXY header is served"
}

cases_both_ways() {
	tell "on-prem to cloud: Postfix sends through the gateway" exim clara up-1 $P_POSTFIX --from anna@contoso.com --to clara@contoso.com
	check "Postfix verified the gateway's name" grep -aq 'Verified TLS connection established to 127.0.0.1' "$W/postfix/log"
	tell "cloud to on-prem: Exim sends through the gateway" postfix anna down-1 $P_EXIM --from clara@contoso.com --to anna@contoso.com
	check "Exim is known by its certificate" grep -aqE 'message.queued.* from=clara@contoso.com .*inbound=cloud' "$W/log"
	check "Exim sent by BDAT over TLS, chain verified" grep -aqE '=> anna@contoso.com .* X=TLS.* CV=yes .* K ' "$W/exim/log/mainlog"
	check "the gateway sent to Exim by BDAT over TLS" grep -aqE '<= anna@contoso.com .* X=TLS.* K ' "$W/exim/log/mainlog"
	tell "without the certificate nobody is the cloud" postfix bernd down-2 $P_NET --tls --from clara@outside.example --to bernd@contoso.com
	check "nobody indeed" grep -aqE 'message.queued.* from=clara@outside.example .*inbound=("")? ' "$W/log"
	tell "the cloud's certificate from another client" postfix bernd down-3 $P_NET --tls --tls-cert "$CERTS/cloud.pem" \
		--tls-key "$CERTS/cloud.key" --from dora@contoso.com --to bernd@contoso.com
	check "it is the cloud" grep -aqE 'message.queued.* from=dora@contoso.com .*inbound=cloud' "$W/log"
	printf 'From: <jürgen@contoso.com>\nTo: <дом@contoso.mail.cloud.example>\nSubject: utf8-1\n\nпривет\n' |
		sendmail -C "$POSTFIX" -f jürgen@contoso.com дом@contoso.mail.cloud.example >"$W/sendmail" 2>&1
	check "SMTPUTF8: from Postfix through the gateway to Exim" arrives exim дом utf8-1
}

# Mailboxes move while the servers stay as they are.
cases_moved_people() {
	"$B/tombolo" recipients set bernd@contoso.com loc=remote routing=bernd@contoso.mail.cloud.example >/dev/null
	tell "after a move mail goes to the other side" exim bernd moved-1 $P_NET --to bernd@contoso.com
	"$B/tombolo" recipients set bernd@contoso.com loc=local >/dev/null
	tell "and back again" postfix bernd moved-2 $P_NET --to bernd@contoso.com
}

cases_refusals() {
	talk $P_EXIM --from clara@contoso.mail.cloud.example --to ghost@contoso.com --h-Subject lost-1
	check "Postfix knows no such mailbox: the cloud sender gets a report" wait_until 15 report_at exim clara ghost@contoso.com
	talk $P_POSTFIX --from anna@contoso.com --to nobody@contoso.mail.cloud.example,dora@contoso.mail.cloud.example --h-Subject lost-2
	check "Exim knows no such mailbox: the on-prem sender gets a report" wait_until 15 report_at postfix anna nobody@contoso
	check "the other recipient got the message" arrives exim dora lost-2
}
report_at() { # HOST USER RECIPIENT
	find "$W/$1/mail/$2" -type f -path '*/new/*' -exec grep -alE 'multipart/report' {} + 2>/dev/null | xargs -r grep -laE "^Final-Recipient: *rfc822; *$3" | xargs -r grep -qaE '^Status: 5\.'
}

cases_volume() {
	check "smtp-source sends 1000" smtp-source -s 20 -m 1000 -l 8000 -N -f source@contoso.com -t sink@far.example 127.0.0.1:$P_HUB
	check "smtp-sink gets 1000 different ones" wait_until 30 sink_has 1000
	check "smtp-source sends 150 through Postfix and the gateway to Exim" smtp-source -s 10 -m 150 -l 20000 \
		-f anna@contoso.com -t many@contoso.mail.cloud.example 127.0.0.1:$P_POSTFIX
	check "Exim gets 150" wait_until 60 has_count exim many 150
	check "smtp-source sends 300 to Postfix" smtp-source -s 20 -m 300 -l 20000 -f source@outside.example -t everyone@contoso.com 127.0.0.1:$P_NET
	check "Postfix gets 300" wait_until 30 has_count postfix everyone 300
}
sink_has() { [ "$(grep -aoE '^X-Rcpt-Args: <[0-9]+sink@far.example>' "$W/sink/mail" | sort -u | wc -l)" = "$1" ] && [ "$(grep -ac '^X-Rcpt-Args: <[0-9]*sink@' "$W/sink/mail")" = "$1" ]; }
has_count() { [ "$(mail_count "$1" "$2")" = "$3" ]; }

cases_held() {
	talk $P_HUB --to wanda@wrong.example --h-Subject held-1
	talk $P_HUB --to erik@expired.example --h-Subject held-2
	talk $P_HUB --to carl@clear.example --h-Subject held-3
	check "a certificate with the wrong name: the mail waits" wait_until 10 waits_for wrong.example 'name mismatch: wanted mail.contoso.mail.cloud.example, presented mail.wrong.example'
	check "an expired certificate: the mail waits" wait_until 10 waits_for expired.example 'certificate has expired'
	check "no STARTTLS: the mail waits" wait_until 10 waits_for clear.example 'does not offer STARTTLS'
	check "none of it went out" not mail_at exim '*' 'held-.'
	sed -i '/^send "wrong"/s/tls_domain = [a-z.]*/tls_domain = mail.wrong.example/' "$W/gateway.conf"
	check "the configuration is put right" "$B/tombolo" config reload
	"$B/tombolo" queue retry --to wrong.example >/dev/null
	check "then it arrives" arrives exim wanda held-1
}
waits_for() { "$B/tombolo" --json queue list --to "$1" --deferred >"$W/waits" 2>&1 && grep -qiE "$2" "$W/waits"; }

cases_outage() {
	postfix_stop
	talk $P_NET --to anna@contoso.com,clara@contoso.com --h-Subject outage-1
	check "one side is down: the other gets its copy" arrives exim clara outage-1
	check "the down side's copy waits" wait_until 10 waits_for contoso.com 'refused'
	postfix_start
	wait_port $P_POSTFIX
	check "when it is back it gets it" wait_until 15 retried
}
# a host that was just found down rests for a second or two, and a retry in that time is none
retried() {
	mail_at postfix anna outage-1 || { "$B/tombolo" queue retry --to contoso.com && false; }
}

only_held_mail_waits() {
	"$B/tombolo" --json queue list | grep -vE '@(expired|clear)\.example' >"$W/left"
	[ ! -s "$W/left" ]
}
