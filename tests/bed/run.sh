#!/bin/sh
# tests/bed/run.sh BUILD [OPTION]... PART...: the test bed: two gateways back to back, and real mail through them.
#
#   tests/bed/run.sh build/release rows                     every path of paths.csv
#   tests/bed/run.sh build/release -n 1000 dkim             more of it
#   tests/bed/run.sh build/release stay                     stays up, for sending by hand
#
# KEEP=1 keeps the folder (configurations, logs, queues).  docs/TESTBED.md tells what stands where.
set -u
B=${1:?usage: run.sh BUILD [OPTION]... PART...}
shift
HERE=$(cd "$(dirname "$0")" && pwd)
CERTS=$(cd "$B" && pwd)/certs
[ -f "$CERTS/ca.pem" ] || sh "$HERE/../certs.sh" "$CERTS" >/dev/null || exit 1
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:exitcode=99} TSAN_OPTIONS=${TSAN_OPTIONS:-exitcode=99}
W=$(mktemp -d "${TMPDIR:-/tmp}/tombolo-bed.XXXXXX")
trap '[ -n "${KEEP:-}" ] && echo "kept: $W" || rm -rf "$W"' EXIT
trap 'kill $pid 2>/dev/null' INT TERM
"$B/tests/tools/bed" -b "$B" -c "$CERTS" -f "$HERE" -d "$W" -v "$HERE/../vectors/paths.csv" "$@" &
pid=$!
wait $pid
