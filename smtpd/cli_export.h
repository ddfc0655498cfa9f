/* smtpd/cli_export.h: `tombolo queue export`: messages leave the queue of this gateway for files (docs/CLI.md).
 *
 *   list -> say how many -> hold them -> wait for what is being delivered -> files, synced -> (--remove: out of the
 * queue)
 *
 * At every moment a message is in the queue, in a whole and synced file, or in both and on hold: whatever is killed in
 * between loses nothing, and nothing is delivered that stands in a file. */
#ifndef SMTPD_CLI_EXPORT_H
#define SMTPD_CLI_EXPORT_H

#include "smtpd/cli_words.h"

int cli_export(const struct cli_words *w); /* the exit code */

#endif
