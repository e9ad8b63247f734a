/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vocabulary.h"

const char *const date_precisions[] = { "day", "month", "year", NULL };
