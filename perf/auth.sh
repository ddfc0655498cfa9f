#!/bin/sh
# perf/auth.sh BUILD_DIR [OUT.jsonl]: what `make perf-auth` runs: the cost of knowing who wrote it, and of slow filters.
#
# judge    a message of 10 KiB with an RSA-2048 signature of its author, 50 connections x 100, everything relayed to one
#          sink: Tombolo with SPF, DKIM and DMARC (enforce), Tombolo without, Postfix with opendkim and opendmarc as
#          milters, Postfix without.  opendkim has the key from a file, opendmarc asks a dnsmasq on loopback, Tombolo has
#          its file of names.  That all of them judge is proved first: a changed message must be refused.
# sign     the same size, unsigned, signed at egress, beside `openssl speed`: by wall clock, and by processor time of the workers.
# filters  p99 of sessions without filters, and with a fast one, while 50 others wait for a filter that sleeps for 5 s.
#
# Interleaved; one JSON line a run goes to OUT (and the screen), then medians.  Compare within one run only.  Takes about
# four minutes.  Postfix and its milters need root and are left out without it.  TOMBOLO_PERF_REPS, _SECS and _DIR as in perf/run.sh.
set -eu
B=$1
OUT=${2:-$B/perf-auth.jsonl}
REPS=${TOMBOLO_PERF_REPS:-3}
SECS=${TOMBOLO_PERF_SECS:-3}
HERE=$(cd "$(dirname "$0")" && pwd)
sh "$HERE/../tests/deps.sh" perf perf_auth >&2 || echo "perf: going on without the missing packages" >&2
command -v jq >/dev/null || { echo "perf: needs jq" >&2; exit 1; }

W=$(mktemp -d "${TOMBOLO_PERF_DIR:-/var/tmp}/tombolo-perf.XXXXXX")
SHM=$([ -d /dev/shm ] && mktemp -d /dev/shm/tombolo-perf.XXXXXX || echo "$W")
. "$HERE/servers.sh"
trap 'stop_all; rm -rf "$W" "$SHM"' EXIT
trap 'exit 130' INT TERM
: >"$OUT"

base=$(first_block 20)
P_SINK=$base P_PLAIN=$((base + 1)) P_AUTH=$((base + 2)) P_POSTFIX=$((base + 3)) P_POSTFIX_AUTH=$((base + 4))
P_OPENDKIM=$((base + 5)) P_OPENDMARC=$((base + 6)) P_SIGN=$((base + 7)) # and the two behind it
P_NONE=$((base + 10)) P_FAST=$((base + 11)) P_SLOW=$((base + 12)) P_FILTER=$((base + 13)) P_SLEEPER=$((base + 14))

# ---- what is sent ----

