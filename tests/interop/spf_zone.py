#!/usr/bin/python3
"""tests/interop/spf_zone.py ZONE QUESTIONS: some hundred SPF records and who is asked about, for comparisons.

The zone is in the form of tests/kit/zone.h, a question is `IP HELO SENDER`.  Every record has a name of its own below
"test"; the same each time.
"""
import random
import sys

random.seed(7208)
zone, questions = [], []
CLIENTS = ["192.0.2.1", "192.0.2.77", "198.51.100.9", "203.0.113.200", "2001:db8::1", "2001:db8:1::9"]

zone += """A h1.test 192.0.2.1
A h1.test 192.0.2.2
A h2.test 198.51.100.9
AAAA h2.test 2001:db8::1
AAAA h6.test 2001:db8:1::9
A far.test 203.0.113.1
MX m1.test 10 h1.test
MX m2.test 10 h2.test
MX m2.test 20 far.test
MX m6.test 10 h6.test
MX mvoid.test 10 v9.test
MX mnull.test 0 .
TXT pass.test v=spf1 +all
TXT soft.test v=spf1 ~all
TXT fail.test v=spf1 -all
TXT neutral.test v=spf1 ?all
TXT text.test hello
TXT two.test v=spf1 -all
TXT two.test v=spf1 +all
TXT bad.test v=spf1 hello
TXT inner.test v=spf1 ip4:192.0.2.0/26 ip6:2001:db8::/48 -all
TXT deep.test v=spf1 include:inner.test ?all
FAIL dead.test
PTR 1.2.0.192.in-addr.arpa h1.test
PTR 77.2.0.192.in-addr.arpa h1.test
PTR 9.100.51.198.in-addr.arpa h2.test
A 1.2.0.192.list.test 127.0.0.2
A joe.users.test 127.0.0.2
A 192.0.2.77.list.test 127.0.0.2
A plus.users.test 127.0.0.2
A test.q.rev.test 127.0.0.2""".split("\n")

RECORDS = """
-all
+all
~all
?all
all
a:h1.test -all
a:h2.test -all
a:h6.test -all
a:h1.test/24 -all
a:h1.test/0 -all
a:h2.test//64 -all
a:h2.test/16//16 -all
a:h6.test//0 -all
a:far.test/8 ~all
a:far.test/1 ~all
a:v1.test -all
a:v1.test a:v2.test -all
a:v1.test a:v2.test a:v3.test -all
a:v1.test a:v2.test a:v3.test a:v4.test ?all
mx:m1.test -all
mx:m2.test -all
mx:m6.test -all
mx:m1.test/24 -all
mx:m2.test/25//64 -all
mx:mvoid.test -all
mx:mnull.test -all
mx:v1.test -all
mx:h1.test -all
mx:m1.test/0 -all
ptr -all
ptr:test -all
ptr:h1.test -all
ptr:h2.test ?all
ip4:192.0.2.1 -all
ip4:192.0.2.0/24 -all
ip4:192.0.2.64/26 -all
ip4:192.0.2.1/32 -all
ip4:192.0.2.1/31 -all
ip4:0.0.0.0/0 -all
ip4:0.0.0.0/1 -all
ip4:128.0.0.0/1 -all
ip4:192.0.2.1/33 -all
ip4:192.0.2.1/-1 -all
ip4:192.0.2.1/ -all
ip4:192.0.2.256 -all
ip4:192.0.2 -all
ip4:192.0.2.1:25 -all
ip4: -all
ip4 -all
ip4:h1.test -all
ip4=192.0.2.1 -all
ip6:2001:db8::1 -all
ip6:2001:db8::/32 -all
ip6:2001:db8::1/128 -all
ip6:::/0 -all
ip6:2001:DB8::1 -all
ip6:2001:db8::1/129 -all
ip6:2001:db8::g -all
ip6::ffff:192.0.2.1 -all
ip6:::ffff:192.0.2.1 -all
ip6:192.0.2.1 -all
exists:h1.test -all
exists:h6.test -all
exists:v1.test -all
exists:%{ir}.list.test -all
exists:%{i}.list.test -all
exists:%{l}.users.test -all
exists:%{l1r-}.users.test -all
exists:%{l1r+}.users.test ?all
exists:%{d2}.v.test -all
exists:%{d1r}.q.rev.test -all
exists:%{h}.v.test -all
exists:%{p}.v.test -all
exists:%{x}.test -all
exists:%{ir.test -all
exists:%(ir).test -all
exists:%% -all
exists:%%.test -all
exists:%{d}%_x.test -all
exists:%{d0}.test -all
exists:%{d20}.v.test -all
exists -all
exists: -all
exists:h1.test/24 -all
include:pass.test -all
include:soft.test -all
include:fail.test +all
include:neutral.test ~all
include:inner.test -all
include:deep.test -all
include:text.test -all
include:two.test -all
include:bad.test -all
include:dead.test -all
include:v1.test -all
-include:inner.test +all
?include:inner.test -all
~include:deep.test -all
include:%{d1}.pass.test -all
include: -all
include -all
include:pass -all
include:inner.test/24 -all
redirect=pass.test
redirect=fail.test
redirect=inner.test
redirect=deep.test
redirect=text.test
redirect=two.test
redirect=bad.test
redirect=dead.test
redirect=v1.test
redirect=
redirect=pass.test redirect=fail.test
redirect=pass.test -all
-all redirect=pass.test
a:h1.test redirect=soft.test
redirect:pass.test
-redirect=pass.test
exp=pass.test -all
exp=v1.test -all
-all exp=
exp=pass.test exp=pass.test -all
exp=%{d}.test ~all
foo=bar -all
foo=%{d} a:h1.test -all
foo=% -all
foo.bar-baz_1=x -all
1foo=x -all
foo:bar -all
foo -all
-all foo
a:h1.test foo:bar
-all a:
+a:h1.test -mx:m2.test ~ip4:203.0.113.0/24 ?all
a:h1 -all
a:h1.123 -all
a:h1.t-t -all
a:h1.-tt -all
a:h1.tt- -all
a:192.0.2.1 -all
a: -all
a:/24 -all
a/ -all
a/24
a/24//64 -all
a/24/64 -all
a//129 -all
a/33 -all
a/024 -all
a:h1.test:25 -all
a:.h1.test -all
a:h1..test -all
a:h1.test. -all
a:_h1.test ?all
a:h%{d1}.test -all
mx -all
mx/24 -all
mx: -all
mx/ -all
mx:m1.test/024 -all
mx//0 -all
mx;all
ptr: -all
ptr/24 -all
ptr:%{d} -all
all:x
all/8
all.
-all.
ALL
-ALL
A:H1.TEST -All
IP4:192.0.2.1 -ALL
Include:Pass.Test -all
a:h1.test,-all
a:h1.test;-all
--all
+-all
- all
-
a:dead.test -all
mx:dead.test -all
exists:dead.test -all
ip4:192.0.2.0/24 a:dead.test -all
a:h1.test a:dead.test +all
ptr ip4:192.0.2.0/24 ip6:2001:db8::/32 -all
v=spf1 -all
spf2.0/pra -all
ip4:192.0.2.0/24  -all
""".strip("\n").split("\n")


