#!/usr/bin/env python3
"""tests/interop/milter_rude.py PORT: an MTA that speaks the milter protocol badly to tombolo-milter (hardening ML-7): macros
and headers without their NUL, steps in any order, ABORT between them, chunks above 64 KiB, lengths that lie, noise.
After each rudeness a polite conversation must still be understood.  The last line is `N passed, N failed`."""
import random
import socket
import struct
import sys

PORT = int(sys.argv[1])
ACTIONS, STEPS = 0x1FF, 0x1FFFFF
passed = failed = 0


def packet(command, data=b""):
    return struct.pack(">I", len(data) + 1) + command + data


def negotiation(version=6, actions=ACTIONS, steps=STEPS):
    return packet(b"O", struct.pack(">III", version, actions, steps))


CONNECT = packet(b"C", b"client.example\0" + b"4" + struct.pack(">H", 4242) + b"192.0.2.1\0")
HELO = packet(b"H", b"client.example\0")
MAIL = packet(b"M", b"<x@far.example>\0")
CLARA = packet(b"R", b"<clara@contoso.com>\0")
NOBODY = packet(b"R", b"<nobody@contoso.com>\0")
FROM = packet(b"L", b"From\0 x@far.example\0")
EOH, EOM, ABORT, QUIT, QUIT_NC = (packet(x) for x in (b"N", b"E", b"A", b"Q", b"K"))


class Talk:
    def __init__(self):
        self.s = socket.create_connection(("127.0.0.1", PORT), timeout=20)

    def send(self, data):
        try:
            self.s.sendall(data)
        except OSError:
            pass

    def read(self):
        """The next packet: (letter, data); None: it hung up."""
        data = b""
        while len(data) < 4 or len(data) < 4 + struct.unpack(">I", data[:4])[0]:
            want = 4 if len(data) < 4 else 4 + struct.unpack(">I", data[:4])[0]
            try:
                more = self.s.recv(want - len(data))
            except OSError:
                return None
            if not more:
                return None
            data += more
        return data[4:5], data[5:]

    def until(self, *letters):
        """Packets up to one of these."""
        seen = []
        while (p := self.read()) is not None:
            seen.append(p)
            if p[0] in letters:
                return seen
        return seen

    def close(self):
        self.s.close()


def check(name, good):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good:
        print("FAILED", name)


def message(t, name):
    """A message on a conversation that is past HELO: one recipient refused, one replaced."""
    t.send(MAIL)
    check(name + ": MAIL", t.read() == (b"c", b""))
    t.send(NOBODY)
    reply = t.read()
    check(name + ": an unknown recipient", reply is not None and reply[0] == b"y" and reply[1].startswith(b"550 5.1.1 "))
    t.send(CLARA)
    check(name + ": a known one", t.read() == (b"c", b""))
    t.send(FROM + packet(b"L", b"X-MS-Exchange-Organization-SCL\0 -1\0") + EOM)
    seen = t.until(b"c", b"a", b"r", b"t", b"d", b"y")
    check(name + ": she is replaced", any(p[0] == b"2" and p[1].startswith(b"<clara@contoso.mail.cloud.example>\0") for p in seen))
    check(name + ": by taking her out", (b"-", b"<clara@contoso.com>\0") in seen)
    check(name + ": the forged field goes", (b"m", b"\0\0\0\1X-MS-Exchange-Organization-SCL\0\0") in seen)
    check(name + ": and all goes on", seen and seen[-1][0] == b"c")


def polite(name):
    t = Talk()
    t.send(negotiation())
    check(name + ": negotiation", (t.read() or b"?")[0] == b"O")
    t.send(CONNECT + HELO)
    message(t, name)
    message(t, name + ", once more")
    t.send(QUIT)
    t.close()


def rude(name, *pieces, negotiate=True, slowly=False):
    t = Talk()
    if negotiate:
        t.send(negotiation())
        t.read()
    for p in pieces:
        for i in range(0, len(p), 1 if slowly else len(p) or 1):
            t.send(p[i:i + 1] if slowly else p)
    try:
        t.s.shutdown(socket.SHUT_WR)
        while t.s.recv(65536):
            pass
    except OSError:
        pass
    t.close()
    u = Talk()  # is somebody there?
    u.send(negotiation())
    check(name, (u.read() or b"?")[0] == b"O")
    u.send(QUIT)
    u.close()


def macros(*data):
    return b"".join(packet(b"D", d) for d in data)


polite("before")
rude("macros without NUL", macros(b"Cj", b"C{tls_version}\0TLSv1.3", b"M{auth_authen}\0x"), CONNECT, HELO, MAIL, CLARA, EOM)
rude("macros without value", macros(b"Cj\0", b"M{cert_subject}\0", b"R\0", b"", b"?", b"\xff\0\0"), CONNECT, HELO, MAIL)
rude("macros of unknown steps", macros(b"Zj\0x\0", b"Ei\0ID\0x"), CONNECT, HELO, MAIL, CLARA, EOM)
rude("connect without NUL", packet(b"C", b"client"), HELO, MAIL)
rude("connect cut off", packet(b"C", b"c\0004\x10"), packet(b"C", b"c\0"), packet(b"C"), MAIL)
rude("connect of odd families", packet(b"C", b"c\0U"), packet(b"C", b"c\0Z\0\0x\0"), packet(b"C", b"c\0L\0\0/x\0"),
     packet(b"C", b"c\0006\0\0IPv6:::1\0"), packet(b"C", b"c\0004\0\0not an address\0"), HELO, MAIL, CLARA, EOM)
