/* smtpd/notify.h: tells the service manager how we are (sd_notify protocol: one datagram, no library). */
#ifndef SMTPD_NOTIFY_H
#define SMTPD_NOTIFY_H

/* "READY=1", "RELOADING=1", "STOPPING=1", "STATUS=...".  Silent when NOTIFY_SOCKET is not set. */
void notify_manager(const char *state);

#endif
