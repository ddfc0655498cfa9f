#!/usr/bin/env python3
"""tests/interop/post.py PORT FROM RCPT... [--cert FILE KEY CA]: sends the message on standard input to 127.0.0.1:PORT byte for
byte, and prints every answer: "RCPT <address> 550 5.1.1 ..."."""
import smtplib
import ssl
import sys

args = sys.argv[1:]
cert = None
if "--cert" in args:
    at = args.index("--cert")
    cert, args = args[at + 1:at + 4], args[:at]
port, sender, rcpts = int(args[0]), args[1], args[2:]
message = sys.stdin.buffer.read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

s = smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=60)
s.ehlo()
if cert:
    context = ssl.create_default_context(cafile=cert[2])
    context.check_hostname = False
    context.load_cert_chain(cert[0], cert[1])
    s.starttls(context=context)
    s.ehlo()


def tell(what, answer):
    print(what, answer[0], answer[1].decode("utf-8", "replace").replace("\n", " / "))
    return answer[0]


tell("MAIL", s.docmd("MAIL", "FROM:<%s>" % sender))
taken = 0
for r in rcpts:
    address, _, parameters = r.partition(" ")
    taken += tell("RCPT <%s>" % address, s.docmd("RCPT", "TO:<%s> %s" % (address, parameters))) == 250
if taken and tell("DATA", s.docmd("DATA")) == 354:
    body = b"".join((b"." + x if x.startswith(b".") else x) for x in message.splitlines(keepends=True))
    s.send(body + b".\r\n")
    tell("END", s.getreply())
s.quit()