# message BYTES: what an author wrote, cut off there
message() {
	{
		printf 'From: Ann <ann@author.example>\nTo: swarm@sink.example\nSubject: quarterly figures\n'
		printf 'Date: Sat, 28 Nov 2026 10:00:00 +0000\nMessage-ID: <figures@author.example>\nMIME-Version: 1.0\n'
		printf 'Content-Type: text/plain\n\n'
		yes 'Nobody reads the quarterly figures, but everybody wants to have got them in time.'
	} | sed 's/$/\r/' | head -c "$1"
	printf '\r\n'
}
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$W/rsa.pem" 2>/dev/null
openssl genpkey -algorithm ED25519 -out "$W/ed25519.pem"
chmod 600 "$W"/*.pem
public=$(openssl pkey -in "$W/rsa.pem" -pubout -outform DER | openssl base64 -A)
message 9500 >"$W/unsigned.eml"
cat >"$W/sign.conf" <<-CONF
	hostname = author.example
	auth { workers = 1 }
	receive "r" { listen = "127.0.0.1:25" }
	sign "author.example" { selector = s1; key = "$W/rsa.pem" }
CONF
"$B/tests/tools/dkim_ask" sign "$W/sign.conf" author.example <"$W/unsigned.eml" >"$W/signed.eml"
sed 's/Nobody reads/Somebody reads/' "$W/signed.eml" >"$W/changed.eml"

# ---- who takes it ----

cat >"$W/hosts" <<-CONF
	TXT client.example "v=spf1 include:_spf.client.example -all"
	TXT _spf.client.example "v=spf1 ip4:192.0.2.0/24 ip4:127.0.0.1 -all"
	TXT s1._domainkey.author.example "v=DKIM1; k=rsa; p=$public"
	TXT _dmarc.author.example "v=DMARC1; p=reject"
	TXT _dmarc.example "nothing of this kind"
	TXT author.example "nothing of this kind"
CONF

# tombolo NAME PORT RECEIVE MORE: relays to the sink whatever anybody brings for sink.example
tombolo() {
	mkdir -p "$W/$1"
	cat >"$W/$1/tombolo.conf" <<-CONF
		hostname = "tombolo.example"
		control = "$W/$1/control.sock"
		hosts = "$W/hosts"
		resolvers = {"127.0.0.1"}
		log { file = "$W/$1/log"; level = warn }
		queue { path = "$W/$1/queue" }
		recipients { path = "$W/$1/recipients" }
		limits { connections = 5000; connections_per_ip = 5000 }
		domain "sink.example" { type = external-relay; default = yes }
		receive "all" { listen = {"127.0.0.1:$2"}; tarpit = 0; $3 }
		send "sink" { space = {"*;1"}; smarthosts = {"[127.0.0.1]:$P_SINK"}; tls = none }
		$4
	CONF
	tombolo_start "$1" "$2"
}

milters_up() {
	mkdir "$W/milters"
	echo 192.0.2.1 >"$W/milters/nobody" # what comes from loopback is judged like all
	echo "s1._domainkey.author.example v=DKIM1; k=rsa; p=$public" >"$W/milters/keys"
	cat >"$W/milters/opendkim.conf" <<-CONF
		Mode v
		Socket inet:$P_OPENDKIM@127.0.0.1
		TestPublicKeys $W/milters/keys
		AuthservID postfix.example
		InternalHosts 192.0.2.1
		Syslog no
	CONF
	cat >"$W/milters/opendmarc.conf" <<-CONF
		Socket inet:$P_OPENDMARC@127.0.0.1
		AuthservID postfix.example
		TrustedAuthservIDs postfix.example
		IgnoreHosts $W/milters/nobody
		SPFIgnoreResults true
		SPFSelfValidate true
		RejectFailures true
		Syslog false
	CONF
	# opendmarc knows no resolver but that of the machine: it sees another resolv.conf
	printf 'nameserver 127.0.53.1\noptions timeout:1 attempts:2\n' >"$W/milters/resolv.conf"
	awk '$1 == "TXT" && $2 ~ /^(_dmarc|client|_spf|author)/ { name = $2; sub(/^[^"]*/, ""); print "txt-record=" name "," $0 }' "$W/hosts" >"$W/milters/dnsmasq.conf"
	timeout 900 dnsmasq -k --conf-file="$W/milters/dnsmasq.conf" --no-resolv --no-hosts --local=/example/ --user=root \
		--listen-address=127.0.53.1 --bind-interfaces --pid-file="$W/milters/dnsmasq.pid" >"$W/milters/out" 2>&1 &
	keep $!
	opendkim -f -x "$W/milters/opendkim.conf" -P "$W/milters/opendkim.pid" >>"$W/milters/out" 2>&1 &
	keep $!
	MILTERS=$!
	unshare -m sh -c "mount --make-rprivate / && mount --bind '$W/milters/resolv.conf' /etc/resolv.conf &&
		exec opendmarc -f -c '$W/milters/opendmarc.conf' -P '$W/milters/opendmarc.pid'" >>"$W/milters/out" 2>&1 &
	keep $!
	MILTERS="$MILTERS $!"
}

