/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "faults.h"

#include <errno.h>

#include "tickets.h"
#include "wardmote/query.h"

#define ID "0190f5fe-7c00-7a00-8abc-012345678901"

struct row {
	const struct route *route;
	enum caller caller;
	const char *text, *faults;
};

static const struct row rows[] = {
	{ &ticket_list, CALLER_VIEWER, "", "" },
	{ &ticket_list, CALLER_VIEWER, "&&", "" },
	/* names */
	{ &ticket_list, CALLER_VIEWER, "colour=red&titel=x", "colour unknown_parameter; titel unknown_parameter" },
	{ &ticket_list, CALLER_VIEWER, "status=open&st%61tus=closed", "status duplicate" },
	{ &ticket_list, CALLER_VIEWER, "limit=1&limit=1", "limit duplicate" },
	{ &ticket_list, CALLER_VIEWER, "Status=open", "Status unknown_parameter" },
	{ &ticket_list, CALLER_VIEWER, "=x", " unknown_parameter" },
	{ &ticket_list, CALLER_VIEWER, "summary=x", "summary unknown_parameter" },
	{ &ticket_list, CALLER_VIEWER, "title.gte=x&status.contains=x&urgent.ne=true",
	  "title.gte unknown_parameter; status.contains unknown_parameter; "
	  "urgent.ne unknown_parameter" },
	{ &ticket_list, CALLER_VIEWER, "title.null=true", "title.null unknown_parameter" },
	{ &ticket_list, CALLER_VIEWER, "dry_run=true", "dry_run unknown_parameter" },
	/* escapes */
	{ &ticket_list, CALLER_VIEWER, "title=%00", "title encoding" },
	{ &ticket_list, CALLER_VIEWER, "title=%4", "title encoding" },
	{ &ticket_list, CALLER_VIEWER, "title=%zz&score=%", "title encoding; score encoding" },
	{ &ticket_list, CALLER_VIEWER, "title=%c3%28", "title encoding" },
	{ &ticket_list, CALLER_VIEWER, "title=%ed%a0%80", "title encoding" },
	{ &ticket_list, CALLER_VIEWER, "%ff=1", " encoding" },
	{ &ticket_list, CALLER_VIEWER, "bell%07=1", " unknown_parameter" },
	{ &ticket_list, CALLER_VIEWER, "title=%07", "title characters" },
	/* filters */
	{ &ticket_list, CALLER_VIEWER, "status=open,closd&status.ne=", "status enum; status.ne enum" },
	{ &ticket_list, CALLER_VIEWER, "status=open,", "status enum" },
	{ &ticket_list, CALLER_VIEWER, "id=x&partner_id=" ID "&locality_ids=" ID ",7", "id format; locality_ids format" },
	{ &ticket_list, CALLER_VIEWER, "score=1.0&score.gt=x&score.lt=6&score.gte=-5", "score type; score.gt type; score.lt range" },
	{ &ticket_list, CALLER_VIEWER, "urgent=1&open_on=2026-02-30&due_at=2026-11-21", "urgent type; open_on format; due_at format" },
	{ &ticket_list, CALLER_VIEWER, "due_at.gte=2026-11-21T12:00:00+01:00", "due_at.gte format" },
	{ &ticket_list, CALLER_VIEWER, "open_on.null=yes", "open_on.null type" },
	{ &ticket_list, CALLER_VIEWER, "title=&title.contains=", "title length; title.contains length" },
	{ &ticket_list, CALLER_VIEWER, "topics=", "topics length" },
	/* who may know of it */
	{ &ticket_list, CALLER_VIEWER, "desk=a&external_id=b&sort=desk&fields=desk,grants", "" },
	{ &ticket_list, CALLER_ANONYMOUS, "desk=a", "desk unknown_parameter" },
	{ &ticket_list, CALLER_ANONYMOUS, "external_id=a", "external_id unknown_parameter" },
	{ &ticket_list, CALLER_ANONYMOUS, "sort=desk&fields=desk", "sort enum; fields enum" },
	/* the shared ones */
	{ &ticket_list, CALLER_VIEWER, "sort=score&fields=title,colour,title&include=partners&count=all",
	  "sort enum; fields enum; fields duplicate; "
	  "include enum; count enum" },
	{ &ticket_list, CALLER_VIEWER, "limit=0", "limit range" },
	{ &ticket_list, CALLER_VIEWER, "limit=-1", "limit range" },
	{ &ticket_list, CALLER_VIEWER, "limit=", "limit range" },
	{ &ticket_list, CALLER_VIEWER, "limit=1e3", "limit range" },
	{ &ticket_list, CALLER_VIEWER, "limit=010", "limit range" },
	{ &ticket_list, CALLER_VIEWER, "limit=9007199254740992", "limit range" },
	{ &ticket_list, CALLER_VIEWER, "limit=99999999999999999999", "limit range" },
	{ &ticket_list, CALLER_VIEWER, "q=a", "q length" },
	{ &ticket_list, CALLER_VIEWER, "q=++", "q blank" },
	{ &ticket_list, CALLER_VIEWER, "bbox=1,2,3", "bbox format" },
	{ &ticket_list, CALLER_VIEWER, "bbox=1,2,3,4,5", "bbox format" },
	{ &ticket_list, CALLER_VIEWER, "bbox=1,2,3,1e400", "bbox format" },
	{ &ticket_list, CALLER_VIEWER, "bbox=1,2,3,nan", "bbox format" },
	{ &ticket_list, CALLER_VIEWER, "bbox=1,52.7,3,52.6", "bbox range" },
	{ &ticket_list, CALLER_VIEWER, "bbox=1,52.6,181,52.7", "bbox range" },
	{ &ticket_list, CALLER_VIEWER, "bbox=179,52.6,-179,52.7", "" },
	{ &ticket_list, CALLER_VIEWER, "crs=EPSG:27700&geometry=simplified", "" },
	{ &ticket_list, CALLER_VIEWER, "crs=EPSG%3A4326&geometry=none", "" },
	{ &ticket_list, CALLER_VIEWER, "crs=27700&geometry=", "crs enum; geometry enum" },
	{ &ticket_put, CALLER_VIEWER, "external_id=x&geometry=full", "geometry unknown_parameter" },
	{ &ticket_list, CALLER_VIEWER, "as_of=yesterday&cursor=a+b", "as_of format; cursor format" },
	/* clauses */
	{ &ticket_list, CALLER_ANONYMOUS, "near=1.3,52.6&radius=50&stale=true&seen_since=2026-11-21T12:00:00Z&match=exact", "" },
	{ &ticket_list, CALLER_VIEWER, "locality_ids=" ID "&match=overlap&stale=false", "" },
	{ &ticket_list, CALLER_VIEWER, "near=52.6&radius=51&stale=1&seen_since=now&match=all",
	  "near format; radius range; stale type; seen_since format; match enum" },
	{ &ticket_list, CALLER_VIEWER, "near=1.3,52.6", "radius required" },
	{ &ticket_list, CALLER_VIEWER, "near=x", "near format; radius required" },
	{ &ticket_list, CALLER_VIEWER, "radius=5", "near required" },
	{ &ticket_list, CALLER_VIEWER, "match=overlap", "locality_ids required" },
	{ &ticket_list, CALLER_VIEWER, "match=overlap&locality_ids.ne=" ID, "locality_ids required" },
	{ &ticket_list, CALLER_VIEWER, "match=overlap&locality_ids=x", "locality_ids format" },
	{ &ticket_list, CALLER_VIEWER, "stale=true&stale=true", "stale duplicate" },
	{ &ticket_list, CALLER_VIEWER, "stale.ne=true", "stale.ne unknown_parameter" },
	{ &ticket_get, CALLER_VIEWER, "stale=true", "stale unknown_parameter" },
	{ &ticket_history, CALLER_VIEWER, "stale=true", "stale unknown_parameter" },
	/* other operations */
	{ &ticket_get, CALLER_VIEWER, "fields=title&include=partner,localities&as_of=2026-11-21T12:00:00Z", "" },
	{ &ticket_get, CALLER_VIEWER, "limit=5&status=open&q=abc",
	  "limit unknown_parameter; status unknown_parameter; q unknown_parameter" },
	{ &ticket_history, CALLER_VIEWER, "limit=5&cursor=abc", "" },
	{ &ticket_history, CALLER_VIEWER, "as_of=2026-11-21T12:00:00Z", "as_of unknown_parameter" },
	{ &ticket_put, CALLER_OFFICER, "external_id=HR%2F1&dry_run=true", "" },
	{ &ticket_put, CALLER_OFFICER, "", "external_id required" },
	{ &ticket_put, CALLER_OFFICER, "external_id=", "external_id length" },
	{ &ticket_patch, CALLER_OFFICER, "dry_run=yes", "dry_run type" },
	{ &ticket_report, CALLER_VIEWER, "days=32&status=x&since=now", "days range; status enum; since format; from required" },
	{ &ticket_list, CALLER_VIEWER, "weight=x&weight.gt=101&weight.lt=1e1&weight.gte=-1.5&weight.contains=1",
	  "weight type; weight.gt range; weight.contains unknown_parameter" },
	{ &ticket_report, CALLER_VIEWER, "from=2026-01-01&least=1.01", "least range" },
	{ &ticket_report, CALLER_VIEWER, "from=2026-01-01&least=0.5&at=-180,90&area=179,-90,-179,90&space=1,2,-5,3,4,100.5", "" },
	{ &ticket_report, CALLER_VIEWER, "from=2026-01-01&at=1.123456789012345,-0&space=1,2,3,4", "" },
	{ &ticket_report, CALLER_VIEWER, "from=2026-01-01&at=1&area=1,2,3&space=1,2,3,4,5", "at format; area format; space format" },
	{ &ticket_report, CALLER_VIEWER, "from=2026-01-01&at=1,2,3&area=1,2,3,4,5,6&space=1,2,3,4,5,6,7",
	  "at format; area format; space format" },
	{ &ticket_report, CALLER_VIEWER, "from=2026-01-01&at=&area=&space=", "at format; area format; space format" },
	{ &ticket_report, CALLER_VIEWER, "from=2026-01-01&at=1,&area=,2,3,4&space=a,2,3,4", "at format; area format; space format" },
	{ &ticket_report, CALLER_VIEWER, "from=2026-01-01&at=1e1,2&area=01,2,3,4&space=1,2,3,nan", "at format; area format; space format" },
	{ &ticket_report, CALLER_VIEWER, "from=2026-01-01&at=1.1234567890123456,2&space=1,2,1E9,3,4,5", "at format; space format" },
	{ &ticket_report, CALLER_VIEWER, "from=2026-01-01&at=180.1,2&area=1,3,2,2&space=1,2,3,4,91,5",
	  "at range; area range; space range" },
	{ &ticket_report, CALLER_VIEWER, "from=2026-01-01&at=52.6,181&space=1,2,3,4,5,10000000000", "at range; space format" },
	{ &ticket_report, CALLER_VIEWER, "form=2026-01-01", "form unknown_parameter; from required" },
};

