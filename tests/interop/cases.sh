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

# Every kind of report, taken apart by another program; Postfix sends what is reported, and reports itself.
cases_reports() {
	notify $P_HUB anna@contoso.com ghost@contoso.com FAILURE HDRS
	check "failed, refused by Postfix" reported anna failed 5.1.1 ghost@contoso.com 'smtp; 550 5.1.1' 'User unknown' env+1 'Subject: notify' '!the body'
	notify $P_HUB anna@contoso.com ghost2@contoso.com FAILURE FULL
	check "failed, the whole message comes back" reported anna failed 5. ghost2@contoso.com 'the body'
	notify $P_POSTFIX anna@contoso.com grace@far.example SUCCESS,FAILURE HDRS
	check "relayed: smtp-sink does not report" reported anna relayed 2. grace@far.example env+1
	notify $P_HUB anna@contoso.com late@clear.example DELAY HDRS
	check "delayed" reported anna delayed 4. late@clear.example 'does not offer STARTTLS' 'Delivery will be tried until'
	notify $P_HUB anna@contoso.com bernd@contoso.com SUCCESS HDRS
	check "delivered: Postfix says so itself, and its report passes through" wait_until 15 postfix_says_delivered
	notify $P_HUB jürgen@contoso.com кто@contoso.com FAILURE HDRS
	check "failed, an address that is not ASCII" reported jürgen failed 5. кто@contoso.com
	notify $P_HUB anna@contoso.com ghost3@contoso.com NEVER HDRS
	sleep 1
	check "NEVER is never" not report_file anna ghost3@
}
# notify PORT FROM TO NOTIFY RET: a message that asks for reports
notify() {
	python3 - "$@" <<-'PY' >"$W/talk" 2>&1
		import smtplib, sys
		port, sender, to, notify, ret = sys.argv[1:]
		s = smtplib.SMTP("127.0.0.1", int(port), "client.contoso.com")
		s.set_debuglevel(1)
		s.command_encoding = "utf-8"
		s.ehlo()
		utf8 = [] if (sender + to).isascii() else ["SMTPUTF8"]
		s.mail(sender, ["RET=" + ret, "ENVID=env+2B1"] + utf8)
		s.rcpt(to, ["NOTIFY=" + notify] + ([] if utf8 else ["ORCPT=rfc822;" + to]))
		print(s.data(f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: notify\r\n\r\nthe body\r\n".encode()))
		s.quit()
	PY
}
report_file() { # USER RECIPIENT
	find "$W/postfix/mail/$1" -type f -path '*/new/*' -exec grep -alE "^Final-Recipient: *(rfc822|utf-8); *$2" {} + 2>/dev/null | head -n 1 | grep .
}
reported() { # USER ACTION STATUS RECIPIENT WORD...
	wait_until 15 report_file "$1" "$4" >/dev/null || { echo "no report"; tail -n 5 "$W/talk"; return 1; }
	file=$(report_file "$1" "$4")
	shift
	python3 "$HERE/report_check.py" "$file" "$@" || { cat "$file"; return 1; }
}
postfix_says_delivered() { # it answers the sender, through the gateway or at home
	file=$(report_file anna bernd@contoso.com) && grep -aq '^Action: delivered' "$file"
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

# Client certificates, shown and not shown, by each of the three to the other two.
cases_certificates() {
	for who in certified bare; do
		printf 'Subject: cert-%s\n\nhi\n' $who | sendmail -C "$POSTFIX" -f anna@contoso.com gustav@$who.example >"$W/sendmail" 2>&1
		check "Postfix sends to the gateway, $who, and that to Exim" arrives exim gustav cert-$who
	done
	check "Postfix is known by its certificate" log_has 'message.queued.* from=anna@contoso.com .*inbound=cloud how="?cert:mail.contoso.mail.cloud.example'
	check "Postfix without one is not" log_has 'message.queued.* from=anna@contoso.com .*inbound=""'
	check "Exim verified the gateway's certificate" exim_saw '<= anna@contoso.com .*CV=yes DN="[^"]*CN=mail.contoso.com" .* for gustav@certified.example'
	tell "Exim, without its certificate, sends to the gateway" postfix anna cert-exim-bare $P_EXIM --from bare@contoso.com --to anna@contoso.com
	check "it is nobody" log_has 'message.queued.* from=bare@contoso.com .*inbound="" '
	check "its connection was a good one all the same" exim_saw '=> anna@contoso.com .*T=bare .*X=TLS.* CV=yes'
	tell "Exim demands a certificate and gets the gateway's" exim gustav cert-strict $P_HUB --to gustav@strict.example
	tell "Postfix demands a certificate and gets the gateway's" postfix anna cert-required $P_HUB --to anna@required.example
	check "Postfix trusts it" grep -aq 'Trusted TLS connection established from ' "$W/postfix/log"
	talk $P_HUB --to anna@refused.example --h-Subject cert-refused
	check "Postfix demands a certificate, the gateway has none to show: the mail waits" wait_until 10 waits_for refused.example '4\.7\.1 .*No client certificate presented'
	talk $P_HUB --to gustav@strict-bare.example --h-Subject cert-strict-bare
	check "Exim demands a certificate, the gateway has none to show: the mail waits" wait_until 10 waits_for strict-bare.example '4\.7\.5 .*TLS-REQUIRED'
	check "none of it went out" not mail_at '*' '*' 'cert-(refused|strict-bare)'
}
log_has() { grep -aqE -- "$1" "$W/log"; }
exim_saw() { grep -aqE -- "$1" "$W/exim/log/mainlog"; }

# OpenSSL's own client against our port.
cases_openssl() {
	s_client QUIT -tls1_1 -cipher ALL:@SECLEVEL=0
	check "TLS 1.1: an alert" grep -q 'alert protocol version' "$W/s_client"
	s_client QUIT -tls1_2
	check "the chain and the name are good" grep -q 'Verify return code: 0 (ok)' "$W/s_client"
	check "no list of authorities is sent" grep -q 'No client certificate CA names sent' "$W/s_client"
	check "no compression" grep -q 'Compression: NONE' "$W/s_client"
	s_client R -tls1_2
	check "a second handshake is asked for" grep -q RENEGOTIATING "$W/s_client"
	check "and refused" grep -q ':no renegotiation:' "$W/s_client"
	s_client QUIT -tls1_2 -reconnect
	check "five reconnections are resumed" [ "$(grep -c '^Reused, TLSv1.2' "$W/s_client")" = 5 ]
	for version in 1_2 1_3; do
		s_client QUIT -tls$version -sess_out "$W/session"
		s_client QUIT -tls$version -sess_in "$W/session"
		check "TLS $version: a session is resumed" grep -q '^Reused' "$W/s_client"
		S_PORT=$P_HUB s_client QUIT -tls$version -sess_in "$W/session"
		check "TLS $version: at another listener it is not" grep -q '^New, TLS' "$W/s_client"
		s_client QUIT -tls$version -cert "$CERTS/cloud.pem" -key "$CERTS/cloud.key" -sess_out "$W/session"
		s_client QUIT -tls$version -cert "$CERTS/cloud.pem" -key "$CERTS/cloud.key" -sess_in "$W/session"
		check "TLS $version: a session with a client certificate is not" grep -q '^New, TLS' "$W/s_client"
		s_client QUIT -tls$version -sess_in "$W/session"
		check "TLS $version: nor is it without the certificate" grep -q '^New, TLS' "$W/s_client"
	done
	s_client QUIT -tls1_3 -early_data "$W/gateway.conf" -sess_in "$W/session"
	check "early data is not taken" not grep -q 'Early data was accepted' "$W/s_client"
}
# s_client WORD OPTION...: a conversation in which WORD is typed after a moment, kept in $W/s_client
s_client() {
	word=$1
	shift
	{ sleep 0.3; echo "$word"; sleep 0.3; [ "$word" = QUIT ] || echo QUIT; } |
		timeout 20 openssl s_client -starttls smtp -connect 127.0.0.1:${S_PORT:-$P_NET} -CAfile "$CERTS/ca.pem" \
			-verify_hostname mail.contoso.com "$@" >"$W/s_client" 2>&1
}

# A scanner's view of our port: nothing above LOW.  About a minute.
cases_testssl() {
	timeout 240 testssl -t smtp --quiet --color 0 --warnings off --add-ca "$CERTS/ca.pem" --ip one --jsonfile "$W/testssl.json" \
		localhost:$P_NET >"$W/testssl" 2>&1
	check "testssl comes to its end" grep -q '"id" *: *"scanTime"' "$W/testssl.json"
	check "testssl sees TLS 1.2 and 1.3 and no older one" [ "$(findings 'SSLv2|SSLv3|TLS1|TLS1_1' 'OK|INFO' | wc -l)" = 4 ]
	check "testssl finds nothing above LOW" not findings '.*' 'MEDIUM|HIGH|CRITICAL|FATAL'
	check "testssl tried what there is a name for" [ "$(findings 'heartbleed|CCS|ticketbleed|ROBOT|secure_client_renego|CRIME_TLS|SWEET32|FREAK|DROWN|LOGJAM|BEAST|RC4|fallback_SCSV' 'OK|INFO' | wc -l)" -ge 10 ]
	[ -z "${KEEP:-}" ] || findings '.*' 'LOW|WARN'
}
# findings ID SEVERITY: one line each, "SEVERITY id finding"; fails when there is none
findings() {
	tr -d '\n' <"$W/testssl.json" | sed 's/}/}\n/g' |
		sed -nE 's/.*"id" *: *"([^"]*)".*"severity" *: *"([^"]*)".*"finding" *: *"([^"]*)".*/\2 \1 \3/p' | grep -E "^($2) ($1) "
}

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
	"$B/tombolo" --json queue list | grep -vE '@(expired|clear|refused|strict-bare)\.example' >"$W/left"
	[ ! -s "$W/left" ]
}
