#!/bin/sh
# tests/deps.sh SET...: installs the Debian packages a target needs; prints nothing when they are there already.
# Exim, Sendmail and Postfix exclude each other as packages, so the first two are only unpacked, into build/peers.
set -eu
build="gcc make pkg-config libc6-dev libev-dev libssl-dev liblmdb-dev libunbound-dev dns-root-data libconfuse-dev libjansson-dev
       libidn2-dev libunistring-dev libxxhash-dev libseccomp-dev libcap-ng-dev libcurl4-openssl-dev uthash-dev libbsd-dev libcmocka-dev
       libopendkim-dev libspf2-dev libmilter-dev openssl procps iproute2"
lint="clang-format"
analyse="clang-tidy cppcheck"
interop="opendkim opendmarc dnsmasq-base clamav-daemon clamav-milter rspamd testssl.sh bsdextrautils postfix swaks python3
         libnet-ssleay-perl libgnutls-dane0 libidn12 iproute2 python3-prometheus-client
         python3-dkim python3-authres python3-spf libmail-spf-perl libmail-dkim-perl python3-nacl
         miltertest m4 libwrap0 libdb5.3 libnsl2 libldap-2.5-0 libsasl2-2"
unpacked="exim4-daemon-light sendmail-bin sendmail-base sendmail-cf" # for interop
perf="postfix jq python3"
perf_auth="opendkim opendmarc dnsmasq-base"
fuzz="clang libfuzzer-14-dev libclang-rt-14-dev"
want=
for set in "$@"; do
	eval "want=\"\$want \$$set\""
done
missing=
for p in $want; do
	dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
peers=
case " $* " in
*" interop "*) [ -x build/peers/usr/sbin/exim4 ] && [ -d build/peers/usr/share/sendmail/cf/m4 ] || peers=$unpacked ;;
esac
[ -n "$missing$peers" ] || exit 0
if [ -n "$missing" ] && [ "$(id -u)" != 0 ]; then
	echo "missing packages (install them as root):$missing" >&2
	exit 1
fi
echo "installing:$missing${peers:+ ($peers: unpacked only)}" >&2
export DEBIAN_FRONTEND=noninteractive
[ "$(id -u)" != 0 ] || apt-get update -qq >/dev/null 2>&1 || true
[ -z "$missing" ] || apt-get install -y -qq --no-install-recommends $missing >/tmp/tombolo-apt.log 2>&1 || {
	tail -n 20 /tmp/tombolo-apt.log >&2
	exit 1
}
[ -z "$peers" ] || {
	mkdir -p build/peers
	(cd build/peers && apt-get download -qq $peers && for p in *.deb; do dpkg -x "$p" . && rm "$p"; done) >/tmp/tombolo-apt.log 2>&1 || {
		tail -n 20 /tmp/tombolo-apt.log >&2
		exit 1
	}
}