static void every_fault_is_told_at_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena arena;
		arena_init(&arena);
		struct faults faults = { .arena = &arena };
		struct query query;
		int r = query_parse(&arena, rows[i].route, slice_of(rows[i].text), rows[i].caller, &query, &faults);
		if (strcmp(faults_text(&faults), rows[i].faults) != 0)
			print_error("%s\n", rows[i].text);
		assert_string_equal(faults_text(&faults), rows[i].faults);
		assert_int_equal(r, faults.n == 0 ? 0 : -EINVAL);
		for (size_t j = 0; j < faults.n; j++)
			assert_int_equal(faults.rows[j].place, FAULT_PARAMETER);
		arena_done(&arena);
	}
}

static void parse(struct arena *arena, const struct route *route, const char *text, struct query *ret_query)
{
	struct faults faults = { .arena = arena };
	assert_int_equal(query_parse(arena, route, slice_of(text), CALLER_VIEWER, ret_query, &faults), 0);
}

static void filters_come_in_the_order_of_the_fields(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum filter_op op;
		const char *value;
	} wanted[] = {
		{ "title", FILTER_EQUAL, "a,b" },
		{ "title", FILTER_CONTAINS, "50\\% \\_x\\\\" },
		{ "status", FILTER_ANY_OF, "{\"open\",\"planned\"}" },
		{ "open_on", FILTER_GTE, "2026-01-01" },
		{ "open_on", FILTER_LT, "2027-01-01" },
		{ "close_on", FILTER_NOT_NULL, NULL },
		{ "due_at", FILTER_NULL, NULL },
		{ "topics", FILTER_NONE_OF, "{\"a\\\"b\\\\c\",\"{d}\"}" },
		{ "updated_at", FILTER_GT, "2026-11-21T11:00:00.000000Z" },
	};
	struct arena arena;
	arena_init(&arena);
	struct query query;
	parse(&arena, &ticket_list,
	      "updated_at.gt=2026-11-21T12:00:00%2B01:00&open_on.lt=2027-01-01&open_on.gte=2026-01-01&topics.ne=a%22b%5Cc,{d}"
	      "&close_on.null=false&due_at.null=true&status=open,planned&title.contains=50%25+_x%5c&title=a,b",
	      &query);
	assert_int_equal(query.n_filters, sizeof wanted / sizeof *wanted);
	for (size_t i = 0; i < query.n_filters; i++) {
		assert_string_equal(query.filters[i].field->name, wanted[i].name);
		assert_int_equal(query.filters[i].op, wanted[i].op);
		if (wanted[i].value == NULL)
			assert_null(query.filters[i].value);
		else
			assert_string_equal(query.filters[i].value, wanted[i].value);
	}
	arena_done(&arena);
}

