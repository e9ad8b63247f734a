/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What rows of operations name that stand in other files: those of operations.inc go into general.c. */
#ifndef WARDMOTE_PLACES_OPERATIONS_H
#define WARDMOTE_PLACES_OPERATIONS_H

#include "wardmote/operation.h"

extern const char overlaps_sql[];
extern const char overlaps_answer[];
extern const struct parameter overlaps_parameters[];
extern const char postcode_sql[];
extern const char postcode_answer[];
extern const struct parameter postcode_parameters[];
extern const int postcode_statuses[];

/* Of imports; their rows are in locality_imports.inc. */
extern const char import_postcodes_sql[];
extern const char import_answer[];
extern const struct parameter postcodes_parameters[];

#endif
