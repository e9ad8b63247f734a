/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vocabulary.h"

#include "by_place.h"

const char *const date_precisions[] = { "day", "month", "year", NULL };

const char *const locality_matches[] = { "exact", "overlap", NULL };
