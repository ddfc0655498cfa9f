# tests/interop/peers.sh: Postfix, the on-prem host, and Exim, the cloud host, as private instances (sourced by run.sh).
#
# Both run in a mount namespace with an /etc or a resolver of their own: nothing of the system is touched, and no DNS
# query leaves the machine.  Postfix keeps mail in maildirs $W/postfix/mail/USER, Exim in $W/exim/mail/USER.

POSTFIX_USERS="anna bernd everyone jürgen"
EXIM_USERS="clara dora gustav bernd many wanda erik carl дом"

# postfix_up PORT SMARTHOST_PORT CERTIFIED_PORT NET_PORT: STARTTLS offered, and demanded of the smart host with its right
# name; on CERTIFIED_PORT a client certificate is demanded.  Mail for certified.example and bare.example goes to NET_PORT
# with the cloud's certificate, and without any.
postfix_up() {
	d=$W/postfix
	mkdir -p "$d/etc" "$d/spool" "$d/data" "$d/mail"
	chown postfix "$d/data"
	chown nobody "$d/mail"
	chmod 755 "$d" "$d/etc" "$d/spool"
	printf 'lookup file\nnameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$d/resolv.conf"
	for u in anna; do echo "/^$u@(required|refused)\\.example\$/ $u/"; done >"$d/etc/users"
	printf '/@certified\\.example$/ certified:[127.0.0.1]:%s\n/@bare\\.example$/ bare:[127.0.0.1]:%s\n' "$4" "$4" >"$d/etc/transport"
	for u in $POSTFIX_USERS; do echo "/^$u(\\+.*)?@contoso\\.com\$/ $u/"; done >>"$d/etc/users"
	# mailboxes that have moved: what a directory would say as targetAddress
	echo '/^clara@contoso\.com$/ clara@contoso.mail.cloud.example' >"$d/etc/moved"
	cp "$CERTS/server.pem" "$CERTS/server.key" "$CERTS/ca.pem" "$CERTS/cloud.pem" "$CERTS/cloud.key" "$d/etc/"
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
		myhostname = ex1.contoso.com
		inet_interfaces = 127.0.0.1
		inet_protocols = ipv4
		mydestination =
		alias_maps =
		alias_database =
		mynetworks = 127.0.0.0/8
		virtual_mailbox_domains = contoso.com required.example refused.example
		transport_maps = regexp:$d/etc/transport
		virtual_mailbox_maps = regexp:$d/etc/users
		virtual_alias_maps = regexp:$d/etc/moved
		virtual_mailbox_base = $d/mail
		virtual_uid_maps = static:$(id -u nobody)
		virtual_gid_maps = static:$(id -g nobody)
		virtual_minimum_uid = 1
		virtual_mailbox_limit = 0
		relayhost = [127.0.0.1]:$2
		smtpd_relay_restrictions = permit_mynetworks, reject
		disable_dns_lookups = yes
		smtpd_peername_lookup = no
		message_size_limit = 104857600
		smtputf8_enable = yes
		smtpd_tls_security_level = may
		smtpd_tls_chain_files = $d/etc/server.key, $d/etc/server.pem
		smtpd_tls_received_header = yes
		smtp_tls_security_level = secure
		smtp_tls_secure_cert_match = mail.contoso.com
		smtp_tls_CAfile = $d/etc/ca.pem
		smtp_tls_loglevel = 1
		minimal_backoff_time = 5s
		maximal_backoff_time = 10s
		queue_run_delay = 5s
		maillog_file = $d/log
		maillog_file_prefixes = /var, /dev/shm, /tmp, $W
	CONF
	# the distribution's services without chroot, ours in place of port 25, no pipes to foreign programs
	sed -e "s/^smtp      inet .*/127.0.0.1:$1 inet n - n - - smtpd/" -e '/pipe$/,$d' \
		-e 's/^\([a-z]* *unix[^ ]* *[^ ]* *[^ ]* *\)y/\1n/' /etc/postfix/master.cf.proto | grep -v '^#' >"$d/etc/master.cf"
	cat >>"$d/etc/master.cf" <<-CONF
		127.0.0.1:$3 inet n - n - - smtpd
		  -o smtpd_tls_security_level=encrypt -o smtpd_tls_req_ccert=yes -o smtpd_tls_ask_ccert=yes
		  -o smtpd_tls_CAfile=$d/etc/ca.pem -o smtpd_tls_loglevel=1
		certified unix - - n - - smtp -o smtp_tls_chain_files=$d/etc/cloud.key,$d/etc/cloud.pem
		bare unix - - n - - smtp
	CONF
	cp -r /etc/postfix/dynamicmaps.cf* /etc/postfix/postfix-files "$d/etc/" 2>/dev/null
	POSTFIX=$d/etc
	postfix_start
	wait_port "$1"
}
postfix_start() {
	unshare -m sh -c "mount --make-rprivate / && mount --bind '$W/postfix/resolv.conf' /etc/resolv.conf &&
		exec postfix -c '$POSTFIX' start" >"$W/postfix/start" 2>&1
}
# by its own lock file: `postfix stop` ends the master this instance started, and no other
postfix_stop() { [ -z "${POSTFIX:-}" ] || postfix -c "$POSTFIX" stop >/dev/null 2>&1; }

