# perf/table.jq: medians of the runs as a table (input: all lines of perf/run.sh, slurped).
def median: sort | .[length / 2 | floor];
def side: sub("-tls$"; "");
def num(d): if . == null then "-" else (. * pow(10; d) | round / pow(10; d) | tostring) end;
def pad(n): tostring | if length < n then . + (" " * (n - length)) else . end;
def row: [.[0] | pad(13)] + [.[1] | pad(15)] + [.[2:][] | pad(13)] | join("");

. as $all
| ([["case", "server", "messages/s", "x Postfix", "% of wire", "CPU ms/msg", "flushes/msg", "own syncs", "p50 ms", "p99 ms", "PSS MiB", "missing"]]
   + ([$all[] | select(.arrived != null)] | group_by([.case, .name])
      | map({case: .[0].case, name: (.[0].name | side), per_s: (map(.per_s) | median), cpu: (map(.cpu_ms) | median),
             flushes: (map(.flushes) | median), syncs: (map(.own_syncs) | median), p50: (map(.p50_ms) | median), p99: (map(.p99_ms) | median),
             pss: (map(.pss_mib) | max), missing: (map(.missing) | add)}) as $rows
      | $rows | sort_by([(.case | contains("TLS")), .case, ({wire: 0, tombolo: 1}[.name] // 2)])
      | map(. as $r
            | ([$rows[] | select(.case == $r.case and .name == "postfix")][0].per_s) as $pf
            | ([$rows[] | select(.case == $r.case and .name == "wire")][0].per_s) as $wire
            | [.case, .name, .per_s, (if $pf then .per_s / $pf else null end | num(1)),
               (if $wire then 100 * .per_s / $wire else null end | num(0)),
               (if .name == "wire" then null else .cpu end | num(3)), (if .name == "wire" then null else .flushes end | num(2)),
               (if .name == "tombolo" then .syncs else null end | num(2)),
               (.p50 | num(2)), (.p99 | num(2)), (if .name == "wire" then null else .pss end | num(1)), .missing]))
   | map(row) | .[]),
  "",
  ([["", "server", "handshakes/s", "CPU ms each"]]
   + ([$all[] | select(.case == "handshakes")] | group_by(.name)
      | map(["handshakes", (.[0].name | side), (map(.per_s) | max), (map(.cpu_ms // empty) | if . == [] then null else median end | num(2))]))
   | map(row) | .[]),
  "",
  ([["", "server", "connections", "KiB each"]]
   + ([$all[] | select(.kib_each != null)] | map([.case, (.name | side), .open, .kib_each]))
   | map(row) | .[])
