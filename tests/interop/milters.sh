#!/bin/sh
# tests/interop/milters.sh BUILD: real content filters behind the gateway and behind Postfix, the same messages through
# both, what arrives compared byte for byte.  Part of `make interop`, or run alone.
#
#   swaks --> gateway (milter) --> smtp-sink        swaks --> Postfix (smtpd_milters) --> smtp-sink
#
# Needs root for Postfix.  Instances, ports and files are private.  The last line is `N passed, N failed`.
set -u
B=${1:?usage: milters.sh BUILD}
HERE=$(cd "$(dirname "$0")" && pwd)
sh "$HERE/../deps.sh" interop || exit 1
[ "$(id -u)" = 0 ] || { echo "milters: needs root to start Postfix" >&2; exit 1; }
. "$HERE/lib.sh"
trap 'postfix_stop; stop_all; [ -n "${KEEP:-}" ] || rm -rf "$W"' EXIT
trap 'exit 130' INT TERM
certs

P=$(first_block 19)
P_NET=$P P_SIGN=$((P + 1)) P_VERIFY=$((P + 2)) P_BOTH=$((P + 3)) P_SINK=$((P + 4)) P_SINK_PF=$((P + 5))
P_PF_SIGN=$((P + 6)) P_PF_VERIFY=$((P + 7)) P_PF_BOTH=$((P + 8)) P_SIGNER=$((P + 9)) P_RSPAMD=$((P + 10)) P_SPAM=$((P + 11)) P_PF_SPAM=$((P + 12))
P_OPENDMARC=$((P + 13)) P_DMARC=$((P + 14)) P_PF_DMARC=$((P + 15)) P_CLAMAV=$((P + 16)) P_VIRUS=$((P + 17)) P_PF_VIRUS=$((P + 18))

# ---- filters ----

# opendkim_up NAME PORT|PATH MODE: keys of s1._domainkey.contoso.com come from a file, nothing is asked of the DNS
opendkim_up() {
	d=$W/$1
	mkdir -p "$d"
	cat >"$d/conf" <<-CONF
		Mode $3
		Socket $2
		Domain contoso.com
		Selector s1
		KeyFile $W/s1.key
		TestPublicKeys $W/keys
		Canonicalization simple/simple
		AuthservID filter.example
		AlwaysAddARHeader yes
		InternalHosts 0.0.0.0/0
		SubDomains yes
		RequireSafeKeys no
		OversignHeaders From
		UMask 000
		Syslog no
	CONF
	[ "$3" = s ] || sed -i 's/^InternalHosts.*/InternalHosts 192.0.2.1/' "$d/conf" # what comes from those is not verified
	opendkim -f -x "$d/conf" -P "$d/pid" >"$d/out" 2>&1 &
	keep $!
}

# by itself: no rules but its own test text, no DNS, no statistics
rspamd_up() {
	d=$W/rspamd
	mkdir -m 777 "$d"
	cat >"$d/conf" <<-CONF
		options {
			pidfile = "$d/pid"; tempdir = "$d"; hs_cache_dir = "$d"; rrd = ""; filters = [];
			stats_file = "$d/stats"; history_file = "$d/history"; cache_file = "$d/cache"; control_socket = "$d/control";
			dns { nameserver = "127.0.0.1:1"; timeout = 0.1s; retransmits = 1; }
		}
		logging { type = "console"; level = "notice"; }
		metric { name = "default"; actions { reject = 15; } }
		worker "rspamd_proxy" {
			bind_socket = "127.0.0.1:$P_RSPAMD"; milter = yes; count = 1;
			upstream "local" { default = yes; self_scan = yes; }
		}
	CONF
	rspamd -f -i -c "$d/conf" -u nobody -g nogroup >"$d/out" 2>&1 &
	keep $!
}

