/* tests/kit/port.h: ports for the processes that a test starts. */
#ifndef TESTS_KIT_PORT_H
#define TESTS_KIT_PORT_H

#include <stdint.h>

/* A port of 127.0.0.1 that nobody listens on and no other caller gets as long as this process lives.  It lies below the
 * range from which the kernel takes the ports of outgoing connections: none of those can be in its place when the
 * process it is meant for binds it. */
uint16_t port_reserve(void);

#endif
