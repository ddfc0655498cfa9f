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
for kind in rsa ed; do # keys of the signers and their records
	case $kind in
	rsa) openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$W/rsa.pem" 2>/dev/null; k=rsa cut=1 ;;
	ed) openssl genpkey -algorithm ED25519 -out "$W/ed.pem"; k=ed25519 cut=13 ;; # the last 32 bytes are the key
	esac
	p=$(openssl pkey -in "$W/$kind.pem" -pubout -outform DER | tail -c +$cut | openssl base64 -A)
	echo "v=DKIM1; k=$k; p=$p" >"$W/$kind.txt"
done
"$B/tests/tools/bed" -b "$B" -c "$CERTS" -f "$HERE" -d "$W" -v "$HERE/../vectors/paths.csv" "$@" &
pid=$!
wait $pid
