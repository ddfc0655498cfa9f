#!/usr/bin/python3
"""tests/interop/spf_peer.py ZONE < questions: the verdicts of pyspf over a DNS in text (tests/kit/zone.h)."""
import sys

import spf

records, failing = {}, set()
for line in open(sys.argv[1]):
    kind, name, value = (line.rstrip("\n").split(" ", 2) + [""])[:3]
    name = name.lower()
    if kind == "FAIL":
        failing.add(name)
        continue
    if kind == "MX":
        preference, host = value.split()
        value = (int(preference), host.rstrip("."))
    elif kind == "TXT":
        value = (value.encode(),)
    records.setdefault((name, kind), []).append(value)


def lookup(name, qtype, tcpfallback=True, timeout=30):
    name = name.rstrip(".").lower()
    if name in failing:
        raise spf.TempError("DNS timeout")
    return [((name, qtype), value) for value in records.get((name, qtype), [])]


spf.DNSLookup = lookup
for line in sys.stdin:
    ip, helo, sender = line.split()
    print(spf.check2(i=ip, s="" if sender == "-" else sender, h=helo, receiver="mx.example", querytime=0)[0])
