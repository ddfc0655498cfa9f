/* config/check_test.c: each rule across options, with the line and the names it tells. */
#include "config/config.h"

#include "tests/unit.h"

/* Line 1 of every file below; the cases begin on line 2. */
#define BASE "hostname = mail.contoso.com receive r { listen = \"127.0.0.1:2525\" }\n"
#define TLS  "tls { certificate = /c key = /k }\n"
#define PEER "send peer { space = \"@peer\" tls = validate }\n"

static const struct {
	const char *text, *told;
} cases[] = {
	/* top level */
	{ "", "" },
	{ "postmaster = a@", "f:2: postmaster: 'a@' is not a mail address\n" },
	{ "resolvers = { 127.0.0.1, \"[::1]:5353\", ns1 }",
	  "f:2: resolvers: 'ns1' is not an address like 192.0.2.53 or [2001:db8::53]:53\n" },

	/* sections without a name */
	{ "tls { certificate = /c }", "" },
	{ "tls { certificate = ./c.pem store = /s }", "" },
	{ "tls { store = /s certificate = 'name:mail.contoso.com' }", "" },
	{ "tls { store = /s certificate = 'name:*.Contoso.com' }", "" },
	{ "tls { store = /s certificate = '<I>CN=R11, C=US<S>CN=mail.contoso.com' }", "" },
	{ "tls { store = /s certificate = 'name:contoso' }",
	  "f:2: tls: certificate 'name:contoso': the name needs two labels at least, as in contoso.com\n" },
	{ "tls { store = /s certificate = 'sha256:abcd' }",
	  "f:2: tls: certificate 'sha256:abcd': a SHA-256 fingerprint has 64 hexadecimal digits\n" },
	{ "tls { store = /s\ncertificate = 'name:a.example'\nkey = /k }",
	  "f:4: tls: a certificate of tls.store has its key there: no key here\n" },
	{ "tls { certificate = 'NAME:a.example' }",
	  "f:2: tls: certificate 'NAME:a.example' is one of the folder tls.store, which is empty\n" },
	{ "tls { store = /s } inbound i { type = peer sender_certificate = a.example }", "" },
	{ "tls {\nkey = /k }", "f:3: tls: there is a key, but no certificate\n" },
	{ "tls { min = 1.1 }", "f:2: tls.min: '1.1' is not one of 1.2, 1.3\n" },
	{ "tls { crl = hard }",
	  "f:2: tls.crl: hard refuses every certificate without a crl_file, crl_dir or crl_fetch\n" },
	{ "tls { crl = hard crl_dir = /d }", "" },
	{ "tls { crl = hard crl_fetch = auto }", "" },
	{ "tls { crl = off crl_dir = /d } send x { space = a.example crl = soft }", "" },
	{ "send x { space = a.example crl = hard }",
	  "f:2: send \"x\": crl: hard refuses every certificate without a crl_file, crl_dir or crl_fetch\n" },
	{ "tls { crl = off crl_fetch = auto }", "f:2: warning: tls.crl_fetch: nothing is fetched while crl = off\n" },
	{ "tls { crl_fetch = {auto, 'ftp://x/y'} }",
	  "f:2: tls.crl_fetch: 'ftp://x/y': this is not a URL with http:// or https://\n" },
	{ "tls { crl_fetch = 'http://user@x/y' }",
	  "f:2: tls.crl_fetch: 'http://user@x/y': a host has to follow, without a user's name\n" },
	{ "tls { crl_fetch = auto crl_cache = '' }", "f:2: tls.crl_fetch needs the folder crl_cache\n" },
	{ "tls { crl = off crl_dir = /d }", "f:2: warning: tls.crl_dir is not read while crl = off\n" },
	{ "tls { crl = off crl_file = /x }", "f:2: warning: tls.crl_file is not read while crl = off\n" },
	{ "tls { certificate = /c } inbound i { type = peer sender_certificate = a.example client_cert_eku = client }",
	  "f:2: warning: inbound \"i\": client_cert_eku: public authorities no longer issue certificates for clients: its next "
	  "renewal will not be recognised\n" },
	{ "tls { client_cert_eku = client }",
	  "f:2: warning: tls.client_cert_eku: public authorities no longer issue certificates for clients, most peers "
	  "will not be recognised\n" },
	{ "queue { retry_first = 1h }", "f:2: queue.retry_first is longer than queue.retry_max_interval\n" },
	{ "queue { expire = 10m }", "" },
	{ "queue { expire = 4h\ndelay_report = 4h }",
	  "f:3: warning: queue.delay_report is not shorter than queue.expire: no such report will be sent\n" },
	{ "queue {\nsegment_message_max = 32M }",
	  "f:3: queue.segment_message_max is more than a quarter of queue.segment_size\n" },

	/* milters */
	{ "milter a { address = 'unix:/run/x' } receive s { listen = '127.0.0.1:2526' milters = a }", "" },
	{ "milter a { address = 'inet:127.0.0.1:8891' } milter b { address = 'inet:8891@localhost' } "
	  "milter c { address = 'inet:localhost:1' } milter d { address = 'inet:9@::1' } "
	  "milter e { address = 'inet:[::1]:9' }",
	  "" },
	{ "milter a {\naddress = 'unix:run' } milter b {\naddress = 'inet:host:1' }\n"
	  "milter c { address = 'inet:127.0.0.1' } milter d { address = '127.0.0.1:9' } milter e { address = 'inet:0@::1' }",
	  "f:3: milter \"a\": address: 'unix:run' is not unix:/PATH, inet:ADDRESS:PORT or inet:PORT@ADDRESS\n"
	  "f:4: milter \"b\": address: 'inet:host:1' is not unix:/PATH, inet:ADDRESS:PORT or inet:PORT@ADDRESS\n"
	  "f:5: milter \"c\": address: 'inet:127.0.0.1' is not unix:/PATH, inet:ADDRESS:PORT or inet:PORT@ADDRESS\n"
	  "f:5: milter \"d\": address: '127.0.0.1:9' is not unix:/PATH, inet:ADDRESS:PORT or inet:PORT@ADDRESS\n"
	  "f:5: milter \"e\": address: 'inet:0@::1' is not unix:/PATH, inet:ADDRESS:PORT or inet:PORT@ADDRESS\n" },
	{ "milter a { connect = 1s }", "f:2: milter \"a\": address is missing\n" },
	{ "milter a { address = 'unix:/x' end = 2m\nprogress_max = 1m }",
	  "f:3: milter \"a\": progress_max is shorter than end\n" },
	{ "milter a { address = 'unix:/x' } receive s { listen = '127.0.0.1:2526'\nmilters = { a, b, a } }",
	  "f:3: receive \"s\": milters: there is no milter section \"b\"\n"
	  "f:3: receive \"s\": milters: \"a\" stands there twice\n" },
/* keys that sign */
#define AUTH "auth { workers = 1 } "
	{ AUTH "sign contoso.com { selector = s1 key = /k }", "" },
	{ AUTH "sign contoso.com { selector = s1 key = /k } sign x { domain = contoso.com selector = s2 key = /k }",
	  "" },
	{ "sign contoso.com { selector = s1 key = /k }",
	  "f:2: sign \"contoso.com\" needs auth.workers: nobody would sign\n" },
	{ AUTH "sign contoso.com { key = /k }", "f:2: sign \"contoso.com\": selector is missing\n" },
	{ AUTH "sign contoso.com { selector = s1 }", "f:2: sign \"contoso.com\": key is missing\n" },
	{ AUTH "sign contoso.com { selector = 'a b' key = /k }",
	  "f:2: sign \"contoso.com\": selector: 'a b' is none\n" },
	{ AUTH "sign contoso.com { selector = a..b key = /k }",
	  "f:2: sign \"contoso.com\": selector: 'a..b' is none\n" },
	{ AUTH "sign -x- { selector = s key = /k }", "f:2: sign \"-x-\": '-x-' is not a domain name\n" },
	{ AUTH "sign contoso.com { selector = s1 key = /k }\nsign x { domain = CONTOSO.com selector = S1 key = /k }",
	  "f:3: sign \"x\": domain and selector are those of sign \"contoso.com\"\n" },
	{ AUTH "sign contoso.com { selector = s key = /k headers = {Subject} }",
	  "f:2: sign \"contoso.com\": headers: From has to be signed (RFC 6376 5.4)\n" },
	{ AUTH "sign contoso.com { selector = s key = /k oversign = {\"From:\"} }",
	  "f:2: sign \"contoso.com\": oversign: 'From:' is no name of a field\n" },

/* journals */
#define JRN "send jrn { space = archive.example smarthosts = archive.example tls = encrypt }\n"
	{ JRN "journal all { to = a@archive.example connector = jrn }", "" },
	{ JRN "journal all { to = a@archive.example\nalternate = b@archive.example connector = jrn of = {x@y.example, "
	      "'@z.example'} scope = external }",
	  "" },
	{ JRN "journal all { connector = jrn }", "f:3: journal \"all\": to is missing\n" },
	{ JRN "journal all {\nto = archive connector = jrn }",
	  "f:4: journal \"all\": to: 'archive' is not a mail address\n" },
	{ JRN "journal all { to = a@archive.example\nconnector = jrm }",
	  "f:4: journal \"all\": connector: there is no send section \"jrm\"\n" },
	{ JRN "journal all { to = a@archive.example connector = jrn\nalternate = A@archive.example }",
	  "f:4: journal \"all\": alternate is the address whose refusals it is for\n" },
	{ JRN "journal all { to = a@archive.example connector = jrn\nof = {ann, '@', '@b.example'} }",
	  "f:4: journal \"all\": of: 'ann' is not a mail address or @domain\n"
	  "f:4: journal \"all\": of: '@' is not a mail address or @domain\n" },
	{ JRN "journal all {\nto = a@archive.example\nconnector = jrn }\n"
	      "journal b { to = b@archive.example connector = jrn of = '@Archive.example' }",
	  "f:4: journal \"all\": to: a@archive.example is journaled itself, by journal \"b\"\n"
	  "f:6: journal \"b\": to: b@archive.example is journaled itself, by journal \"b\"\n" },
	{ "send jrn { space = archive.example smarthosts = archive.example tls = may }\njournal all { to = a@archive.example\nconnector = jrn }",
	  "f:4: journal \"all\": connector \"jrn\" has tls = may: copies of all mail would leave in clear; use encrypt "
	  "or more\n" },
	{ "send jrn { space = archive.example smarthosts = {'127.0.0.1:2525', '[::1]:26;5'} tls = none }\n"
	  "journal all { to = a@archive.example connector = jrn }",
	  "" },
	{ "send jrn { space = archive.example smarthosts = {'127.0.0.1:2525', '192.0.2.1'} tls = none }\n"
	  "journal all { to = a@archive.example connector = jrn }",
	  "f:3: journal \"all\": connector \"jrn\" has tls = none: copies of all mail would leave in clear; use encrypt "
	  "or more\n" },
	{ "send jrn { space = \"@local\" smarthosts = ex.example tls = none }\n"
	  "journal all { to = a@archive.example connector = jrn }",
	  "" },
	{ JRN "send off { space = archive.example smarthosts = archive.example tls = encrypt enabled = no }\n"
	      "journal all { to = a@archive.example connector = off }",
	  "f:4: warning: journal \"all\": connector \"off\" is disabled: reports will wait\n" },

	/* between sections */
	{ "mode { cmt = yes }",
	  "f:2: mode.cmt = yes, but no enabled send section has peer = yes\n"
	  "f:2: mode.cmt = yes, but no enabled inbound section has type = peer: the mail of the other side would not be "
	  "recognised\n" },
	{ TLS PEER "mode { cmt = yes } inbound i { type = peer sender_certificate = a.example }", "" },
	{ "egress { onprem = cloud\n cmt = smarthost }",
	  "f:2: egress.onprem = cloud, but no enabled send section has peer = yes\n"
	  "f:3: egress.cmt = smarthost, but no enabled send section has smarthosts and the space *\n" },
	{ "egress { onprem_addresses = { 192.0.2.0/24, spf.cloud.example }\n cloud_addresses = \"not a name\" }",
	  "f:3: egress.cloud_addresses: 'not a name' is neither an address range nor a domain name\n" },
	{ PEER "egress { onprem = smarthost cmt = cloud } send s { space = \"*\" smarthosts = h.example }", "" },
	{ "domain a.example { routing_domain = r.example }",
	  "f:2: warning: domain \"a.example\": mail for r.example has no way of its own: no enabled send section has peer "
	  "= yes\n" },
	{ "inbound i { type = peer sender_certificate = a.example }",
	  "f:2: inbound \"i\" needs TLS, but no receive section has a certificate\n" },
	{ "inbound i { type = peer sender_certificate = a.example enabled = no }", "" },
	{ "inbound i { sender_domains = a.example require_tls = no }", "" },

	/* mode, cmt */
	{ "limits { rate_exempt = { 192.0.2.0/24, nonsense } }",
	  "f:2: limits: rate_exempt: 'nonsense' is not an address range like 10.0.0.0/8 (all bits after the prefix "
	  "zero)\n" },
	{ "mode { allow = { 192.0.2.1, nonsense } }",
	  "f:2: mode: allow: 'nonsense' is not an address range like 10.0.0.0/8 (all bits after the prefix zero)\n" },
	{ "cmt { on_peer_down = bypass-classes\nclasses = { dsn, oof } }",
	  "f:2: cmt.on_peer_down needs loop.token_key: what bypasses is signed\n"
	  "f:2: warning: cmt.on_peer_down means something at site = cloud only\n"
	  "f:3: cmt.classes: 'oof' is not one of dsn, inbound, outbound\n" },
	{ "site = cloud loop { token_key = /k } cmt { on_peer_down = bypass classes = {} }", "" },

	/* echoes */
	{ "domain a.example { } domain b.example { type = internal-relay } loop { token_key = /k }\n"
	  "send s { space = \"@peer\" tls = validate echo_to = p@r.example }\n"
	  "send t { space = r.example tls = validate peer = yes echo_to = p@r.example echo_from = e@a.example }",
	  "" },
	{ "replay { path = /r\nkey = /k domains = a.example }", "" },
	{ "replay {\npath = /r }", "f:3: replay.path needs replay.key: what is kept is encrypted\n"
				   "f:3: replay.path needs replay.domains: whose mail is kept\n" },
	{ "replay { path = /r key = /k domains = \"*\" size = 1M\nmessage_max = 1M }",
	  "f:3: replay.message_max must be at most an eighth of replay.size\n" },
	{ "replay { path = /r key = /k domains = \"*\" memory = 64K\nmessage_max = 1M }",
	  "f:3: replay.message_max must be at most replay.memory\n" },
	{ "domain a.example { }\nsend s { space = r.example echo_to = nobody }",
	  "f:3: send \"s\": echo_to: 'nobody' is not a mail address\n"
	  "f:3: send \"s\": echo_to is for the other side of the organisation: peer = yes\n"
	  "f:3: send \"s\": echo_to needs loop.token_key: what comes back is signed\n" },
	{ "domain b.example { type = internal-relay } loop { token_key = /k }\n"
	  "send s { space = \"@peer\" tls = validate echo_to = p@r.example }\n"
	  "send t { space = r.example tls = validate peer = yes echo_to = p@r.example\n"
	  "echo_from = aaaaaaaaaaaaaaaaaaaaaaaa@b.example }",
	  "f:3: send \"s\": echo_from: b.example is not an authoritative domain here\n"
	  "f:4: send \"t\": echo_from: 'aaaaaaaaaaaaaaaaaaaaaaaa@b.example' is not a mail address with a local part of "
	  "at most 23\n" },

	/* domain */
	{ "domain \"a b\" { }", "f:2: domain \"a b\": this is not a domain name\n" },
	{ "domain a.example { }\ndomain A.Example { }",
	  "f:3: domain \"A.Example\" is here again, it began at line 2\n" },
	{ "domain a.example { type = internal-relay\npeer_type = internal-relay }",
	  "f:3: domain \"a.example\": internal-relay on both sides: mail for unknown users would go in circles\n" },
	{ PEER "domain a.example { routing_domain = \"r..example\" }",
	  "f:3: domain \"a.example\": routing_domain: 'r..example' is not a domain name\n" },
	{ PEER "domain a.example { routing_domain = r.example }\ndomain r.example { }",
	  "f:3: domain \"a.example\": routing_domain r.example is declared at line 4 as authoritative, but its mailboxes "
	  "are on the other side\n" },
	{ PEER "domain a.example { routing_domain = r.example } domain r.example { own_routing = yes }",
	  "f:3: domain \"a.example\": routing_domain r.example is declared at line 3 as our own routing domain, but its "
	  "mailboxes are on the other side\n" },
	{ PEER "domain a.example { own_routing = yes routing_domain = r.example }",
	  "f:3: domain \"a.example\": our own routing domain has no routing_domain\n" },
	{ "domain a.example { relay_to = other }",
	  "f:2: domain \"a.example\": relay_to: 'other' is not one of peer, mx, host:NAME[:PORT]\n" },
	{ "domain a.example { relay_to = host:h.example:70000 }",
	  "f:2: domain \"a.example\": relay_to: 'host:h.example:70000' is not one of peer, mx, host:NAME[:PORT]\n" },
	{ "domain a.example { relay_to = host:h.example:25 } domain b.example { relay_to = host:10.0.0.1 }", "" },
	{ "domain a.example { plus = \"+@\" }",
	  "f:2: domain \"a.example\": plus: '+@' holds other characters than + - _ = #\n" },
	{ "domain a.example { default = yes }\ndomain b.example { default = yes }",
	  "f:3: domain \"b.example\": the default domain is \"a.example\" already (line 2)\n" },

	/* receive */
	{ "receive x { }", "f:2: receive \"x\": listen is missing\n" },
	{ "receive x { listen = { } }",
	  "f:2: receive \"x\": listen: the list is empty, and there is no beside.listen\n" },
	{ "receive x { listen = { } from = 10.0.0.0/8 } receive y { listen = { } } beside { listen = \"127.0.0.1:9626\" }",
	  "" },
	{ "beside { listen = /s }\nreceive x { listen = { } }\nreceive y { listen = { } }",
	  "f:4: receive \"y\": clients in 0.0.0.0/0 belong to receive \"x\" already (line 3), which listens on the same "
	  "address\nf:4: receive \"y\": clients in ::/0 belong to receive \"x\" already (line 3), which listens on the "
	  "same address\n" },

	/* beside */
	{ "beside { listen = { \"127.0.0.1\", \"[::1]:9\", /run/s } milter = \"unix:/run/m\" decision_header = X-D }",
	  "" },
	{ "beside { listen = /s } inbound i { type = peer sender_certificate = a.example }", "" },
	{ "beside {\nlisten = localhost }",
	  "f:3: beside.listen: 'localhost' is not an address like 127.0.0.1:9626, nor a path of at most 100 bytes\n" },
	{ "beside {\nask = run/s }", "f:3: beside.ask: 'run/s' is not a path of at most 100 bytes\n" },
	{ "beside {\nmilter = \"127.0.0.1:1\" }",
	  "f:3: beside.milter: '127.0.0.1:1' is neither inet:PORT@ADDRESS nor unix:PATH\n" },
	{ "beside {\ntransport = 'a b' }", "f:3: beside.transport: 'a b' is not a name of a service\n" },
	{ "beside {\ndecision_header = 'X:' }",
	  "f:3: beside.decision_header: 'X:' cannot be the name of a field for that\n" },
	{ "beside {\ndecision_header = x-tombolo-route }",
	  "f:3: beside.decision_header: 'x-tombolo-route' cannot be the name of a field for that\n" },
	{ "receive x { listen = 1.2.3.4 }",
	  "f:2: receive \"x\": listen: '1.2.3.4' is not an address and port like 0.0.0.0:25 or [::]:25\n" },
	{ "receive x { listen = 1.2.3.4:0 }",
	  "f:2: receive \"x\": listen: '1.2.3.4:0' is not an address and port like 0.0.0.0:25 or [::]:25\n" },
	{ "receive x { listen = 1.2.3.4:25\nfrom = 10.1.2.3/8 }",
	  "f:3: receive \"x\": from: '10.1.2.3/8' is not an address range like 10.0.0.0/8 (all bits after the prefix "
	  "zero)\n" },
	{ "receive x { listen = 1.2.3.4:25 from = {} }", "f:2: receive \"x\": from: the list is empty\n" },
	{ "receive x { listen = 1.2.3.4:25 proxy_from = lb }",
	  "f:2: receive \"x\": proxy_from: 'lb' is not an address range like 10.0.0.0/8 (all bits after the prefix "
	  "zero)\n" },
	{ "receive x { listen = 1.2.3.4:25 permissions = root }",
	  "f:2: receive \"x\": permissions: 'root' is not one of anonymous, users, servers, partner, peer, submit, relay, "
	  "any-sender, own-domain-sender, auth-flag, bypass-spam, bypass-size, hdr-routing, hdr-org, xoorg, "
	  "cloud-mail\n" },
	{ "receive x { listen = 1.2.3.4:25 permissions = { users, relay, servers } }",
	  "f:2: receive \"x\": permissions: only one of users and servers can say where the mail comes from\n" },
	{ "receive x { listen = 1.2.3.4:25\narc_trusted = {lists.example, \"a b\"}\nforwarders = \"*.x.example\" }",
	  "f:3: receive \"x\": arc_trusted: 'a b' is not a domain name\n"
	  "f:4: receive \"x\": forwarders: '*.x.example' is not a domain name\n" },
	{ "receive x { listen = 1.2.3.4:25 permissions = servers\ndmarc = enforce }",
	  "f:3: warning: receive \"x\": dmarc = enforce has no effect: only mail from the Internet is held to it\n" },
	{ "receive x { listen = 1.2.3.4:25 permissions = {anonymous, bypass-spam} dmarc = enforce }",
	  "f:2: warning: receive \"x\": dmarc = enforce has no effect: only mail from the Internet is held to it\n" },
	{ "receive x { listen = 1.2.3.4:25 dmarc = enforce dmarc_reject = hold dmarc_quarantine = reject dmarc_author = tag "
	  "dmarc_unsure = defer arc_trusted = Lists.Example forwarders = lists.example }",
	  "" },
	{ "receive x { listen = 1.2.3.4:25 permissions = relay }",
	  "f:2: warning: receive \"x\": permissions without submit: nobody can send anything\n" },
	{ "receive x { listen = 1.2.3.4:25 permissions = {} }",
	  "f:2: receive \"x\": permissions: the list is empty\n" },
	{ "receive x { listen = 1.2.3.4:25 require_tls = yes }",
	  "f:2: receive \"x\": require_tls, but there is no certificate here nor in section tls\n" },
	{ TLS "receive x { listen = 1.2.3.4:25 require_tls = yes }", "" },
	{ TLS "receive x { listen = 1.2.3.4:25 require_tls = yes starttls = no }",
	  "f:3: receive \"x\": require_tls, but starttls = no\n" },
	{ "receive x { listen = 1.2.3.4:25\nkey = /k }", "f:3: receive \"x\": there is a key, but no certificate\n" },
	{ "receive x { listen = 1.2.3.4:25 fqdn = \"a b\" }",
	  "f:2: receive \"x\": fqdn: 'a b' is not a domain name\n" },
	{ "receive x { listen = 127.0.0.1:2525 }",
	  "f:2: receive \"x\": clients in 0.0.0.0/0 belong to receive \"r\" already (line 1), which listens on the same "
	  "address\n"
	  "f:2: receive \"x\": clients in ::/0 belong to receive \"r\" already (line 1), which listens on the same "
	  "address\n" },
	{ "receive x { listen = 127.0.0.1:2525 from = { 10/8, 10.1/16 } }", "" },
	{ "receive x { listen = 127.0.0.1:26 from = { 10/8, 10.0.0.0/8 } }",
	  "f:2: receive \"x\": clients in 10.0.0.0/8 belong to receive \"x\" already (line 2), which listens on the same "
	  "address\n" },

/* inbound */
#define BY_IP TLS "inbound i { type = peer sender_certificate = a.example sender_ip = 192.0.2.0/24 "
	{ BY_IP "ip_trust = full }",
	  "f:3: inbound \"i\": ip_trust = full needs an ip_trust_until, a date like 2027-01-31\n" },
	{ BY_IP "ip_trust = full ip_trust_until = 2027-01-31 }", "" },
	{ BY_IP "ip_trust = full ip_trust_until = \"2028-02-29\" }", "" },
	{ BY_IP "ip_trust = full\nip_trust_until = 2027-02-29 }",
	  "f:4: inbound \"i\": ip_trust_until: '2027-02-29' is not a date like 2027-01-31\n" },
	{ BY_IP "ip_trust = full ip_trust_until = soon }",
	  "f:3: inbound \"i\": ip_trust_until: 'soon' is not a date like 2027-01-31\n" },
	{ BY_IP "ip_trust_until = 2027-01-31 }", "f:3: inbound \"i\": ip_trust_until is for ip_trust = full\n" },
	{ TLS "inbound i { type = peer sender_certificate = a.example\nip_trust = full ip_trust_until = 2027-01-31 }",
	  "f:4: inbound \"i\": ip_trust = full without sender_ip\n" },
	{ BY_IP "own_tenant_only = report }", "" },
	{ BY_IP "own_tenant_only = yes org_required = no }",
	  "f:3: warning: inbound \"i\": org_required = no with sender_ip: whoever has one of these addresses may relay\n"
	  "f:3: inbound \"i\": own_tenant_only looks at the claim, which org_required = no does not ask for\n" },
	{ BY_IP "own_tenant_only = maybe }",
	  "f:3: inbound \"i\": own_tenant_only: 'maybe' is not one of no, report, yes\n" },
	{ TLS "inbound i { sender_certificate = a.example\nip_trust = full\nown_tenant_only = yes }",
	  "f:4: inbound \"i\": ip_trust is for type = peer\n"
	  "f:5: inbound \"i\": own_tenant_only is for type = peer\n" },
	{ TLS "inbound i { type = peer }",
	  "f:3: inbound \"i\": a peer needs sender_certificate or, with less trust, sender_ip\n" },
	{ TLS "inbound i { type = peer\nsender_ip = 10/8 }",
	  "f:4: warning: inbound \"i\": a peer known by address alone is trusted with no headers, and is lost when its "
	  "addresses change\n" },
	{ TLS "inbound i { type = peer sender_certificate = a.example sender_domains = b.example restrict_ip = yes }",
	  "f:3: inbound \"i\": sender_domains is for partners: a peer is never known by the sender's address\n"
	  "f:3: inbound \"i\": restrict_cert and restrict_ip are for partners\n" },
	{ TLS "inbound i { sender_certificate = { \"*.com\", a.example, \"x.*.y.example\" } }",
	  "f:3: inbound \"i\": sender_certificate: '*.com': the name needs two labels at least, as in contoso.com\n"
	  "f:3: inbound \"i\": sender_certificate: 'x.*.y.example': a '*' may only stand in front, as in "
	  "*.contoso.com\n" },
	{ TLS "inbound i { sender_ip = 300.0.0.0/8 }",
	  "f:3: inbound \"i\": sender_ip: '300.0.0.0/8' is not an address range like 10.0.0.0/8 (all bits after the prefix "
	  "zero)\n" },
	{ TLS "inbound i { sender_domains = { a.example, \"*.b.example\", \"*\", \"*c\" } }",
	  "f:3: inbound \"i\": sender_domains: '*c' is not one of name, *.name, *\n" },
	{ TLS "inbound i { }",
	  "f:3: inbound \"i\": a partner needs at least one of sender_certificate, sender_ip, sender_domains\n" },
	{ TLS "inbound i { sender_domains = a.example restrict_cert = yes restrict_ip = yes }",
	  "f:3: inbound \"i\": restrict_cert without sender_certificate\n"
	  "f:3: inbound \"i\": restrict_ip without sender_ip\n" },
	{ TLS "inbound i { sender_ip = 10/8 cloud_mail = yes\nreturn_internal = yes peer_relay = yes\ntrusted_orgs = "
	      "a.example }",
	  "f:3: inbound \"i\": cloud_mail is for type = peer\n"
	  "f:4: inbound \"i\": return_internal is for type = peer\n"
	  "f:4: inbound \"i\": peer_relay is for type = peer\n"
	  "f:5: inbound \"i\": trusted_orgs is for type = peer\n" },
	{ TLS "inbound i { type = peer sender_certificate = a.example trusted_orgs = \"-\" }",
	  "f:3: inbound \"i\": trusted_orgs: '-' is not a domain name\n" },
	{ TLS "inbound i { sender_certificate = a.example }\ninbound j { sender_certificate = A.example. }",
	  "f:4: warning: inbound \"j\": a.example is in inbound \"i\" too (line 3); the first by name wins\n" },

	{ "send s { space = a.example smarthosts = { \"h.example;10\", \"[192.0.2.1]:26;0\", k.example } }", "" },
	{ "send s { space = a.example smarthosts = \"h.example;x\" }",
	  "f:2: send \"s\": smarthosts: 'h.example;x' is not a host, host:port or [address]:port, with an optional "
	  ";preference\n" },
	/* tls_policy */
	{ "tls_policy fabrikam.example { tls = domain tls_domain = mx.fabrikam.example }", "" },
	{ "tls_policy \"*.fabrikam.example\" { } tls_policy \"*\" { tls = may }", "" },
	{ "tls_policy \"a.*.example\" { }",
	  "f:2: tls_policy \"a.*.example\": the name is not one of name, *.name, *\n" },
	{ "tls_policy fabrikam.example {\ntls_domain = \"*.example\" }",
	  "f:3: tls_policy \"fabrikam.example\": tls_domain is compared only with tls = domain\n"
	  "f:3: tls_policy \"fabrikam.example\": tls_domain: '*.example': the name needs two labels at least, as in "
	  "contoso.com\n" },
	{ "tls_policy fabrikam.example { tls = dane }",
	  "f:2: tls_policy \"fabrikam.example\": tls: 'dane' is not one of none, may, encrypt, validate, domain\n" },

	/* send */
	{ "send s { }", "f:2: send \"s\": space is missing\n" },
	{ "send s { space = {} }", "f:2: send \"s\": space: the list is empty\n" },
	{ "send s { space = { \"*contoso\", \"a.example;0\", \"a.example;101\", \"@other\", \"a.*.example\" } }",
	  "f:2: send \"s\": space: '*contoso' is not one of name, *.name, *, @local, @peer, with an optional ;cost of 1 to "
	  "100\n"
	  "f:2: send \"s\": space: 'a.example;0' is not one of name, *.name, *, @local, @peer, with an optional ;cost of 1 "
	  "to 100\n"
	  "f:2: send \"s\": space: 'a.example;101' is not one of name, *.name, *, @local, @peer, with an optional ;cost of "
	  "1 to 100\n"
	  "f:2: send \"s\": space: '@other' is not one of name, *.name, *, @local, @peer, with an optional ;cost of 1 to "
	  "100\n"
	  "f:2: send \"s\": space: 'a.*.example' is not one of name, *.name, *, @local, @peer, with an optional ;cost of 1 "
	  "to 100\n" },
	{ "send s { space = \"@local\" }",
	  "f:2: send \"s\": the space @local needs smarthosts: the MX of our domains leads back here\n" },
	{ "send s { space = \"*\"\ndns = no }", "f:3: send \"s\": dns = no, but there are no smarthosts\n" },
	{ "send s { space = \"*\" smarthosts = h.example\ndns = yes }",
	  "f:3: send \"s\": dns = yes and smarthosts exclude each other\n" },
	{ "send s { space = \"*\" smarthosts = { h.example:25, 10.0.0.1, \"[::1]:26\", h:0, \"a b\" } }",
	  "f:2: send \"s\": smarthosts: 'h:0' is not a host, host:port or [address]:port, with an optional ;preference\n"
	  "f:2: send \"s\": smarthosts: 'a b' is not a host, host:port or [address]:port, with an optional ;preference\n" },
	{ "send s { space = \"*\" smarthosts = h.example tls = domain }",
	  "f:2: send \"s\": tls = domain with smarthosts needs a tls_domain\n" },
	{ "send s { space = \"*\" tls = domain }", "" },
	{ "send s { space = \"*\" tls = domain tls_domain = \"*.com\" }",
	  "f:2: send \"s\": tls_domain: '*.com': the name needs two labels at least, as in contoso.com\n" },
	{ "send s { space = \"*\" tls_domain = a.example }",
	  "f:2: send \"s\": tls_domain is compared only with tls = domain\n" },
	{ "send s { space = \"*\" certificate = /c }", "" },
	{ "send s { space = \"*\" key = /k }", "f:2: send \"s\": there is a key, but no certificate\n" },
	{ "send s { space = \"*\" source = eth0 }", "f:2: send \"s\": source: 'eth0' is not an address\n" },
	{ "send s { space = \"*\" fqdn = \"-\" }", "f:2: send \"s\": fqdn: '-' is not a domain name\n" },
	{ "send s { space = \"*\"\nsrs_domain = srs.a.example }",
	  "f:3: send \"s\": srs_domain needs srs.key, a file of keys\n" },
	{ "srs { key = /k } send s { space = \"*\" srs_domain = SRS.A.example }", "" },
	{ "srs { key = /k } send s { space = \"*\" srs_domain = \"-\" }",
	  "f:2: send \"s\": srs_domain: '-' is not a domain name\n" },
	{ "srs { key = /k } send s { space = \"@local\" smarthosts = h.example srs_domain = a.example }",
	  "f:2: send \"s\": srs_domain is for ways to strangers: between our sides senders stay as they are\n" },
	{ "send s { space = \"*\" xoorg = a.example }",
	  "f:2: send \"s\": xoorg is told to the other side only: peer = yes\n" },
	{ "send s { space = a.example peer = yes tls = domain xoorg = \"-\" }",
	  "f:2: send \"s\": xoorg: '-' is not a domain name\n" },
	{ "send s { space = \"@peer\" tls = domain peer = no }",
	  "f:2: send \"s\": peer = no, but the space is @peer\n" },
	{ "send s { space = \"@peer\" }",
	  "f:2: warning: send \"s\": with tls = may mail inside of the organisation goes to anyone who answers; use "
	  "validate or domain\n" },
	{ "send s { space = \"@peer\" tls = validate\nexclusive = no }",
	  "f:3: warning: send \"s\": exclusive = no: mail too big for it may leave by a connector without its TLS\n" },
	{ "send s { space = \"*\" cloud_mail = yes }",
	  "f:2: send \"s\": cloud_mail is for the other side of the organisation: peer = yes\n" },
	{ "send s { space = \"@peer\" tls = domain clean_headers = yes }",
	  "f:2: send \"s\": clean_headers = yes takes away what cloud_mail = yes lets through; say one of them\n" },
	{ "send s { space = \"@peer\" tls = domain cloud_mail = no }", "" },
	{ "send s { space = \"@local\" smarthosts = a.example clean_headers = no }", "" },
	{ "send s { space = \"*\" clean_headers = no }",
	  "f:2: warning: send \"s\": clean_headers = no: whoever it leads to reads the headers of our organisation\n" },
};

