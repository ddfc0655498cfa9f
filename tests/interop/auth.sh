#!/bin/sh
# tests/interop/auth.sh BUILD: SPF and DKIM beside other implementations of Debian: pyspf, Mail::SPF, dkimpy, Mail::DKIM.
#
# SPF: some 300 records and 1600 questions (spf_zone.py); each answer that differs has to be one of those below.
# DKIM: what they sign we verify, changed or not, and what we sign they verify.  The last line is `N passed, N failed`.
set -u
B=${1:?usage: auth.sh BUILD}
HERE=$(cd "$(dirname "$0")" && pwd)
sh "$HERE/../deps.sh" interop || exit 1
W=$(mktemp -d "${TMPDIR:-/tmp}/tombolo-auth.XXXXXX")
trap '[ -n "${KEEP:-}" ] && echo "kept: $W" || rm -rf "$W"' EXIT
PY=/usr/bin/python3 # Debian's, which has the modules
passed=0 failed=0
ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)) && echo "FAIL $*"; }

# ---- SPF ----

# PEER RECORD(regular expression): why we differ.  docs/AUTH.md tells the same.
cat >"$W/known" <<'KNOWN'
pyspf mx:mx(8|9|10).test -all$	a host without an address is no term without one: a term counts once (RFC 7208 4.6.4)
perl mx:mx(8|9|10).test -all$	the same
perl mx:mx1[12].test -all$	looks at the first ten hosts of more; "MUST produce a permerror"
perl ip6:::/0 -all$	takes IPv4 clients for IPv6 ones
perl ip6:::ffff:192.0.2.1 -all$	the same
pyspf exists:%{ir.test -all$	lets a macro pass that does not end
pyspf exists:%% -all$	a domain-spec may end in a macro
pyspf exists:%{d0}.test -all$	nothing is to be left of a name (7.1)
perl a:/24 -all$	the domain is missing
(pyspf|perl) a:[.]h1.test -all$	names with empty labels: 4.8 leaves it open
(pyspf|perl) a:h1[.][.]test -all$	the same
KNOWN
$PY "$HERE/spf_zone.py" "$W/zone" "$W/questions"
timeout 60 "$B/tests/tools/spf_ask" "$W/zone" <"$W/questions" | cut -f1 >"$W/ours"
timeout 60 $PY "$HERE/spf_peer.py" "$W/zone" <"$W/questions" >"$W/pyspf" 2>"$W/pyspf.err"
timeout 120 perl "$HERE/spf_peer.pl" "$W/zone" <"$W/questions" >"$W/perl" 2>"$W/perl.err"
for peer in pyspf perl; do
	[ "$(wc -l <"$W/$peer")" = "$(wc -l <"$W/questions")" ] || bad "$peer did not answer everything: $(tail -n 1 "$W/$peer.err")"
	paste -d'|' "$W/questions" "$W/ours" "$W/$peer" | awk -F'|' -v peer=$peer -v zone="$W/zone" -v known="$W/known" '
		BEGIN {
			while ((getline line < zone) > 0)
				if (line ~ /^TXT [^ ]* v=spf1/) { split(line, w, " "); sub(/^TXT [^ ]* v=spf1 ?/, "", line); record[w[2]] = line }
			while ((getline line < known) > 0) { split(line, k, "\t"); pattern[++n] = k[1] }
		}
		$2 != $3 {
			split($1, q, " "); name = q[3]; sub(/.*@/, "", name); text = record[name]; found = 0
			for (i = 1; i <= n; i++) {
				p = pattern[i]; who = p; sub(/ .*/, "", who); sub(/^[^ ]* /, "", p)
				gsub(/[{}+?]/, "[&]", p)
				if (peer ~ "^" who "$" && text ~ "^" p) found = 1
			}
			if (found) differ++; else { print "UNKNOWN " peer " " $1 ": we " $2 ", it " $3 ": " text; unknown++ }
			next
		}
		{ same++ }
		END { print peer ": " same " of " NR " the same, " differ + 0 " known differences, " unknown + 0 " unknown" }' >"$W/$peer.diff"
	tail -n 1 "$W/$peer.diff"
	if grep -q '^UNKNOWN' "$W/$peer.diff"; then bad "$peer: $(head -n 5 "$W/$peer.diff")"; else ok; fi
done
[ "$(grep -c '^TXT [^ ]* v=spf1' "$W/zone")" -ge 200 ] && ok || bad "fewer than 200 records"

# ---- DKIM ----

D=$W/dkim
mkdir "$D"
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$D/rsa.pem" 2>/dev/null
openssl genpkey -algorithm ED25519 -out "$D/ed.pem"
chmod 600 "$D"/*.pem
{
	echo "TXT rsa._domainkey.a.example v=DKIM1; k=rsa; p=$(openssl pkey -in "$D/rsa.pem" -pubout -outform DER | openssl base64 -A)"
	echo "TXT ed._domainkey.a.example v=DKIM1; k=ed25519; p=$(openssl pkey -in "$D/ed.pem" -pubout -outform DER | tail -c +13 | openssl base64 -A)"
} >"$D/zone"
cat >"$D/conf" <<-CONF
	hostname = mx.a.example
	auth { workers = 1 }
	receive "r" { listen = "127.0.0.1:25" }
	sign "a.example" { selector = rsa; key = $D/rsa.pem }
	sign "ed" { domain = a.example; selector = ed; key = $D/ed.pem }
CONF
tr ';' '\n' <"$D/conf" >"$D/conf.lines"
head='From: Ann <ann@a.example>\r\nTo: bob@b.example\r\nSubject: a  folded\r\n\tsubject\r\nDate: Sat, 28 Nov 2026 10:00:00 +0000\r\n'
printf "$head\\r\\nHello  Bob, \\r\\n\\r\\n.dots\\r\\n\\r\\n\\r\\n" >"$D/plain-1.eml"
printf "$head\\r\\n" >"$D/plain-2.eml"
printf "${head}MIME-Version: 1.0\\r\\nReceived: from x\\r\\n by y\\r\\nX-A:\\r\\n\\r\\n\\r\\n\\r\\n" >"$D/plain-3.eml"
printf "${head}cc:  x@y.example ,\\r\\n  z@y.example\\r\\n\\r\\ncaf\\303\\251 \\t tab\\t\\r\\n long \\r\\n" >"$D/plain-4.eml"
{ printf "${head}\\r\\n"; seq 1 400000 | sed 's/$/\r/'; } >"$D/plain-5.eml"

: >"$D/names.txt"
timeout 120 $PY "$HERE/dkim_peer.py" "$D" sign 2>"$D/err" || bad "dkimpy: $(tail -n 1 "$D/err")"
timeout 120 perl "$HERE/dkim_peer.pl" "$D" sign 2>"$D/err" || bad "Mail::DKIM: $(tail -n 1 "$D/err")"
while read -r file expected; do
	got=$("$B/tests/tools/dkim_ask" verify "$D/zone" <"$file" | head -n 1)
	case $got in
	"$expected a.example "*) ok ;;
	*) bad "$(basename "$file"): $expected, got: $got" ;;
	esac
done <"$D/names.txt"
echo "DKIM: $(wc -l <"$D/names.txt") messages of others"
for i in 1 2 3 4 5; do
	"$B/tests/tools/dkim_ask" sign "$D/conf.lines" a.example <"$D/plain-$i.eml" >"$D/ours-$i.eml" 2>"$D/err" || bad "signing $i: $(tail -n 1 "$D/err")"
	[ "$("$B/tests/tools/dkim_ask" verify "$D/zone" <"$D/ours-$i.eml" | grep -c '^pass ')" = 2 ] && ok || bad "we do not verify our own $i"
done
timeout 120 $PY "$HERE/dkim_peer.py" "$D" verify >"$D/theirs.py" 2>"$D/err.py"
timeout 120 perl "$HERE/dkim_peer.pl" "$D" verify >"$D/theirs.pl" 2>"$D/err.pl"
for i in 1 2 3 4 5; do
	grep -q "/ours-$i.eml 2$" "$D/theirs.py" && ok || bad "dkimpy, ours $i: $(grep "/ours-$i.eml" "$D/theirs.py") $(tail -n 1 "$D/err.py")"
	# Mail::DKIM of Debian 12 may know no Ed25519: then it counts one
	grep -qE "/ours-$i.eml [12]$" "$D/theirs.pl" && ok || bad "Mail::DKIM, ours $i: $(grep "/ours-$i.eml" "$D/theirs.pl") $(tail -n 1 "$D/err.pl")"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
