/* base/guid.c: random numbers are fetched by the half kilobyte, one system call for 32 identifiers. */
#include "base/guid.h"

#include "base/must.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>

void guid_make(char to[GUID_SIZE])
{
	static _Thread_local uint64_t pool[64];
	static _Thread_local size_t left;

	if (left < 2) {
		must(getrandom(pool, sizeof pool, 0) == sizeof pool);
		left = sizeof pool / sizeof pool[0];
	}
	uint64_t a = pool[--left], b = pool[--left];
	a = (a & ~(uint64_t)0xf000) | 0x4000; /* version 4, variant 1 */
	b = (b & ~((uint64_t)3 << 62)) | ((uint64_t)2 << 62);
	snprintf(to, GUID_SIZE, "%08x-%04x-%04x-%04x-%012llx", (unsigned)(a >> 32), (unsigned)(a >> 16) & 0xffff,
		 (unsigned)a & 0xffff, (unsigned)(b >> 48), (unsigned long long)(b & 0xffffffffffff));
}