static uint64_t bit(const char *name)
{
	return UINT64_C(1) << shape_field(&ticket_shape, slice_of(name));
}

static void shared_parameters_are_typed(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	struct query query;
	parse(&arena, &ticket_list,
	      "sort=-updated_at&fields=title,geometry&include=localities&limit=9007199254740991&count=exact&q=mile+cross"
	      "&bbox=-1.5,51.3999999999999986,2e0,53&as_of=2026-11-21T12:00:00-01:00&cursor=Ab-_9",
	      &query);
	assert_string_equal(query.sort->name, "updated_at");
	assert_true(query.descending);
	assert_true(query.fields == (bit("title") | bit("geometry")));
	assert_true(query.include == bit("locality_ids"));
	assert_int_equal(query.limit, 500);
	assert_int_equal(query.count, COUNT_EXACT);
	assert_string_equal(query.search, "mile cross");
	assert_string_equal(query.bbox[1], "51.3999999999999986");
	assert_string_equal(query.bbox[3], "53");
	assert_string_equal(query.as_of, "2026-11-21T13:00:00.000000Z");
	assert_true(slice_is(query.cursor, "Ab-_9"));
	parse(&arena, &ticket_list, "crs=EPSG:27700&geometry=simplified", &query);
	assert_int_equal(query.srid, SRID_NATIONAL);
	assert_int_equal(query.geometry, GEOMETRY_SIMPLIFIED);
	parse(&arena, &ticket_list, "crs=EPSG:4326&geometry=full", &query);
	assert_int_equal(query.srid, SRID_WGS84);
	assert_int_equal(query.geometry, GEOMETRY_FULL);
	parse(&arena, &ticket_list, "limit=500", &query);
	assert_int_equal(query.srid, 0);
	assert_int_equal(query.geometry, GEOMETRY_AS_ASKED);
	assert_int_equal(query.limit, 500);
	parse(&arena, &ticket_list, "", &query);
	assert_int_equal(query.limit, 50);
	assert_string_equal(query.sort->name, "title");
	assert_false(query.descending);
	assert_null(query.bbox[0]);
	parse(&arena, &ticket_put, "dry_run=true&external_id=HR%2F1,2", &query);
	assert_true(query.dry_run);
	assert_string_equal(query.external_id, "HR/1,2");
	assert_null(query.sort);
	parse(&arena, &ticket_report, "since=2026-11-21T12:00:00Z&from=2026-01-01", &query);
	assert_string_equal(query.values[0], "2026-01-01");
	assert_null(query.values[1]);
	assert_null(query.values[2]);
	assert_string_equal(query.values[3], "2026-11-21T12:00:00.000000Z");
	arena_done(&arena);
}

