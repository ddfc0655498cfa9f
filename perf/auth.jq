# perf/auth.jq: medians of the runs as lines (input: all lines of perf/auth.sh, slurped).
def median: sort | .[length / 2 | floor];
def num(d): . * pow(10; d) | round / pow(10; d);
def row: [.[0] | tostring | . + (" " * ([26 - length, 1] | max))] + [.[1:][] | tostring | . + (" " * ([13 - length, 1] | max))] | join("");

. as $all
| ([["judge", "messages/s", "x Postfix", "CPU ms/msg", "p50 ms", "p99 ms", "missing", "refused"]]
   + ([$all[] | select(.case == "judge")] | group_by(.name)
      | map({name: .[0].name, per_s: (map(.per_s) | median), cpu: (map(.cpu_ms) | median), p50: (map(.p50_ms) | median),
             p99: (map(.p99_ms) | median), missing: (map(.missing) | add), refused: (map(.refused) | add)})
      | . as $rows
      | map((if .name | endswith("-auth") then "postfix-auth" else "postfix" end) as $peer
            | ([$rows[] | select(.name == $peer)][0].per_s) as $theirs
            | [.name, .per_s, (if $theirs then .per_s / $theirs | num(1) else "-" end), (.cpu | num(3)), (.p50 | num(1)), (.p99 | num(1)),
               .missing, .refused]))
   | map(row) | .[]),
  "",
  ([["sign", "messages/s", "worker ms", "/s of a core", "missing"]]
   + ([$all[] | select(.case == "sign")] | group_by(.name)
      | map(if .[0].per_core_s then [.[0].name, "-", "-", (map(.per_core_s) | median | round), "-"]
            else (map(.workers_cpu_ms) | median) as $ms
                 | [.[0].name, (map(.per_s) | median), ($ms | num(3)), (if $ms > 0 then 1000 / $ms | round else "-" end), (map(.missing) | add)] end))
   | map(row) | .[]),
  "",
  ([["filters", "when", "messages", "p50 ms", "p99 ms"]]
   + ([$all[] | select(.case == "filters")] | group_by([.name, .when])
      | map([.[0].name, .[0].when, (map(.accepted) | add), (map(.p50_ms) | median | num(2)), (map(.p99_ms) | median | num(2))]))
   | map(row) | .[])
