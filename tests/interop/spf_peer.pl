#!/usr/bin/perl
# tests/interop/spf_peer.pl ZONE < questions: the verdicts of Mail::SPF over a DNS in text (tests/kit/zone.h).
use strict;
use warnings;
use Mail::SPF;
use Net::DNS;

package Zone;

sub new {
	my ($class, $path) = @_;
	my $self = bless { rr => {}, names => {}, failing => {}, error => '' }, $class;
	open(my $f, '<', $path) or die "$path: $!";
	while (my $line = <$f>) {
		chomp $line;
		my ($kind, $name, $value) = split(/ /, $line, 3);
		$name = lc $name;
		$self->{names}{$name} = 1;
		if ($kind eq 'FAIL') { $self->{failing}{$name} = 1; next; }
		my %data =
			$kind eq 'TXT' ? (txtdata => [ $value =~ /(.{1,255})/g ])
			: $kind eq 'MX' ? do { my ($p, $h) = split(/ /, $value); (preference => $p, exchange => $h) }
			: $kind eq 'PTR' ? (ptrdname => $value)
			: (address => $value);
		push @{ $self->{rr}{"$kind $name"} }, Net::DNS::RR->new(name => $name, type => $kind, ttl => 60, %data);
	}
	return $self;
}

sub errorstring { $_[0]{error} }

sub send {
	my ($self, $name, $type) = @_;
	$name = lc $name;
	$name =~ s/\.$//;
	$self->{error} = $self->{failing}{$name} ? 'query timed out' : '';
	return undef if $self->{failing}{$name};
	my $packet = Net::DNS::Packet->new($name, $type);
	$packet->header->rcode($self->{names}{$name} ? 'NOERROR' : 'NXDOMAIN');
	$packet->push(answer => @{ $self->{rr}{"$type $name"} // [] });
	return $packet;
}

package main;

my $server = Mail::SPF::Server->new(dns_resolver => Zone->new($ARGV[0]), hostname => 'mx.example');
while (my $line = <STDIN>) {
	my ($ip, $helo, $sender) = split(' ', $line);
	my %who = $sender eq '-' ? (scope => 'helo', identity => $helo) : (scope => 'mfrom', identity => $sender);
	my $result = eval {
		$server->process(Mail::SPF::Request->new(versions => [1], %who, ip_address => $ip, helo_identity => $helo))->code;
	};
	print defined $result ? $result : 'none', "\n";
}
