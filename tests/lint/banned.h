/* tests/lint/banned.h: included before every file; functions that read or write past what they were given, split on
 * state of their own, guess at numbers, or start a shell.  Use base/str, base/buf and base/time. */
#ifndef TESTS_LINT_BANNED_H
#define TESTS_LINT_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#pragma GCC poison strcpy strcat sprintf vsprintf gets strtok strtok_r atoi atol atoll atof sscanf strtol strtoul
#pragma GCC poison system popen tmpnam mktemp gmtime localtime ctime asctime

#endif