enum { NEAR, RADIUS, STALE, SEEN_SINCE, MATCH };

static void clauses_have_their_places(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	struct query query;
	const struct resource *tickets = ticket_shape.resource;
	parse(&arena, &ticket_list, "", &query);
	assert_false(query_has_clauses(&query));
	parse(&arena, &ticket_list, "match=exact", &query);
	assert_false(query_has_clauses(&query));
	parse(&arena, &ticket_list, "stale=false&seen_since=2026-11-21T12:00:00%2B01:00&match=overlap&locality_ids=" ID, &query);
	assert_true(query_has_clauses(&query));
	assert_false(query_is_selective(&query, tickets));
	assert_null(query.clauses[NEAR]);
	assert_string_equal(query.clauses[STALE], "false");
	assert_string_equal(query.clauses[SEEN_SINCE], "2026-11-21T11:00:00.000000Z");
	assert_string_equal(query.clauses[MATCH], "overlap");
	assert_int_equal(query.n_filters, 1);
	parse(&arena, &ticket_list, "radius=7&near=1.3,52.6", &query);
	assert_true(query_is_selective(&query, tickets));
	assert_string_equal(query.clauses[NEAR], "1.3,52.6");
	assert_string_equal(query.clauses[RADIUS], "7");
	/* what changes nothing is the same query */
	struct query plain, neutral, other;
	parse(&arena, &ticket_list, "locality_ids=" ID, &plain);
	parse(&arena, &ticket_list, "locality_ids=" ID "&match=exact", &neutral);
	parse(&arena, &ticket_list, "locality_ids=" ID "&match=overlap", &other);
	assert_true(plain.digest == neutral.digest);
	assert_true(plain.digest != other.digest);
	arena_done(&arena);
}

