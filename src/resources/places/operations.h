/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the rows of operations.inc name: general.c takes them into its table. */
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

#endif
