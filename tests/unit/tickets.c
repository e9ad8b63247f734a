/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tickets.h"

static const char *const states[] = { "open", "planned", "closed", NULL };
static const char *const rights[] = { "read", "write", NULL };

static const struct field grants[] = {
	{ .name = "partner_id", .type = T_REF, .flags = F_REQUIRED, .refers = "partners" },
	{ .name = "right", .type = T_ENUM, .flags = F_REQUIRED, .values = rights },
	{ .name = "until", .type = T_DATE, .flags = F_NULLABLE },
	{ 0 },
};

static const struct field rows[] = {
	{ .name = "id", .type = T_UUID, .flags = F_READONLY | F_FILTER },
	{ .name = "title", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SEARCH, .min = 1, .max = 20 },
	{ .name = "summary", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH },
	{ .name = "status", .type = T_ENUM, .flags = F_FILTER, .values = states },
	{ .name = "urgent", .type = T_BOOL, .flags = F_FILTER },
	{ .name = "score", .type = T_INT, .flags = F_FILTER | F_NULLABLE, .min = -5, .max = 5 },
	{ .name = "total", .type = T_INT },
	{ .name = "open_on", .type = T_DATE, .flags = F_FILTER | F_NULLABLE },
	{ .name = "close_on", .type = T_DATE, .flags = F_FILTER | F_NULLABLE },
	{ .name = "start_time", .type = T_TIME, .flags = F_NULLABLE },
	{ .name = "end_time", .type = T_TIME, .flags = F_NULLABLE },
	{ .name = "due_at", .type = T_TIMESTAMP, .flags = F_FILTER | F_NULLABLE },
	{ .name = "partner_id", .type = T_REF, .flags = F_FILTER | F_INCLUDE, .include_name = "partner" },
	{ .name = "locality_ids", .type = T_REFS, .flags = F_FILTER | F_INCLUDE, .max = 3, .include_name = "localities" },
	{ .name = "topics", .type = T_CODES, .flags = F_FILTER, .max = 3 },
	{ .name = "notes", .type = T_TEXTS },
	{ .name = "grants", .type = T_OBJECTS, .members = grants, .max = 2, .audience = A_OWNER },
	{ .name = "geometry", .type = T_GEOMETRY, .flags = F_NULLABLE | F_HEAVY },
	{ .name = "link", .type = T_URL, .flags = F_NULLABLE },
	{ .name = "desk", .type = T_TEXT, .flags = F_FILTER, .audience = A_PARTNER, .max = 20 },
	{ .name = "external_id", .type = T_TEXT, .flags = F_FILTER | F_NULLABLE, .audience = A_OWNER, .min = 1, .max = 200 },
	{ .name = "visibility", .type = T_ENUM, .values = (const char *const[]){ "private", "public", NULL } },
	{ .name = "updated_at", .type = T_TIMESTAMP, .flags = F_READONLY | F_FILTER },
	{ .name = "weight", .type = T_DECIMAL, .flags = F_FILTER | F_NULLABLE, .min = -2, .max = 100, .scale = 3 },
};

enum { N_ROWS = sizeof rows / sizeof *rows };

static const struct sort sorts[] = {
	{ .name = "title", .type = "text" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ .name = "desk", .type = "text", .audience = A_PARTNER },
	{ 0 },
};

static const char *const matches[] = { "exact", "overlap", NULL };
static const struct clause clauses[] = {
	{ .name = "near", .type = T_POSITION, .needs = "radius", .selective = true, .sql = "f(t.geometry, @, @radius)" },
	{ .name = "radius", .type = T_INT, .min = 1, .max = 50, .needs = "near" },
	{ .name = "stale", .type = T_BOOL, .sql = "@ = g(t.open_on)" },
	{ .name = "seen_since", .type = T_TIMESTAMP, .sql = "t.due_at > @" },
	{ .name = "match", .type = T_ENUM, .values = matches, .neutral = "exact", .widens = "locality_ids", .sql = "h(@)" },
	{ 0 },
};

static const struct resource tickets = {
	.name = "tickets",
	.thing = "ticket",
	.fields = rows,
	.n_fields = N_ROWS,
	.sorts = sorts,
	.clauses = clauses,
	.ordered = (const char *const[]){ "open_on", "close_on", "start_time", "end_time", NULL },
};

const struct shape ticket_shape = {
	.resource = &tickets,
	.fields = { &rows[0],  &rows[1],  &rows[2],  &rows[3],  &rows[4],  &rows[5],  &rows[6],  &rows[7],
		    &rows[8],  &rows[9],  &rows[10], &rows[11], &rows[12], &rows[13], &rows[14], &rows[15],
		    &rows[16], &rows[17], &rows[18], &rows[19], &rows[20], &rows[21], &rows[22], &rows[23] },
	.n_fields = N_ROWS,
	.n_sorts = 3,
};

static const struct field point = { .name = "point", .type = T_POINT, .flags = F_REQUIRED };
static const struct resource places = { .name = "places", .thing = "place", .fields = &point, .n_fields = 1 };

const struct shape place_shape = { .resource = &places, .fields = { &point }, .n_fields = 1 };

static const struct parameter report_parameters[] = {
	{ .name = "from", .type = T_DATE, .required = true },
	{ .name = "status", .type = T_ENUM, .values = states },
	{ .name = "days", .type = T_INT, .min = 1, .max = 31 },
	{ .name = "since", .type = T_TIMESTAMP },
	{ .name = "at", .type = T_POSITION },
	{ .name = "area", .type = T_BOX },
	{ .name = "space", .type = T_BOX, .max = 6 },
	{ .name = "least", .type = T_DECIMAL, .min = 0, .max = 1 },
	{ 0 },
};

static const struct operation list = { .id = "list_tickets", .verb = V_LIST, .flags = OP_AS_OF, .resource = &tickets };
static const struct operation get = { .id = "get_ticket", .verb = V_GET, .flags = OP_AS_OF | OP_ITEM, .resource = &tickets };
static const struct operation put = { .id = "put_ticket", .verb = V_PUT, .flags = OP_DRY_RUN, .resource = &tickets };
static const struct operation patch = { .id = "patch_ticket", .verb = V_PATCH, .flags = OP_DRY_RUN | OP_IF_MATCH, .resource = &tickets };
static const struct operation history = { .id = "list_ticket_history", .verb = V_HISTORY, .flags = OP_ITEM, .resource = &tickets };
static const struct operation report = { .id = "report", .verb = V_SQL, .parameters = report_parameters };

const struct route ticket_list = { &list, &ticket_shape };
const struct route ticket_get = { &get, &ticket_shape };
const struct route ticket_put = { &put, &ticket_shape };
const struct route ticket_patch = { &patch, &ticket_shape };
const struct route ticket_history = { &history, &ticket_shape };
const struct route ticket_report = { &report, NULL };
