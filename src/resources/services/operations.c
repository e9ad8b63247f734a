/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the operations in operations.inc are asked with. */
#include "operations.h"

#include "../vocabulary.h"

enum { PAGES_MAX = 1000000, PER_PAGE_MAX = 100, SEARCH_MAX_CHARS = 200 };

#define PAGE_DOC "Which page; 1 by default."
#define PER_PAGE_DOC "How many on a page, at most 100; 50 by default"

/* Resources with logged fields. */
static const char *const logged_resources[] = { "contacts", "community-groups", "map-items", NULL };

/* clang-format off */
const struct parameter hsds_services_parameters[] = {
	{ .name = "page", .type = T_INT, .min = 1, .max = PAGES_MAX, .doc = PAGE_DOC },
	{ .name = "per_page", .type = T_INT, .min = 1, .max = PER_PAGE_MAX, .doc = PER_PAGE_DOC "; with full=true at most 20, and 20 by default." },
	{ .name = "search", .type = T_TEXT, .min = 1, .max = SEARCH_MAX_CHARS, .doc = "Words that occur in name, description or standard." },
	{ .name = "modified_after", .type = T_TIMESTAMP, .doc = "Only services whose entry changed at this time or later." },
	{ .name = "organization_id", .type = T_UUID, .doc = "Only services of this organization." },
	{ .name = "full", .type = T_BOOL, .doc = "Whether each service is shown whole, but for the boundaries of its areas, which it has by itself; by default only what it has one of." },
	{ 0 },
};

const struct parameter hsds_organizations_parameters[] = {
	{ .name = "page", .type = T_INT, .min = 1, .max = PAGES_MAX, .doc = PAGE_DOC },
	{ .name = "per_page", .type = T_INT, .min = 1, .max = PER_PAGE_MAX, .doc = PER_PAGE_DOC "." },
	{ .name = "search", .type = T_TEXT, .min = 1, .max = SEARCH_MAX_CHARS, .doc = "Words that occur in the name." },
	{ 0 },
};

const struct parameter personal_reads_parameters[] = {
	{ .name = "resource", .type = T_ENUM, .values = logged_resources, .doc = "Only reads of this kind of record." },
	{ .name = "record_id", .type = T_UUID, .doc = "Only reads of this record." },
	{ .name = "since", .type = T_TIMESTAMP, .doc = "Only reads at this time or later." },
	{ 0 },
};
/* clang-format on */

const int hsds_not_found[] = { 404, 0 };
