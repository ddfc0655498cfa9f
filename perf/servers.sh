# perf/servers.sh: starts, watches and stops what the runs of this folder measure (sourced by them; uses B, W, SHM).
#
# Everything listens on loopback, keeps its files under $W and is stopped by process id.  The ports are taken in a row
# from the first free block.

PIDS=
keep() { PIDS="$PIDS $1"; }

stop_all() {
	for d in postfix postfix-tls postfix-auth; do
		[ -d "$W/$d" ] && postfix -c "$W/$d/etc" stop >/dev/null 2>&1
	done
	for p in $PIDS; do kill "$p" 2>/dev/null || true; done
	for p in $PIDS; do wait "$p" 2>/dev/null || true; done
}

# first_block [N]: a port of which the next N - 1 are free, too (N: 10)
first_block() {
	block=${1:-10} base=20250
	while ss -Hltn | awk -v b=$base -v many=$block '{ n = split($4, a, ":"); if (a[n] >= b && a[n] < b + many) f = 1 } END { exit !f }'; do
		base=$((base + block))
	done
	echo $base
}

# All processes below (and with) $1, from /proc: id and the fields of stat behind the command name.
tree() {
	cat /proc/[0-9]*/stat 2>/dev/null | awk -v root="$1" '
		{ id = $1; sub(/^.*\) /, ""); parent[id] = $2; cpu[id] = $12 + $13 + $14 + $15 }
		END { for (p in parent) { q = p; while (q in parent && q != root) q = parent[q]; if (q == root) print p, cpu[p] } }'
}
# User and system time of the tree, exited children included, in ms.
tree_cpu_ms() {
	[ "$1" != 0 ] || { echo 0; return; }
	tree "$1" | awk -v hz="$(getconf CLK_TCK)" '{ n += $2 } END { print int(n * 1000 / hz) }'
}
# Memory of the tree with shared pages counted once, in KiB.
tree_pss_kib() {
	[ "$1" != 0 ] || { echo 0; return; }
	for p in $(tree "$1" | cut -d' ' -f1); do cat "/proc/$p/smaps_rollup" 2>/dev/null; done | awk '/^Pss:/ { n += $2 } END { print n + 0 }'
}
# Flushes the disk under the queues has completed (all of the machine's: keep it quiet meanwhile).
flushes() { awk -v d="$DISK" '$3 == d { print $19 + 0; f = 1 } END { if (!f) print 0 }' /proc/diskstats; }
# What the gateway counts itself.
own_syncs() {
	case $1 in
	tombolo*) "$B/tombolo" --socket "$W/$1/control.sock" --json status 2>/dev/null | jq -s '.[0].queue.syncs // 0' ;;
	*) echo 0 ;;
	esac
}

root_of() {
	case $1 in
	tombolo*) cat "$W/$1/pid" ;;
	postfix*) tr -d ' ' <"$W/$1/spool/pid/master.pid" ;;
	*) echo 0 ;;
	esac
}

# Until the port takes mail: one message that no run counts.
wait_for() {
	tries=0
	until "$B/perf/swarm" -p "$1" -n 1 -t 1 >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 10 ] || { echo "perf: nothing answers on port $1:" >&2; tail -n 5 "$W"/*/out "$W"/*/log >&2; exit 1; }
	done
}

tombolo_start() { # NAME PORT: with its $W/NAME/tombolo.conf
	d=$W/$1
	"$B/tombolod" -c "$d/tombolo.conf" >"$d/out" 2>&1 &
	echo $! >"$d/pid"
	keep $!
	wait_for "$2"
}

