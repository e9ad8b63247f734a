/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The certificate of the API's own listener, where it speaks TLS (tls_certificate): opened at the start, read again at a signal, and how long it still lasts. */
#ifndef WARDMOTE_SERVER_CERTIFICATE_H
#define WARDMOTE_SERVER_CERTIFICATE_H

#include "doctor.h"
#include "server.h"

/* server->tls, which stays NULL without the setting. 0, or a negative errno with a message for the user. */
int certificate_open(struct server *server, const char **ret_error);
/* At SIGHUP; the log says what came of it. False: the old one stays. */
bool certificate_reload(struct server *server);
void certificate_metrics(struct buffer *out, const struct server *server);
void certificate_look(struct doctor *doctor);

#endif
