#!/bin/sh
# tests/crash_groups.sh BUILD_DIR: kill -9 while a group is expanded: before a copy, behind a copy that is durable, before
# the outcome.  After the restart every member has got the message; a second time is legal and counted.
# The last line is "N passed, N failed".
set -u
B=$1
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/gateway.sh"
free_ports 2
members="a b c d e f g h i j"
list=
for m in $members; do list="$list$m@far.example;"; done
configure "recipients { path = \"$W/recipients\"; map_size = 16M; expansion_limit = 3 }
domain \"contoso.com\" { type = authoritative; default = yes }
send \"out\" { space = {\"*;1\"}; smarthosts = {\"[127.0.0.1]:$((PORT + 1))\"}; tls = none }"
printf 'address,loc,expand_at,members\nall@contoso.com,group,here,%s\n' "$list" >"$W/table.csv"
"$B/tombolo" recipients import "$W/table.csv" --offline -c "$W/tombolo.conf" >/dev/null || exit 1
mkdir "$W/mail"
"$B/tests/tools/host" -p $((PORT + 1)) -n far.example -d "$W/mail" >/dev/null 2>&1 &
OTHERS=$!

arrived() { # SUBJECT: to every member
	for m in $members; do
		awk -F'\t' -v s="$1" -v m="$m@far.example" \
			'$6 == s && index("," $3 ",", "," m ",") { f = 1 } END { exit !f }' "$W/mail/log" || return 1
	done
}

kills=0
round() { # FAULT
	subject="kill at $1"
	: >>"$W/mail/log"
	daemon_up "$1:kill"
	# the message is durable before it is expanded, but the kill may come before the answer does
	"$B/tests/tools/send" -p $PORT -f boss@contoso.com -t all@contoso.com -s "$subject" >"$W/sent" 2>&1
	if wait_for 100 gone; then kills=$((kills + 1)); else kill -9 "$DAEMON"; fi
	wait "$DAEMON" 2>/dev/null
	check "$1: the store is sound" is_sound >"$W/check"
	daemon_up
	check "$1: every member has it" wait_for 100 arrived "$subject"
	daemon_down
}
# ten members and three a copy: four copies
for pass in 1 2 4; do
	round "expand.copy:$pass"
	round "expand.copied:$pass"
done
check "six kills at their point" [ $kills = 6 ]
again=$(awk -F'\t' '{ n = split($3, r, ","); for (i = 1; i <= n; i++) if (seen[$6 r[i]]++) d++ } END { print d + 0 }' "$W/mail/log")
echo "$kills kills while a group was expanded, $again members served twice, none lost"
total