tombolo_up() { # NAME PORT SINKPORT TLS
	d=$W/$1
	mkdir -p "$d"
	cat >"$d/tombolo.conf" <<-CONF
		hostname = "tombolo.example"
		control = "$d/control.sock"
		log { file = "$d/log"; level = warn }
		queue { path = "$d/queue" }
		recipients { path = "$d/recipients" }
		$([ -z "$4" ] || echo "tls { certificate = \"$W/cert.pem\"; key = \"$W/key.pem\"; ca = \"$W/cert.pem\" }")
		limits { connections = 5000; connections_per_ip = 5000 }
		domain "perf.example" { type = authoritative; default = yes }
		receive "all" { listen = {"127.0.0.1:$2"}; from = {"127.0.0.0/8"}; permissions = {"servers"} }
		send "sink" { space = {"*;1"}; smarthosts = {"[127.0.0.1]:$3"}; tls = $([ -z "$4" ] && echo none || echo encrypt) }
	CONF
	tombolo_start "$1" "$2"
}

postfix_up() { # NAME PORT SINKPORT TLS [MILTERS]
	d=$W/$1
	mkdir -p "$d/etc" "$d/spool" "$d/data"
	chown postfix "$d/data"
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
		myhostname = postfix.example
		inet_interfaces = 127.0.0.1
		inet_protocols = ipv4
		mydestination =
		alias_maps =
		local_recipient_maps =
		mynetworks = 127.0.0.0/8
		relayhost = [127.0.0.1]:$3
		smtpd_relay_restrictions = permit_mynetworks, reject
		disable_dns_lookups = yes
		smtpd_peername_lookup = no
		message_size_limit = 104857600
		mailbox_size_limit = 0
		maillog_file = $d/log
		maillog_file_prefixes = /var, /tmp, /dev/shm, $W
	CONF
	[ -z "$4" ] || cat >>"$d/etc/main.cf" <<-CONF
		smtpd_tls_security_level = may
		smtpd_tls_chain_files = $W/key.pem, $W/cert.pem
		smtp_tls_security_level = encrypt
		smtp_tls_CAfile = $W/cert.pem
	CONF
	[ -z "${5:-}" ] || echo "smtpd_milters = $5" >>"$d/etc/main.cf"
	# the distribution's services without chroot, ours in place of port 25, no pipes to foreign programs
	sed -e "s/^smtp      inet .*/127.0.0.1:$2 inet n - n - - smtpd/" -e '/pipe$/,$d' \
		-e 's/^\([a-z]* *unix[^ ]* *[^ ]* *[^ ]* *\)y/\1n/' /etc/postfix/master.cf.proto | grep -v '^#' >"$d/etc/master.cf"
	cp -r /etc/postfix/dynamicmaps.cf* /etc/postfix/postfix-files "$d/etc/" 2>/dev/null || true
	chmod 755 "$W" "$d" "$d/etc" "$d/spool"
	postfix -c "$d/etc" start >"$d/out" 2>&1
	wait_for "$2"
}

servers_up() {
	DISK=$(basename "$(df --output=source "$W" | tail -n 1)")
	base=$(first_block)
	P_SINK=$base P_SINK_TLS=$((base + 1)) P_OURS=$((base + 2)) P_OURS_TLS=$((base + 3))
	P_POSTFIX=$((base + 4)) P_POSTFIX_TLS=$((base + 5)) P_OPENSSL=$((base + 6))
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=tombolo.example \
		-addext subjectAltName=DNS:tombolo.example,DNS:sink.example -keyout "$W/key.pem" -out "$W/cert.pem" 2>/dev/null
	"$B/perf/sink" -p $P_SINK -S "$SHM/sink" &
	keep $!
	"$B/perf/sink" -p $P_SINK_TLS -S "$SHM/sink-tls" -c "$W/cert.pem" -k "$W/key.pem" &
	keep $!
	wait_for $P_SINK
	tombolo_up tombolo $P_OURS $P_SINK ""
	tombolo_up tombolo-tls $P_OURS_TLS $P_SINK_TLS tls
	POSTFIX=
	if [ "$(id -u)" = 0 ] && command -v postfix >/dev/null; then
		POSTFIX=yes
		postfix_up postfix $P_POSTFIX $P_SINK ""
		postfix_up postfix-tls $P_POSTFIX_TLS $P_SINK_TLS tls
	else
		echo "perf: no Postfix here (install it, run as root): no ratios" >&2
	fi
}
