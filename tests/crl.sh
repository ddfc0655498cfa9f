#!/bin/sh
# tests/crl.sh DIR PORT: what the tests of fetched lists need besides what tests/certs.sh put into DIR.
#
#   mid.pem .key     an authority below ca that names no place of lists
#   point.pem .key   SAN mail.contoso.com, by mid.pem (in the file too); its list is at http://127.0.0.1:PORT/point.crl
#   mid-crl.der      the list of mid.pem; names nobody
#   other-crl.pem    a list by other-ca        over-crl.pem  by ca, of 2020
#   early-crl.pem    by ca, began a day ago    late-crl.pem  the same, began an hour ago
#   delta-crl.pem    by ca, only what is new since another one
set -eu
cd "${1:?usage: crl.sh DIR PORT}"
port=${2:?usage: crl.sh DIR PORT}
umask 077
rm -rf making-crl && mkdir making-crl

openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout mid.key -out making-crl/csr -subj /CN=mid 2>/dev/null
printf 'basicConstraints = critical,CA:TRUE\nsubjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n' >making-crl/ext
openssl x509 -req -in making-crl/csr -CA ca.pem -CAkey ca.key -CAcreateserial -CAserial making-crl/serial -days 300 \
	-extfile making-crl/ext -out mid.pem 2>/dev/null

openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout point.key -out making-crl/csr -subj /CN=point 2>/dev/null
cat >making-crl/ext <<-EOF2
	basicConstraints = CA:FALSE
	extendedKeyUsage = serverAuth,clientAuth
	subjectAltName = DNS:mail.contoso.com
	crlDistributionPoints = URI:ldap://127.0.0.1/cn=x,URI:http://127.0.0.1:$port/point.crl,URI:file:///etc/passwd
EOF2
openssl x509 -req -in making-crl/csr -CA mid.pem -CAkey mid.key -CAcreateserial -CAserial making-crl/serial -days 300 \
	-extfile making-crl/ext -out point.pem 2>/dev/null
cat mid.pem >>point.pem

at() { date -u -d "$1" +%Y%m%d%H%M%SZ; }
list() { # FILE CA [option of openssl ca]...
	file=$1 by=$2
	shift 2
	printf '[ca]\ndefault_ca = it\n[it]\ndatabase = making-crl/index\ncrlnumber = making-crl/number\ncertificate = %s.pem\nprivate_key = %s.key\ndefault_md = sha256\ndefault_crl_days = 30\n[delta]\ndeltaCRL = critical,ASN1:INT:1\n' "$by" "$by" >making-crl/cnf
	: >making-crl/index && echo 3000 >making-crl/number
	openssl ca -config making-crl/cnf -gencrl "$@" -out "$file" 2>/dev/null
}
list making-crl/mid.pem mid
openssl crl -in making-crl/mid.pem -outform DER -out mid-crl.der
list other-crl.pem other-ca
list over-crl.pem ca -crl_lastupdate 20200101000000Z -crl_nextupdate 20200201000000Z
list early-crl.pem ca -crl_lastupdate "$(at '1 day ago')" -crl_nextupdate "$(at '29 days')"
list late-crl.pem ca -crl_lastupdate "$(at '1 hour ago')" -crl_nextupdate "$(at '29 days')"
list delta-crl.pem ca -crlexts delta
rm -rf making-crl