# cpu_ms NAME: of the server and of what it asks; workers_cpu_ms NAME: of its auth processes only
cpu_ms() {
	sum=$(tree_cpu_ms "$(root_of "$1")")
	[ "$1" != postfix-auth ] || for p in $MILTERS; do sum=$((sum + $(tree_cpu_ms "$p"))); done
	echo "$sum"
}
workers_cpu_ms() {
	tree "$(root_of "$1")" | while read -r p ticks; do
		case $(readlink "/proc/$p/exe") in */tombolo-auth) echo "$ticks" ;; esac
	done | awk -v hz="$(getconf CLK_TCK)" '{ n += $1 } END { print int(n * 1000 / hz) }'
}

# load CASE NAME PORT FILE LIMIT: one timed run, one JSON line
load() {
	run=$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')
	"$B/perf/sink" -S "$SHM/sink" reset "$run"
	cpu=$(cpu_ms "$2") workers=$(workers_cpu_ms "$2")
	load=$("$B/perf/swarm" -p "$3" -c 50 -m 100 -F "$W/$4" -R "$run" $5 2>>"$W/swarm.log") || true
	"$B/perf/sink" -S "$SHM/sink" wait "$(echo "$load" | jq .accepted)" 20 || true
	sleep 0.3 # outcomes are written after the fact
	cpu=$(($(cpu_ms "$2") - cpu)) workers=$(($(workers_cpu_ms "$2") - workers))
	"$B/perf/sink" -S "$SHM/sink" show | jq -c --argjson load "$load" --arg case "$1" --arg name "$2" --argjson cpu $cpu --argjson workers $workers '
		([.unique, 1] | max) as $n | ((.last_ns - $load.start_ns) / 1e9) as $secs |
		{case: $case, name: $name, per_s: (if $secs > 0 then (.unique / $secs | round) else 0 end),
		 accepted: $load.accepted, arrived: .unique, missing: ($load.accepted - .unique), duplicates,
		 refused: ($load.transient + $load.permanent), connect_errors: $load.connect_errors, cpu_ms: ($cpu / $n),
		 workers_cpu_ms: ($workers / $n), accept_p50_ms: $load.p50_ms, accept_p99_ms: $load.p99_ms, p50_ms, p99_ms}' | tee -a "$OUT"
}

