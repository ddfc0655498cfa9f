# tests/ports.sh: ports for what a script starts on loopback (sourced).
#
# They lie below the range from which the kernel takes the ports of outgoing connections, so that none of those can sit
# on one between here and the bind of the server it is meant for.

taken() { # PORT: somebody listens there
	awk -v port="$(printf '%04X' "$1")" '$4 == "0A" { split($2, a, ":"); if (a[2] == port) f = 1 } END { exit !f }' \
		/proc/net/tcp
}

# free_ports N [FIRST]: PORT becomes the first of N ports in a row that nobody listens on
free_ports() {
	PORT=${2:-$((10000 + $$ * 16 % 20000))}
	while :; do
		i=0
		while [ $i -lt "$1" ] && ! taken $((PORT + i)); do i=$((i + 1)); done
		[ $i -lt "$1" ] || return 0
		PORT=$((PORT + i + 1))
	done
}
