#!/bin/sh
# tests/certs.sh DIR [ONPREM [CLOUD]]: makes a demo CA and certificates of both sides into DIR (EC keys, PEM).
#
#   ca.pem other-ca.pem           two roots; everything below is signed by the first unless said otherwise
#   crl.pem                       revokes revoked.pem, nothing else
#   server client                 SAN mail.ONPREM, localhost, 127.0.0.1, ::1; EKU both / clientAuth
#   cloud                         SAN mail.CLOUD, *.mail.CLOUD; EKU both: server and client of the cloud side
#   wildcard wrongname cnonly     SAN *.ONPREM / mail.wrong.example / none (CN mail.ONPREM only)
#   deep partial                  SAN a.mail.ONPREM / m*.ONPREM
#   lookalike nulname             SAN mail.ONPREM.evil.test / mail.ONPREM, a NUL, .evil.test
#   iponly ipname                 SAN 127.0.0.1 as an address / as a host name
#   expired notyet selfsigned     as server, but over, not begun, its own issuer
#   rsa weak sha1                 as server with RSA 2048 / RSA 1024 / RSA 2048, signed with SHA-1
#   serveronly clientonly emailonly  as server, with one EKU
#   stranger                      as client, signed by other-ca
#   chained orphan                as server, signed by an intermediate CA that stands in the file too / does not
#   crl-over.pem crl-other.pem    crl.pem in 2020 / a list of other-ca, which revokes nothing
#   revoked mismatch.key locked.key  a revoked one; a key of nobody; server's key under a password
#   turn/older newer lacking      a folder for tls.store: CN older.ONPREM ..., SAN as server and hybrid.ONPREM; began in
#                                 2020 / now / now, without that name; all of them end together
# Each NAME is NAME.pem (chain, leaf first) and NAME.key.
set -eu
dir=${1:?usage: certs.sh DIR [ONPREM [CLOUD]]}
onprem=${2:-contoso.com}
cloud=${3:-contoso.mail.cloud.example}
umask 077
mkdir -p "$dir" && cd "$dir"
rm -rf making && mkdir making # state of the CAs, gone at the end

ca() { # NAME "COMMON NAME": a root
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.pem" -days 3650 \
		-subj "/O=Tombolo Demo/CN=$2" -addext 'keyUsage=critical,keyCertSign,cRLSign' 2>/dev/null
	mkdir "making/$1" && : >"making/$1/index" && echo 1000 >"making/$1/crlnumber"
	cat >"making/$1.cnf" <<-EOF
		[ca]
		default_ca = it
		[it]
		database = making/$1/index
		rand_serial = yes
		crlnumber = making/$1/crlnumber
		new_certs_dir = making/$1
		certificate = $1.pem
		private_key = $1.key
		default_md = sha256
		default_days = 825
		default_crl_days = 825
		policy = any
		unique_subject = no
		[any]
		organizationName = optional
		commonName = optional
	EOF
}

leaf() { # NAME CA "EKU or empty" "SAN or empty" [option of openssl ca]...: signs one
	name=$1 by=$2 eku=$3 san=$4
	shift 4
	openssl req -new -newkey ${key:-ec -pkeyopt ec_paramgen_curve:P-256} -nodes -keyout "$name.key" -out "$name.csr" \
		-subj "/O=Tombolo Demo/CN=${cn:-mail.$onprem}" 2>/dev/null
	{
		echo "basicConstraints = ${basic:-CA:FALSE}"
		echo 'subjectKeyIdentifier = hash'
		echo 'authorityKeyIdentifier = keyid'
		echo "crlDistributionPoints = URI:http://crl.$onprem/$by.crl" # nobody fetches it
		[ -z "$eku" ] || echo "extendedKeyUsage = $eku"
		[ -z "$san" ] || echo "subjectAltName = $san"
	} >"$name.ext"
	openssl ca -batch -notext -config "making/$by.cnf" -extfile "$name.ext" -in "$name.csr" -out "$name.pem" "$@" 2>/dev/null
	rm -f "$name.csr" "$name.ext"
}

ca ca 'Tombolo Demo CA'
ca other-ca 'Another Demo CA'

