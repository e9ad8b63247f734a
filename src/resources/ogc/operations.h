/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the rows of operations.inc name: general.c takes them into its table. */
#ifndef WARDMOTE_OGC_OPERATIONS_H
#define WARDMOTE_OGC_OPERATIONS_H

#include "wardmote/operation.h"

extern const char ogc_landing_sql[];
extern const char ogc_landing_answer[];
extern const char ogc_conformance_sql[];
extern const char ogc_conformance_answer[];
extern const char ogc_api_sql[];
extern const char ogc_api_answer[];
extern const char ogc_collections_sql[];
extern const char ogc_collections_answer[];
extern const char ogc_collection_sql[];
extern const char ogc_collection_answer[];
extern const char ogc_items_sql[];
extern const char ogc_items_answer[];
extern const char ogc_item_sql[];
extern const char ogc_item_answer[];
extern const char tile_sql[];
extern const char tile_answer[];
extern const struct parameter ogc_format_parameters[];
extern const struct parameter ogc_items_parameters[];
extern const struct parameter ogc_item_parameters[];
extern const int tile_statuses[];

#endif
