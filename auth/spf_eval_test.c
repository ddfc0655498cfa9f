/* auth/spf_eval_test.c: RFC 7208 by cases: its appendix A, what its text demands, and the limits; each with a zone in
 * text.
 *
 * libspf2 does the matching here too: what it gets wrong by itself (docs/AUTH.md) is among the rows. */
#include "tests/kit/zone.h"
#include "tests/unit.h"

#include <stdlib.h>

/* The example domain of RFC 7208 appendix A, and one name a case. */
static const char *const zone_lines[] = {
	"A example.com 192.0.2.10\n",
	"A example.com 192.0.2.11\n",
	"MX example.com 10 mail-a.example.com\n",
	"MX example.com 20 mail-b.example.com\n",
	"MX example.org 10 mail-c.example.org\n",
	"A www.example.com 192.0.2.10\n",
	"A amy.example.com 192.0.2.65\n",
	"A bob.example.com 192.0.2.66\n",
	"A mail-a.example.com 192.0.2.129\n",
	"A mail-b.example.com 192.0.2.130\n",
	"A mail-c.example.org 192.0.2.140\n",
	"PTR 10.2.0.192.in-addr.arpa example.com\n",
	"PTR 11.2.0.192.in-addr.arpa example.com\n",
	"PTR 65.2.0.192.in-addr.arpa amy.example.com\n",
	"PTR 66.2.0.192.in-addr.arpa bob.example.com\n",
	"PTR 129.2.0.192.in-addr.arpa mail-a.example.com\n",
	"PTR 130.2.0.192.in-addr.arpa mail-b.example.com\n",
	"PTR 140.2.0.192.in-addr.arpa mail-c.example.org\n",
	"PTR 4.0.0.10.in-addr.arpa bob.example.com\n",
	/* records of the appendix, each at a name of its own that includes the data above where it has to */
	"TXT all.a1.test v=spf1 +all\n",
	"TXT a.a1.test v=spf1 a:example.com -all\n",
	"TXT aorg.a1.test v=spf1 a:example.org -all\n",
	"TXT mx.a1.test v=spf1 mx:example.com -all\n",
	"TXT mxorg.a1.test v=spf1 mx:example.org -all\n",
	"TXT mxboth.a1.test v=spf1 mx:example.com mx:example.org -all\n",
	"TXT mx30.a1.test v=spf1 mx:example.com/30 mx:example.org/30 -all\n",
	"TXT ptr.a1.test v=spf1 ptr:example.com -all\n",
	"TXT ip4.a1.test v=spf1 ip4:192.0.2.128/28 -all\n",
	/* A.2 and A.3: several records, and who is on a list */
	"TXT la.example.com v=spf1 redirect=example.test\n",
	"TXT example.test v=spf1 mx:example.com -all\n",
	"TXT dnsbl.a3.test v=spf1 -include:ip4._spf.%{d} -include:ptr._spf.%{d} +all\n",
	"TXT ip4._spf.dnsbl.a3.test v=spf1 exists:%{ir}.list.test ?all\n",
	"TXT ptr._spf.dnsbl.a3.test v=spf1 exists:%{l}.users.test ?all\n",
	"A 9.2.0.192.list.test 127.0.0.2\n",
	"A mallory.users.test 127.0.0.2\n",
	/* A.4: one user each */
	"TXT users.a4.test v=spf1 mx:example.com include:mobile-users._spf.%{d} include:remote-users._spf.%{d} -all\n",
	"TXT mobile-users._spf.users.a4.test v=spf1 exists:%{l1r+}.%{d} -all\n",
	"TXT remote-users._spf.users.a4.test v=spf1 exists:%{ir}.%{l1r+}.%{d} -all\n",
	"A mary.mobile-users._spf.users.a4.test 127.0.0.2\n",
	"A 15.15.168.192.joel.remote-users._spf.users.a4.test 127.0.0.2\n",
	/* 4.4, 4.5: finding the record */
	"TXT norecord.test something else\n",
	"TXT ver10.test v=spf10\n",
	"TXT sender-id.test spf2.0/pra -all\n",
	"TXT twice.test v=spf1 -all\n",
	"TXT twice.test v=spf1 +all\n",
	"TXT among.test first\n",
	"TXT among.test v=spf1 ip4:192.0.2.1 -all\n",
	"TXT among.test last\n",
	"TXT empty.test v=spf1\n",
	"TXT blank.test v=spf1 \n",
	"TXT caps.test V=SPF1 IP4:192.0.2.1 -ALL\n",
	"FAIL dead.test\n",
	"A nodata.test 192.0.2.1\n",
	/* 4.6: evaluation */
	"TXT fall.test v=spf1 ip4:192.0.2.1\n",
	"TXT order.test v=spf1 -ip4:192.0.2.1 +ip4:192.0.2.0/24 ~ip4:192.0.0.0/16 ?all\n",
	"TXT badlate.test v=spf1 +all bad:\n",
	"TXT badafter.test v=spf1 ip4:192.0.2.1 -all a:x..y\n",
	"TXT afterall.test v=spf1 -all ip4:192.0.2.1\n",
	"TXT allredirect.test v=spf1 ?all redirect=fall.test\n",
	"TXT unknownmod.test v=spf1 future=%{d}x ip4:192.0.2.1 -all\n",
	"TXT nonascii.test v=spf1 ip4:192.0.2.1 a:\xc3\xa9.test -all\n",
	/* 4.6.4: limits */
	"TXT ten.test v=spf1 a:n.t0.test a:t1.test a:t1.test a:t1.test a:t1.test a:t1.test a:t1.test a:t1.test a:t1.test "
	"mx:example.com ip4:198.51.100.1 -all\n",
	"TXT eleven.test v=spf1 a:t1.test a:t1.test a:t1.test a:t1.test a:t1.test a:t1.test a:t1.test a:t1.test a:t1.test "
	"a:t1.test mx:example.com ip4:198.51.100.1 -all\n",
	"A t1.test 203.0.113.200\n",
	"A n.t0.test 203.0.113.200\n",
	"TXT chain0.test v=spf1 include:chain1.test -all\n",
	"TXT chain1.test v=spf1 include:chain2.test -all\n",
	"TXT chain2.test v=spf1 a:t1.test a:t1.test a:t1.test a:t1.test a:t1.test a:t1.test a:t1.test a:t1.test "
	"ip4:198.51.100.1 -all\n",
	"TXT chain3.test v=spf1 a:t1.test include:chain0.test ip4:198.51.100.1 -all\n",
	"TXT loop.test v=spf1 include:loop.test -all\n",
	"TXT ping.test v=spf1 redirect=pong.test\n",
	"TXT pong.test v=spf1 redirect=ping.test\n",
	"TXT two-voids.test v=spf1 a:v1.test a:v2.test ip4:198.51.100.1 -all\n",
	"TXT three-voids.test v=spf1 a:v1.test mx:v2.test exists:v3.test ip4:198.51.100.1 -all\n",
	"TXT nodata-voids.test v=spf1 a:blank.test a:fall.test mx:t1.test ip4:198.51.100.1 -all\n",
	"TXT early.test v=spf1 ip4:198.51.100.1 a:v1.test a:v2.test a:v3.test -all\n",
	"TXT manymx.test v=spf1 mx:eleven-mx.test -all\n",
	"MX eleven-mx.test 0 m0.test\nMX eleven-mx.test 1 m1.test\nMX eleven-mx.test 2 m2.test\nMX eleven-mx.test 3 m3.test\n",
	"MX eleven-mx.test 4 m4.test\nMX eleven-mx.test 5 m5.test\nMX eleven-mx.test 6 m6.test\nMX eleven-mx.test 7 m7.test\n",
	"MX eleven-mx.test 8 m8.test\nMX eleven-mx.test 9 m9.test\nMX eleven-mx.test 10 m10.test\n",
	"A m0.test 198.51.100.1\n",
	/* 5.1 .. 5.7 */
	"TXT inc.test v=spf1 include:fall.test -all\n",
	"TXT inc-none.test v=spf1 include:norecord.test -all\n",
	"TXT inc-nx.test v=spf1 include:nowhere.test -all\n",
	"TXT inc-perm.test v=spf1 include:twice.test -all\n",
	"TXT inc-temp.test v=spf1 include:dead.test -all\n",
	"TXT inc-soft.test v=spf1 include:soft.test ?all\n",
	"TXT inc-minus.test v=spf1 -include:fall.test +all\n",
	"TXT soft.test v=spf1 ~all\n",
	"TXT a24.test v=spf1 a:t1.test/24 -all\n",
	"TXT a0.test v=spf1 a:t1.test/0 -all\n",
	"TXT a0v.test v=spf1 a:v1.test/0 -all\n",
	"TXT a06.test v=spf1 a:six.test//0 -all\n",
	"TXT a6.test v=spf1 a:six.test -all\n",
	"TXT a64.test v=spf1 a:six.test//64 -all\n",
	"TXT mx0.test v=spf1 mx:example.com/0 -all\n",
	"AAAA six.test 2001:db8:1::1\n",
	"TXT adead.test v=spf1 a:dead.test -all\n",
	"TXT mxdead.test v=spf1 mx:dead.test -all\n",
	"TXT mxhostdead.test v=spf1 mx:mhd.test -all\n",
	"MX mhd.test 10 dead.test\n",
	"TXT mxnull.test v=spf1 mx:nullmx.test -all\n",
	"MX nullmx.test 0 .\n",
	"TXT noimplicit.test v=spf1 mx:t1.test -all\n",
	"TXT ptrdead.test v=spf1 ptr ip4:198.51.100.0/24 -all\n",
	"FAIL 1.100.51.198.in-addr.arpa\n",
	"TXT own.test v=spf1 ptr -all\n",
	"PTR 2.100.51.198.in-addr.arpa host.own.test\n",
	"PTR 2.100.51.198.in-addr.arpa other.test\n",
	"A host.own.test 198.51.100.2\n",
	"PTR 3.100.51.198.in-addr.arpa forged.own.test\n",
	"A forged.own.test 203.0.113.3\n",
	"PTR 4.100.51.198.in-addr.arpa notown.test\n",
	"A notown.test 198.51.100.4\n",
	"PTR 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa six.own.test\n",
	"AAAA six.own.test 2001:db8::1\n",
	"TXT v4all.test v=spf1 ip4:0.0.0.0/0 -all\n",
	"TXT v6all.test v=spf1 ip6:::/0 -all\n",
	"TXT v6.test v=spf1 ip6:2001:db8::/32 -all\n",
	"TXT mapped.test v=spf1 ip6:::ffff:192.0.2.1 -all\n",
	"TXT exists.test v=spf1 exists:t1.test -all\n",
	"TXT exists6.test v=spf1 exists:six.test -all\n",
	"TXT existsdead.test v=spf1 exists:dead.test -all\n",
	"TXT loopback.test v=spf1 ip4:127.0.0.0/8 -all\n",
	"TXT noloopback.test v=spf1 -all\n",
	/* 6.1, 6.2 */
	"TXT red.test v=spf1 redirect=fall.test\n",
	"TXT red-none.test v=spf1 redirect=norecord.test\n",
	"TXT red-nx.test v=spf1 redirect=nowhere.test\n",
	"TXT red-temp.test v=spf1 redirect=dead.test\n",
	"TXT red-first.test v=spf1 redirect=fall.test ip4:198.51.100.1\n",
	"TXT red-d.test v=spf1 redirect=_x.%{d}\n",
	"TXT _x.red-d.test v=spf1 exists:%{d}.seen.%{o} -all exp=why.%{d}\n",
	"A _x.red-d.test.seen.red-d.test 127.0.0.2\n",
	"TXT exp.test v=spf1 -all exp=why.exp.test\n",
	"TXT why.exp.test %{i} by %{h}: see http://%{d}/why?s=%{S}&r=%{r}\n",
	"TXT exp-inc.test v=spf1 include:exp.test -all\n",
	"TXT exp-red.test v=spf1 redirect=exp.test\n",
	"TXT exp-two.test v=spf1 -all exp=two.exp.test\n",
	"TXT two.exp.test one\nTXT two.exp.test two\n",
	"TXT exp-bad.test v=spf1 -all exp=bad.exp.test\n",
	"TXT bad.exp.test %{x} is no macro\n",
	"TXT exp-dead.test v=spf1 -all exp=dead.test\n",
	"TXT exp-8bit.test v=spf1 -all exp=8.exp.test\n",
	"TXT 8.exp.test caf\xc3\xa9\n",
	"TXT exp-soft.test v=spf1 ~all exp=why.exp.test\n",
	/* 7 */
	"TXT p.test v=spf1 exists:%{p}.known.test -all\n",
	"A host.own.test.known.test 127.0.0.2\n",
	"A unknown.known.test 127.0.0.2\n",
	"TXT d2.test v=spf1 exists:%{d2}.seen.test -all\n",
	"A d2.test.seen.test 127.0.0.2\n",
	"TXT capr.test v=spf1 exists:%{D2R}.seen.test -all\n",
	"A test.capr.seen.test 127.0.0.2\n",
	"TXT six-i.test v=spf1 exists:%{ir}.%{v}.arpa.seen.test -all\n",
	"A 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.seen.test 127.0.0.2\n",
	"TXT percent.test v=spf1 exists:%{l}.seen.test -all\n",
	"A a%b.seen.test 127.0.0.2\n",
	"TXT undotted.test v=spf1 include:fall.test. -all\n",
};

