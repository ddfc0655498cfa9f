#!/bin/sh
# tests/torture.sh BUILD_DIR [short] [SECONDS] [SCENARIO ...]: calls fail while the queue, the gateway and scenarios work.
#
# What the queue and the gateway do when the kernel says no is tried in full; of the failing calls and allocations of
# scenarios (tests/torture_calls.sh) as many as SECONDS (240) allow, or those of the SCENARIOs; a build with sanitizers
# does these only.
# After each: what was acknowledged is there, queue_check is content, and the service went on as the table says:
#   absorbed   nobody noticed                          refusing   nothing is accepted until a restart (452/451, in the log)
#   resumed    some were refused, then all was well    closed     the start was refused with an error that says why
# Rows of the table in docs/RELIABILITY.md are printed as they were found.  The last line is "N passed, N failed".
set -u
B=$1
short=
shift
[ "${1:-}" = short ] && short=yes && shift
seconds=240
case ${1:-} in [0-9]*[!0-9]* | [!0-9]* | '') ;; *) seconds=$1 && shift ;; esac
here=$(cd "$(dirname "$0")" && pwd)
tool=$B/tests/tools/queue_crash
case $B in
*release*) ;; # the preloaded layer and a sanitizer do not mix
*) [ -z "$short" ] && exec sh "$here/torture_calls.sh" "$B" "$seconds" "$@"; echo "0 passed, 0 failed"; exit 0 ;;
esac
lib=$(cd "$B" && pwd)/tests/powerloss.so
W=$(mktemp -d "${TMPDIR:-/tmp}/tombolo-torture.XXXXXX") || exit 1
DAEMON= SINK= LOAD=
finish() {
	trap - EXIT INT TERM
	for p in $DAEMON $SINK $LOAD; do kill "$p"; done 2>/dev/null
	wait 2>/dev/null
	rm -rf "$W"
}
trap finish EXIT
trap 'exit 130' INT TERM
passed=0 failed=0

verdict() { # OK? WHAT FAULT RESULT
	if [ "$1" = yes ]; then passed=$((passed + 1)); else failed=$((failed + 1)) && printf 'FAIL '; fi
	echo "| $2 | \`$3\` | $4 |"
}

# ---- the queue alone ----

# queue WHAT FAULT EXPECTED [MESSAGES]: a run with the fault on a used store, then one without it to judge
queue() {
	[ -z "${ROWS:-}" ] || echo "$1" | grep -qE "$ROWS" || return
	for times in $(seq "${TIMES:-1}"); do queue_once "$@"; done
}

queue_once() {
	rm -f "$W/begun"
	LD_PRELOAD=$lib POWERLOSS_DIR=$W/queue POWERLOSS_FAULT=$2 TOMBOLO_FAULT=${TF:-} POWERLOSS_WHILE=${WHILE:-} \
		QUEUE_CRASH_BEGUN=$W/begun \
		POWERLOSS_CLOCK=$W/clock timeout 60 "$tool" run "$W/queue" "$W/journal" "${4:-2000}" >"$W/out" 2>"$W/err"
	status=$?
	outcome=$(sed -n 's/.*outcome=//p' "$W/out")
	ok=yes
	echo "$outcome" | grep -qxE "$3" && { [ $status = 0 ] || [ "$outcome" = closed ]; } || ok=no
	[ "$outcome" != refusing ] || grep -q 'error queue.read_only' "$W/err" || ok=no # and it says so aloud
	[ -z "${EVENT:-}" ] || grep -q " $EVENT" "$W/err" || ok=no
	said=$(sed -n 's/^cannot open: //p' "$W/out")
	"$tool" verify "$W/queue" "$W/journal" 2000 >"$W/verify" 2>&1 || ok=no
	verdict $ok "$1" "${2:-${TF:-}}" "${outcome:-ended with $status}, $(tail -n 1 "$W/verify")${said:+, \"$said\"}"
	[ $ok = yes ] || { tail -n 3 "$W/out" "$W/err" "$W/verify"; rm -rf "$W/queue"; }
	rm -f "$W/journal"
}