rude("MAIL without argument", CONNECT, HELO, packet(b"M"), packet(b"M", b"\0"), packet(b"M", b"x"), CLARA, EOM)
rude("RCPT without argument", CONNECT, HELO, MAIL, packet(b"R"), packet(b"R", b"\0"), packet(b"R", b"x"), EOM)
rude("control bytes in addresses", CONNECT, HELO, packet(b"M", b"<a\r\n@b>\0"), MAIL, packet(b"R", b"<a\n@b>\0A=\xff\0"), EOM)
rude("header without value", CONNECT, HELO, MAIL, CLARA, packet(b"L", b"Subject\0"), packet(b"L", b"Subject"), EOM)
rude("header without name", CONNECT, HELO, MAIL, CLARA, packet(b"L", b"\0 x\0"), packet(b"L", b"\0\0"), packet(b"L"), EOM)
rude("header that is none", CONNECT, HELO, MAIL, CLARA, packet(b"L", b"From a\nb: c\0 d\ne\r\r\n\n\xff\0"), EOM)
rude("BODY before EOH", CONNECT, HELO, MAIL, CLARA, packet(b"B", b"body"), FROM, EOH, EOM)
rude("BODY though it was declined", CONNECT, HELO, MAIL, CLARA, FROM, EOH, packet(b"B", b"x" * 200000), EOM)
rude("all in the wrong order", EOM, EOH, FROM, CLARA, MAIL, HELO, CONNECT, packet(b"T"), packet(b"U", b"XYZ\0"), EOM)
rude("EOM at once", EOM)
rude("EOM twice", CONNECT, HELO, MAIL, CLARA, FROM, EOM, EOM)
rude("two senders", CONNECT, HELO, MAIL, MAIL, CLARA, EOM)
rude("RCPT without MAIL", CONNECT, HELO, CLARA, FROM, EOM)
rude("ABORT between all", ABORT, CONNECT, ABORT, HELO, ABORT, MAIL, ABORT, CLARA, ABORT, FROM, ABORT, EOM, ABORT, QUIT)
rude("negotiation twice", negotiation(), CONNECT, negotiation(), HELO, MAIL, EOM)
rude("a header of 2 MiB", CONNECT, HELO, MAIL, CLARA, *[packet(b"L", b"X\0 " + b"y" * 60000 + b"\0")] * 35, EOM)
rude("8000 fields", CONNECT, HELO, MAIL, CLARA, packet(b"L", b"X\0 y\0") * 8000, EOM)
rude("12000 recipients at once", CONNECT, HELO, MAIL, packet(b"R", b"<nobody@contoso.com>\0") * 1200, EOM)
for length in (0, 1 << 31, (1 << 32) - 1, 1 << 20):
    rude("a length of %d" % length, CONNECT, struct.pack(">I", length) + b"HELO", HELO)
    rude("a length of %d first" % length, struct.pack(">I", length) + b"OX", negotiate=False)
rude("nothing", negotiate=False)
rude("another protocol", b"EHLO x\r\nMAIL FROM:<a@b>\r\n", negotiate=False)
for version, actions, steps in ((1, ACTIONS, STEPS), (2, ACTIONS, STEPS), (99, ACTIONS, STEPS), (6, 0, 0), (6, ACTIONS, 0),
                                (6, 0, STEPS), (6, 0xFFFFFFFF, 0xFFFFFFFF)):
    rude("negotiation of %d %x %x" % (version, actions, steps), negotiation(version, actions, steps), CONNECT, MAIL,
         CLARA, EOM, negotiate=False)
rude("byte by byte", CONNECT, HELO, MAIL, CLARA, FROM, EOM, QUIT, slowly=True)
rng = random.Random(4711)
for i in range(100):
    noise = b"".join(packet(bytes([rng.choice(b"ABCDEHKLMNOQRTU")]), rng.randbytes(rng.randrange(60))) for _ in range(30))
    rude("noise %d" % i, noise, rng.randbytes(rng.randrange(200)))
t = Talk()  # another client on the same connection
t.send(negotiation())
t.read()
t.send(CONNECT + HELO)
message(t, "before QUIT_NC")
t.send(QUIT_NC + CONNECT + HELO)
message(t, "after QUIT_NC")
t.send(MAIL + CLARA + ABORT)
check("two answers", t.read() == (b"c", b"") and t.read() == (b"c", b""))
message(t, "after ABORT")
t.close()
polite("after all that")
print("%d passed, %d failed" % (passed, failed))
sys.exit(failed > 0)