static void a_clause_can_take_the_place_of_the_box(void **state)
{
	(void)state;
	static const struct clause clauses[] = { { .name = "bbox", .type = T_BOX, .sql = "f(@)" }, { 0 } };
	struct resource resource = *ticket_shape.resource;
	resource.clauses = clauses;
	struct shape shape = ticket_shape;
	shape.resource = &resource;
	const struct route route = { ticket_list.operation, &shape };
	struct arena arena;
	arena_init(&arena);
	struct query query;
	parse(&arena, &route, "bbox=1,2,3,4", &query);
	assert_null(query.bbox[0]);
	assert_string_equal(query.clauses[0], "1,2,3,4");
	parse(&arena, &ticket_list, "bbox=1,2,3,4", &query);
	assert_string_equal(query.bbox[0], "1");
	assert_false(query_has_clauses(&query));
	arena_done(&arena);
}

static const char *repeat(struct arena *arena, const char *first, const char *next, size_t n)
{
	struct buffer text = { .arena = arena };
	buffer_text(&text, first);
	for (size_t i = 1; i < n; i++)
		buffer_format(&text, next, i);
	return text.ptr;
}

static void numbers_of_things_are_bounded(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	struct query query;
	parse(&arena, &ticket_list, repeat(&arena, "topics=0", ",%zu", FILTER_VALUES_MAX), &query);
	struct faults faults = { .arena = &arena };
	const char *values = repeat(&arena, "topics=0", ",%zu", FILTER_VALUES_MAX + 1);
	assert_int_equal(query_parse(&arena, &ticket_list, slice_of(values), CALLER_VIEWER, &query, &faults), -EINVAL);
	assert_string_equal(faults_text(&faults), "topics too_many");
	faults = (struct faults){ .arena = &arena };
	const char *pairs = repeat(&arena, "limit=1", "&x%zu=1", 70);
	assert_int_equal(query_parse(&arena, &ticket_list, slice_of(pairs), CALLER_VIEWER, &query, &faults), -EINVAL);
	assert_string_equal(faults.rows[faults.n - 1].code, "too_many");
	assert_int_equal(faults.n, 64);
	faults = (struct faults){ .arena = &arena };
	const char *filters =
	    "title=a&title.ne=a&title.contains=a&score=1&score.ne=1&score.gt=1&score.gte=1&score.lt=1&score.lte=1&score.null=true"
	    "&open_on=2026-01-01&open_on.ne=2026-01-01&open_on.gt=2026-01-01&open_on.gte=2026-01-01&open_on.lt=2026-01-01"
	    "&open_on.lte=2026-01-01&open_on.null=true";
	assert_int_equal(query_parse(&arena, &ticket_list, slice_of(filters), CALLER_VIEWER, &query, &faults), -EINVAL);
	assert_string_equal(faults_text(&faults), "open_on.null too_many");
	arena_done(&arena);
}