"$tool" run "$W/queue" "$W/journal" 2000 >/dev/null 2>&1 # a store that is in use
"$tool" verify "$W/queue" "$W/journal" 2000 >/dev/null 2>&1
rm -f "$W/journal"
queue "disk full, one write to the log" write:#log:ENOSPC:20:1 "absorbed|resumed" 32000
queue "quota, one write to the log" write:#log:EDQUOT:20:1 "absorbed|resumed" 32000
rm -f "$W/begun"
touch "$W/full"
(
	n=0
	until [ -e "$W/begun" ] || [ $n -gt 600 ]; do sleep 0.05 && n=$((n + 1)); done
	sleep 0.3 && rm -f "$W/full"
) &
WHILE=$W/full queue "disk full until space is freed" write::ENOSPC:30:1000000,create::ENOSPC:1:1000000 resumed 32000
queue "no inode for a segment" create:segments:ENOSPC:1:1 "absorbed|resumed" 32000
queue "no inode for a big message" create:big:ENOSPC:1:1 resumed 4000
queue "disk full, a big message" write:big:ENOSPC:1:1 resumed 4000
queue "write error, the log" write:#log:EIO:20:1 refusing
queue "write error, a big message" write:big:EIO:1:1 resumed 4000
queue "write error, a segment that is prepared" write:#fill:EIO:1:1 "absorbed|resumed" 32000
WHILE=$W/begun queue "write error, rows of the index" write:#page:EIO:5:1 "absorbed|resumed" 32000
queue "sync fails, the log" sync:#log:EIO:20:1 refusing
TF=queue.segment_sync:3 queue "sync fails, a new segment" "" "absorbed|resumed" 32000
queue "sync fails, the first segment at the start" sync:#fill:EIO:1:1 closed
queue "sync fails, a big message" sync:big:EIO:1:1 resumed 4000
WHILE=$W/begun queue "sync fails, the index" sync:#page:EIO:2:1 "absorbed|resumed" 32000
queue "short writes, the log" write:#log:SHORT:1:1000000 absorbed
queue "short writes, big messages" write:big:SHORT:1:1000000 absorbed 4000
queue "short writes, a segment that is prepared" write:#fill:SHORT:1:1000000 absorbed 32000
WHILE=$W/begun queue "short writes, rows of the index" write:#page:SHORT:5:2 "absorbed|resumed" 32000
queue "interrupted writes and syncs of the log" write:#log:EINTR:10:50,sync:#log:EINTR:10:50 absorbed
queue "interrupted writes and syncs, a segment that is prepared" \
	write:#fill:EINTR:1:50,sync:#fill:EINTR:1:5,size:segments:EINTR:1:3 absorbed 32000
queue "interrupted writes and syncs, big messages" write:big:EINTR:1:50,sync:big:EINTR:1:50,create:big:EINTR:1:5 absorbed 4000
queue "interrupted writes, the index" write:#page:EINTR:5:50,write:#meta:EINTR:3:50 absorbed 32000
# LMDB gives up on its file, and it is opened anew. 
WHILE=$W/begun
EVENT="warn queue.index_reopened"
queue "write error, the meta page of the index" write:#meta:EIO:3:1 "absorbed|resumed" 32000
queue "short write, the meta page of the index" write:#meta:SHORT:3:1 "absorbed|resumed" 32000
queue "the index cannot be opened anew at first" \
	write:#meta:EIO:3:1,open:index/data.mdb:EMFILE:1:2 "absorbed|resumed" 32000
EVENT=
WHILE=
queue "no descriptors at the start" open:segments:EMFILE:1:1 closed
WHILE=$W/begun queue "no descriptors while it works" \
	open:segments:EMFILE:1:20,create:segments:EMFILE:1:1 "absorbed|resumed" 32000
queue "no descriptors in the system" create:big:ENFILE:1:1 "absorbed|resumed" 4000
queue "a segment cannot be renamed at the start" rename:segments:EIO:1:1 "absorbed|resumed|closed"
queue "a segment cannot be renamed" rename:segments:EIO:2:1 "absorbed|resumed" 32000
queue "files cannot be removed" unlink:big:EIO:1:5,unlink:segments:EIO:1:5 absorbed 4000
queue "full at the start" size:segments:ENOSPC:1:1 "absorbed|resumed" 32000
queue "no thread at the start" thread::EAGAIN:1:1 closed
queue "no second thread at the start" thread::EAGAIN:2:1 closed
TF=store.put:300 queue "index map full" "" "absorbed|resumed" 32000
TF=store.commit:3 queue "index transaction fails" "" "absorbed|resumed" 32000
for jump in 86400000 -86400000 0; do
	echo $jump >"$W/clock"
	queue "clock jumps by $jump ms between two starts" "" absorbed
done
rm -f "$W/clock"
rm -rf "$W/queue"

# ---- the gateway under load; one store, one sink; in the end all that was acknowledged has arrived ----

. "$here/ports.sh"
RUN=70a7
free_ports 2
cat >"$W/tombolo.conf" <<CONF
hostname = "tombolo.example"
control = "$W/control.sock"
log { file = "$W/log"; level = warn }
queue {
	path = "$W/queue"
	segment_size = 1M; segment_message_max = 16K; map_size = 256M; keep_free = 1M
	checkpoint = 50ms; settle_window = 20ms; retry_first = 1s; retry_max_interval = 1s
}
recipients { path = "$W/recipients" }
limits { connections_per_ip = 1000 }
domain "perf.example" { type = authoritative; default = yes }
receive "all" { listen = {"127.0.0.1:$PORT"}; from = {"127.0.0.0/8"}; permissions = {"servers"} }
send "sink" { space = {"*;1"}; smarthosts = {"[127.0.0.1]:$((PORT + 1))"}; tls = none }
CONF

