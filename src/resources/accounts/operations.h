/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The operations of identity belong to no resource: general.c takes their rows (operations.inc) into its table. */
#ifndef WARDMOTE_ACCOUNTS_OPERATIONS_H
#define WARDMOTE_ACCOUNTS_OPERATIONS_H

#include "wardmote/operation.h"

extern const struct field auth_token_body[], auth_revoke_body[], auth_introspect_body[], auth_login_body[], auth_enrol_body[],
    auth_password_body[];
extern const int auth_wrong_code[], auth_wrong_password[], auth_no_session[];

#endif
