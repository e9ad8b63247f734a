/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "demo.h"

#define ROWS(array) (sizeof(array) / sizeof *(array))

static const struct field partner_fields[] = {
	{ .name = "name", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SUMMARY, .min = 1, .max = 200, .doc = "Name." },
	{ .name = "kind", .type = T_TEXT, .flags = F_NULLABLE | F_SUMMARY, .min = 1, .max = 50, .doc = "Kind." },
};
static const struct sort partner_sorts[] = { { .name = "name", .type = "text" }, { .name = "updated_at", .type = "timestamptz" }, { 0 } };
static const struct resource partner = {
	.name = "partners",
	.thing = "partner",
	.doc = "Partners.",
	.read = CALLER_ANONYMOUS,
	.write = CALLER_ADMINISTRATOR,
	.fields = partner_fields,
	.n_fields = ROWS(partner_fields),
	.sorts = partner_sorts,
	.example = "{\"name\":\"A\"}",
};

static const struct field code_fields[] = {
	{ .name = "list", .type = T_TEXT, .flags = F_REQUIRED, .min = 1, .max = 50, .doc = "List." },
	{ .name = "code", .type = T_TEXT, .flags = F_REQUIRED, .min = 1, .max = 50, .doc = "Code." },
	{ .name = "label", .type = T_TEXT, .flags = F_REQUIRED, .min = 1, .max = 50, .doc = "Label." },
};
static const struct sort code_sorts[] = { { .name = "code", .type = "text" }, { .name = "updated_at", .type = "timestamptz" }, { 0 } };
static const struct resource code = {
	.name = "codes",
	.thing = "code",
	.doc = "Codes.",
	.flags = R_OWNED | R_SHAREABLE,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_OFFICER,
	.visibility = "public",
	.fields = code_fields,
	.n_fields = ROWS(code_fields),
	.sorts = code_sorts,
	.example = "{\"list\":\"topic\",\"code\":\"a\",\"label\":\"A\"}",
};

static const struct field place_fields[] = {
	{ .name = "name", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SUMMARY, .min = 1, .max = 200, .doc = "Name." },
	{ .name = "geometry", .type = T_GEOMETRY, .flags = F_NULLABLE | F_HEAVY, .doc = "Boundary." },
	{ .name = "parent_id",
	  .type = T_REF,
	  .flags = F_NULLABLE | F_FILTER | F_INCLUDE,
	  .refers = "places",
	  .include_name = "parent",
	  .doc = "Within." },
	{ .name = "population", .type = T_INT, .flags = F_NULLABLE | F_FILTER, .max = 1000000, .doc = "People." },
};
static const struct sort place_sorts[] = { { .name = "name", .type = "text" }, { .name = "updated_at", .type = "timestamptz" }, { 0 } };
static const struct resource place = {
	.name = "places",
	.thing = "place",
	.doc = "Places.",
	.flags = R_OWNED | R_ADMIN,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_ADMINISTRATOR,
	.visibility = "public",
	.fields = place_fields,
	.n_fields = ROWS(place_fields),
	.sorts = place_sorts,
	.example = "{\"name\":\"A\"}",
};