heard() { "$B/perf/sink" -S "$W/sink" missing "$W/accepted" | sed -n 's/^accepted=\([0-9]*\) .*/\1/p'; }

# gateway WHAT FAULT EXPECTED EVENT: the fault lasts for a second
gateway() {
	: >"$W/log"
	LD_PRELOAD=$lib POWERLOSS_DIR=$W/queue POWERLOSS_FAULT=$2 POWERLOSS_WHILE=$W/on POWERLOSS_CLOCK=$W/clock \
		sh -c "${LIMIT:-:}; exec \"\$@\"" sh "$B/tombolod" -c "$W/tombolo.conf" >>"$W/out" 2>&1 &
	DAEMON=$!
	sleep 1
	touch "$W/on"
	sleep 1
	rm -f "$W/on"
	sleep 1.5 # what is short of space looks again each second
	before=$(heard)
	sleep 1
	after=$(heard)
	kill $DAEMON
	wait $DAEMON
	status=$?
	DAEMON=
	if [ "$after" -gt "$before" ]; then outcome=resumed; else outcome=refusing; fi
	ok=yes
	echo $outcome | grep -qxE "$3" && [ $status = 0 ] && "$tool" check "$W/queue" >"$W/check" 2>&1 || ok=no
	[ -z "${4:-}" ] || grep -q " $4" "$W/log" || ok=no
	verdict $ok "$1" "$2" "$outcome, $before then $after acknowledged, ended with $status${4:+, \`$4\` in the log}"
	[ $ok = yes ] || tail -n 5 "$W/log" "$W/check" "$W/out"
}

"$B/perf/sink" -p $((PORT + 1)) -S "$W/sink" &
SINK=$!
sleep 0.2
"$B/perf/sink" -S "$W/sink" reset $RUN
"$B/perf/swarm" -p $PORT -c 10 -m 20 -s 3000 -r 200 -t 600 -R $RUN -a "$W/accepted" >"$W/load" 2>&1 &
LOAD=$!
gateway "gateway: disk full for a second" write:#log:ENOSPC:1:1000000,create::ENOSPC:1:1000000 resumed 'warn queue.space'
gateway "gateway: a sync of the log fails" sync:#log:EIO:1:1 refusing 'error queue.read_only'
if [ -z "$short" ]; then
	gateway "gateway: no inodes for a second" create::ENOSPC:1:1000000 resumed
	gateway "gateway: write error in the log" write:#log:EIO:1:1 refusing 'error queue.read_only'
	gateway "gateway: write errors in the index for a second" write:index:EIO:1:1000000 resumed 'error queue.checkpoint'
	gateway "gateway: no descriptors for files for a second" open::EMFILE:1:1000000,create::EMFILE:1:1000000 resumed
	LIMIT='ulimit -n 40' gateway "gateway: 40 descriptors in all" "" "resumed|refusing"
	(sleep 1.2; echo 86400000 >"$W/clock"; sleep 0.5; echo 0 >"$W/clock") &
	gateway "gateway: the clock goes a day ahead and comes back" "" resumed
	(sleep 1.2; echo -86400000 >"$W/clock"; sleep 1; echo 0 >"$W/clock") &
	gateway "gateway: the clock goes back a day and returns" "" resumed 'warn queue.clock_set_back'
fi
LD_PRELOAD=$lib POWERLOSS_FAULT=thread::EAGAIN:2:1 timeout 20 "$B/tombolod" -c "$W/tombolo.conf" >"$W/thread" 2>&1
[ $? = 1 ] && grep -q 'cannot start a thread' "$W/thread" && ok=yes || ok=no
verdict $ok "gateway: no thread at the start" thread::EAGAIN:2:1 "$(head -n 1 "$W/thread")"
"$B/tombolod" -c "$W/tombolo.conf" >>"$W/out" 2>&1 &
DAEMON=$!
sleep 0.5
kill $LOAD
wait $LOAD
LOAD= tries=0
until "$B/perf/sink" -S "$W/sink" missing "$W/accepted" >"$W/missing" || [ $tries -ge 300 ]; do
	sleep 0.1
	tries=$((tries + 1))
	# what could not be read for want of descriptors is tried again in five minutes, or when somebody says so
	[ $tries != 50 ] || "$B/tombolo" queue retry --all --socket "$W/control.sock" >/dev/null 2>&1
done
kill $DAEMON
wait $DAEMON
DAEMON= ok=no
"$B/perf/sink" -S "$W/sink" missing "$W/accepted" >"$W/missing" && ! grep -q '^accepted=0 ' "$W/missing" && ok=yes
verdict $ok "gateway: all that was acknowledged, in the end" "" "$(cat "$W/missing")"

# ---- scenarios in which one call or allocation fails ----

if [ -z "$short" ]; then
	sh "$here/torture_calls.sh" "$B" "$seconds" "$@" | tee "$W/calls"
	sum=$(tail -n 1 "$W/calls")
	passed=$((passed + ${sum%% *}))
	sum=${sum#*, }
	failed=$((failed + ${sum%% *}))
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
