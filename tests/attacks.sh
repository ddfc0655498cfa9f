#!/bin/sh
# tests/attacks.sh: every attack that docs/SECURITY.md calls done has a test that says its name, and every file it names
# is there.  Prints what is missing; silent when nothing is.
set -u
cd "$(dirname "$0")/.."

# id <TAB> files, one line an id, of the rows that are done; SM-I1..SM-I19 is nineteen ids
awk -F'|' '
	NF >= 5 && $4 ~ /^ done/ {
		n = split($2, ids, ",")
		for (i = 1; i <= n; i++) {
			gsub(/^ +| +$/, "", ids[i])
			if (split(ids[i], ends, /[.][.]/) == 2) {
				stem = ends[1]; sub(/[0-9]+$/, "", stem)
				from = substr(ends[1], length(stem) + 1) + 0; to = substr(ends[2], length(stem) + 1) + 0
				for (k = from; k <= to; k++) print stem k "\t" $3
			} else
				print ids[i] "\t" $3
		}
	}' docs/SECURITY.md |
while IFS='	' read -r id files; do
	for file in $files; do
		[ -f "$file" ] || echo "docs/SECURITY.md: $id: there is no $file"
	done
	case $id in # the others are described in words
	SM-* | ML-* | ST-* | BD-* | HY-* | DoS-* | CVE-* | GHSA-*) ;;
	*) continue ;;
	esac
	[ -n "${files# }" ] || continue
	grep -qE "$id([^0-9]|\$)" $files || echo "docs/SECURITY.md: $id is called done, and none of$files names it"
done
