/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the rows of operations.inc name: general.c takes them into its table. */
#ifndef WARDMOTE_ACROSS_OPERATIONS_H
#define WARDMOTE_ACROSS_OPERATIONS_H

#include "wardmote/operation.h"

extern const char nearby_sql[];
extern const char nearby_answer[];
extern const struct parameter nearby_parameters[];
extern const char missing_voices_sql[];
extern const char missing_voices_answer[];
extern const struct parameter missing_voices_parameters[];

#endif