static void the_nearest_parameter_is_offered(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	struct faults faults = { .arena = &arena };
	struct query query;
	assert_int_equal(query_parse(&arena, &ticket_list, SLICE("opne_on.gte=2026-01-01&limt=5&dsk=1"), CALLER_ANONYMOUS, &query, &faults),
			 -EINVAL);
	assert_string_equal(faults.rows[0].detail, "The operation has no such parameter. Did you mean \"open_on.gte\"?");
	assert_string_equal(faults.rows[1].detail, "The operation has no such parameter. Did you mean \"limit\"?");
	/* not the name of a field that the caller may not know of */
	assert_string_equal(faults.rows[2].detail, "The operation has no such parameter.");
	faults = (struct faults){ .arena = &arena };
	assert_int_equal(query_parse(&arena, &ticket_list, SLICE("statle=true"), CALLER_ANONYMOUS, &query, &faults), -EINVAL);
	assert_string_equal(faults.rows[0].detail, "The operation has no such parameter. Did you mean \"stale\"?");
	arena_done(&arena);
}

/* Looking for the nearest of hundreds of names costs more than the rest of a request: a query of many unknown names must not buy much of it. */
static void many_unknown_names_are_offered_little(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	struct buffer text = { .arena = &arena };
	buffer_text(&text, "fields=titel");
	for (int i = 0; i < 200; i++)
		buffer_text(&text, ",titel");
	buffer_text(&text, "&limti=1");
	struct faults faults = { .arena = &arena };
	struct query query;
	assert_int_equal(query_parse(&arena, &ticket_list, buffer_slice(&text), CALLER_VIEWER, &query, &faults), -EINVAL);
	assert_int_equal(faults.n + faults.more, 202);
	for (size_t i = 0; i < faults.n; i++)
		assert_int_equal(strstr(faults.rows[i].detail, "Did you mean \"title\"?") != NULL, i < FAULTS_HINTED);
	arena_done(&arena);
}

