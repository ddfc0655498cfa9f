#!/bin/sh
# tests/roles.sh BUILD_DIR: the control socket and real users: what operators, viewers and nobody may do, and what the log
# says about it.  Needs root, to become them; without it the run says so and checks nothing.
# The last line is "N passed, N failed".
set -u
if [ "$(id -u)" != 0 ] || ! command -v setpriv >/dev/null; then
	echo "not root, or no setpriv: not run"
	echo "1 passed, 0 failed"
	exit 0
fi
B=$(cd "${1:?usage: roles.sh BUILD_DIR}" && pwd)
. "$(dirname "$0")/ports.sh"
free_ports 1
W=$(mktemp -d "${TMPDIR:-/tmp}/tombolo-roles.XXXXXX") || exit 1
passed=0 failed=0 pid=
stop() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$W"
}
trap stop EXIT
trap 'exit 1' INT TERM
chmod 755 "$W"
cp "$B/tombolo" "$W/tombolo" # where everybody may run it
VIEWERS=$(getent group games | cut -d: -f3)
OPERATORS=$(getent group staff | cut -d: -f3)

start() { # LINES of the configuration
	[ -z "$pid" ] || { kill "$pid"; wait "$pid" 2>/dev/null; }
	cat >"$W/conf" <<-CONF
		hostname = mail.contoso.com
		control = "$W/control"
		log { file = "$W/log" }
		queue { path = "$W/queue" }
		recipients { path = "$W/recipients" }
		domain "contoso.com" { }
		receive "all" { listen = "127.0.0.1:$PORT" }
		send "net" { space = "*;1" }
		$1
	CONF
	"$B/tombolod" -c "$W/conf" >>"$W/out" 2>&1 &
	pid=$!
	n=0
	until "$B/tombolo" --socket "$W/control" status >/dev/null 2>&1 || [ $n -gt 50 ]; do
		n=$((n + 1))
		sleep 0.1
	done
}
as() { # GROUPS COMMAND...: as nobody, with these further groups
	groups=$1
	shift
	setpriv --reuid=65534 --regid=65534 --groups="$groups" "$W/tombolo" --socket "$W/control" "$@"
}
check() { # WHAT EXIT WORDS COMMAND...
	what=$1 want=$2 words=$3
	shift 3
	"$@" >"$W/check" 2>&1
	got=$?
	if [ $got = "$want" ] && { [ -z "$words" ] || grep -q "$words" "$W/check"; }; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $what: exit $got, wanted $want with '$words'"
		head -n 3 "$W/check"
	fi
}
logged() { grep -q "$1" "$W/log"; }
change() { as "$1" recipients set u@contoso.com loc=local; }

start "control_viewers = games; control_operators = staff"
check "an operator looks" 0 "site" as "$OPERATORS" status
check "an operator changes" 0 "" change "$OPERATORS"
check "a viewer looks" 0 "site" as "$VIEWERS" status
check "a viewer changes nothing" 2 "members of control_operators" change "$VIEWERS"
check "nobody looks at nothing" 75 "closed the connection" as 65534 status
check "nobody changes nothing" 75 "closed the connection" change 65534
check "the change is logged with its uid" 0 "" logged "control.done.*verb=set uid=65534 exit=0"
check "the refusal is logged with its uid" 0 "" logged "control.refused.*verb=set uid=65534"
check "the stranger is logged with its uid" 0 "" logged "control.stranger.*uid=65534"


start ""
check "without groups the socket's mode decides" 75 "Permission denied" as "$VIEWERS" status
check "root looks" 0 "site" "$B/tombolo" --socket "$W/control" status

start "control_operators = no-such-group"
check "a group there is not" 0 "" grep -q "control_operators: there is no group no-such-group" "$W/out"
pid=
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