static const struct {
	const char *ip, *helo, *sender;
	enum auth_result result;
	const char *mechanism; /* NULL: of no interest */
} rows[] = {
	/* appendix A.1 */
	{ "192.0.2.65", "h.test", "a@all.a1.test", AUTH_PASS, "+all" },
	{ "192.0.2.10", "h.test", "a@a.a1.test", AUTH_PASS, "a:example.com" },
	{ "192.0.2.11", "h.test", "a@a.a1.test", AUTH_PASS, NULL },
	{ "192.0.2.65", "h.test", "a@a.a1.test", AUTH_FAIL, "-all" },
	{ "192.0.2.10", "h.test", "a@aorg.a1.test", AUTH_FAIL, NULL },
	{ "192.0.2.129", "h.test", "a@mx.a1.test", AUTH_PASS, "mx:example.com" },
	{ "192.0.2.130", "h.test", "a@mx.a1.test", AUTH_PASS, NULL },
	{ "192.0.2.140", "h.test", "a@mx.a1.test", AUTH_FAIL, NULL },
	{ "192.0.2.140", "h.test", "a@mxorg.a1.test", AUTH_PASS, NULL },
	{ "192.0.2.129", "h.test", "a@mxboth.a1.test", AUTH_PASS, NULL },
	{ "192.0.2.140", "h.test", "a@mxboth.a1.test", AUTH_PASS, "mx:example.org" },
	{ "192.0.2.131", "h.test", "a@mx30.a1.test", AUTH_PASS, "mx:example.com/30" },
	{ "192.0.2.143", "h.test", "a@mx30.a1.test", AUTH_PASS, "mx:example.org/30" },
	{ "192.0.2.132", "h.test", "a@mx30.a1.test", AUTH_FAIL, NULL },
	{ "192.0.2.10", "h.test", "a@ptr.a1.test", AUTH_PASS, "ptr:example.com" },
	{ "192.0.2.65", "h.test", "a@ptr.a1.test", AUTH_PASS, NULL },
	{ "192.0.2.140", "h.test", "a@ptr.a1.test", AUTH_FAIL, NULL },
	{ "10.0.0.4", "h.test", "a@ptr.a1.test", AUTH_FAIL, NULL },
	{ "192.0.2.65", "h.test", "a@ip4.a1.test", AUTH_FAIL, NULL },
	{ "192.0.2.129", "h.test", "a@ip4.a1.test", AUTH_PASS, "ip4:192.0.2.128/28" },
	/* A.2 .. A.4 */
	{ "192.0.2.129", "h.test", "a@la.example.com", AUTH_PASS, "mx:example.com" },
	{ "192.0.2.1", "h.test", "a@la.example.com", AUTH_FAIL, NULL },
	{ "192.0.2.9", "h.test", "joe@dnsbl.a3.test", AUTH_FAIL, "-include:ip4._spf.%{d}" },
	{ "192.0.2.8", "h.test", "mallory@dnsbl.a3.test", AUTH_FAIL, "-include:ptr._spf.%{d}" },
	{ "192.0.2.8", "h.test", "joe@dnsbl.a3.test", AUTH_PASS, "+all" },
	{ "203.0.113.1", "h.test", "mary@users.a4.test", AUTH_PASS, "include:mobile-users._spf.%{d}" },
	{ "203.0.113.1", "h.test", "mary+tag@users.a4.test", AUTH_PASS, NULL },
	{ "192.168.15.15", "h.test", "joel@users.a4.test", AUTH_PASS, "include:remote-users._spf.%{d}" },
	{ "192.168.15.16", "h.test", "joel@users.a4.test", AUTH_FAIL, NULL },
	/* 2.4, 4.3: whom it is about */
	{ "192.0.2.129", "mx.a1.test", "", AUTH_PASS, NULL },
	{ "192.0.2.1", "mx.a1.test", "", AUTH_FAIL, NULL },
	{ "192.0.2.1", "localhost", "", AUTH_NONE, NULL },
	{ "192.0.2.1", "[192.0.2.1]", "", AUTH_NONE, NULL },
	{ "192.0.2.1", "", "", AUTH_NONE, NULL },
	{ "192.0.2.1", "h.test", "a@nowhere.test", AUTH_NONE, NULL },
	{ "192.0.2.1", "h.test", "a@single", AUTH_NONE, NULL },
	{ "192.0.2.1", "h.test", "a@a..b.test", AUTH_NONE, NULL },
	{ "192.0.2.1", "h.test", "a@[192.0.2.1]", AUTH_NONE, NULL },
	{ "192.0.2.1", "h.test", "a@fall.test(x", AUTH_NONE, NULL },
	{ "192.0.2.1", "h.test", "a@b@fall.test", AUTH_PASS, NULL },
	{ "192.0.2.1", "h.test", "@fall.test", AUTH_PASS, NULL },
	{ "192.0.2.1", "h.test", "a@fall.test.", AUTH_PASS, NULL },
	{ "192.0.2.1", "h.test", "a@FALL.Test", AUTH_PASS, NULL },
	{ "192.0.2.1", "h.test", "a@0123456789012345678901234567890123456789012345678901234567890123.test", AUTH_NONE,
	  NULL },
	/* 4.4, 4.5 */
	{ "192.0.2.1", "h.test", "a@norecord.test", AUTH_NONE, NULL },
	{ "192.0.2.1", "h.test", "a@ver10.test", AUTH_NONE, NULL },
	{ "192.0.2.1", "h.test", "a@sender-id.test", AUTH_NONE, NULL },
	{ "192.0.2.1", "h.test", "a@nodata.test", AUTH_NONE, NULL },
	{ "192.0.2.1", "h.test", "a@twice.test", AUTH_PERMERROR, NULL },
	{ "192.0.2.1", "h.test", "a@among.test", AUTH_PASS, NULL },
	{ "192.0.2.1", "h.test", "a@empty.test", AUTH_NEUTRAL, "default" },
	{ "192.0.2.1", "h.test", "a@blank.test", AUTH_NEUTRAL, "default" },
	{ "192.0.2.1", "h.test", "a@caps.test", AUTH_PASS, NULL },
	{ "192.0.2.2", "h.test", "a@caps.test", AUTH_FAIL, NULL },
	{ "192.0.2.1", "h.test", "a@dead.test", AUTH_TEMPERROR, NULL },
	/* 4.6 */
	{ "192.0.2.1", "h.test", "a@fall.test", AUTH_PASS, "ip4:192.0.2.1" },
	{ "192.0.2.2", "h.test", "a@fall.test", AUTH_NEUTRAL, "default" },
	{ "192.0.2.1", "h.test", "a@order.test", AUTH_FAIL, "-ip4:192.0.2.1" },
	{ "192.0.2.2", "h.test", "a@order.test", AUTH_PASS, NULL },
	{ "192.0.3.1", "h.test", "a@order.test", AUTH_SOFTFAIL, NULL },
	{ "198.51.100.1", "h.test", "a@order.test", AUTH_NEUTRAL, "?all" },
	{ "192.0.2.1", "h.test", "a@badlate.test", AUTH_PERMERROR, NULL },
	{ "192.0.2.1", "h.test", "a@badafter.test", AUTH_PERMERROR, NULL },
	{ "192.0.2.1", "h.test", "a@afterall.test", AUTH_FAIL, "-all" },
	{ "192.0.2.1", "h.test", "a@allredirect.test", AUTH_NEUTRAL, "?all" },
	{ "192.0.2.1", "h.test", "a@unknownmod.test", AUTH_PASS, NULL },
	{ "192.0.2.1", "h.test", "a@nonascii.test", AUTH_PERMERROR, NULL },
	/* 4.6.4 */
	{ "198.51.100.1", "h.test", "a@ten.test", AUTH_PASS, "ip4:198.51.100.1" },
	{ "198.51.100.1", "h.test", "a@eleven.test", AUTH_PERMERROR, NULL },
	{ "203.0.113.200", "h.test", "a@eleven.test", AUTH_PASS, NULL }, /* before the limit */
	{ "198.51.100.1", "h.test", "a@chain0.test", AUTH_PASS, NULL },
	{ "198.51.100.1", "h.test", "a@chain3.test", AUTH_PERMERROR, NULL },
	{ "198.51.100.1", "h.test", "a@loop.test", AUTH_PERMERROR, NULL },
	{ "198.51.100.1", "h.test", "a@ping.test", AUTH_PERMERROR, NULL },
	{ "198.51.100.1", "h.test", "a@two-voids.test", AUTH_PASS, NULL },
	{ "198.51.100.1", "h.test", "a@three-voids.test", AUTH_PERMERROR, NULL },
	{ "198.51.100.1", "h.test", "a@nodata-voids.test", AUTH_PERMERROR, NULL },
	{ "198.51.100.1", "h.test", "a@early.test", AUTH_PASS, NULL },
	{ "198.51.100.1", "h.test", "a@manymx.test", AUTH_PERMERROR, NULL },
	/* 5.2 include */
	{ "192.0.2.1", "h.test", "a@inc.test", AUTH_PASS, "include:fall.test" },
	{ "192.0.2.2", "h.test", "a@inc.test", AUTH_FAIL, "-all" },
	{ "192.0.2.2", "h.test", "a@inc-none.test", AUTH_PERMERROR, NULL },
	{ "192.0.2.2", "h.test", "a@inc-nx.test", AUTH_PERMERROR, NULL },
	{ "192.0.2.2", "h.test", "a@inc-perm.test", AUTH_PERMERROR, NULL },
	{ "192.0.2.2", "h.test", "a@inc-temp.test", AUTH_TEMPERROR, NULL },
	{ "192.0.2.2", "h.test", "a@inc-soft.test", AUTH_NEUTRAL, "?all" },
	{ "192.0.2.1", "h.test", "a@inc-minus.test", AUTH_FAIL, NULL },
	{ "192.0.2.2", "h.test", "a@inc-minus.test", AUTH_PASS, NULL },
	{ "192.0.2.1", "h.test", "a@undotted.test", AUTH_PASS, NULL },
	/* 5.3 a */
	{ "203.0.113.7", "h.test", "a@a24.test", AUTH_PASS, NULL },
	{ "203.0.114.7", "h.test", "a@a24.test", AUTH_FAIL, NULL },
	{ "2001:db8::7", "h.test", "a@a24.test", AUTH_FAIL, NULL },
	{ "8.8.8.8", "h.test", "a@a0.test", AUTH_PASS, NULL },
	{ "223.8.8.8", "h.test", "a@a0.test", AUTH_PASS, NULL },
	{ "2001:db8::1", "h.test", "a@a0.test", AUTH_FAIL, NULL },
	{ "8.8.8.8", "h.test", "a@a0v.test", AUTH_FAIL, NULL },
	{ "fd00::1", "h.test", "a@a06.test", AUTH_PASS, NULL },
	{ "2001:db8:1::1", "h.test", "a@a6.test", AUTH_PASS, NULL },
	{ "2001:db8:1::2", "h.test", "a@a6.test", AUTH_FAIL, NULL },
	{ "2001:db8:1::2", "h.test", "a@a64.test", AUTH_PASS, NULL },
	{ "192.0.2.1", "h.test", "a@a64.test", AUTH_FAIL, NULL },
	{ "192.0.2.1", "h.test", "a@adead.test", AUTH_TEMPERROR, NULL },
	/* 5.4 mx */
	{ "8.8.8.8", "h.test", "a@mx0.test", AUTH_PASS, NULL },
	{ "192.0.2.1", "h.test", "a@mxdead.test", AUTH_TEMPERROR, NULL },
	{ "192.0.2.1", "h.test", "a@mxhostdead.test", AUTH_TEMPERROR, NULL },
	{ "192.0.2.1", "h.test", "a@mxnull.test", AUTH_FAIL, NULL },
	{ "203.0.113.200", "h.test", "a@noimplicit.test", AUTH_FAIL, NULL },
	/* 5.5 ptr */
	{ "198.51.100.1", "h.test", "a@ptrdead.test", AUTH_PASS, "ip4:198.51.100.0/24" },
	{ "198.51.100.2", "h.test", "a@own.test", AUTH_PASS, "ptr" },
	{ "198.51.100.3", "h.test", "a@own.test", AUTH_FAIL, NULL },
	{ "198.51.100.4", "h.test", "a@own.test", AUTH_FAIL, NULL },
	{ "198.51.100.5", "h.test", "a@own.test", AUTH_FAIL, NULL },
	{ "2001:db8::1", "h.test", "a@own.test", AUTH_PASS, NULL },
	/* 5.6 ip4, ip6 */
	{ "8.8.8.8", "h.test", "a@v4all.test", AUTH_PASS, NULL },
	{ "2001:db8::1", "h.test", "a@v4all.test", AUTH_FAIL, NULL },
	{ "2001:db8::1", "h.test", "a@v6all.test", AUTH_PASS, NULL },
	{ "8.8.8.8", "h.test", "a@v6all.test", AUTH_FAIL, NULL },
	{ "2001:db8:ffff::1", "h.test", "a@v6.test", AUTH_PASS, NULL },
	{ "2001:db9::1", "h.test", "a@v6.test", AUTH_FAIL, NULL },
	{ "::ffff:192.0.2.1", "h.test", "a@fall.test", AUTH_PASS, NULL }, /* an IPv4 client */
	{ "192.0.2.1", "h.test", "a@mapped.test", AUTH_FAIL, NULL },
	{ "127.0.0.1", "h.test", "a@loopback.test", AUTH_PASS, NULL },
	{ "127.0.0.1", "h.test", "a@noloopback.test", AUTH_FAIL, NULL },
	{ "::1", "h.test", "a@noloopback.test", AUTH_FAIL, NULL },
	/* 5.7 exists */
	{ "192.0.2.1", "h.test", "a@exists.test", AUTH_PASS, NULL },
	{ "2001:db8::1", "h.test", "a@exists.test", AUTH_PASS, NULL }, /* an A record, for IPv6 clients too */
	{ "2001:db8::1", "h.test", "a@exists6.test", AUTH_FAIL, NULL },
	{ "192.0.2.1", "h.test", "a@existsdead.test", AUTH_TEMPERROR, NULL },
	/* 6.1 redirect */
	{ "192.0.2.1", "h.test", "a@red.test", AUTH_PASS, "ip4:192.0.2.1" },
	{ "192.0.2.2", "h.test", "a@red.test", AUTH_NEUTRAL, "default" },
	{ "192.0.2.1", "h.test", "a@red-none.test", AUTH_PERMERROR, NULL },
	{ "192.0.2.1", "h.test", "a@red-nx.test", AUTH_PERMERROR, NULL },
	{ "192.0.2.1", "h.test", "a@red-temp.test", AUTH_TEMPERROR, NULL },
	{ "198.51.100.1", "h.test", "a@red-first.test", AUTH_PASS, "ip4:198.51.100.1" },
	{ "192.0.2.1", "h.test", "a@red-first.test", AUTH_PASS, NULL },
	{ "192.0.2.1", "h.test", "a@red-d.test", AUTH_PASS, NULL },
	/* 7 macros, in mechanisms */
	{ "198.51.100.2", "h.test", "a@p.test", AUTH_PASS, NULL },
	{ "198.51.100.77", "h.test", "a@p.test", AUTH_PASS, NULL }, /* "unknown" */
	{ "192.0.2.1", "h.test", "a@d2.test", AUTH_PASS, NULL },
	{ "192.0.2.1", "h.test", "a@capr.test", AUTH_PASS, NULL },
	{ "2001:db8::1", "h.test", "a@six-i.test", AUTH_PASS, NULL },
	{ "192.0.2.1", "h.test", "a%b@percent.test", AUTH_PASS, NULL },
	{ "192.0.2.1", "h.test", "a b@percent.test", AUTH_FAIL, NULL },
};

