# tests/lib.sh: what runs against one daemon share (sourced; uses B, the build directory, and makes the folder $W).
#
# Needs HERE, the folder of this file.  Only processes named in $pids are stopped, by their ids, and $W goes with them.
W=$(mktemp -d "${TMPDIR:-/tmp}/tombolo-${0##*/}.XXXXXX") || exit 1
passed=0 failed=0 pids=
. "$HERE/ports.sh"
stop() {
	for p in $pids; do kill "$p" 2>/dev/null; done
	wait 2>/dev/null
	! mountpoint -q "$W/disk" || umount "$W/disk"
	rm -rf "$W"
}
trap stop EXIT
trap 'exit 1' INT TERM

check() { # WHAT COMMAND...; what the command before this one said is in "$W/before"
	what=$1
	shift
	[ ! -f "$W/check.log" ] || mv "$W/check.log" "$W/before"
	if "$@" >"$W/check.log" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $what"
		tail -n 5 "$W/check.log"
	fi
}
tb() { "$B/tombolo" --socket "$W/control" "$@"; }
refused() { ! "$@"; }
soon() { # until the command is true, at most 20 s
	n=0
	until "$@" >/dev/null 2>&1; do
		n=$((n + 1))
		[ $n -lt 200 ] || return 1
		sleep 0.1
	done
}
total() { # the last line, and the status
	echo "$passed passed, $failed failed"
	[ $failed = 0 ]
}
