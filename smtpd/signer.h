/* smtpd/signer.h: what connectors/sign.h asks for, done by auth/ and its workers. */
#ifndef SMTPD_SIGNER_H
#define SMTPD_SIGNER_H

#include "auth/auth.h"
#include "connectors/sign.h"

/* `auth`: where the server keeps it; looked at each time. */
struct signer signer_by(struct auth **auth);

#endif