# opendmarc judges SPF itself and believes the verifier about DKIM; it asks the resolver of resolv.conf, so it sees one
# of its own, which leads to a dnsmasq that knows three records
opendmarc_up() {
	d=$W/opendmarc
	mkdir "$d"
	echo 192.0.2.1 >"$d/nobody" # without such a list it would look at nothing from loopback
	cat >"$d/conf" <<-CONF
		Socket inet:$P_OPENDMARC@127.0.0.1
		AuthservID filter.example
		TrustedAuthservIDs filter.example
		IgnoreHosts $d/nobody
		SPFIgnoreResults true
		SPFSelfValidate true
		RejectFailures true
		Syslog false
	CONF
	cat >"$d/dnsmasq" <<-CONF
		txt-record=contoso.com,"v=spf1 ip4:127.0.0.1 -all"
		txt-record=_dmarc.contoso.com,"v=DMARC1; p=reject"
		txt-record=_dmarc.fabrikam.com,"v=DMARC1; p=reject"
	CONF
	timeout 600 dnsmasq -k --conf-file="$d/dnsmasq" --no-resolv --no-hosts --local=/com/ --user=root \
		--listen-address=127.0.53.2 --bind-interfaces --pid-file="$d/dnsmasq.pid" >"$d/dnsmasq.out" 2>&1 &
	keep $!
	printf 'nameserver 127.0.53.2\noptions timeout:1 attempts:1\n' >"$d/resolv.conf"
	unshare -m sh -c "mount --make-rprivate / && mount --bind '$d/resolv.conf' /etc/resolv.conf &&
		exec opendmarc -f -c '$d/conf' -P '$d/pid'" >"$d/out" 2>&1 &
	keep $!
}

# clamav with a database of one signature
clamav_up() {
	d=$W/clamav
	mkdir -p "$d/db" "$d/tmp"
	printf 'Tombolo.Test:0:*:%s\n' "$(printf 'TOMBOLO-TEST-VIRUS' | od -An -tx1 -v | tr -d ' \n')" >"$d/db/local.ndb"
	cat >"$d/clamd" <<-CONF
		DatabaseDirectory $d/db
		TemporaryDirectory $d/tmp
		LocalSocket $d/clamd.sock
		Foreground yes
		SelfCheck 0
	CONF
	cat >"$d/milter" <<-CONF
		MilterSocket inet:$P_CLAMAV@127.0.0.1
		ClamdSocket unix:$d/clamd.sock
		TemporaryDirectory $d/tmp
		Foreground yes
		OnInfected Reject
		RejectMsg this message contains %v
		AddHeader Replace
		ReportHostname filter.example
	CONF
	timeout 600 clamd -c "$d/clamd" >"$d/clamd.out" 2>&1 &
	keep $!
	wait_until 30 test -S "$d/clamd.sock" || { tail -n 5 "$d/clamd.out" >&2; return 1; }
	timeout 600 clamav-milter -c "$d/milter" >"$d/milter.out" 2>&1 &
	keep $!
}

openssl genrsa -out "$W/s1.key" 2048 2>/dev/null
printf 's1._domainkey.contoso.com v=DKIM1; k=rsa; p=%s\n' \
	"$(openssl rsa -in "$W/s1.key" -pubout -outform DER 2>/dev/null | openssl base64 -A)" >"$W/keys"
