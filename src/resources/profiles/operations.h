/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the rows of operations.inc name: general.c takes them into its table. */
#ifndef WARDMOTE_PROFILES_OPERATIONS_H
#define WARDMOTE_PROFILES_OPERATIONS_H

#include "wardmote/operation.h"

/* Where counts come from. */
extern const char *const profile_source_kinds[];

/* Of the two resources; their rows are in imports.c. */
extern const struct operation profile_value_operations[];
extern const struct operation deprivation_value_operations[];

#endif