static bool has_errors(const char *told)
{
	for (struct str rest = str_c(told), line; rest.n > 0;) {
		str_cut(rest, '\n', &line, &rest);
		if (str_find(line, S(": warning: ")) < 0)
			return true;
	}
	return false;
}

static void test_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf text, told;

		buf_init(&text, 8192);
		buf_init(&told, 8192);
		buf_addf(&text, BASE "%s", cases[i].text);
		struct config *c = config_parse(buf_str(&text), "f", &told);
		check_str(buf_str(&told), str_c(cases[i].told), cases[i].text);
		assert_int_equal(c == NULL, has_errors(cases[i].told));
		config_unref(&c);
		buf_fini(&told);
		buf_fini(&text);
	}
}

static void test_no_listener(void **state)
{
	struct buf told;

	(void)state;
	buf_init(&told, 1024);
	assert_null(config_parse(S("hostname = a.example"), "f", &told));
	assert_string_equal(buf_cstr(&told), "f: there is no receive section: nothing to listen on\n");
	buf_reset(&told);
	struct config *c = config_parse(
		S("hostname = a.example user = mail beside { listen = { \"[::1]:1\", /run/s } }"), "f", &told);
	assert_string_equal(buf_cstr(&told), "");
	assert_non_null(c);
	check_str(c->beside.ask, S("/run/s"), "the milter asks where we listen");
	check_str(c->beside.milter_user, S("mail"), "and is who we are");
	config_unref(&c);
	buf_reset(&told);
	assert_null(config_parse(S("hostname = \"a b\" receive r { listen = 127.0.0.1:25 }"), "f", &told));
	assert_string_equal(buf_cstr(&told), "f:1: hostname: 'a b' is not a domain name\n");
	buf_reset(&told);
	c = config_parse(S("hostname = a receive r { listen = 127.0.0.1:25 }"), "f", &told);
	assert_non_null(c);
	assert_string_equal(buf_cstr(&told),
			    "f:1: warning: hostname: 'a' has no dot, many servers refuse such a name\n");
	config_unref(&c);
	buf_fini(&told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_no_listener),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
