/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Small resources that between them have every field type and flag; demo.sql has their tables. For tests of the engine alone. */
#ifndef WARDMOTE_TESTS_DEMO_H
#define WARDMOTE_TESTS_DEMO_H

#include "wardmote/operation.h"

extern const struct resource *const demo_resources[];
extern const struct operation demo_general[];

#endif
