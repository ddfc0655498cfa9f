#!/usr/bin/python3
"""tests/interop/dkim_peer.py FOLDER sign|verify: dkimpy at the other end.

sign: FOLDER/rsa.pem, ed.pem -> FOLDER/dkimpy-N.eml, and in names.txt what is to be found: `FILE EXPECTED`.
verify: each FOLDER/ours-*.eml -> `FILE N` for each signature that holds, by the records in FOLDER/zone.
"""
import base64
import glob
import sys

import dkim
import nacl.signing  # noqa: F401  dkimpy needs it for Ed25519

folder, what = sys.argv[1:3]
zone = {}
for line in open(folder + "/zone"):
    kind, name, value = line.rstrip("\n").split(" ", 2)
    zone[name.lower()] = value.encode()


def dns(name, timeout=5):
    return zone.get(name.decode().rstrip(".").lower())


def messages():
    for path in sorted(glob.glob(folder + "/plain-*.eml")):
        yield open(path, "rb").read()


def seed():
    """Of an Ed25519 key as PKCS#8 the last 32 bytes, in the form dkimpy wants."""
    pem = open(folder + "/ed.pem").read().split("-----")[2]
    return base64.b64encode(base64.b64decode(pem)[-32:])


if what == "sign":
    n = 0
    with open(folder + "/names.txt", "a") as names:
        for message in messages():
            for canon in [(h, b) for h in (b"relaxed", b"simple") for b in (b"relaxed", b"simple")]:
                for selector, algorithm in ((b"rsa", b"rsa-sha256"), (b"ed", b"ed25519-sha256")):
                    key = open(folder + "/rsa.pem", "rb").read() if selector == b"rsa" else seed()
                    field = dkim.sign(message, selector, b"a.example", key, canonicalize=canon,
                                      signature_algorithm=algorithm, include_headers=[b"from", b"to", b"subject", b"date"])
                    for change, expected in ((lambda m: m, "pass"),
                                             (lambda m: m.replace(b"Subject:", b"Subject: not", 1), "fail"),
                                             (lambda m: m + b"more\r\n", "fail")):
                        path = "%s/dkimpy-%d.eml" % (folder, n)
                        open(path, "wb").write(field + change(message))
                        names.write("%s %s\n" % (path, expected))
                        n += 1
            field = dkim.sign(message, b"rsa", b"a.example", open(folder + "/rsa.pem", "rb").read(), length=True,
                              include_headers=[b"from", b"subject"])
            empty = message.endswith(b"\r\n\r\n") and message.count(b"\r\n\r\n") == 1  # its canonical body is a line end
            for end, expected in ((b"", "pass"), (b"<p>bought\r\n", "fail" if empty else "policy")):
                path = "%s/dkimpy-%d.eml" % (folder, n)
                open(path, "wb").write(field + message + end)
                names.write("%s %s\n" % (path, expected))
                n += 1
else:
    for path in sorted(glob.glob(folder + "/ours-*.eml")):
        message = open(path, "rb").read()
        good = 0
        for i in range(2):
            try:
                good += dkim.DKIM(message).verify(i, dnsfunc=dns)
            except dkim.DKIMException as e:
                print("  %s" % e, file=sys.stderr)
        print(path, good)
