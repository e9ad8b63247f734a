/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The first administrators, made as wardmote_owner beside the API: somebody has to be able to ask for the first token. */
#ifndef WARDMOTE_SERVER_ACCOUNT_H
#define WARDMOTE_SERVER_ACCOUNT_H

#include "wardmote/db.h"

struct account_request {
	const char *partner, *kind; /* the host partner; made when the installation has none yet */
	const char *name; /* of the account */
	const char *login; /* a person's; NULL: a service account */
};

struct account_made {
	const char *partner_id, *account_id;
	const char *client_id; /* NULL for a person */
	const char *secret; /* client secret, or a person's one-time code; stored only as a hash */
};

/* Makes an administrator of the host partner. 0, or a negative errno with a message. */
int account_create(struct db_session *session, struct arena *arena, const struct account_request *request, struct account_made *ret_made,
		   const char **ret_error);

#endif