both=serverAuth,clientAuth
here="DNS:mail.$onprem,DNS:localhost,IP:127.0.0.1,IP:::1"
leaf server ca $both "$here"
leaf client ca clientAuth "$here"
cn="mail.$cloud" leaf cloud ca $both "DNS:mail.$cloud,DNS:*.mail.$cloud"
leaf wildcard ca $both "DNS:*.$onprem"
cn=mail.wrong.example leaf wrongname ca $both DNS:mail.wrong.example
leaf cnonly ca $both ''
cn="a.mail.$onprem" leaf deep ca $both "DNS:a.mail.$onprem"
cn="m*.$onprem" leaf partial ca $both "DNS:m*.$onprem"
cn="mail.$onprem.evil.test" leaf lookalike ca $both "DNS:mail.$onprem.evil.test"
# a GeneralName is tag 82, length, bytes; there is no other way to write a NUL
nul=$(printf "mail.$onprem\\0.evil.test" | od -An -tx1 | tr -d ' \n')
nul=82$(printf %02x $((${#nul} / 2)))$nul
cn=mail.evil.test leaf nulname ca $both "DER:30$(printf %02x $((${#nul} / 2)))$nul"
cn=127.0.0.1 leaf iponly ca $both IP:127.0.0.1
cn=127.0.0.1 leaf ipname ca $both DNS:127.0.0.1
key=rsa:2048 leaf rsa ca $both "$here"
key=rsa:1024 leaf weak ca $both "$here"
key=rsa:2048 leaf sha1 ca $both "$here" -md sha1
leaf expired ca $both "$here" -startdate 20200101000000Z -enddate 20210101000000Z
key=rsa:2048 leaf notyet ca $both "$here" -startdate 20900101000000Z -enddate 20910101000000Z
leaf serveronly ca serverAuth "$here"
leaf clientonly ca clientAuth "$here"
leaf emailonly ca emailProtection "$here"
leaf stranger other-ca $both "$here"
leaf revoked ca $both "$here"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout selfsigned.key -out selfsigned.pem -days 825 \
	-subj "/O=Tombolo Demo/CN=mail.$onprem" -addext "subjectAltName=$here" 2>/dev/null

cn='Tombolo Demo Issuing CA' basic=critical,CA:TRUE leaf issuing ca '' ''
sed 's/certificate = ca.pem/certificate = issuing.pem/; s/private_key = ca.key/private_key = issuing.key/' making/ca.cnf >making/issuing.cnf
leaf chained issuing $both "$here"
cp chained.pem orphan.pem && cp chained.key orphan.key
cat issuing.pem >>chained.pem

mkdir -p turn
known="$here,DNS:hybrid.$onprem"
cn="older.$onprem" leaf turn/older ca $both "$known" -startdate 20200101000000Z
cn="newer.$onprem" leaf turn/newer ca $both "$known"
cn="lacking.$onprem" leaf turn/lacking ca $both "$here"

openssl ca -config making/ca.cnf -revoke revoked.pem 2>/dev/null
openssl ca -config making/ca.cnf -gencrl -out crl.pem 2>/dev/null
openssl ca -config making/ca.cnf -gencrl -crl_lastupdate 20200101000000Z -crl_nextupdate 20200201000000Z -out crl-over.pem 2>/dev/null
openssl ca -config making/other-ca.cnf -gencrl -out crl-other.pem 2>/dev/null
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out mismatch.key 2>/dev/null
openssl pkey -in server.key -aes256 -passout pass:secret -out locked.key

# DKIM keys and what the DNS says of them: dkim-NAME.key, dkim-NAME.txt
dkim() {
	openssl pkey -in "dkim-$1.key" -pubout -outform DER | tail -c "+$3" | openssl base64 -A | sed "s/^/v=DKIM1; k=$2; p=/" >"dkim-$1.txt"
	echo >>"dkim-$1.txt"
	chmod 600 "dkim-$1.key"
}
for name in rsa next; do
	openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out dkim-$name.key 2>/dev/null
	dkim $name rsa 1
done
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out dkim-short.key 2>/dev/null
dkim short rsa 1
openssl genpkey -algorithm ED25519 -out dkim-ed.key
dkim ed ed25519 13 # the last 32 bytes are the key
rm -rf making
