/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What rows of operations name that stand in other files. */
#ifndef WARDMOTE_PROFILES_OPERATIONS_H
#define WARDMOTE_PROFILES_OPERATIONS_H

#include "wardmote/operation.h"

/* Where counts come from. */
extern const char *const profile_source_kinds[];

/* Of the two resources; their rows are in imports.c. */
extern const struct operation profile_value_operations[];
extern const struct operation deprivation_value_operations[];

/* Of operations.inc, whose rows general.c takes into its table. */
extern const char conversions_sql[];
extern const char conversions_answer[];
extern const struct parameter conversions_parameters[];
extern const char priority_focus_sql[];
extern const char priority_focus_answer[];
extern const struct parameter priority_focus_parameters[];

#endif
