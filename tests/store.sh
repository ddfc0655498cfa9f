#!/bin/sh
# tests/store.sh DIR: what the tests of certificate stores need besides what tests/certs.sh put into DIR.
#
#   store/        mail.pem+key (one file)   SAN mail.contoso.com, autodiscover.contoso.com; ends in 300 days
#                 older.pem, .key           the same names and subject; ends in 20 days, began before mail.pem
#                 any.pem, .key             SAN *.apps.contoso.com
#                 leaf.pem, .key            SAN leaf.contoso.com, by issuing.pem, which stands in a file of its own
#                 dn.pem, .key              subject OU=Mail + CN=two, O="Contoso, Inc."; SAN dn.contoso.com
#   ages/         old.pem .key, young.pem .key: SAN mail.contoso.com, another folder; began 60 days and a day ago, end in
#                 30 and in 89 days
#   weak.pem .key         RSA with 1024 bits, SAN weak.contoso.com
#   month.pem .key        ends in 45 days, SAN month.contoso.com
#   lost.pem .key         by an authority that is nowhere, SAN lost.contoso.com
#   swap-1.pem swap-2.pem with keys inside, SAN mail.contoso.com: for reloads
#   crl-stale.pem crl-empty.pem crl.der   a list that is over (revokes revoked.pem), one of nobody, crl.pem in DER
set -eu
cd "${1:?usage: store.sh DIR}"
umask 077
rm -rf store making-store && mkdir store making-store

leaf() { # NAME CA DAYS "SAN" [SUBJECT]
	openssl req -new -newkey "${alg:-ec}" ${opt--pkeyopt ec_paramgen_curve:P-256} -nodes -keyout "$1.key" \
		-out making-store/csr -subj "${5:-/O=Tombolo Demo/CN=${4#DNS:}}" ${multi:+-multivalue-rdn} 2>/dev/null
	printf 'basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=%s\n' "$4" >making-store/ext
	openssl x509 -req -in making-store/csr -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -CAserial making-store/serial \
		-days "$3" -extfile making-store/ext -out "$1.pem" 2>/dev/null
}

both=DNS:mail.contoso.com,DNS:autodiscover.contoso.com subject='/O=Tombolo Demo/CN=mail.contoso.com'
leaf store/older ca 20 "$both" "$subject"
leaf making-store/mail ca 300 "$both" "$subject"
cat making-store/mail.pem making-store/mail.key >store/mail.pem
leaf store/any ca 300 'DNS:*.apps.contoso.com' '/CN=apps'
leaf store/leaf issuing 300 DNS:leaf.contoso.com
cp issuing.pem store/
multi=y leaf store/dn ca 300 DNS:dn.contoso.com '/C=US/O=Contoso, Inc./OU=Mail+CN=two'
alg=rsa:1024 opt= leaf weak ca 300 DNS:weak.contoso.com
leaf month ca 45 DNS:month.contoso.com
for i in 1 2; do
	leaf making-store/swap ca 300 "DNS:mail.contoso.com" "$subject"
	cat making-store/swap.pem making-store/swap.key >"swap-$i.pem"
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout making-store/gone.key -out making-store/gone.pem \
	-days 300 -subj '/CN=Lost CA' 2>/dev/null
leaf lost making-store/gone 300 DNS:lost.contoso.com

cat >making-store/cnf <<-EOF
	[ca]
	default_ca = it
	[it]
	database = making-store/index
	crlnumber = making-store/number
	certificate = ca.pem
	private_key = ca.key
	default_md = sha256
	default_crl_days = 825
EOF
: >making-store/index && echo 2000 >making-store/number
openssl ca -config making-store/cnf -gencrl -out crl-empty.pem 2>/dev/null
openssl ca -config making-store/cnf -revoke revoked.pem 2>/dev/null
openssl ca -config making-store/cnf -gencrl -crl_lastupdate 20200101000000Z -crl_nextupdate 20200201000000Z \
	-out crl-stale.pem 2>/dev/null
openssl crl -in crl.pem -outform DER -out crl.der

at() { date -u -d "$1" +%Y%m%d%H%M%SZ; }
printf 'new_certs_dir = making-store\nrand_serial = yes\npolicy = any\nunique_subject = no\n[any]\norganizationName = optional\ncommonName = optional\n' >>making-store/cnf
printf 'basicConstraints=CA:FALSE\nsubjectAltName=DNS:mail.contoso.com\n' >making-store/ext
rm -rf ages && mkdir ages
aged() { # NAME BEGIN END
	rm -f making-store/index.attr
	: >making-store/index
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "ages/$1.key" -out making-store/csr \
		-subj "$subject" 2>/dev/null
	openssl ca -batch -notext -config making-store/cnf -extfile making-store/ext -in making-store/csr -out "ages/$1.pem" \
		-startdate "$(at "$2")" -enddate "$(at "$3")" 2>/dev/null
}
aged old '60 days ago' '30 days'
aged young '1 day ago' '89 days'
rm -rf making-store