rspamd_up
opendkim_up signer "inet:$P_SIGNER@127.0.0.1" s
opendkim_up verifier "local:$W/verifier.sock" v
wait_port $P_SIGNER || exit 1
wait_until 10 test -S "$W/verifier.sock" || exit 1
opendmarc_up
clamav_up || exit 1
wait_port $P_OPENDMARC && wait_port $P_CLAMAV || { tail -n 5 "$W"/opendmarc/*out "$W"/clamav/*.out >&2; exit 1; }

# ---- two gateways, two sinks ----

cat >"$W/gateway.conf" <<-CONF
	hostname = mail.contoso.com
	resolvers = 127.0.0.1
	control = $W/control
	loops = 2
	queue { path = $W/queue }
	recipients { path = $W/recipients }
	log { file = $W/log }
	domain "contoso.com" { }
	milter "signer" { address = "inet:$P_SIGNER@127.0.0.1" }
	milter "rspamd" { address = "inet:127.0.0.1:$P_RSPAMD" }
	milter "verifier" { address = "unix:$W/verifier.sock" }
	milter "opendmarc" { address = "inet:$P_OPENDMARC@127.0.0.1" }
	milter "clamav" { address = "inet:127.0.0.1:$P_CLAMAV" }
	receive "sign" { listen = "127.0.0.1:$P_SIGN"; permissions = servers; milters = signer }
	receive "verify" { listen = "127.0.0.1:$P_VERIFY"; permissions = servers; milters = verifier }
	receive "both" { listen = "127.0.0.1:$P_BOTH"; permissions = servers; milters = { signer, verifier } }
	receive "spam" { listen = "127.0.0.1:$P_SPAM"; permissions = servers; milters = rspamd }
	receive "dmarc" { listen = "127.0.0.1:$P_DMARC"; permissions = servers; milters = { verifier, opendmarc } }
	receive "virus" { listen = "127.0.0.1:$P_VIRUS"; permissions = servers; milters = clamav }
	send "out" { space = "*;10"; smarthosts = "[127.0.0.1]:$P_SINK"; tls = none }
	send "home" { space = "@local"; smarthosts = "[127.0.0.1]:$P_SINK"; tls = none }
CONF
gateway_up gateway || exit 1
echo 'address,loc,routing
anna@contoso.com,local,' >"$W/people.csv"
"$B/tombolo" recipients import "$W/people.csv" >"$W/import" 2>&1 || { cat "$W/import" >&2; exit 1; }

postfix_stop() { [ -z "${POSTFIX:-}" ] || postfix -c "$POSTFIX" stop >/dev/null 2>&1; }
postfix_up() {
	d=$W/postfix
	mkdir -p "$d/etc" "$d/spool" "$d/data"
	chown postfix "$d/data"
	chmod 755 "$d" "$d/etc" "$d/spool"
	printf 'lookup file\nnameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$d/resolv.conf"
	cat >"$d/etc/main.cf" <<-CONF
		compatibility_level = 3.6
		queue_directory = $d/spool
		data_directory = $d/data
		command_directory = /usr/sbin
		daemon_directory = /usr/lib/postfix/sbin
		meta_directory = /etc/postfix
		shlib_directory = /usr/lib/postfix
		mail_owner = postfix
		setgid_group = postdrop
		myhostname = mail.contoso.com
		inet_interfaces = 127.0.0.1
		inet_protocols = ipv4
		mydestination =
		alias_maps =
		alias_database =
		mynetworks = 127.0.0.0/8
		relayhost = [127.0.0.1]:$P_SINK_PF
		smtpd_relay_restrictions = permit_mynetworks, reject
		disable_dns_lookups = yes
		smtpd_peername_lookup = no
		smtp_tls_security_level = none
		always_add_missing_headers = no
		local_header_rewrite_clients =
		maillog_file = $d/log
		maillog_file_prefixes = /var, /dev/shm, /tmp, $W
	CONF
	sed -e "s/^smtp      inet .*/127.0.0.1:$P_PF_SIGN inet n - n - - smtpd -o smtpd_milters=inet:127.0.0.1:$P_SIGNER/" -e '/pipe$/,$d' \
		-e 's/^\([a-z]* *unix[^ ]* *[^ ]* *[^ ]* *\)y/\1n/' /etc/postfix/master.cf.proto | grep -v '^#' >"$d/etc/master.cf"
	cat >>"$d/etc/master.cf" <<-CONF
		127.0.0.1:$P_PF_VERIFY inet n - n - - smtpd -o smtpd_milters=unix:$W/verifier.sock
		127.0.0.1:$P_PF_SPAM inet n - n - - smtpd -o smtpd_milters=inet:127.0.0.1:$P_RSPAMD
		127.0.0.1:$P_PF_BOTH inet n - n - - smtpd -o { smtpd_milters = inet:127.0.0.1:$P_SIGNER, unix:$W/verifier.sock }
		127.0.0.1:$P_PF_DMARC inet n - n - - smtpd -o { smtpd_milters = unix:$W/verifier.sock, inet:127.0.0.1:$P_OPENDMARC }
		127.0.0.1:$P_PF_VIRUS inet n - n - - smtpd -o smtpd_milters=inet:127.0.0.1:$P_CLAMAV
	CONF
	cp -r /etc/postfix/dynamicmaps.cf* /etc/postfix/postfix-files "$d/etc/" 2>/dev/null
	POSTFIX=$d/etc
	unshare -m sh -c "mount --make-rprivate / && mount --bind '$d/resolv.conf' /etc/resolv.conf &&
		exec postfix -c '$POSTFIX' start" >"$d/start" 2>&1
	wait_port $P_PF_SIGN
}
postfix_up || { cat "$W/postfix/start" >&2; exit 1; }
for s in ours:$P_SINK theirs:$P_SINK_PF; do
	mkdir "$W/${s%:*}" && chown nobody "$W/${s%:*}"
	smtp-sink -N -u nobody -d "$W/${s%:*}/mail-%M%S." "127.0.0.1:${s#*:}" 100 >"$W/${s%:*}.out" 2>&1 &
	keep $!
	wait_port "${s#*:}" || exit 1
