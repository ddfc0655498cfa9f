/* tests/bed/people.c: who lives where in the fixed tables of both sides, and counting of checks. */
#include "tests/bed/part.h"

#include <stdarg.h>
#include <stdio.h>

static const char onprem[] = "address,loc,routing,aliases,redirect,keep_copy,expand_at,members\n"
			     "ann@contoso.com,local,,ann.also@contoso.com,,,,\n"
			     "art@contoso.com,local,,,,,,\n"
			     "max@contoso.com,remote,max@contoso.mail.cloud.example,,,,,\n"
			     "mia@contoso.com,remote,mia@contoso.mail.cloud.example,,,,,\n"
			     "fay@contoso.com,remote,fay@contoso.mail.cloud.example,,,,,\n"
			     "kim@contoso.com,remote,kim@contoso.mail.cloud.example,,,,,\n"
			     /* here, but this table says in the cloud; in the cloud, but the cloud's table says here */
			     "lost@contoso.com,remote,lost@contoso.mail.cloud.example,,,,,\n"
			     "stray@contoso.com,remote,stray@contoso.mail.cloud.example,,,,,\n"
			     /* groups: at home here; one of each side, and each a member of the other */
			     "team@contoso.com,group,,,,,here,"
			     "ann@contoso.com;max@contoso.com;guest@outside.example\n"
			     "ring@contoso.com,group,,,,,here,ann@contoso.com;gnir@contoso.com\n"
			     "gnir@contoso.com,group,gnir@contoso.mail.cloud.example,,,,cloud,\n";
static const char cloud[] = "address,loc,routing,aliases,redirect,keep_copy,expand_at,members\n"
			    "ann@contoso.com,remote,,ann.also@contoso.com,,,,\n"
			    "art@contoso.com,remote,,,,,,\n"
			    "max@contoso.com,local,,max@contoso.mail.cloud.example,,,,\n"
			    "mia@contoso.com,local,,mia@contoso.mail.cloud.example,,,,\n"
			    /* forwards outside and keeps its copy */
			    "fay@contoso.com,local,,fay@contoso.mail.cloud.example,fay@outside.example,yes,,\n"
			    "kim@contoso.com,local,,kim@contoso.mail.cloud.example,,,,\n"
			    "lost@contoso.com,remote,,lost@contoso.mail.cloud.example,,,,\n"
			    "stray@contoso.com,remote,,stray@contoso.mail.cloud.example,,,,\n"
			    "team@contoso.com,group,,,,,onprem,\n"
			    "ring@contoso.com,group,,,,,onprem,\n"
			    "gnir@contoso.com,group,,gnir@contoso.mail.cloud.example,,,here,"
			    "max@contoso.com;ring@contoso.com\n";

void part_people(struct bed *b)
{
	bed_recipients(b, GATE_ONPREM, str_c(onprem));
	bed_recipients(b, GATE_CLOUD, str_c(cloud));
}

bool part_check(struct part *p, bool holds, const char *fmt, ...)
{
	va_list ap;

	p->passed += holds;
	p->failed += !holds;
	if (holds)
		return true;
	printf("FAILED %s: ", p->name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	return false;
}