struct fixture {
	struct buf text;
	struct zone zone;
	struct spf_verdict v;
};

static void open_fixture(struct fixture *f)
{
	*f = (struct fixture){ 0 };
	buf_init(&f->text, 65536);
	for (size_t i = 0; i < COUNT(zone_lines); i++)
		buf_add(&f->text, str_c(zone_lines[i]));
	zone_init(&f->zone, buf_str(&f->text));
	buf_init(&f->v.story, SPF_STORY_MAX);
}

static void close_fixture(struct fixture *f)
{
	buf_fini(&f->v.story);
	zone_fini(&f->zone);
	buf_fini(&f->text);
}

static void ask(struct fixture *f, const char *ip, const char *helo, const char *sender, unsigned *rounds)
{
	struct spf_question q = {
		.helo = str_c(helo), .sender = str_c(sender), .receiver = S("mx.us.test"), .wants_story = true
	};

	assert_true(net_parse_ip(str_c(ip), 0, &q.client));
	zone_spf(&f->zone, &q, &f->v, rounds);
}

static void test_rows(void **state)
{
	(void)state;
	struct fixture f;
	char row[1200];

	open_fixture(&f);
	for (size_t i = 0; i < COUNT(rows); i++) {
		ask(&f, rows[i].ip, rows[i].helo, rows[i].sender, NULL);
		snprintf(row, sizeof row, "%s %s %s: %s (%s)", rows[i].ip, rows[i].helo, rows[i].sender,
			 auth_result_name(f.v.result), f.v.why);
		check(f.v.result == rows[i].result, row);
		if (rows[i].mechanism != NULL)
			check_str(str_c(f.v.mechanism), str_c(rows[i].mechanism), row);
		check((f.v.why[0] != '\0') == (f.v.result == AUTH_TEMPERROR || f.v.result == AUTH_PERMERROR ||
					       (f.v.result == AUTH_NONE && f.v.why[0] != '\0')),
		      row);
	}
	close_fixture(&f);
}