done

# ---- one message through both ----

# came_in DIR SUBJECT: the file with that message
came_in() { grep -lx "Subject: $2" "$W/$1"/mail* 2>/dev/null | head -n 1 | grep .; }

# without what has to differ: the sink's own lines, trace fields, and of a signature the second it was made in and its
# value, which covers that second
plain() {
	tr -d '\r' <"$1" | awk '
		body { print; next }
		/^$/ { body = 1; print; next }
		/^[ \t]/ { if (!skip && !cut) print_line($0); next }
		{
			skip = /^Received:|^X-(Client|Helo|Mail|Rcpt)-|^X-Tombolo-|^X-MS-Exchange-|^X-Originator/
			signature = /^DKIM-Signature:/
			cut = 0
			if (!skip) print_line($0)
		}
		function print_line(line) {
			if (signature) {
				sub(/t=[0-9]+;/, "t=T;", line)
				cut = sub(/[ \t]b=.*/, " b=B", line)
			}
			sub(/ header[.]b=[^; ]*/, " header.b=B", line)
			print line
		}'
}

send() { # PORT FILE
	swaks --server "127.0.0.1:$1" --from anna@contoso.com --to anna@contoso.com --ehlo client.example --data "@$2" \
		>"$W/swaks" 2>&1
}

# through NAME PORT_OURS PORT_PF FILE: sends it to both, then compares what came out
through() {
	subject=$(sed -n 's/^Subject: //p' "$4" | head -n 1)
	send "$2" "$4" || { cat "$W/swaks"; return 1; }
	send "$3" "$4" || { cat "$W/swaks"; return 1; }
	wait_until 10 came_in ours "$subject" >/dev/null && wait_until 10 came_in theirs "$subject" >/dev/null || return 1
	plain "$(came_in ours "$subject")" >"$W/ours.plain"
	plain "$(came_in theirs "$subject")" >"$W/theirs.plain"
	diff "$W/theirs.plain" "$W/ours.plain"
}

message() { # SUBJECT: a message with all kinds of blanks and folds
	printf 'From: Anna <anna@contoso.com>\nTo:  anna@contoso.com\nSubject: %s\nDate: Sat, 28 Nov 2026 10:00:00 +0000\n' "$1"
	printf 'Message-ID: <%s@contoso.com>\nX-Fold: one\n\ttwo\n   three\nX-Tight:value\nX-Wide:    value   \nX-Empty:\n\n' "$1"
	printf 'First line\n.dot\n..dots\n\ntrailing blanks   \n\tend\n\n\n'
}

message signed >"$W/signed.eml"
check "opendkim signs behind us as behind Postfix" through sign $P_SIGN $P_PF_SIGN "$W/signed.eml"
check "and there is a signature" grep -q '^DKIM-Signature:.*d=contoso.com' "$W/ours.plain"

