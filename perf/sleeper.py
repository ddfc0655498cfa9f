#!/usr/bin/env python3
"""perf/sleeper.py PORT SECONDS: a content filter that reads every message, thinks for that long, and finds it in order."""
import socketserver
import struct
import sys
import time

# not shown: connection, HELO, sender, recipients, DATA, header, unknown commands; body: shown, but not answered
WANT = 0x01 | 0x02 | 0x04 | 0x08 | 0x20 | 0x40 | 0x100 | 0x200 | 0x80000


class Filter(socketserver.StreamRequestHandler):
    def say(self, data):
        self.wfile.write(struct.pack(">I", len(data)) + data)

    def handle(self):
        while len(size := self.rfile.read(4)) == 4:
            packet = self.rfile.read(struct.unpack(">I", size)[0])
            if packet[:1] == b"O":
                version, _, steps = struct.unpack(">III", packet[1:13])
                self.say(b"O" + struct.pack(">III", min(version, 6), 0, steps & WANT))
            elif packet[:1] == b"E":
                time.sleep(float(sys.argv[2]))
                self.say(b"c")
            elif packet[:1] in b"QK":
                return


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
    request_queue_size = 200


Server(("127.0.0.1", int(sys.argv[1])), Filter).serve_forever()