static void a_cursor_is_bound_to_its_query(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	struct query query, same, other;
	parse(&arena, &ticket_list, "status=open&sort=-title&limit=5", &query);
	struct slice plain = cursor_encode(&arena, &query, SLICE("Mile Cross, 2026\x1f" ID));
	parse(&arena, &ticket_list, "sort=-title&limit=7&status=open&cursor=abc", &same);
	assert_int_equal(cursor_decode(&arena, plain, &same), 0);
	assert_string_equal(same.keys[0], "Mile Cross, 2026");
	assert_string_equal(same.keys[1], ID);
	static const char *const others[] = {
		"status=open",
		"status=open&sort=title",
		"status=closed&sort=-title",
		"status.ne=open&sort=-title",
		"status=open&sort=-title&q=ab",
		"status=open&sort=-title&as_of=2026-01-01T00:00:00Z",
		"status=open&sort=-title&bbox=1,2,3,4",
		"status=open&sort=-title&title=x",
		"status=open&sort=-title&fields=title",
		"status=open&sort=-title&stale=true",
	};
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		parse(&arena, &ticket_list, others[i], &other);
		assert_int_equal(cursor_decode(&arena, plain, &other), -EINVAL);
		assert_null(other.keys[0]);
	}
	/* nor with a key of another sort, should the digests ever be equal */
	const char *forged = arena_printf(&arena, "%.16s updated_at %s", plain.ptr, ID);
	assert_int_equal(cursor_decode(&arena, slice_of(forged), &same), -EINVAL);
	/* the history of a record has one key */
	parse(&arena, &ticket_history, "", &other);
	assert_int_equal(cursor_decode(&arena, cursor_encode(&arena, &other, SLICE("17")), &other), 0);
	assert_string_equal(other.keys[0], "17");
	assert_null(other.keys[1]);
	assert_int_equal(cursor_decode(&arena, SLICE(""), &same), -EINVAL);
	assert_int_equal(cursor_decode(&arena, cursor_encode(&arena, &same, SLICE("")), &same), -EINVAL);
	assert_int_equal(cursor_decode(&arena, cursor_encode(&arena, &same, SLICE("a\0b")), &same), -EINVAL);
	assert_int_equal(cursor_decode(&arena, cursor_encode(&arena, &same, SLICE("\xff")), &same), -EINVAL);
	arena_done(&arena);
}

static void pages_of_a_hand_written_operation(void **state)
{
	(void)state;
	struct operation operation = *ticket_report.operation;
	operation.flags |= OP_PAGED;
	const struct route route = { &operation, NULL };
	static const char *const names[] = { "a", "b" }, *const others[] = { "a", "c" };
	struct arena arena;
	arena_init(&arena);
	struct query query, same, other;
	parse(&arena, &route, "from=2026-01-01&limit=1000", &query);
	assert_int_equal(query.limit, 500);
	parse(&arena, &route, "from=2026-01-01", &query);
	assert_int_equal(query.limit, 50);
	query_bind(&query, names, 2);
	struct slice plain = cursor_encode(&arena, &query, SLICE("7\x1fz"));
	parse(&arena, &route, "from=2026-01-01&limit=2&cursor=abc", &same);
	other = same;
	assert_int_equal(cursor_decode(&arena, plain, &other), -EINVAL);
	query_bind(&other, others, 2);
	assert_int_equal(cursor_decode(&arena, plain, &other), -EINVAL);
	query_bind(&same, names, 2);
	assert_int_equal(cursor_decode(&arena, plain, &same), 0);
	assert_string_equal(same.keys[0], "7");
	assert_string_equal(same.keys[1], "z");
	struct faults faults = { .arena = &arena };
	assert_int_equal(query_parse(&arena, &route, SLICE("from=2026-01-01&limit=all"), CALLER_VIEWER, &query, &faults), -EINVAL);
	assert_string_equal(faults_text(&faults), "limit range");
	faults = (struct faults){ .arena = &arena };
	assert_int_equal(query_parse(&arena, &ticket_report, SLICE("from=2026-01-01&limit=1"), CALLER_VIEWER, &query, &faults), -EINVAL);
	assert_string_equal(faults_text(&faults), "limit unknown_parameter");
	arena_done(&arena);
}

