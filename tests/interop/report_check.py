#!/usr/bin/env python3
"""report_check.py FILE ACTION STATUS RECIPIENT [WORD...]: a delivery report as an independent parser sees it.

FILE is one message as its receiver stored it.  Python's email package takes it apart; every rule of RFC 3462, 3464 and
6533 that a receiving program depends on is checked, then that the report says what it should.  Silent when it does.
"""
import email
import email.policy
import sys


def main():
    path, action, status, recipient, *words = sys.argv[1:]
    raw = open(path, "rb").read()
    message = email.message_from_bytes(raw, policy=email.policy.default)
    wrong = []

    def want(true, what):
        if not true:
            wrong.append(what)

    want(not message.defects, f"defects: {message.defects}")
    want(message.get("Return-Path", "<>").strip() == "<>", "the reverse-path is not null")
    want(message["Auto-Submitted"] == "auto-replied", "no Auto-Submitted")
    want(message.get_content_type() == "multipart/report", f"type {message.get_content_type()}")
    want(message.get_param("report-type") == "delivery-status", "no report-type")
    for name in ("From", "To", "Date", "Message-ID", "Subject", "MIME-Version"):
        want(len(message.get_all(name, [])) == 1, f"not one {name}")
    want(message["Date"].datetime is not None, "Date cannot be read")
    want(max(len(line) for line in raw.splitlines()) <= 998, "a line is too long")

    parts = list(message.iter_parts()) if message.is_multipart() else []
    want(len(parts) == 3, f"{len(parts)} parts")
    if len(parts) == 3:
        human, machine, original = parts
        want(human.get_content_type() == "text/plain", "the first part is not for people")
        text = human.get_content()
        want(machine.get_content_type() in ("message/delivery-status", "message/global-delivery-status"),
             f"the second part is {machine.get_content_type()}")
        want(original.get_content_type() in ("text/rfc822-headers", "message/rfc822", "message/global-headers",
                                             "message/global"), f"the third part is {original.get_content_type()}")
        if machine.get_content_type() == "message/delivery-status":
            blocks = machine.get_payload()
        else:  # the package does not know RFC 6533: the blocks are header blocks all the same
            payload = machine.get_payload(decode=True)
            if payload is None:
                payload = machine.as_bytes().split(b"\n\n", 1)[1]
            blocks = [email.message_from_string(b, policy=email.policy.default)
                      for b in payload.decode("utf-8").replace("\r\n", "\n").strip("\n").split("\n\n")]
        want(len(blocks) >= 2, f"{len(blocks)} blocks of fields")
        want("Reporting-MTA" in blocks[0], "no Reporting-MTA")
        rows = [b for b in blocks[1:] if str(b.get("Final-Recipient", "")).split(";")[-1].strip() == recipient]
        want(len(rows) == 1, f"{len(rows)} blocks for {recipient}")
        for row in rows:
            want(row.get("Action") == action, f"Action: {row.get('Action')}")
            want(str(row.get("Status", "")).startswith(status), f"Status: {row.get('Status')}")
            want(not row.defects, f"defects in the fields: {row.defects}")
        want(recipient in text, "people are not told who")
        everything = text + "".join(str(v) for b in blocks for _, v in b.items()) + original.as_string()
        for word in words:
            if word.startswith("!"):
                want(word[1:] not in everything, f"it says {word[1:]!r}")
            else:
                want(word in everything, f"it does not say {word!r}")
    for what in wrong:
        print(what)
    return 1 if wrong else 0


sys.exit(main())
