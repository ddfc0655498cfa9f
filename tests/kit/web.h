/* tests/kit/web.h: a small HTTP server on a thread of its own, as kind or unkind as a test wants.
 *
 * The answer to a path is a text of words, one for each request, the last one for all further ones:
 *   FILE       the bytes of that file, from the server's folder or by its full path
 *   404, 503   this status         slow      nothing, until the server is closed or the client leaves
 *   endless    bytes without end   cut       promises more than comes
 *   >URL       a redirection       drip      a byte now and then
 * What has no path is 404. */
#ifndef TESTS_KIT_WEB_H
#define TESTS_KIT_WEB_H

#include "base/str.h"

struct web;

struct web *web_open(const char *folder); /* on 127.0.0.1; NULL when it cannot be had */
void web_close(struct web **w);
unsigned web_port(const struct web *w);
void web_set(struct web *w, struct str path, struct str answers); /* replaces; requests are counted from 0 again */
size_t web_count(struct web *w, struct str path);                 /* requests for it; empty: for any */

#endif
