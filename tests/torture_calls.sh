#!/bin/sh
# tests/torture_calls.sh BUILD_DIR SECONDS [SCENARIO ...]: scenarios in which one call or one allocation fails.
#
# A first run of each scenario lists its failure points (base/fault.h: reads, writes, connections, TLS, LMDB, files, full
# buffers and arenas) and about how often each is passed.  Then it is played again and again, each time with another
# pass of another point failing: each point at its first pass, each point of each scenario at some pass, then others by
# chance (SEED), until the time is over.
# Eight run at a time: most of it is waiting for an answer that will not come.  After each: nobody died or hangs, no sanitizer spoke, the queue is sound, and each recipient of each
# message that was acknowledged was delivered, has failed with a report, or waits.  A row is printed for each point.
# The last line is "N passed, N failed".
set -u
B=$1
SECS=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
SEED=${SEED:-$(date +%s)}
tool=$B/tests/tools/queue_crash
export ASAN_OPTIONS=detect_leaks=1:exitcode=99 UBSAN_OPTIONS=print_stacktrace=1
W=$(mktemp -d "${TMPDIR:-/tmp}/tombolo-calls.XXXXXX") || exit 1
pids=
finish() {
	trap - EXIT INT TERM
	for p in $pids; do kill "$p"; done 2>/dev/null
	wait
	rm -rf "$W"
}
trap finish EXIT
trap 'exit 130' INT TERM
[ $# -gt 0 ] || set -- 05-pipelining 06-bdat 10-retry 11-bounce 12-expiry 13-starttls 15-early-talker 16-limits 18-proxy 21-restart \
	22-kill 26-forced-tls 27-wrong-name 28-reload 29-queue-commands 34-outbound-pipelining 36-smtputf8 37-bdat-to-data \
	40-big 41-opportunistic 42-recipients 43-explain 44-mx 51-tls-cut 73-headers-from-disk 74-route-token 115-in-resumption \
	150-group 155-forward-and-deliver 157-srs 170-switch 192-track-rotate 193-trace 200-crl-fetched 260-report-for-strangers \
	264-report-storm 300-echo 340-journal 404-bdat-out r-retry-now
[ -f "$B/certs/ca.pem" ] || sh "$here/certs.sh" "$B/certs" >/dev/null 2>&1

play() { # FOLDER SCENARIO
	mkdir -p "$1"
	TMPDIR=$1 TOMBOLO_PLAY_KEEP=1 timeout 60 "$B/tests/tools/play" -b "$B" -c "$B/certs" "$here/play/$2.tb" >"$1/out" 2>&1
}

# Recipients that were acknowledged and neither delivered nor failed nor there, of the run in FOLDER.
lost() {
	for d in "$1"/tombolo-play.*; do
		[ -f "$d/log" ] || continue
		[ ! -f "$d/queue/index/data.mdb" ] || "$tool" left "$d/queue" >"$d/left" 2>/dev/null || echo "unreadable queue"
		touch "$d/left"
		awk '
			function value(key,   i) {
				for (i = 3; i <= NF; i++)
					if (index($i, key "=") == 1) return substr($i, length(key) + 2)
			}
			FILENAME ~ /left$/ { if (NF == 2) got[$1 " " $2] = 1; next }
			$3 == "message.queued" { want[value("trace")] = value("rcpts") }
			$3 == "delivery.sent" || $3 == "delivery.failed" { got[value("id") " " value("to")] = 1 }
			END {
				for (k in got) { split(k, part, " "); n[part[1]]++ }
				for (t in want) if (n[t] + 0 < want[t]) print "lost: " want[t] - n[t] " of message " t
			}' "$d/left" "$d/log"
	done
}

# What is wrong with the run in FOLDER; nothing when all is well.
judge() {
	grep -hE 'ended by signal|ended by itself with status 99|the gateway did not end|must\(' "$1/out" | head -n 1
	cat "$1"/tombolo-play.*/output 2>/dev/null | grep -aE 'must\(|ERROR: (Address|Leak|Thread)Sanitizer|runtime error:' | head -n 1
	for q in "$1"/tombolo-play.*/queue; do
		[ -f "$q/index/data.mdb" ] || continue
		"$tool" check "$q" >"$1/check" 2>&1 || tail -n 1 "$1/check"
	done
	[ -e "$W/uncounted.$2" ] || lost "$1"
}

# ---- what there is to fail ----

for name in "$@"; do
	TOMBOLO_FAULT_LIST=$W/points.$name play "$W/first" "$name" || { echo "FAIL $name fails by itself"; touch "$W/broken"; }
	[ -z "$(lost "$W/first")" ] || touch "$W/uncounted.$name" # it removes messages, or groups become others
	rm -rf "$W/first"
	sort "$W/points.$name" | uniq -c | while read -r lines point; do echo "$name $point $lines"; done
done >"$W/points"
# lines: passes 1, 2, 4, 8 ... were met, so there are at least 2^(lines-1) of them
awk -v seed="$SEED" '
	BEGIN { srand(seed) }
	{
		passes = 2 ^ ($3 - 1)
		last = 2 * passes - 1 < 400 ? 2 * passes - 1 : 400
		if (!($2 in seen)) print 0, rand(), $1, $2, 1
		seen[$2] = 1
		print 1, rand(), $1, $2, 1 + int(rand() * last)
		for (i = 1; i <= last; i++)
			print 2, rand(), $1, $2, i
	}' "$W/points" | sort -k1,1n -k2,2g | cut -d' ' -f3- >"$W/plan"

# ---- each by itself ----

worker() { # NUMBER UNTIL
	awk -v me="$1" -v n="$WORKERS" 'NR % n == me' "$W/plan" | while read -r name point pass; do
		[ "$(date +%s)" -lt "$2" ] || break
		TOMBOLO_FAULT=$point:$pass play "$W/$1" "$name"
		status=$?
		wrong=$(judge "$W/$1" "$name" | head -n 1)
		echo "$point $name $pass $status ${wrong:+FAIL $wrong}" >>"$W/results.$1"
		[ -z "$wrong" ] || {
			echo "FAIL $name with $point:$pass: $wrong"
			[ -z "${KEEP:-}" ] || cp -r "$W/$1" "$KEEP/$name-$point-$pass"
		}
		rm -rf "${W:?}/$1"
	done
}
WORKERS=8
until_s=$(($(date +%s) + SECS))
for n in $(seq 0 $((WORKERS - 1))); do
	: >"$W/results.$n"
	worker "$n" $until_s &
	pids="$pids $!"
done
wait $pids
pids=

# ---- the table ----

cat "$W"/results.* | awk '
	{ runs[$1]++; if ($4 != 0) other[$1]++; if ($5 == "FAIL") bad[$1]++; if (!(($1, $2) in s)) { s[$1, $2] = 1; scenarios[$1]++ } }
	END {
		for (p in runs)
			printf "| `%s` | %d scenarios, %d passes | %d heard another answer, %d unsound |\n", p, scenarios[p], runs[p], other[p], bad[p]
	}' | sort
done_n=$(cat "$W"/results.* | wc -l)
bad=$(cat "$W"/results.* | grep -c ' FAIL ')
[ ! -e "$W/broken" ] || bad=$((bad + 1))
echo "calls: $done_n of about $(wc -l <"$W/plan") failing passes were tried in $SECS s, of $(cut -d' ' -f2 "$W/plan" | sort -u | wc -l) points in $# scenarios;" \
	"$(ls "$W"/uncounted.* 2>/dev/null | wc -l) of these do without the count of messages; seed $SEED"
echo "$((done_n - bad)) passed, $bad failed"
[ "$bad" = 0 ] && [ "$done_n" -gt 0 ]
