#!/bin/sh
# tests/lint/lint.sh: what the compiler does not check: format, floors, third-party headers in their one place, banned
# calls, headers that compile alone, nothing left over.  Prints findings; the last line is `lint: ok` when there are none.
set -u
cd "$(dirname "$0")/../.."
files=$(git ls-files 2>/dev/null || find . -type f -not -path './build/*' -not -path './.git/*' | sed 's|^\./||')
sources=$(echo "$files" | grep -E '\.[ch]$' | while read -r f; do [ -f "$f" ] && echo "$f"; done)
found=$(mktemp)
trap 'rm -f "$found"' EXIT
say() { echo "$*" >>"$found"; }

# ---- format ----
echo "$sources" | xargs clang-format --dry-run -Werror 2>&1 | grep -E 'error:' | sed 's/error: code should be clang-formatted.*/not as clang-format writes it/' >>"$found"

# ---- floors: a file includes its own room and lower floors; main.c, tests and tools see everything ----
echo "$sources" | xargs awk '
	BEGIN {
		split("base wire config tls queue routing auth connectors smtpd milter", rooms, " ")
		split("0 1 2 3 3 4 5 6 7 7", floors, " ")
		for (i in rooms) floor[rooms[i]] = floors[i]
		# header -> files that may include it
		only["ev.h"] = "^base/loop[.]c$"
		only["lmdb.h"] = "^base/store[.]c$"
		only["openssl"] = "^(tls|auth|tests/kit)/openssl_[a-z_]*[.][ch]$"
		only["libmilter"] = "^milter/main[.]c$"
		only["unbound.h"] = "^routing/dns[a-z_]*[.][ch]$"
		only["confuse.h"] = "^config/parse[.]c$"
		only["seccomp.h"] = only["cap-ng.h"] = only["linux"] = "^(smtpd|auth)/cage(_test)?[.]c$|^tests/powerloss/"
		only["curl"] = "^tls/curl_fetch[.]c$"
		only["jansson.h"] = "^smtpd/(control|cli|explain)[a-z_]*[.][ch]$|^tests/bed/(trail|simulate)[.]c$"
		only["opendkim"] = "^tests/bed/dkim[.]c$|^auth/dkim_(sign|verify)[.]c$"
		only["spf2"] = "^auth/spf_lib[.]c$"
		only["xxhash.h"] = "^base/[a-z]*[.]c$|^queue/[a-z]*[.]c$"
		only["cmocka.h"] = "^tests/unit[.]h$|_test[.]c$"
	}
	FNR == 1 { room = FILENAME; sub(/\/.*/, "", room) }
	/^#[ \t]*include[ \t]+"/ {
		split($0, part, "\""); to = part[2]; sub(/\/.*/, "", to)
		if (!(room in floor) || FILENAME == "smtpd/main.c" || FILENAME == "smtpd/cli.c" || to == room) next
		if (to == "tests" && FILENAME ~ /_test[.][ch]$|_test_[a-z_]*[.][ch]$|fixture[.]h$/) next
		if (!(to in floor)) printf "%s:%d: includes %s, which is in no room\n", FILENAME, FNR, part[2]
		else if (floor[to] >= floor[room]) printf "%s:%d: includes %s, which is not below %s/\n", FILENAME, FNR, part[2], room
	}
	/^#[ \t]*include[ \t]+</ {
		split($0, part, /[<>]/); name = part[2]; top = name; sub(/\/.*/, "", top)
		for (h in only)
			if ((name == h || top == h) && FILENAME !~ only[h] && FILENAME !~ /^tests\/fuzz\//)
				printf "%s:%d: <%s> has one place, and this is not it\n", FILENAME, FNR, name
	}
	FNR == 1 && !/^\/\*/ { printf "%s:1: a file opens by saying what it is for\n", FILENAME }' >>"$found"

# ---- banned: the poisoned names stop the compiler; shells and unbounded friends are looked for here ----
grep -q -- '-include tests/lint/banned.h' Makefile || say "Makefile: banned.h is not forced into every file"
rooms=$(echo "$sources" | grep -vE '^(tests|perf)/')
echo "$rooms" | xargs grep -nE '"/bin/(ba)?sh|\b(execl|execlp|execvp|popen|system|alloca|tempnam|setjmp|longjmp)[ ]*\(' /dev/null |
	grep -v '_test\.c:' | sed 's/$/   <- banned/' >>"$found"

# ---- every header compiles alone ----
echo "$sources" | grep '\.h$' | grep -v '^tests/lint/banned.h$' | xargs -P 2 -I{} sh -c '
	cc -std=c17 -D_GNU_SOURCE -Wall -Wextra -Wno-unused-function -I. -include tests/lint/banned.h -fsyntax-only -x c "$1" >/dev/null 2>&1 ||
		echo "$1: does not compile alone"' sh {} >>"$found"

# ---- nothing left over ----
echo "$files" | xargs grep -nIE '(^|[^A-Za-z0-9_.])/([w]ork|[r]oot|[h]ome/[a-z]+)(/|\b)' /dev/null 2>/dev/null | grep -v '^LICENSE' |
	cut -c1-160 | sed 's/$/   <- a path of one machine/' >>"$found"
echo "$files" | xargs grep -nIE '\b([T]ODO|[F]IXME|[X]XX)\b' /dev/null 2>/dev/null | cut -c1-160 | sed 's/$/   <- unfinished/' >>"$found"

# ---- docs/SECURITY.md promises no test that is not there ----
sh tests/attacks.sh >>"$found"

if [ -s "$found" ]; then
	sort -u "$found"
	echo "lint: $(sort -u "$found" | wc -l) findings"
	exit 1
fi
echo "lint: ok"
