/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the rows of operations.inc name: general.c takes them into its table. */
#ifndef WARDMOTE_PROFILES_OPERATIONS_H
#define WARDMOTE_PROFILES_OPERATIONS_H

#include "wardmote/operation.h"

/* Where counts come from. */
extern const char *const profile_source_kinds[];

extern const char priority_focus_sql[];
extern const char priority_focus_answer[];
extern const struct parameter priority_focus_parameters[];

#endif
