#!/usr/bin/python3
"""tests/interop/results.py BUILD [SEED]: Authentication-Results as we write them, whatever a peer calls itself, read by
python3-authres: each is one field of ours with the three results we gave.  The last line is `N passed, N failed`."""
import os
import random
import subprocess
import sys

import authres

BUILD = sys.argv[1]
rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
PARTS = ["a", "mail.example", "@", ".", "(", ")", '"', "\\", ";", "=", " ", "\t", "dmarc=pass", "header.from=ours.example",
         "/", ":", "<", ">", ",", "[", "]", "ü", "\x01", "\x7f", "\r", "x" * 60, "none", "-", "'", "%", "(c)", "\\\""]
passed = failed = 0

values = ["".join(rng.choice(PARTS) for _ in range(rng.randint(1, 14))) for _ in range(1500)]
out = subprocess.run([os.path.join(BUILD, "tests/tools/results")], input="\n".join(values).encode() + b"\n",
                     capture_output=True, timeout=60).stdout
fields = out.decode("utf-8", "strict").split("\r\n\r\n")[:-1]
for value, field in zip(values, fields):
    try:
        r = authres.AuthenticationResultsHeader.parse(field.replace("\r\n", ""))
        got = [(x.method, x.result) for x in r.results]
        good = r.authserv_id == "mx.ours.example" and got == [("spf", "softfail"), ("dkim", "fail"), ("dmarc", "fail")]
    except Exception as e:
        good, got = False, repr(e)
    good = good and field.count("\n") == field.count("\r\n\t")
    passed += good
    failed += not good
    if not good:
        print("FAILED", repr(value), got, repr(field))
failed += len(values) - len(fields)
print("%d passed, %d failed" % (passed, failed))
sys.exit(failed > 0)
