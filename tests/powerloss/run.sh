#!/bin/sh
# tests/powerloss/run.sh BUILD_DIR [short] [SEED]: the power goes while the queue works, at calls chosen by a seed; of
# what was not synced the disk keeps what the seed says (image.c).  Then the queue is opened on that disk: it must open
# without help, queue_check must be content, nothing acknowledged may be missing, nothing that was over may come back,
# and what is delivered twice was delivered in the last moment before the cut.
#
# Three kinds of cuts: at each call of the very first start; in the middle of work, on a store that has lost power
# before; and again while the store recovers from that.  The last line is "N passed, N failed".
set -u
tool=$1/tests/tools/queue_crash image=$1/tests/powerloss_image
seed=${3:-$(date +%s)}
first=120 lives=300 messages=10000
[ "${2:-}" = short ] && first=12 lives=12 messages=2000
case $1 in *release*) ;; *) echo "0 passed, 0 failed"; exit 0 ;; esac # the preloaded layer and a sanitizer do not mix
work=$(mktemp -d "${TMPDIR:-/tmp}/tombolo-power.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
lib=$(cd "$1" && pwd)/tests/powerloss.so
passed=0 failed=0 cuts=0 accepted=0 duplicates=0 window=0 runs=$seed

# powered CUT VERB ...: one life that notes its writes; the store as it was before is in $work/before
powered() {
	rm -rf "$work/before" "$work/calls"
	mkdir -p "$work/queue"
	cp -a "$work/queue" "$work/before"
	cut=$1
	shift
	# a shell of its own hears of the kill and is not to say so
	LD_PRELOAD=$lib POWERLOSS_DIR=$work/queue POWERLOSS_JOURNAL=$work/calls POWERLOSS_CUT=$cut \
		sh -c '"$@" >"$0/run.out" 2>"$0/run.err"; exit $?' "$work" "$tool" "$@" 2>/dev/null
}

# after_cut: the disk that is left
after_cut() {
	runs=$((runs + 1))
	cuts=$((cuts + 1))
	touch "$work/calls"
	"$image" "$work/before" "$work/calls" $runs "$work/queue" >>"$work/images" || exit 1
}

field() { sed -n "s/.*$1=\([0-9]*\).*/\1/p" "$work/out" | tail -n 1; }

# judge WHAT: opens what is left, and adds up
judge() {
	if timeout 60 "$tool" verify "$work/queue" "$work/journal" $messages >"$work/out" 2>"$work/err"; then
		passed=$((passed + 1))
		accepted=$((accepted + $(field accepted)))
		duplicates=$((duplicates + $(field duplicates)))
		[ "$(field window_ms)" -gt $window ] && window=$(field window_ms)
	else
		echo "FAIL $1: $(tail -n 1 "$work/images")"
		tail -n 5 "$work/out" "$work/err"
		failed=$((failed + 1))
		rm -rf "$work/queue"
	fi
	rm -f "$work/journal"
}

# random N: sets $drawn to one of 1..N, by the seed and how often it was asked
state=$seed
random() {
	state=$(((state * 1103515245 + 12345) % 2147483648))
	drawn=$((1 + state / 65536 * $1 / 32768))
}

# the very first start
at=0
while [ $at -lt $first ]; do
	at=$((at + 1))
	rm -rf "$work/queue"
	powered $at run "$work/queue" "$work/journal" 200
	after_cut
	judge "first start, call $at"
done

# how many calls a life makes
rm -rf "$work/queue"
powered 0 run "$work/queue" "$work/journal" $messages || { cat "$work/run.out" "$work/run.err"; exit 1; }
calls=$("$image" count "$work/calls")
judge "a life without a cut"

life=0
while [ $life -lt $lives ]; do
	life=$((life + 1))
	random "$calls"
	at=$drawn
	powered $at run "$work/queue" "$work/journal" $messages
	after_cut
	if [ $((life % 3)) = 0 ]; then
		random 30
		powered $drawn verify "$work/queue" "$work/journal" $messages
		after_cut
	fi
	judge "life $life of seed $seed, call $at"
done
echo "$cuts power cuts (seed $seed): accepted=$accepted missing=0 duplicates=$duplicates window_ms=$window"
sed 's/.*mode=\([a-z]*\).*/\1/' "$work/images" | sort | uniq -c | awk '{ printf "  %s %s", $1, $2 } END { print "" }'
echo "| power cut, any call of the first start | $first cuts | as if it had not started, or started: nothing missing |"
echo "| power cut in the middle of work | $lives cuts, $((cuts - first - lives)) more in recovery | $accepted acknowledged, 0 missing; $duplicates recipients served twice, the oldest delivered $window ms before the cut |"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
