#!/bin/bash
# tests/metrics.sh BUILD_DIR: the page a monitoring system fetches: its form, that its figures are those of what was done,
# and who may fetch it.  bash, for its /dev/tcp.  With PARSER=1 an independent parser reads it too.
# The last line is "N passed, N failed".
set -u
B=$(cd "${1:?usage: metrics.sh BUILD_DIR}" && pwd)
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/lib.sh"
fetch() { # "REQUEST LINE": the answer, without CR
	exec 3<>"/dev/tcp/127.0.0.1/$PAGE" || return 1
	printf '%s\r\nHost: x\r\n\r\n' "$1" >&3
	timeout 10 cat <&3 | tr -d '\r'
	exec 3>&-
}
answers() { fetch "$1" | head -n 1 | grep -q "^HTTP/1.1 $2 "; }
not_served() { ! fetch "$1" | grep -q "^HTTP/1.1 [23]"; }
page() { fetch 'GET /metrics HTTP/1.1' | sed '1,/^$/d'; }
value_is() { page | grep -qxF "tombolo_$1 $2" || { page | grep "^tombolo_${1%%\{*}"; false; }; }

# Families are announced before their samples, samples stay together, buckets rise, the last one is the count.
well_formed() {
	page | awk '
		/^# EOF$/ { eof = NR; next }
		/^# TYPE tombolo_[a-z_]+ (counter|gauge|histogram|stateset)$/ { type[$3] = $4; family = $3; next }
		/^# HELP tombolo_[a-z_]+ ./ { if ($3 != family) bad("help of another family"); next }
		/^tombolo_[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [0-9.]+$/ {
			name = $1; sub(/\{.*/, "", name)
			base = name
			if (type[family] == "counter") sub(/_total$/, "", base)
			if (type[family] == "histogram") sub(/_(bucket|sum|count)$/, "", base)
			if (base != family || (type[family] == "counter" && base == name)) bad("sample of another family")
			if (name ~ /_bucket$/) {
				series = $1; sub(/,?le="[^"]*"/, "", series)
				if (series == last && $2 + 0 < n) bad("buckets fall")
				last = series; n = $2 + 0
			}
			if (name ~ /_count$/ && $2 + 0 != n) bad("the last bucket is not the count")
			if (seen[$1]++) bad("twice")
			next
		}
		{ bad("what is this?") }
		function bad(why) { print NR ": " why ": " $0; wrong = 1 }
		END { if (NR == 0 || eof != NR) { print "no EOF at the end"; wrong = 1 } exit wrong }'
}

free_ports 4
SINK=$((PORT + 1))
PAGE=$((PORT + 2))
CLOSED=$((PORT + 3)) # nobody listens
conf() { # METRICS_FROM KEEP_FREE
	cat >"$W/conf" <<END
hostname = mail.contoso.com
control = "$W/control"
domain "contoso.com" { }
queue { path = "$W/queue" segment_size = 4M map_size = 64M keep_free = $2 retry_first = 1h retry_max_interval = 1h }
recipients { path = "$W/recipients" map_size = 16M }
log { file = "$W/log" }
metrics { listen = "127.0.0.1:$PAGE" from = "$1" hops = 1 }
receive hub { listen = "127.0.0.1:$PORT" permissions = servers }
send all { space = "*" smarthosts = "[127.0.0.1]:$SINK" tls = none }
send closed { space = "closed.example" smarthosts = "[127.0.0.1]:$CLOSED" tls = none }
END
}
conf 127.0.0.0/8 0
"$B/perf/sink" -p "$SINK" -S "$W/stats" >"$W/sink.log" 2>&1 &
pids="$pids $!"
"$B/tombolod" -c "$W/conf" 2>"$W/start" &
daemon=$!
pids="$pids $daemon"
soon grep -q tombolod.ready "$W/log" || { echo "FAIL the daemon does not start"; cat "$W/start"; exit 1; }

# what the kernel says of it: no capability, no way to get one, system calls filtered (not with sanitizers)
facts="CapEff:.0000000000000000 NoNewPrivs:.1"
grep -qE '__(asan|tsan)_init' "$B/tombolod" || facts="$facts Seccomp:.2"
for fact in $facts; do
	check "caged: $fact" grep -q "^$fact\$" /proc/$daemon/status
done
check "an empty page is well-formed" well_formed
"$B/perf/swarm" -p "$PORT" -c 4 -m 10 -n 200 >"$W/swarm.json"
"$B/tests/tools/send" -p "$PORT" -f a@contoso.com -t 'b@closed.example' >"$W/send.log"
check "mail is counted" soon value_is queue_accepted_messages_total 201
check "as delivered" soon value_is queue_delivered_recipients_total 200
check "as waiting" soon value_is queue_deferred_recipients 1
check "by session" value_is smtpd_messages_total 201
check "by connector" value_is 'connector_recipients_total{connector="all",result="sent"}' 200
check "deferrals too" value_is 'connector_recipients_total{connector="closed",result="deferred"}' 1
check "failures by stage" value_is 'connector_failures_total{connector="closed",stage="connect"}' 1
check "no breaker is open" value_is 'connector_breaker_open{connector="closed"}' 0
check "times by next hop" value_is "delivery_seconds_count{hop=\"all/[127.0.0.1]:$SINK\"}" 200
check "hops beyond metrics.hops are one" value_is 'deferral_age_seconds_count{hop="other"}' 1
check "the mode" value_is 'mode{tombolo_mode="M1"}' 1
check "a full page is well-formed" well_formed
check "the command line has the same" sh -c "'$B/tombolo' --socket '$W/control' metrics | grep -qx 'tombolo_queue_accepted_messages_total 201'"
if [ -n "${PARSER:-}" ]; then
	page >"$W/page"
	check "Prometheus reads it" /usr/bin/python3 -c '
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
found = {s.name: s.value for f in parse(open(sys.argv[1]).read()) for s in f.samples}
assert found["tombolo_queue_accepted_messages_total"] == 201' "$W/page"
fi

check "another page is not there" answers 'GET /secret HTTP/1.1' 404
check "only GET" answers 'POST /metrics HTTP/1.1' 405
check "only HTTP" answers 'HELO you' 400
# the answer may be lost when the rest of the request comes behind it
check "no endless header" not_served "GET /metrics HTTP/1.1 $(printf 'x%.0s' {1..9000})"
check "healthy" answers 'GET /health HTTP/1.0' 200
conf 192.0.2.0/24 1T
kill -HUP $daemon
soon grep -q config.reloaded "$W/log"
check "others are not answered" sh -c "! '$BASH' -c 'exec 3<>/dev/tcp/127.0.0.1/$PAGE; printf \"GET /health HTTP/1.1\r\n\r\n\" >&3; timeout 5 cat <&3' | grep -q HTTP"
conf 127.0.0.0/8 1T
kill -HUP $daemon
check "no space: not healthy" soon answers 'GET /health HTTP/1.1' 503
kill -TERM $daemon
check "a clean end" wait $daemon
total
