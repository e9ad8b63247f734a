/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A made-up resource with a field of every type, for tests of what is derived from descriptors. */
#ifndef WARDMOTE_TESTS_TICKETS_H
#define WARDMOTE_TESTS_TICKETS_H

#include "wardmote/catalog.h"

extern const struct shape ticket_shape, place_shape; /* with a polygon; with a point that must be there */
extern const struct route ticket_list, ticket_get, ticket_put, ticket_patch, ticket_history, ticket_report;

#endif
