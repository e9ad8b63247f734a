/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the rows of operations.inc name: general.c takes them into its table. */
#ifndef WARDMOTE_PRIVACY_OPERATIONS_H
#define WARDMOTE_PRIVACY_OPERATIONS_H

#include "wardmote/operation.h"

extern const char personal_search_sql[];
extern const char personal_search_answer[];
extern const struct field personal_search_body[];
extern const int personal_search_statuses[];

#endif
