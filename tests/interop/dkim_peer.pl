#!/usr/bin/perl
# tests/interop/dkim_peer.pl FOLDER sign|verify: Mail::DKIM at the other end; files as in dkim_peer.py.
use strict;
use warnings;
use Mail::DKIM::Signer;
use Mail::DKIM::Verifier;
use Mail::DKIM::DNS;
use Net::DNS;

my ($folder, $what) = @ARGV;
my %zone;
open(my $z, '<', "$folder/zone") or die;
while (my $line = <$z>) {
	chomp $line;
	my ($kind, $name, $value) = split(/ /, $line, 3);
	$zone{ lc $name } = $value;
}

package Resolver;
sub new { return bless {}, shift }
sub errorstring { return '' }

sub send {
	my ($self, $name, $type) = @_;
	my $packet = Net::DNS::Packet->new($name, $type);
	my $text = $zone{ lc $name };
	$packet->header->rcode(defined $text ? 'NOERROR' : 'NXDOMAIN');
	$packet->push(answer => Net::DNS::RR->new(name => $name, type => 'TXT', ttl => 60, txtdata => [ $text =~ /(.{1,255})/g ]))
		if defined $text;
	return $packet;
}
sub query { my ($self, @q) = @_; my $p = $self->send(@q); return $p->header->rcode eq 'NOERROR' ? $p : undef }

package main;

Mail::DKIM::DNS::resolver(Resolver->new);

sub content { my $f; open($f, '<:raw', $_[0]) or die $_[0]; local $/; return <$f> }

sub save { my $f; open($f, '>:raw', $_[0]) or die $_[0]; print $f $_[1] }

if ($what eq 'sign') {
	my $n = 0;
	open(my $names, '>>', "$folder/names.txt") or die;
	for my $path (sort glob("$folder/plain-*.eml")) {
		my $message = content($path);
		for my $canon ('relaxed/relaxed', 'relaxed/simple', 'simple/relaxed', 'simple/simple') {
			my $signer = Mail::DKIM::Signer->new(Algorithm => 'rsa-sha256', Method => $canon, Domain => 'a.example',
				Selector => 'rsa', KeyFile => "$folder/rsa.pem");
			$signer->PRINT($message);
			$signer->CLOSE;
			my $field = $signer->signature->as_string . "\r\n";
			for my $case ([ $message, 'pass' ], [ $message . "more\r\n", 'fail' ]) {
				save("$folder/perl-$n.eml", $field . $case->[0]);
				print $names "$folder/perl-$n.eml $case->[1]\n";
				$n++;
			}
		}
	}
} else {
	for my $path (sort glob("$folder/ours-*.eml")) {
		my $verifier = Mail::DKIM::Verifier->new;
		$verifier->PRINT(content($path));
		$verifier->CLOSE;
		my $good = grep { $_->result eq 'pass' } $verifier->signatures;
		print "$path $good\n";
	}
}
