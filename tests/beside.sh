#!/bin/bash
# tests/beside.sh BUILD_DIR: the socketmap server of a gateway that takes no mail: answers, pieces, several requests at
# once, rubbish, and who may ask for decisions.  bash, for its /dev/tcp.  The last line is "N passed, N failed".
set -u
B=$(cd "${1:?usage: beside.sh BUILD_DIR}" && pwd)
W=$(mktemp -d "${TMPDIR:-/tmp}/tombolo-beside.XXXXXX")
PORT=$((20000 + $$ % 20000))
PASSED=0 FAILED=0
trap 'kill $PID 2>/dev/null; wait $PID 2>/dev/null; rm -rf "$W"' EXIT

cat >"$W/conf" <<-CONF
	hostname = mail.contoso.com
	resolvers = 127.0.0.1
	loops = 1
	control = $W/control
	queue { path = $W/queue }
	recipients { path = $W/recipients }
	log { file = $W/log }
	domain "contoso.com" { routing_domain = contoso.mail.cloud.example }
	send "mailboxes" { space = "@local"; smarthosts = "[127.0.0.1]:2001" }
	send "to-cloud" { space = { "contoso.mail.cloud.example", "@peer" }; smarthosts = "[127.0.0.1]:2002"; peer = yes; tls = encrypt }
	beside { listen = { "127.0.0.1:$PORT", "$W/ask" }; clients = 3 }
CONF
printf 'address,loc,routing\nanna@contoso.com,local,\nclara@contoso.com,remote,clara@contoso.mail.cloud.example\n' >"$W/people.csv"

check() { # NAME GOT WANT
	if [ "$2" = "$3" ]; then
		PASSED=$((PASSED + 1))
	else
		FAILED=$((FAILED + 1))
		printf 'FAILED %s\n  got  %s\n  want %s\n' "$1" "$2" "$3"
	fi
}
# say BYTES [PAUSE BYTES]...: sends them and prints what comes until nothing more does
say() {
	exec 3<>"/dev/tcp/127.0.0.1/$PORT" || return 1
	printf '%s' "$1" >&3
	while [ $# -ge 3 ]; do
		sleep "$2"
		printf '%s' "$3" >&3
		shift 2
	done
	IFS= read -r -t 2 -d '' -u 3 answer
	exec 3>&-
	printf '%s' "$answer"
}

"$B/tombolod" -c "$W/conf" >"$W/out" 2>&1 &
PID=$!
export TOMBOLO_CONTROL=$W/control
for _ in $(seq 100); do "$B/tombolo" status >/dev/null 2>&1 && break; sleep 0.1; done
"$B/tombolo" recipients import "$W/people.csv" >"$W/import" 2>&1 || cat "$W/import"

check "a way" "$(say '27:transport clara@contoso.com,')" '24:OK smtp:[127.0.0.1]:2002,'
check "in two pieces" "$(say '27:transport cl' 0.2 'ara@contoso.com,')" '24:OK smtp:[127.0.0.1]:2002,'
check "two at once" "$(say '24:virtual anna@contoso.com,25:virtual clara@contoso.com,')" \
	'9:NOTFOUND ,35:OK clara@contoso.mail.cloud.example,'
check "no such map" "$(say '6:maps x,')" '33:PERM there is no map of this name,'
check "no key" "$(say '9:transport,')" '25:PERM a request is MAP KEY,'
check "decisions are not for everybody" "$(say '8:decide x,')" '46:PERM this map is for tombolo-milter, by a path,'
check "rubbish is not answered" "$(say 'GET / HTTP/1.1')" ''
check "a length beyond all limits neither" "$(say '99999999:')" ''
check "it is still there" "$(say '27:transport clara@contoso.com,')" '24:OK smtp:[127.0.0.1]:2002,'
kill $PID
wait $PID
check "it stops when asked to" $? 0
check "the socket is taken away" "$(ls "$W/ask" 2>/dev/null)" ''
check "no sanitizer complains" "$(grep -aE 'Sanitizer|runtime error' "$W/out")" ''
echo "$PASSED passed, $FAILED failed"
[ "$FAILED" = 0 ]