def ask(name, record):
    zone.append("TXT %s v=spf1 %s" % (name, record))
    for client in CLIENTS:
        questions.append("%s helo.test joe@%s" % (client, name))


for i, record in enumerate(RECORDS):
    ask("r%d.test" % i, record)

# chains and numbers of terms around the limit of ten
for n in range(8, 13):
    ask("terms%d.test" % n, "a:far.test " * n + "ip4:192.0.2.1 -all")
    ask("mixed%d.test" % n, "mx:m1.test/32 include:soft.test exists:far.test " + "a:far.test " * (n - 3) + "?all")
    zone.append("TXT chain%d-0.test v=spf1 ip4:192.0.2.1 -all" % n)
    for k in range(1, n):
        zone.append("TXT chain%d-%d.test v=spf1 include:chain%d-%d.test -all" % (n, k, n, k - 1))
    ask("chain%d.test" % n, "include:chain%d-%d.test -all" % (n, n - 1))
    for k in range(n):
        zone.append("MX mx%d.test %d mxh%d-%d.test" % (n, k, n, k))
        zone.append("A mxh%d-%d.test 203.0.113.%d" % (n, k, k + 1))
    ask("hosts%d.test" % n, "mx:mx%d.test -all" % n)

# random sensible ones
PARTS = ["a:h1.test", "a:h2.test", "mx:m1.test", "mx:m2.test", "ip4:192.0.2.0/26", "ip4:198.51.100.0/24",
         "ip6:2001:db8::/48", "include:inner.test", "include:deep.test", "include:soft.test", "exists:%{ir}.list.test",
         "exists:%{l}.users.test", "ptr:h1.test", "a:far.test/24", "a:v1.test"]
for i in range(60):
    terms = [random.choice(["", "", "", "-", "~", "?"]) + part for part in random.sample(PARTS, random.randint(1, 5))]
    ask("z%d.test" % i, " ".join(terms + [random.choice(["-all", "~all", "?all", "redirect=inner.test", ""])]).strip())

# who is asked about
for sender in ["-", "joe@nowhere.test", "joe@single", "joe+tag@r68.test", "jo-e@r67.test", "@r33.test", "joe@R33.TEST"]:
    questions.append("192.0.2.1 r33.test %s" % sender)

open(sys.argv[1], "w").write("\n".join(zone) + "\n")
open(sys.argv[2], "w").write("\n".join(questions) + "\n")
