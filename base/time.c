/* base/time.c: durations and dates as text. */
#include "base/time.h"

#include <time.h>

static const struct unit {
	struct str name;
	int64_t ms;
} units[] = {
	/* the longer name first: "ms" must not be read as "m" */
	{ STR_LIT("ms"), 1 },      { STR_LIT("s"), 1000 },     { STR_LIT("m"), 60000 },
	{ STR_LIT("h"), 3600000 }, { STR_LIT("d"), 86400000 }, { STR_LIT("w"), 604800000 },
};
enum { UNIT_N = sizeof units / sizeof units[0] };

static const struct unit *take_unit(struct str *s)
{
	for (size_t i = 0; i < UNIT_N; i++)
		if (str_starts(*s, units[i].name)) {
			*s = str_skip(*s, units[i].name.n);
			return &units[i];
		}
	return NULL;
}

bool time_parse_span(struct str s, int64_t *ms)
{
	int64_t total = 0, part;
	uint64_t v;

	if (s.n == 0)
		return false;
	while (s.n > 0) {
		size_t n = 0;
		while (n < s.n && chr_is_digit(s.p[n]))
			n++;
		if (!str_u64(str_head(s, n), INT64_MAX, &v))
			return false;
		s = str_skip(s, n);
		const struct unit *u = s.n == 0 && total == 0 ? &units[1] : take_unit(&s);
		if (u == NULL || __builtin_mul_overflow((int64_t)v, u->ms, &part) ||
		    __builtin_add_overflow(total, part, &total))
			return false;
	}
	*ms = total;
	return true;
}

void time_put_span(struct buf *b, int64_t ms)
{
	bool any = false;

	for (size_t i = UNIT_N - 1; i-- > 0;) /* days and below; weeks read worse than days */
		if (ms >= units[i].ms) {
			buf_addu(b, (uint64_t)(ms / units[i].ms));
			buf_add(b, units[i].name);
			ms %= units[i].ms;
			any = true;
		}
	if (!any)
		buf_add(b, S("0s"));
}

static const char day_names[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char month_names[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

void time_put_rfc5322(struct buf *b, int64_t wall_ms)
{
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm;

	localtime_r(&t, &tm);
	long off = tm.tm_gmtoff / 60;
	char sign = off < 0 ? '-' : '+';
	if (off < 0)
		off = -off;
	buf_addf(b, "%s, %d %s %d %02d:%02d:%02d %c%02ld%02ld", day_names[tm.tm_wday], tm.tm_mday,
		 month_names[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec, sign, off / 60, off % 60);
}

static void put_digits(char *to, int value, int n)
{
	for (; n > 0; n--, value /= 10)
		to[n - 1] = (char)('0' + value % 10);
}

/* Without printf: the log and the tracking log ask for each line. */
void time_put_iso(struct buf *b, int64_t wall_ms)
{
	char text[] = "0000-00-00T00:00:00.000Z";
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm;

	gmtime_r(&t, &tm);
	put_digits(text, tm.tm_year + 1900, 4);
	put_digits(text + 5, tm.tm_mon + 1, 2);
	put_digits(text + 8, tm.tm_mday, 2);
	put_digits(text + 11, tm.tm_hour, 2);
	put_digits(text + 14, tm.tm_min, 2);
	put_digits(text + 17, tm.tm_sec, 2);
	put_digits(text + 20, (int)(wall_ms % 1000), 3);
	buf_add(b, str_n(text, sizeof text - 1));
}

/* Digits of a fixed width, and the separator behind them ('\0': none is asked for). */
static bool take_digits(struct str *s, size_t n, char separator, int min, int max, int *out)
{
	uint64_t v;

	if (s->n < n || !str_u64(str_head(*s, n), (uint64_t)max, &v) || (int)v < min)
		return false;
	*s = str_skip(*s, n);
	*out = (int)v;
	if (separator == '\0')
		return true;
	if (s->n == 0 || s->p[0] != separator)
		return false;
	*s = str_skip(*s, 1);
	return true;
}

bool time_parse_iso(struct str s, int64_t *wall_ms)
{
	struct tm tm = { 0 };
	int day;
	bool timed;

	if (!take_digits(&s, 4, '-', 1970, 9999, &tm.tm_year) || !take_digits(&s, 2, '-', 1, 12, &tm.tm_mon) ||
	    !take_digits(&s, 2, '\0', 1, 31, &tm.tm_mday))
		return false;
	timed = s.n > 0 && (s.p[0] == 'T' || s.p[0] == ' ');
	s = str_skip(s, timed ? 1 : 0);
	if (timed && (!take_digits(&s, 2, ':', 0, 23, &tm.tm_hour) || !take_digits(&s, 2, '\0', 0, 59, &tm.tm_min)))
		return false;
	if (timed && s.n > 0 && s.p[0] == ':') {
		s = str_skip(s, 1);
		if (!take_digits(&s, 2, '\0', 0, 59, &tm.tm_sec))
			return false;
	}
	if (timed && s.n == 1 && s.p[0] == 'Z')
		s = str_skip(s, 1);
	if (s.n > 0)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	day = tm.tm_mday;
	time_t t = timegm(&tm);
	if (tm.tm_mday != day) /* made the 1st of March of the 29th of February */
		return false;
	*wall_ms = (int64_t)t * 1000;
	return true;
}