# proves NAME PORT: refuses what was changed (and took the rest, or it would not be up)
proves() {
	"$B/perf/swarm" -p "$2" -n 1 -t 2 -F "$W/signed.eml" >"$W/one" 2>/dev/null || { echo "perf: $1 does not take the signed message" >&2; cat "$W/one" "$W"/*/log >&2; exit 1; }
	"$B/perf/swarm" -p "$2" -n 1 -t 2 -F "$W/changed.eml" >"$W/one" 2>/dev/null || true
	[ "$(jq .permanent "$W/one")" = 1 ] || { echo "perf: $1 does not judge: $(cat "$W/one")" >&2; exit 1; }
}

openssl_speed() { # ALGORITHM: signatures per second of processor time
	openssl speed -seconds 1 "$1" 2>/dev/null | awk '/^rsa 2048 bits/ { n = $6 } /Ed25519/ { n = $(NF - 1) } END { print n + 0 }' |
		jq -c --arg name "openssl $1" '{case: "sign", name: $name, per_core_s: .}' | tee -a "$OUT"
}

# latency NAME PORT WHEN: from MAIL to the last answer, of 10 connections that send 200 messages a second together
latency() {
	"$B/perf/swarm" -p "$2" -c 10 -m 1000 -r 200 -t "$((SECS + 1))" 2>>"$W/swarm.log" | jq -c --arg name "$1" --arg when "$3" \
		'{case: "filters", name: $name, when: $when, accepted, p50_ms, p99_ms}' | tee -a "$OUT"
}
beside() {
	latency "no filter" $P_NONE "$1"
	latency "fast filter" $P_FAST "$1"
}

"$B/perf/sink" -p $P_SINK -S "$SHM/sink" &
keep $!
wait_for $P_SINK
DISK=none
tombolo tombolo $P_PLAIN 'permissions = {anonymous}; dmarc = off' ''
tombolo tombolo-auth $P_AUTH 'permissions = {anonymous}; dmarc = enforce' 'auth { workers = 2 }'
proves tombolo-auth $P_AUTH
POSTFIX=
[ "$(id -u)" != 0 ] || POSTFIX=yes
for program in postfix opendkim opendmarc dnsmasq; do command -v $program >/dev/null || POSTFIX=; done
if [ -n "$POSTFIX" ]; then
	milters_up
	postfix_up postfix $P_POSTFIX $P_SINK ""
	postfix_up postfix-auth $P_POSTFIX_AUTH $P_SINK "" "inet:127.0.0.1:$P_OPENDKIM, inet:127.0.0.1:$P_OPENDMARC"
	proves postfix-auth $P_POSTFIX_AUTH
else
	echo "perf: no Postfix with opendkim and opendmarc here (install them, run as root): no ratios" >&2
fi
tombolo tombolo-sign-none $P_SIGN 'permissions = {servers}; from = {"127.0.0.0/8"}' ''
port=$P_SIGN
for key in rsa ed25519; do
	port=$((port + 1))
	tombolo tombolo-sign-$key $port 'permissions = {servers}; from = {"127.0.0.0/8"}' "auth { workers = 2 }
		sign \"author.example\" { selector = s1; key = \"$W/$key.pem\" }"
done
tombolo tombolo-filters $P_NONE 'permissions = {anonymous}; dmarc = off' "
		milter \"fast\" { address = \"inet:$P_FILTER@127.0.0.1\" }
		milter \"sleeper\" { address = \"inet:$P_SLEEPER@127.0.0.1\" }
		receive \"fast\" { listen = {\"127.0.0.1:$P_FAST\"}; tarpit = 0; permissions = {anonymous}; dmarc = off; milters = {\"fast\"} }
		receive \"slow\" { listen = {\"127.0.0.1:$P_SLOW\"}; tarpit = 0; permissions = {anonymous}; dmarc = off; milters = {\"sleeper\"} }"
for filter in $P_FILTER:0 $P_SLEEPER:5; do
	timeout 900 python3 "$HERE/sleeper.py" ${filter%:*} ${filter#*:} >>"$W/milters.out" 2>&1 &
	keep $!
done
for rep in $(seq "$REPS"); do
	load judge tombolo $P_PLAIN signed.eml "-t $SECS"
	load judge tombolo-auth $P_AUTH signed.eml "-t $SECS"
	[ -z "$POSTFIX" ] || load judge postfix $P_POSTFIX signed.eml "-t $SECS"
	[ -z "$POSTFIX" ] || load judge postfix-auth $P_POSTFIX_AUTH signed.eml "-t $SECS"
	load sign tombolo-sign-none $P_SIGN unsigned.eml "-n 2000"
	load sign tombolo-sign-rsa $((P_SIGN + 1)) unsigned.eml "-n 2000"
	openssl_speed rsa2048
	load sign tombolo-sign-ed25519 $((P_SIGN + 2)) unsigned.eml "-n 2000"
	openssl_speed ed25519
	beside before
	"$B/perf/swarm" -p $P_SLOW -c 50 -m 1000 -t $((2 * SECS + 4)) >"$W/slow" 2>>"$W/swarm.log" &
	slow=$!
	keep $slow
	sleep 1
	beside meanwhile
	wait $slow || true
	jq -c '{case: "filters", name: "sleeping filter", when: "meanwhile", accepted, p50_ms, p99_ms}' "$W/slow" | tee -a "$OUT"
done

echo
jq -rs -f "$HERE/auth.jq" "$OUT"