static void a_link_repeats_the_query(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	assert_string_equal(query_link(&arena, SLICE("/v1/tickets"), SLICE("status=open,planned&cursor=old&q=mile+%3Ccross%3E&&x=%C3%A9"),
				       "new"),
			    "/v1/tickets?status=open,planned&q=mile%20%3Ccross%3E&x=%C3%A9&cursor=new");
	assert_string_equal(query_link(&arena, SLICE("/v1/tickets"), SLICE("cursor=old"), NULL), "/v1/tickets");
	assert_string_equal(query_link(&arena, SLICE("/v1/tickets"), SLICE(""), "c"), "/v1/tickets?cursor=c");
	arena_done(&arena);
}

static void forms_have_each_name_once(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	const char *value = "untouched";
	struct slice form = SLICE("grant_type=client_credentials&scope=a%3Aread+b%3Awrite&empty=");
	assert_int_equal(form_value(&arena, form, "scope", &value), 0);
	assert_string_equal(value, "a:read b:write");
	assert_int_equal(form_value(&arena, form, "empty", &value), 0);
	assert_string_equal(value, "");
	assert_int_equal(form_value(&arena, form, "other", &value), 0);
	assert_null(value);
	assert_int_equal(form_value(&arena, SLICE("a=1&b=2&a=3"), "a", &value), -EINVAL);
	assert_int_equal(form_value(&arena, SLICE("a=1&b=%0"), "a", &value), -EINVAL);
	assert_int_equal(form_value(&arena, SLICE("a=%00"), "a", &value), -EINVAL);
	arena_done(&arena);
}

/* A search would tell of a text that the caller does not see, an order of its first letters. */
static void what_one_does_not_see_is_not_searched_nor_sorted_by(void **state)
{
	(void)state;
	struct shape shape = *ticket_list.shape;
	struct resource resource = *shape.resource;
	struct sort sorts[8] = { { 0 } };
	struct field hidden;
	memcpy(sorts, resource.sorts, (shape.n_sorts + 1) * sizeof *sorts);
	sorts[0].audience = A_PARTNER;
	resource.sorts = sorts;
	shape.resource = &resource;
	for (size_t i = 0; i < shape.n_fields; i++) {
		if (strcmp(shape.fields[i]->name, "summary") == 0) {
			hidden = *shape.fields[i];
			hidden.audience = A_PARTNER;
			shape.fields[i] = &hidden;
		}
	}
	const struct route route = { ticket_list.operation, &shape };
	struct arena arena;
	arena_init(&arena);
	struct query query;
	struct faults faults = { .arena = &arena };
	assert_int_equal(query_parse(&arena, &route, SLICE("q=abc"), CALLER_VIEWER, &query, &faults), 0);
	assert_ptr_equal(query.sort, &sorts[0]);
	assert_int_equal(query_parse(&arena, &route, SLICE(""), CALLER_ANONYMOUS, &query, &faults), 0);
	assert_ptr_equal(query.sort, &sorts[1]);
	assert_int_equal(query_parse(&arena, &route, SLICE("q=abc"), CALLER_ANONYMOUS, &query, &faults), -EINVAL);
	assert_string_equal(faults_text(&faults), "q unknown_parameter");
	arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_fault_is_told_at_once),
		cmocka_unit_test(filters_come_in_the_order_of_the_fields),
		cmocka_unit_test(shared_parameters_are_typed),
		cmocka_unit_test(numbers_of_things_are_bounded),
		cmocka_unit_test(the_nearest_parameter_is_offered),
		cmocka_unit_test(many_unknown_names_are_offered_little),
		cmocka_unit_test(a_cursor_is_bound_to_its_query),
		cmocka_unit_test(pages_of_a_hand_written_operation),
		cmocka_unit_test(a_link_repeats_the_query),
		cmocka_unit_test(clauses_have_their_places),
		cmocka_unit_test(a_clause_can_take_the_place_of_the_box),
		cmocka_unit_test(forms_have_each_name_once),
		cmocka_unit_test(what_one_does_not_see_is_not_searched_nor_sorted_by),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