static const char *const note_kinds[] = { "memo", "minute", NULL };
static const char *const note_statuses[] = { "idea", "done", NULL };
static const struct field member_fields[] = {
	{ .name = "partner_id", .type = T_REF, .flags = F_REQUIRED, .refers = "partners", .doc = "Who." },
	{ .name = "role", .type = T_TEXT, .flags = F_REQUIRED, .min = 1, .max = 20, .doc = "As what." },
	{ 0 },
};
static const struct field part_fields[] = {
	{ .name = "name", .type = T_TEXT, .flags = F_REQUIRED, .min = 1, .max = 20, .doc = "Of what." },
	{ .name = "share", .type = T_DECIMAL, .flags = F_NULLABLE, .max = 1, .scale = 4, .initial = "1", .doc = "How much." },
	{ 0 },
};
static const struct field note_fields[] = {
	{ .name = "title", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SEARCH | F_SUMMARY, .min = 1, .max = 200, .doc = "Title." },
	{ .name = "body", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = 60000, .doc = "Text." },
	{ .name = "kind", .type = T_ENUM, .flags = F_REQUIRED | F_CREATE_ONLY | F_FILTER, .values = note_kinds, .doc = "Kind." },
	{ .name = "pinned", .type = T_BOOL, .flags = F_FILTER, .initial = "false", .doc = "Pinned." },
	{ .name = "open_on", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "Day." },
	{ .name = "start_time", .type = T_TIME, .flags = F_NULLABLE | F_FILTER, .doc = "Time." },
	{ .name = "seen_at", .type = T_TIMESTAMP, .flags = F_NULLABLE | F_FILTER, .audience = A_PARTNER, .doc = "Seen." },
	{ .name = "place_id",
	  .type = T_REF,
	  .flags = F_NULLABLE | F_FILTER | F_INCLUDE,
	  .refers = "places",
	  .include_name = "place",
	  .doc = "Place." },
	{ .name = "place_ids",
	  .type = T_REFS,
	  .flags = F_FILTER | F_INCLUDE,
	  .refers = "places",
	  .include_name = "places",
	  .max = 20,
	  .initial = "[]",
	  .doc = "Places." },
	{ .name = "topics", .type = T_CODES, .flags = F_FILTER, .code_list = "topic", .max = 20, .initial = "[]", .doc = "Topics." },
	{ .name = "tags", .type = T_TEXTS, .max = 20, .initial = "[]", .doc = "Words." },
	{ .name = "members",
	  .type = T_OBJECTS,
	  .flags = F_INCLUDE,
	  .members = member_fields,
	  .include_name = "partners",
	  .max = 20,
	  .initial = "[]",
	  .doc = "Members." },
	{ .name = "internal",
	  .type = T_TEXT,
	  .flags = F_NULLABLE | F_FILTER,
	  .audience = A_OWNER,
	  .min = 1,
	  .max = 200,
	  .doc = "For ourselves." },
	{ .name = "website", .type = T_URL, .flags = F_NULLABLE, .doc = "Link." },
	{ .name = "status", .type = T_ENUM, .flags = F_READONLY | F_FILTER, .values = note_statuses, .doc = "State." },
	{ .name = "after_id", .type = T_REF, .flags = F_NULLABLE | F_OWNED_REF, .refers = "notes", .doc = "The one before." },
	{ .name = "hours", .type = T_INT, .flags = F_NULLABLE | F_FILTER, .min = 0, .max = 100, .doc = "Hours." },
	{ .name = "fee", .type = T_DECIMAL, .flags = F_NULLABLE | F_FILTER, .min = -10, .max = 1000, .scale = 2, .doc = "Fee." },
	{ .name = "parts", .type = T_OBJECTS, .members = part_fields, .max = 5, .initial = "[]", .doc = "Parts." },
};
static const struct sort note_sorts[] = {
	{ .name = "title", .type = "text" },
	{ .name = "open_on", .column = "open_sort", .type = "date" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};
static const char *const note_matches[] = { "exact", "wide", NULL };
static const struct clause note_clauses[] = {
	{ .name = "near",
	  .type = T_POSITION,
	  .needs = "reach",
	  .selective = true,
	  .sql = "t.place_ids && (SELECT array_agg(p.id) FROM api.place p WHERE ST_DWithin(p.geometry, ST_SetSRID(ST_MakePoint("
		 "split_part(@, ',', 1)::float8, split_part(@, ',', 2)::float8), 4326), @reach))",
	  .doc = "Only notes on places near this.",
	  .example = "0.5,1.5" },
	{ .name = "reach", .type = T_INT, .min = 1, .max = 10, .needs = "near", .doc = "How near, in degrees.", .example = "2" },
	{ .name = "stale",
	  .type = T_BOOL,
	  .sql = "@ = (t.open_on IS NULL OR t.open_on < '2026-11-01'::date - coalesce(@stale_days, 30)::int)",
	  .doc = "Whether nothing was opened of late.",
	  .example = "true" },
	{ .name = "stale_days", .type = T_INT, .min = 0, .max = 1000, .needs = "stale", .doc = "Since how many days.", .example = "30" },
	{ .name = "about",
	  .type = T_TEXT,
	  .min = 1,
	  .max = 20,
	  .sql = "t.topics @> ARRAY[@]",
	  .doc = "Only notes on this.",
	  .example = "roads" },
	{ .name = "match",
	  .type = T_ENUM,
	  .values = note_matches,
	  .neutral = "exact",
	  .widens = "place_ids",
	  .sql = "ARRAY(SELECT p.id FROM api.place p WHERE p.id = ANY (@) OR p.parent_id = ANY (@))",
	  .shows = "matched_places",
	  .shows_sql = "(SELECT coalesce(json_agg(json_build_object('id', m.id, 'asked', m.id = ANY (@)) ORDER BY m.n), '[]')"
		       " FROM unnest(r.place_ids) WITH ORDINALITY m (id, n))",
	  .shows_schema = "{\"type\":\"array\",\"items\":{\"type\":\"object\"}}",
	  .doc = "Whether places within those named count.",
	  .example = "wide" },
	{ 0 },
};
static const struct field finish_body[] = { { .name = "why", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = 100, .doc = "Why." },
					    { 0 } };
static const struct resource note;
static const struct operation note_operations[] = {
	{ .id = "finish_note",
	  .method = "POST",
	  .path = "/v1/notes/{id}/finish",
	  .verb = V_SQL,
	  .resource = &note,
	  .least = CALLER_OFFICER,
	  .scope = "notes:write",
	  .lane = LANE_WRITE,
	  .flags = OP_ITEM | OP_IDEMPOTENT | OP_DRY_RUN,
	  .body_kind = BODY_JSON,
	  .body = finish_body,
	  .sql =
	      "-- Finishes a note.\nWITH moved AS (UPDATE wardmote.note n SET status = 'done', internal = $1 ->> 'why' WHERE n.id = $2 "
	      "RETURNING n.*),\n"
	      "answer AS (SELECT 200 AS status, json_build_object('id', m.id, 'status', m.status)::text AS body, m.version::text AS etag,"
	      " NULL::text AS link FROM moved m)",
	  .summary = "Finish",
	  .doc = "Finish." },
	{ 0 },
};
static const struct resource note = {
	.name = "notes",
	.thing = "note",
	.doc = "Notes.",
	.flags = R_OWNED,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_OFFICER,
	.visibility = "private",
	.fields = note_fields,
	.n_fields = ROWS(note_fields),
	.sorts = note_sorts,
	.example = "{\"title\":\"A\",\"kind\":\"memo\"}",
	.clauses = note_clauses,
	.check_sql = "SELECT '/hours', 'too_many', 'a memo takes 8 hours' FROM new WHERE new.kind = 'memo' AND new.hours > 8",
	.gate_sql = "SELECT '/title', 'frozen', 'a pinned note keeps its title' FROM new JOIN cur ON cur.id = new.id"
		    " WHERE cur.pinned AND new.title <> cur.title",
	.delete_sql = "SELECT '/pinned', 'pinned', 'a pinned note stays' FROM cur WHERE cur.pinned",
	.operations = note_operations,
};

const struct resource *const demo_resources[] = { &partner, &code, &place, &note, NULL };
static const struct parameter word_parameters[] = {
	{ .name = "from", .type = T_INT, .min = 1, .max = 100, .doc = "The first number." },
	{ .name = "mark", .type = T_TEXT, .min = 1, .max = 5, .doc = "What stands between." },
	{ 0 },
};

const struct operation demo_general[] = {
	{ .id = "list_words",
	  .method = "GET",
	  .path = "/v1/words/{kind}/{word}.txt",
	  .verb = V_SQL,
	  .least = CALLER_ANONYMOUS,
	  .lane = LANE_READ,
	  .flags = OP_PAGED,
	  .parameters = word_parameters,
	  .sql = "WITH word AS (SELECT n, concat($4, coalesce($7, '-'), $5, coalesce($7, '-'), n) AS word FROM "
		 "generate_series(coalesce($6::int, 1), 7) n"
		 " WHERE $9 IS NULL OR n > $9::int ORDER BY n LIMIT $8::int + 1),\n"
		 "page AS (SELECT * FROM word ORDER BY n LIMIT $8::int),\n"
		 "answer AS (SELECT 200 AS status, '{\"items\":[' || coalesce(string_agg(to_json(word)::text, ',' ORDER BY n), '') || ']' "
		 "AS body,"
		 " NULL::text AS etag, CASE WHEN (SELECT count(*) FROM word) > $8::int THEN max(n) || chr(31) || $4 END AS link FROM page)",
	  .answer = "{\"type\":\"object\",\"title\":\"Words\"}",
	  .media = "application/vnd.words+json;version=1",
	  .summary = "Words",
	  .doc = "Words." },
	{ .id = "get_root", .method = "GET", .path = "/", .verb = V_NATIVE, .native = NATIVE_ROOT, .summary = "Root", .doc = "Root." },
	{ .id = "get_problem",
	  .method = "GET",
	  .path = "/problems/{slug}",
	  .verb = V_NATIVE,
	  .native = NATIVE_PROBLEM,
	  .summary = "Problem",
	  .doc = "Problem." },
	{ 0 },
};
