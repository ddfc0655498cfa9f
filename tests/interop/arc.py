#!/usr/bin/python3
"""tests/interop/arc.py BUILD [SEED]: ARC chains of dkimpy judged by auth/arc, chains of our test kit judged by dkimpy, and
both judging the same damaged messages (RSA: dkimpy 1.1 knows no other in ARC).  The last line is `N passed, N failed`.  Needs python3-dkim and python3-authres."""
import base64
import os
import random
import subprocess
import sys
import tempfile

import dkim

BUILD = sys.argv[1]
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
TOOL = os.path.join(BUILD, "tests/tools/arc")
rng = random.Random(SEED)
passed = failed = 0


def check(good, what):
    global passed, failed
    passed += good
    failed += not good
    if not good:
        print("FAILED", what)


def ours(message, records, folder):
    path = os.path.join(folder, "keys")
    with open(path, "wb") as f:
        for name, text in records.items():
            f.write(name + b" " + text + b"\n")
    out = subprocess.run([TOOL, "verify", path], input=message, capture_output=True, timeout=20)
    return out.stdout.decode().strip() or "no answer: %r" % out.stderr


def theirs(message, records):
    def dns(name, timeout=5):
        return records.get(name.rstrip(b".").lower())
    try:
        cv, _, why = dkim.arc_verify(message, dnsfunc=dns)
    except Exception as e:  # what it cannot read does not pass
        return "fail %s" % e
    return "%s %s" % ((cv or b"fail").decode(), why)


def word():
    return "".join(rng.choice("abcdefgh \t.äß") for _ in range(rng.randint(0, 30)))


def letter():
    head = ["From: Ann <ann@x.example>", "To: ben@y.example", "Date: Thu, 1 Jan 2026 00:00:00 +0000",
            "Message-ID: <%d@x.example>" % rng.randint(0, 10**9), "Subject: " + word().strip()]
    for _ in range(rng.randint(0, 3)):
        head.append("Received: from a\r\n\tby b;  x")
    if rng.random() < 0.3:
        head.append("X-Folded: one\r\n   two\r\n\t three  ")
    rng.shuffle(head)
    lines = [word() for _ in range(rng.randint(0, 8))] + [""] * rng.randint(0, 3)
    return ("\r\n".join(head) + "\r\n\r\n" + "\r\n".join(lines) + ("\r\n" if rng.random() < 0.9 else "")).encode()


def damage(message):
    kind = rng.randint(0, 3)
    at = rng.randrange(len(message))
    if kind == 0:  # another printable character: dkimpy overlooks others inside of base64
        return message[:at] + (b"Y" if message[at:at + 1] != b"Y" else b"Z") + message[at + 1:]
    if kind == 1:
        return message[:at] + b"x" + message[at:]
    if kind == 2:
        return message.replace(b"i=1;", b"i=%d;" % rng.randint(2, 60), 1)
    return message + b"\r\n-- \r\nfooter\r\n"


def compare(message, records, folder, what):
    a, b = ours(message, records, folder), theirs(message, records)
    broken = "RFC822 header" in b  # dkimpy gives up where we read on up to the damage
    check(a.split()[0] == b.split()[0] or (broken and a.split()[0] != "pass"), "%s: we say %s, dkimpy says %s" % (what, a, b))


def their_seals(folder):
    key = os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", key, "2048"], check=True, capture_output=True)
    der = subprocess.run(["openssl", "rsa", "-in", key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
    pem = open(key, "rb").read()
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(der)
    for i in range(30):
        message, records = letter(), {}
        for n in range(1, rng.randint(1, 4) + 1):
            domain = b"relay%d.example" % n
            results = b"Authentication-Results: mx.example; arc=%s; dmarc=pass header.from=x.example\r\n" % (
                b"none" if n == 1 else b"pass")
            sealed = dkim.arc_sign(results + message, b"s%d" % n, domain, pem, b"mx.example",
                                   include_headers=[b"from", b"to", b"subject", b"date", b"message-id"])
            message = b"".join(sealed) + message
            records[b"s%d._domainkey.%s" % (n, domain)] = record
        said = ours(message, records, folder)
        check(said.startswith("pass %d link" % n), "a chain of dkimpy's: %s" % said)
        for k in range(6):
            compare(damage(message), records, folder, "a damaged chain of dkimpy's (%d.%d)" % (i, k))


def our_seals(folder):
    for i in range(30):
        links = rng.randint(1, 4)
        canon = rng.choice(["relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"])
        path = os.path.join(folder, "record")
        out = subprocess.run([TOOL, "seal", str(links), "rsa", path, canon], input=letter(), capture_output=True, timeout=20)
        record = open(path, "rb").read().strip()
        records = {b"s._domainkey.link%d.example" % n: record for n in range(1, links + 1)}
        said = theirs(out.stdout, records)
        check(said.startswith("pass"), "a chain of ours (%s): %s" % (canon, said))
        for k in range(4):
            compare(damage(out.stdout), records, folder, "a damaged chain of ours (%d.%d)" % (i, k))


with tempfile.TemporaryDirectory() as folder:
    their_seals(folder)
    our_seals(folder)
print("%d passed, %d failed" % (passed, failed))
sys.exit(failed > 0)