# exim_up PORT_GOOD PORT_WRONG PORT_EXPIRED PORT_CLEAR SMARTHOST_PORT PORT_CERTIFIED: the certificate shown depends on
# the port; certificates of clients are asked for, and demanded on the last.  Mail from bare@ is sent without one.
exim_up() {
	d=$W/exim
	mkdir -p "$d/etc/exim4" "$d/spool" "$d/log" "$d/mail"
	for f in nsswitch.conf hosts ld.so.cache services localtime ssl alternatives; do
		[ ! -e "/etc/$f" ] || cp -rL "/etc/$f" "$d/etc/" 2>/dev/null
	done
	for f in passwd group; do grep -v '^Debian-exim:' "/etc/$f" >"$d/etc/$f"; done
	echo 'Debian-exim:x:65533:65533::/:/usr/sbin/nologin' >>"$d/etc/passwd"
	echo 'Debian-exim:x:65533:' >>"$d/etc/group"
	printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$d/etc/resolv.conf"
	for c in cloud wrongname expired; do cp "$CERTS/$c.pem" "$CERTS/$c.key" "$d/etc/exim4/"; done
	cp "$CERTS/ca.pem" "$d/etc/exim4/"
	for u in $EXIM_USERS; do echo "$u: $u"; done >"$d/etc/exim4/users" # a looked-up name may become a path, a given one not
	chown -R 65533:65533 "$d/spool" "$d/log" "$d/mail" "$d"/etc/exim4/*
	cat >"$d/etc/exim4/exim4.conf" <<-CONF
		primary_hostname = mail.contoso.mail.cloud.example
		exim_path = $EXIM
		spool_directory = $d/spool
		log_file_path = $d/log/%slog
		pid_file_path = $d/spool/pid
		log_selector = +tls_peerdn +tls_cipher +incoming_port +received_recipients +8bitmime
		local_interfaces = 127.0.0.1
		daemon_smtp_ports = $1 : $2 : $3 : $4 : $6
		keep_environment =
		host_lookup =
		rfc1413_query_timeout = 0s
		acl_smtp_rcpt = rcpt
		acl_smtp_data = accept
		message_size_limit = 100M
		smtp_accept_max = 100
		smtp_accept_queue_per_connection = 0
		tls_advertise_hosts = \${if eq{\$received_port}{$4}{}{*}}
		CERT = /etc/exim4/\${if eq{\$received_port}{$2}{wrongname}{\${if eq{\$received_port}{$3}{expired}{cloud}}}}
		tls_certificate = CERT.pem
		tls_privatekey = CERT.key
		tls_verify_certificates = /etc/exim4/ca.pem
		tls_try_verify_hosts = *
		tls_verify_hosts = \${if eq{\$received_port}{$6}{*}{}}
		begin acl
		rcpt:
		  deny message = no such mailbox
		       local_parts = nobody
		  accept
		begin routers
		here:
		  driver = accept
		  domains = contoso.mail.cloud.example : certified.example : bare.example : strict.example : wrong.example : expired.example : clear.example
		  local_parts = lsearch;/etc/exim4/users
		  transport = mailbox
		uncertified:
		  driver = manualroute
		  senders = bare@contoso.com
		  domains = contoso.com
		  transport = bare
		  route_list = * 127.0.0.1
		  self = send
		onprem:
		  driver = manualroute
		  domains = contoso.com
		  transport = gateway
		  route_list = * 127.0.0.1
		  self = send
		begin transports
		mailbox:
		  driver = appendfile
		  directory = $d/mail/\$local_part_data
		  maildir_format
		  create_directory
		  user = Debian-exim
		  group = Debian-exim
		  envelope_to_add
		  return_path_add
		gateway:
		  driver = smtp
		  port = $5
		  hosts_require_tls = *
		  hosts_try_fastopen =
		  tls_certificate = /etc/exim4/cloud.pem
		  tls_privatekey = /etc/exim4/cloud.key
		  tls_verify_certificates = /etc/exim4/ca.pem
		  tls_verify_hosts = *
		  tls_verify_cert_hostnames =
		bare:
		  driver = smtp
		  port = $5
		  hosts_require_tls = *
		  hosts_try_fastopen =
		  tls_verify_certificates = /etc/exim4/ca.pem
		  tls_verify_hosts = *
		  tls_verify_cert_hostnames =
		begin retry
		* * F,1h,5s
	CONF
	unshare -m sh -c "mount --make-rprivate / && mount --bind '$d/etc' /etc && exec '$EXIM' -bdf -q5s" >"$d/start" 2>&1 &
	keep $!
	wait_port "$1"
}

# mail_at HOST USER SUBJECT: the file of that message in a mailbox; fails when there is none
mail_at() { find "$W/$1/mail/$2" -type f -path '*/new/*' -exec grep -alE "^Subject: $3\$" {} + 2>/dev/null | grep .; }
arrives() { wait_until 15 mail_at "$@"; }
mail_count() { find "$W/$1/mail/$2" -type f -path '*/new/*' 2>/dev/null | wc -l; }
# body FILE: what stands below the header, without CR
body() { tr -d '\r' <"$1" | sed '1,/^$/d'; }