# what we delivered, verified: blanks and line ends are as they were when it was signed (ML-8)
tr -d '\r' <"$(came_in ours signed)" | sed '1,/^Received:/{/^X-[CHMR]/d}' >"$W/ours.signed"
verified() { # SIDE PORT
	rm -f "$W/$1"/mail*
	send "$2" "$W/ours.signed" || { cat "$W/swaks"; return 1; }
	wait_until 10 came_in "$1" signed >/dev/null || return 1
	grep -A3 '^Authentication-Results: filter.example' "$(came_in "$1" signed)" | tr -d '\r' | sed '/^Received/,$d' >"$W/$1.ar"
	grep -q 'dkim=pass' "$W/$1.ar" || { head -n 40 "$(came_in "$1" signed)"; return 1; }
}
check "what we signed is verified behind us" verified ours $P_VERIFY
check "what we signed is verified behind Postfix" verified theirs $P_PF_VERIFY
check "the verdict reads the same" diff "$W/theirs.ar" "$W/ours.ar"
check "the verdict stands above all that came in" sh -c "grep -a '^[A-Za-z-]*:' '$W/ours/'mail* | grep -v '^X-' | sed -n 2p | grep '^Authentication-Results'"

message both >"$W/both.eml"
check "two in a row" through both $P_BOTH $P_PF_BOTH "$W/both.eml"

sed 's/^Subject: signed/Subject: broken/' "$W/ours.signed" >"$W/broken.eml"
check "a broken signature reads the same" through verify $P_VERIFY $P_PF_VERIFY "$W/broken.eml"
check "and it is broken" grep -qi 'dkim=fail\|dkim=.*error' "$W/ours.plain"

# opendmarc rests on what the filter before it wrote, and on what it was told of client and sender
rm -f "$W/ours"/mail* "$W/theirs"/mail*
check "opendmarc's verdict reads the same" through dmarc $P_DMARC $P_PF_DMARC "$W/ours.signed"
check "and it is a pass, by both ways" sh -c "grep -q 'dmarc=pass' '$W/ours.plain' && grep -q 'spf=pass' '$W/ours.plain' && grep -q 'dkim=pass' '$W/ours.plain'"

# what the client hears of a refusal
refused() { # PORT FILE
	send "$1" "$2"
	sed -n 's/^<\*\* //p' "$W/swaks" | tail -n 1
}
refused_alike() { # PORT_OURS PORT_PF FILE
	refused "$1" "$3" >"$W/ours.refused"
	refused "$2" "$3" >"$W/theirs.refused"
	cat "$W/ours.refused"
	grep -q '^55' "$W/ours.refused" && diff "$W/theirs.refused" "$W/ours.refused"
}
message forged | sed 's/^From: .*/From: Eve <eve@fabrikam.com>/' >"$W/forged.eml"
check "opendmarc refuses in the same words" refused_alike $P_DMARC $P_PF_DMARC "$W/forged.eml"

message clean >"$W/clean.eml"
check "clamav's mark reads the same" through virus $P_VIRUS $P_PF_VIRUS "$W/clean.eml"
check "and there is one" grep -q '^X-Virus-Status: Clean' "$W/ours.plain"
{ message infected; echo 'TOMBOLO-TEST-VIRUS'; } >"$W/infected.eml"
check "clamav refuses in the same words" refused_alike $P_VIRUS $P_PF_VIRUS "$W/infected.eml"
check "and names what it found" grep -q 'this message contains Tombolo.Test' "$W/ours.refused"

spam_alike() {
	wait_until 90 rspamd_listens || { cat "$W/rspamd/out"; return 1; } # it takes its time to load
	refused_alike $P_SPAM $P_PF_SPAM "$W/spam.eml"
}
rspamd_listens() { ss -Hltn "sport = :$P_RSPAMD" | grep -q .; }
{ message spam | sed '/^First/,$d'; echo 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X'; } >"$W/spam.eml"
check "rspamd refuses in the same words" spam_alike
message ham >"$W/ham.eml"
check "rspamd lets the rest through as it was" through ham $P_SPAM $P_PF_SPAM "$W/ham.eml"

check "the gateway stops when asked to" gateway_stops
check "no sanitizer complains" gateway_is_clean
echo "$PASSED passed, $FAILED failed"
[ "$FAILED" = 0 ]
