/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "account.h"

#include <errno.h>

#include "wardmote/auth.h"

/* Finds the host, or makes it; one row (id, name). */
static int find_host(struct db_session *session, struct arena *arena, const struct account_request *request, struct db_rows *ret_host,
		     const char **ret_error)
{
	static const char find[] = "SELECT id, name FROM wardmote.partner WHERE host FOR UPDATE";
	static const char make[] = "INSERT INTO wardmote.partner (name, kind, host) VALUES ($1, $2, true) RETURNING id, name";
	const char *const values[] = { request->partner, request->kind };
	int status = db_session_query(session, arena, find, 0, NULL, ret_host, ret_error);
	if (status == 0 && ret_host->rows == 0)
		status = db_session_query(session, arena, make, 2, values, ret_host, ret_error);
	if (status < 0)
		return status;
	if (strcmp(ret_host->cells[1], request->partner) != 0) {
		*ret_error = arena_printf(arena, "the host partner of this installation is called \"%s\"", ret_host->cells[1]);
		return -EEXIST;
	}
	return 0;
}

static int insert_account(struct db_session *session, struct arena *arena, const struct account_request *request, const char *partner_id,
			  const char *secret, struct account_made *ret_made, const char **ret_error)
{
	/* A trigger stores the hash as the new account's first credential. */
	static const char credential[] = "SELECT set_config('wardmote.credential', $1, true)";
	static const char insert[] = "INSERT INTO wardmote.account (partner_id, kind, role, name, login)"
				     " VALUES ($1, $2, 'administrator', $3, lower($4)) RETURNING id, client_id";
	const char *const hash[] = { auth_sha256(arena, slice_of(secret)) };
	const char *const values[] = { partner_id, request->login == NULL ? "service" : "person", request->name, request->login };
	struct db_rows rows;
	int status = db_session_query(session, arena, credential, 1, hash, &rows, ret_error);
	if (status == 0)
		status = db_session_query(session, arena, insert, 4, values, &rows, ret_error);
	if (status == 0)
		*ret_made = (struct account_made){ partner_id, rows.cells[0], rows.cells[1], secret };
	return status;
}

int account_create(struct db_session *session, struct arena *arena, const struct account_request *request, struct account_made *ret_made,
		   const char **ret_error)
{
	struct db_rows rows, host;
	struct account_made made = { 0 };
	const char *secret = auth_secret(arena, request->login == NULL ? "wms_" : "wme_");
	int status = db_session_query(session, arena, "BEGIN", 0, NULL, &rows, ret_error);
	if (status == 0)
		status = find_host(session, arena, request, &host, ret_error);
	if (status == 0)
		status = insert_account(session, arena, request, host.cells[0], secret, &made, ret_error);
	if (status == 0)
		status = db_session_query(session, arena, "COMMIT", 0, NULL, &rows, ret_error);
	if (status == 0) {
		*ret_made = made;
		return 0;
	}
	const char *ignored;
	db_session_query(session, arena, "ROLLBACK", 0, NULL, &rows, &ignored);
	return status;
}
