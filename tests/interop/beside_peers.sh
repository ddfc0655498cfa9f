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
	wait_port $P_MTA || { cat "$d/start" "$d/log" >&2; return 1; }
}
# by its own lock file: `postfix stop` ends the master this instance started, and no other
postfix_stop() { [ -z "${POSTFIX:-}" ] || postfix -c "$POSTFIX" stop >/dev/null 2>&1; }
postfix_holds() { postqueue -c "$POSTFIX" -p 2>/dev/null | grep -E '^[0-9A-Za-z]+!' && postqueue -c "$POSTFIX" -p | grep -F "$1"; }
postfix_says() { grep -qE "$1" "$W/postfix/log"; }

case_postfix() {
	postfix_up postfix-milter.cf || { fail "Postfix does not start"; return; }
	four_ways pf
	unknown_refused pf
	firewall_holds pf
	dsn_kept pf
	check "pf: the name of the cloud's certificate was checked" postfix_says 'Verified TLS connection established to .*:'$P_CLOUD
	post pf-held x@far.example closed@contoso.com
	check "pf: a closed way: the message is taken" said '^END 250'
	check "pf: and kept" wait_until 10 postfix_holds x@fabrikam.example
	postsuper -c "$POSTFIX" -H ALL >/dev/null 2>&1
	check "pf: released it waits for its way" wait_until 15 postfix_says 'x@fabrikam.example.*dsn=4.4.4.*deferred'
	post pf-relay x@far.example y@far.example
	check "pf: strangers do not relay" said '^RCPT <y@far.example> [45][0-9][0-9]'
	peer_recognised pf-cert
	wrong_name_waits pf-name
	restarted pf
	postfix_stop
}

case_tables() {
	postfix_up postfix-tables.cf || { fail "Postfix does not start"; return; }
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

# sendmail_up: Sendmail with the files of docs/beside; its queue, tables and names are this run's
sendmail_up() {
	d=$W/sendmail
	peers=$(pwd)/build/peers
	SENDMAIL=$peers/usr/libexec/sendmail/sendmail
	rm -rf "$d"
	mkdir -p "$d/queue"
	chmod 755 "$d"
	chmod 700 "$d/queue"
	printf '127.0.0.1 mail.contoso.com localhost %s\n' "$(hostname)" >"$d/hosts" # it waits a minute for a full name
	printf 'hosts files\naliases files\npasswd files\n' >"$d/switch"
	printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$d/resolv.conf"
	cp "$W/mta.pem" "$W/mta.key" "$d/" # below /mnt: it takes no key that lies below a folder all may write in
	chmod 600 "$d/mta.key"
	from_docs sendmail.mc | sed -e "s|/etc/mail/|$d/|g; s|/etc/ssl/certs'|/mnt'|; s|$W/mta|/mnt/mta|" \
		-e "/^Mmailboxes/,/TCP/s|TCP \$h 25|TCP \$h $P_HERE|; /^Mcloud/,/TCP/s|TCP \$h 25|TCP \$h $P_CLOUD|" >"$d/sendmail.mc"
	m4 -D_CF_DIR_="$peers/usr/share/sendmail/cf/" "$peers/usr/share/sendmail/cf/m4/cf.m4" "$d/sendmail.mc" >"$d/m4.cf" 2>>"$d/start"
	# where this run lives; the last word on an option is the one that counts
	{
		grep -vE '^O (QueueDirectory|StatusFile|HelpFile|PidFile|AliasFile|DaemonPortOptions|ServiceSwitchFile|ControlSocketName|DontProbeInterfaces|HostStatusDirectory|MaxDaemonChildren)' "$d/m4.cf"
		cat <<-CONF
			O QueueDirectory=$d/queue
			O StatusFile=$d/statistics
			O PidFile=$d/pid
			O ServiceSwitchFile=$d/switch
			O DaemonPortOptions=Name=MTA, Addr=127.0.0.1, Port=$P_MTA
			O DontProbeInterfaces=true
			O DontBlameSendmail=forwardfileinunsafedirpath,groupreadablekeyfile,mapinunsafedirpath
			O MinQueueAge=0
			O LogLevel=0
		CONF
	} >"$d/sendmail.cf"
	for f in mailertable access; do
		from_docs sendmail-$f >"$d/$f"
		"$peers/usr/libexec/sendmail/makemap" -C "$d/sendmail.cf" hash "$d/$f" <"$d/$f" >>"$d/start" 2>&1
	done
	unshare -m sh -c "mount --make-rprivate / && mount --bind '$d/resolv.conf' /etc/resolv.conf &&
		mount --bind '$d/hosts' /etc/hosts && mount --bind '$d' /mnt && exec '$SENDMAIL' -bD -q3s -C '$d/sendmail.cf' -X '$d/traffic'" >>"$d/start" 2>&1 &
	SENDMAIL_PID=$!
	keep $SENDMAIL_PID
	wait_until 75 ss_listens $P_MTA || { cat "$d/start" >&2; return 1; }
}
ss_listens() { ss -Hltn "sport = :$1" | grep -q .; }
sendmail_holds() { "$SENDMAIL" -C "$W/sendmail/sendmail.cf" -bp -qQ 2>/dev/null | grep -F "$1"; }

case_sendmail() {
	sendmail_up || { fail "Sendmail does not start"; return; }
	four_ways sm
	unknown_refused sm
	firewall_holds sm
	dsn_kept sm
	post sm-held x@far.example closed@contoso.com
	check "sm: a closed way: the message is taken" said '^END 250'
	check "sm: and kept" wait_until 10 sendmail_holds x@fabrikam.example
	post sm-relay x@far.example y@far.example
	check "sm: strangers do not relay" said '^RCPT <y@far.example> [45][0-9][0-9]'
	peer_recognised sm-cert
	wrong_name_waits sm-name
	restarted sm
	stop "$SENDMAIL_PID"
}

# the protocol itself: miltertest as the MTA, and one without manners
case_protocol() {
	check "miltertest: decisions, edits, quarantine" timeout 60 miltertest -D port=$P_MILTER -D state=up -s "$HERE/beside.lua"
	stop "$GATEWAY"
	check "miltertest: without tombolod" timeout 60 miltertest -D port=$P_MILTER -D state=down -s "$HERE/beside.lua"
	gateway_up tombolo
	check "miltertest: with it again" timeout 60 miltertest -D port=$P_MILTER -D state=up -s "$HERE/beside.lua"
	check "an MTA without manners" timeout 300 python3 "$HERE/milter_rude.py" $P_MILTER
	check "tombolo-milter still runs" kill -0 "$MILTER"
}