static void test_explanations(void **state)
{
	(void)state;
	static const struct {
		const char *sender, *words;
	} cases[] = {
		{ "a b@exp.test", "192.0.2.1 by h.test: see http://exp.test/why?s=a%20b%40exp.test&r=mx.us.test" },
		{ "a@exp-red.test", "192.0.2.1 by h.test: see http://exp.test/why?s=a%40exp-red.test&r=mx.us.test" },
		{ "a@exp-inc.test", "" }, /* of an include: not theirs to explain */
		{ "a@exp-two.test", "" },
		{ "a@exp-bad.test", "" },
		{ "a@exp-dead.test", "" },
		{ "a@exp-8bit.test", "" },
		{ "a@exp-soft.test", "" },
	};
	struct fixture f;

	open_fixture(&f);
	for (size_t i = 0; i < COUNT(cases); i++) {
		ask(&f, "192.0.2.1", "h.test", cases[i].sender, NULL);
		check_str(str_c(f.v.explanation), str_c(cases[i].words), cases[i].sender);
		check(f.v.result == (str_starts(str_c(cases[i].sender), S("a@exp-soft")) ? AUTH_SOFTFAIL : AUTH_FAIL),
		      cases[i].sender);
	}
	close_fixture(&f);
}

static void test_counts_and_rounds(void **state)
{
	(void)state;
	struct fixture f;
	unsigned rounds;

	open_fixture(&f);
	ask(&f, "198.51.100.1", "h.test", "a@ten.test", &rounds);
	assert_int_equal(f.v.lookups, 10);
	assert_int_equal(f.v.voids, 0);
	assert_true(rounds <= 5); /* the record, its terms together, hosts of the MX */
	ask(&f, "198.51.100.1", "h.test", "a@two-voids.test", &rounds);
	assert_int_equal(f.v.voids, 2);
	assert_false(f.v.secure);
	assert_true(str_find(buf_str(&f.v.story), S("a:v1.test: no")) > 0);
	ask(&f, "192.0.2.1", "h.test", "a@inc.test", &rounds);
	assert_true(str_find(buf_str(&f.v.story), S("\n  fall.test: v=spf1 ip4:192.0.2.1\n")) > 0);
	close_fixture(&f);
}

