/* SPDX-License-Identifier: AGPL-3.0-or-later */
#ifndef WARDMOTE_NATIVE_H
#define WARDMOTE_NATIVE_H

#include "request.h"

/* RFC 3339 time a year from now, at midnight: the expiry that security.txt must state. */
const char *native_year_ahead(struct arena *arena);
/* GET /v1/changes. */
void native_changes(struct request *request);
/* Tokens, sessions, secrets, enrolments, keys and metadata. */
void native_auth(struct request *request, struct slice body);

#endif
