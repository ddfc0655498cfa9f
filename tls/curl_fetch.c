/* tls/curl_fetch.c: THE libcurl file: one GET with limits on everything. */
#include "tls/fetch.h"

#include "base/must.h"

#include <curl/curl.h>
#include <pthread.h>

enum { REDIRECTS_MAX = 3 };

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void begin(void)
{
	must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

static size_t on_bytes(char *p, size_t size, size_t n, void *out)
{
	return buf_add(out, str_n(p, size * n)) ? size * n : 0; /* less than all: curl gives up */
}

/* Called about once a second, also while nothing comes. */
static int on_progress(void *stop, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
	const atomic_bool *flag = stop;

	(void)down_all, (void)down, (void)up_all, (void)up;
	return flag != NULL && atomic_load(flag);
}

static void set(CURL *c, const struct fetch_order *o, struct buf *out, char *text)
{
	const struct {
		CURLoption option;
		long value;
	} numbers[] = {
		{ CURLOPT_TIMEOUT_MS, (long)o->deadline_ms },
		{ CURLOPT_CONNECTTIMEOUT_MS, (long)o->deadline_ms },
		{ CURLOPT_FOLLOWLOCATION, 1 },
		{ CURLOPT_MAXREDIRS, REDIRECTS_MAX },
		{ CURLOPT_NOSIGNAL, 1 },   /* there are other threads */
		{ CURLOPT_QUICK_EXIT, 1 }, /* a resolver that hangs must not hold us past the deadline */
		{ CURLOPT_NOPROGRESS, 0 },
		{ CURLOPT_MAXFILESIZE, (long)out->max }, /* where a length is promised; on_bytes where not */
		{ CURLOPT_FRESH_CONNECT, 1 },
	};
	/* no file:, no ftp:, no gopher: what a redirection can point to must be what an administrator could write */
	bool ok = curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
		  curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") == CURLE_OK &&
		  curl_easy_setopt(c, CURLOPT_URL, o->url) == CURLE_OK &&
		  curl_easy_setopt(c, CURLOPT_USERAGENT, "tombolo") == CURLE_OK &&
		  curl_easy_setopt(c, CURLOPT_ERRORBUFFER, text) == CURLE_OK &&
		  curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes) == CURLE_OK &&
		  curl_easy_setopt(c, CURLOPT_WRITEDATA, out) == CURLE_OK &&
		  curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK &&
		  curl_easy_setopt(c, CURLOPT_XFERINFODATA, (void *)(uintptr_t)o->stop) == CURLE_OK;

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		ok = ok && curl_easy_setopt(c, numbers[i].option, numbers[i].value) == CURLE_OK;
	must(ok);
}

int fetch_url(const struct fetch_order *o, struct buf *out, struct err *e)
{
	char text[CURL_ERROR_SIZE] = "";
	long status = 0;
	CURL *c;

	must(o->deadline_ms > 0);
	pthread_once(&once, begin);
	c = curl_easy_init();
	must(c != NULL);
	set(c, o, out, text);
	CURLcode code = curl_easy_perform(c);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(c);
	if (out->full || code == CURLE_FILESIZE_EXCEEDED)
		return err_set(e, ERR_TOO_BIG, "tls.fetch", "it is larger than %zu bytes", out->max);
	if (code != CURLE_OK)
		return err_set(e, ERR_NET, "tls.fetch", "%s", text[0] != '\0' ? text : curl_easy_strerror(code));
	if (status != 200)
		return err_set(e, ERR_NET, "tls.fetch", "the server answered %ld", status);
	return 0;
}