/* What goes over the wire comes back. */
static void test_payloads(void **state)
{
	(void)state;
	struct answers *as = calloc(1, sizeof *as), *back = calloc(1, sizeof *back);
	struct spf_question q = { .helo = S("h.test"), .sender = S("a@b.test"), .receiver = S("r.test"), .now_s = 7 },
			    p;
	struct spf_verdict v = { .result = AUTH_FAIL,
				 .lookups = 3,
				 .voids = 1,
				 .domain = "b.test",
				 .mechanism = "-all",
				 .explanation = "no\x01way",
				 .helo = true },
			   w = { 0 };
	struct buf b;

	assert_true(as != NULL && back != NULL);
	net_parse_ip(S("2001:db8::1"), 0, &q.client);
	as->n = 2;
	as->v[0] = (struct answer){
		.type = RR_TXT, .status = RR_OK, .name = S("b.test"), .values = { S("v=spf1") }, .value_n = 1
	};
	as->v[1] = (struct answer){ .type = RR_A, .status = RR_FAILED, .secure = true, .name = S("c.test") };
	buf_init(&b, 65536);
	spf_question_put(&q, as, &b);
	assert_true(spf_question_read(buf_str(&b), &p, back));
	check_str(p.sender, q.sender, "sender");
	assert_true(net_same_ip(&p.client, &q.client));
	assert_int_equal(back->n, 2);
	check_str(back->v[0].values[0], S("v=spf1"), "value");
	assert_true(back->v[1].secure && back->v[1].status == RR_FAILED);
	for (size_t n = 0; n < b.n; n++)
		assert_false(spf_question_read(str_head(buf_str(&b), n), &p, back));
	buf_reset(&b);
	buf_init(&v.story, 100);
	buf_init(&w.story, 100);
	buf_add(&v.story, S("one\ntwo\x7f"));
	spf_verdict_put(&v, &b);
	assert_true(spf_verdict_read(buf_str(&b), &w));
	assert_int_equal(w.result, AUTH_FAIL);
	check_str(str_c(w.explanation), S("no?way"), "control bytes");
	check_str(buf_str(&w.story), S("one\ntwo?"), "story");
	assert_true(w.helo && w.lookups == 3 && w.voids == 1);
	b.p[0] = 77;
	assert_false(spf_verdict_read(buf_str(&b), &w));
	buf_fini(&v.story);
	buf_fini(&w.story);
	buf_fini(&b);
	free(as);
	free(back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_explanations),
		cmocka_unit_test(test_counts_and_rounds),
		cmocka_unit_test(test_payloads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
