#!/usr/bin/env python3
"""tests/interop/sink.py PORT DIR [CERT KEY]: a mail server that takes everything and keeps it: DIR/N holds the envelope, one
line each, an empty line, and the message as it came.  With a certificate it offers STARTTLS.  Ends with its parent."""
import itertools
import os
import socketserver
import ssl
import sys
import threading

PORT, DIR, CERT = int(sys.argv[1]), sys.argv[2], sys.argv[3:5]
names = itertools.count(len(os.listdir(DIR)) + 1)
lock = threading.Lock()
context = None
if CERT:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*CERT)


class Session(socketserver.BaseRequestHandler):
    def say(self, text):
        self.request.sendall(text.encode() + b"\r\n")

    def take_message(self):
        body = b""
        for line in self.lines:
            if line == b".\r\n":
                return body
            body += line[1:] if line.startswith(b".") else line
        return None

    def keep(self, envelope, body):
        with lock:
            name = os.path.join(DIR, str(next(names)))
        with open(name + ".part", "wb") as f:
            f.write("".join(x + "\n" for x in envelope).encode("utf-8", "surrogateescape") + b"\n" + body)
        os.rename(name + ".part", name)

    def handle(self):
        self.request.settimeout(60)
        self.lines = self.request.makefile("rb")
        envelope, secured = [], False
        self.say("220 sink")
        for line in self.lines:
            text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
            verb = text[:4].upper()
            if verb == "EHLO":
                more = "250-STARTTLS\r\n" if context and not secured else ""
                self.say("250-sink\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n" + more + "250 SIZE 0")
            elif verb == "STAR" and context:
                self.say("220 go")
                self.request = context.wrap_socket(self.request, server_side=True)
                self.lines = self.request.makefile("rb")
                secured = True
                return self.go_on(secured)
            elif not self.command(verb, text, envelope, secured):
                return

    def go_on(self, secured):
        envelope = []
        for line in self.lines:
            text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
            if text[:4].upper() == "EHLO":
                self.say("250-sink\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 SIZE 0")
            elif not self.command(text[:4].upper(), text, envelope, secured):
                return

    def command(self, verb, text, envelope, secured):
        if verb == "MAIL":
            envelope[:] = ["TLS" if secured else "CLEAR", text]
            self.say("250 ok")
        elif verb == "RCPT":
            envelope.append(text)
            self.say("250 ok")
        elif verb == "DATA":
            self.say("354 go")
            body = self.take_message()
            if body is None:
                return False
            self.keep(envelope, body)
            self.say("250 kept")
        elif verb == "QUIT":
            self.say("221 bye")
            return False
        else:
            self.say("250 ok")
        return True


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


Server(("127.0.0.1", PORT), Session).serve_forever()
