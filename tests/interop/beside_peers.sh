# tests/interop/beside_peers.sh: the MTAs beside us, as private instances (sourced by beside.sh), and what is asked of each.

# postfix_up FILE: Postfix with that file of docs/beside
postfix_up() {
	d=$W/postfix
	rm -rf "$d"
	mkdir -p "$d/etc" "$d/spool" "$d/data"
	chown postfix "$d/data"
	chmod 755 "$d" "$d/etc" "$d/spool"
	printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$d/resolv.conf"
	cat >"$d/etc/main.cf" <<-CONF
		compatibility_level = 3.6
		queue_directory = $d/spool
		data_directory = $d/data
		command_directory = /usr/sbin
		daemon_directory = /usr/lib/postfix/sbin
		meta_directory = /etc/postfix
		shlib_directory = /usr/lib/postfix
		mail_owner = postfix
		setgid_group = postdrop
		myhostname = mail.contoso.com
		inet_interfaces = 127.0.0.1
		inet_protocols = ipv4
		mydestination =
		alias_maps =
		alias_database =
		mynetworks = 10.0.0.0/8
		disable_dns_lookups = yes
		smtpd_peername_lookup = no
		minimal_backoff_time = 5s
		maximal_backoff_time = 10s
		queue_run_delay = 5s
		smtp_tls_loglevel = 1
		maillog_file = $d/log
		maillog_file_prefixes = /var, /dev/shm, /tmp, $W
	CONF
	from_docs "$1" >>"$d/etc/main.cf"
	sed -e "s/^smtp      inet .*/127.0.0.1:$P_MTA inet n - n - - smtpd/" -e '/pipe$/,$d' \
		-e 's/^\([a-z]* *unix[^ ]* *[^ ]* *[^ ]* *\)y/\1n/' /etc/postfix/master.cf.proto | grep -v '^#' >"$d/etc/master.cf"
	cp -r /etc/postfix/dynamicmaps.cf* /etc/postfix/postfix-files "$d/etc/" 2>/dev/null
	POSTFIX=$d/etc
	unshare -m sh -c "mount --make-rprivate / && mount --bind '$d/resolv.conf' /etc/resolv.conf &&
		exec postfix -c '$POSTFIX' start" >"$d/start" 2>&1
	wait_port $P_MTA || cat "$d/start" "$d/log" >&2
}
# by its own lock file: `postfix stop` ends the master this instance started, and no other
postfix_stop() { [ -z "${POSTFIX:-}" ] || postfix -c "$POSTFIX" stop >/dev/null 2>&1; }
postfix_holds() { postqueue -c "$POSTFIX" -p 2>/dev/null | grep -E '^[0-9A-Za-z]+!' && postqueue -c "$POSTFIX" -p | grep -F "$1"; }
postfix_says() { grep -qE "$1" "$W/postfix/log"; }

case_postfix() {
	postfix_up postfix-milter.cf
	four_ways pf
	unknown_refused pf
	firewall_holds pf
	dsn_kept pf
	check "pf: the name of the cloud's certificate was checked" postfix_says 'Verified TLS connection established to .*:'$P_CLOUD
	post pf-held x@far.example closed@contoso.com
	check "pf: a closed way: the message is taken" said '^END 250'
	check "pf: and kept" wait_until 10 postfix_holds x@fabrikam.example
	post pf-relay x@far.example y@far.example
	check "pf: strangers do not relay" said '^RCPT <y@far.example> [45][0-9][0-9]'
	peer_recognised pf-cert
	restarted pf
	postfix_stop
}

case_tables() {
	postfix_up postfix-tables.cf
	four_ways tables
	check "tables: unknown recipients are refused at RCPT" said '^RCPT <nobody@contoso.com> 550 5\.1\.1'
	post tables-closed x@far.example closed@contoso.com
	check "tables: a closed way: the message waits" wait_until 10 postfix_says 'fabrikam.example.*relay=none.*dsn=4.4.4.*deferred'
	stop "$GATEWAY"
	sleep 1
	post tables-down x@far.example anna@contoso.com
	check "tables: without tombolod the client is told to come back" said '^RCPT <anna@contoso.com> 4[0-9][0-9]'
	gateway_up tombolo
	post tables-up x@far.example clara@contoso.com
	check "tables: with it all is well again" said '^END 250'
	check "tables: and delivered" comes cloud tables-up clara@contoso.mail.cloud.example
	postfix_stop
}
