/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "faults.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "wardmote/features.h"
#include "wardmote/query.h"

struct seen {
	struct arena arena;
	struct buffer text; /* of the features, one after another */
	size_t n, most;
};

static bool note(void *context, struct slice bytes)
{
	struct seen *seen = context;
	buffer_format(&seen->text, "%s%.*s", seen->n++ > 0 ? "|" : "", (int)bytes.len, bytes.ptr);
	return seen->n < seen->most;
}

/* Feeds the document cut once, at `cut`. What came of it is a text: the features, then the fault. */
static const char *feed(struct seen *seen, int srid, struct slice text, size_t cut, size_t most)
{
	*seen = (struct seen){ .most = most };
	arena_init(&seen->arena);
	seen->text.arena = &seen->arena;
	struct features *scan = features_new(srid, note, seen);
	assert_non_null(scan);
	int r = features_feed(scan, (struct slice){ text.ptr, cut });
	if (r == 0)
		r = features_feed(scan, (struct slice){ text.ptr + cut, text.len - cut });
	if (r == 0)
		r = features_end(scan);
	if (r == -EINVAL)
		buffer_format(&seen->text, " %s", features_fault(scan, &seen->arena));
	else if (r < 0)
		buffer_format(&seen->text, " %d", r);
	features_free(scan);
	return seen->text.ptr == NULL ? "" : seen->text.ptr;
}

static void check_in(int srid, const char *document, const char *wanted)
{
	struct seen seen;
	for (size_t cut = 0; cut <= strlen(document); cut++) {
		const char *found = feed(&seen, srid, slice_of(document), cut, 1000);
		if (strcmp(found, wanted) != 0)
			print_error("%s cut at %zu\n", document, cut);
		assert_string_equal(found, wanted);
		arena_done(&seen.arena);
	}
}

static void check(const char *document, const char *wanted)
{
	check_in(SRID_WGS84, document, wanted);
}

#define HEAD "{\"type\":\"FeatureCollection\",\"features\":["

static void features_come_one_by_one(void **state)
{
	(void)state;
	check(HEAD "]}", "");
	check(HEAD "{}]}", "{}");
	check(" { \"type\" : \"FeatureCollection\" , \"features\" : [ { \"a\" : [ 1 ] } ,\n{} ] } \n", "{ \"a\" : [ 1 ] }|{}");
	check("\xef\xbb\xbf" HEAD "{}]}", "{}");
	check(HEAD "{\"a\":\"]}\\\"\",\"b\":{\"c\":[[]]}},{\"\\\\\":1}]}", "{\"a\":\"]}\\\"\",\"b\":{\"c\":[[]]}}|{\"\\\\\":1}");
	check("{\"features\":[{}],\"bbox\":[1,2,3,4],\"name\":\"x, ]}\",\"n\":null,\"m\":{\"a\":[{}]},\"type\":\"FeatureCollection\"}",
	      "{}");
	check("{\"ty\\u0070e\":\"Feature\\u0043ollection\",\"features\":[]}", "");
}

static void what_is_no_collection_is_refused(void **state)
{
	(void)state;
	check("", " The document is empty. (byte 0)");
	check("[]", " The document is no JSON object. (byte 0)");
	check("\xef\xbb{}", " The document is no JSON object. (byte 2)");
	check("{}", " The document lacks its type, \"FeatureCollection\". (byte 2)");
	check("{\"type\":\"FeatureCollection\"}", " The document has no features. (byte 28)");
	check("{\"type\":\"Feature\",\"features\":[]}", " The document's type must be \"FeatureCollection\". (byte 17)");
	check("{\"type\":1}", " The document's type must be \"FeatureCollection\". (byte 9)");
	check("{\"features\":{}}", " The member features must be an array. (byte 12)");
	check("{\"features\":[],\"features\":[]}", " The document has a member twice. (byte 25)");
	check("{\"type\" \"x\"}", " A colon is missing. (byte 8)");
	check("{\"type\":}", " A value is missing. (byte 8)");
	check("{x:1}", " The name of a member is missing. (byte 1)");
	check("{\"a\":1,}", " The name of a member is missing. (byte 7)");
	check("{\"a\":1\"b\":2}", " A value is no JSON. (byte 7)");
	check("{\"a\":[1}}", " A bracket is closed that was not opened. (byte 8)");
	check("{\"a\":\"x\" 1}", " A comma is missing, or the end of the document. (byte 9)");
}

static void a_broken_array_is_refused_after_what_came_before(void **state)
{
	(void)state;
	check(HEAD "{},1]}", "{} Each of the features must be an object. (byte 43, after feature 1)");
	check(HEAD "{},]}", "{} Each of the features must be an object. (byte 43, after feature 1)");
	check(HEAD "{}{}]}", "{} A comma is missing between two features. (byte 42, after feature 1)");
	check(HEAD "{}", "{} The document ends too early. (byte 42, after feature 1)");
	check(HEAD "{\"a\":\"", " The document ends too early. (byte 46)");
	check(HEAD "]}x", " Something follows the document. (byte 42)");
	check(HEAD "{}]}{}", "{} Something follows the document. (byte 44, after feature 1)");
}

static void the_reference_system_agrees(void **state)
{
	(void)state;
	static const char form[] =
	    "{\"crs\":{\"type\":\"name\",\"properties\":{\"name\":\"%s\"}},\"type\":\"FeatureCollection\",\"features\":[]}";
	static const struct {
		const char *name;
		bool degrees, british;
	} rows[] = {
		{ "urn:ogc:def:crs:OGC:1.3:CRS84", true, false },
		{ "urn:ogc:def:crs:EPSG::4326", true, false },
		{ "http://www.opengis.net/def/crs/EPSG/0/4326", true, false },
		{ "EPSG:4326", true, false },
		{ "urn:ogc:def:crs:EPSG::27700", false, true },
		{ "EPSG:27700", false, true },
		{ "EPSG:3857", false, false },
		{ "EPSG:127700", false, false },
		{ "", false, false },
	};
	struct seen seen;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[300];
		snprintf(text, sizeof text, form, rows[i].name);
		for (int british = 0; british <= 1; british++) {
			const char *found = feed(&seen, british ? SRID_NATIONAL : SRID_WGS84, slice_of(text), 0, 1);
			assert_int_equal(*found == '\0', british ? rows[i].british : rows[i].degrees);
			arena_done(&seen.arena);
		}
	}
	check("{\"crs\":null,\"type\":\"FeatureCollection\",\"features\":[]}", "");
	const char *found = feed(&seen, SRID_WGS84, SLICE("{\"crs\":\"EPSG:4326\"}"), 0, 1);
	assert_non_null(strstr(found, "crs"));
	arena_done(&seen.arena);
}

static void depth_and_length_are_bounded(void **state)
{
	(void)state;
	struct seen seen;
	struct buffer text = { .arena = &seen.arena };
	struct arena arena;
	arena_init(&arena);
	text.arena = &arena;
	buffer_text(&text, HEAD);
	for (int i = 0; i < 64; i++)
		buffer_text(&text, "{\"a\":");
	const char *found = feed(&seen, SRID_WGS84, buffer_slice(&text), 0, 1);
	assert_non_null(strstr(found, "63 levels"));
	arena_done(&seen.arena);
	text = (struct buffer){ .arena = &arena };
	buffer_text(&text, HEAD "{\"a\":\"");
	char *filler = arena_alloc(&arena, FEATURE_MAX);
	memset(filler, 'x', FEATURE_MAX);
	buffer_add(&text, (struct slice){ filler, FEATURE_MAX });
	buffer_text(&text, "\"},{\"b\":1}]}");
	assert_string_equal(feed(&seen, SRID_WGS84, buffer_slice(&text), 1 << 20, 10), "|{\"b\":1}");
	assert_int_equal(seen.n, 2);
	arena_done(&seen.arena);
	arena_done(&arena);
}

static void who_reads_may_stop(void **state)
{
	(void)state;
	struct seen seen;
	struct arena arena;
	arena_init(&arena);
	assert_string_equal(feed(&seen, SRID_WGS84, SLICE(HEAD "{},{},{}]}"), 0, 2), arena_printf(&arena, "{}|{} %d", -ECANCELED));
	arena_done(&seen.arena);
	arena_done(&arena);
}

/* --- one feature --- */

#define SQUARE "{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[1,0],[1,1],[0,0]]]}"

static const struct feature_mapping mapping = { SRID_WGS84, "code", "name", "up", "people" };

static void read_one(const struct feature_mapping *map, const char *text, const char *wanted)
{
	struct arena arena;
	arena_init(&arena);
	struct faults faults = { .arena = &arena };
	struct feature_row row;
	int r = feature_read(&arena, slice_of(text), map, &row, &faults);
	const char *found =
	    arena_printf(&arena, "%s,%s,%s,%s %s", row.code == NULL ? "-" : row.code, row.name == NULL ? "-" : row.name,
			 row.parent == NULL ? "-" : row.parent, row.population == NULL ? "-" : row.population, faults_text(&faults));
	if (strcmp(found, wanted) != 0)
		print_error("%s\n", text);
	assert_string_equal(found, wanted);
	assert_int_equal(r, faults.n == 0 ? 0 : -EINVAL);
	if (r == 0 && map->srid == SRID_WGS84)
		assert_string_equal(arena_copy(&arena, row.geometry), SQUARE);
	arena_done(&arena);
}

static void properties_are_mapped(void **state)
{
	(void)state;
#define FEATURE(properties) "{\"type\":\"Feature\",\"properties\":" properties ",\"geometry\":" SQUARE "}"
	read_one(&mapping, FEATURE("{\"code\":\"E1\",\"name\":\"A b\",\"x\":[1.5]}"), "E1,A b,-,- ");
	read_one(&mapping, FEATURE("{\"code\":7,\"name\":\"A\",\"up\":\"E0\",\"people\":12}"), "7,A,E0,12 ");
	read_one(&mapping, FEATURE("{\"code\":\"E\",\"name\":\"A\",\"up\":null,\"people\":null}"), "E,A,-,- ");
	read_one(&mapping, FEATURE("{\"code\":\"E\",\"name\":\"A\",\"people\":\"12\"}"), "E,A,-,12 ");
	read_one(&mapping, FEATURE("{\"code\":\"E\",\"name\":\"A\",\"people\":12.0}"), "E,A,-,12 ");
	read_one(&mapping, FEATURE("{\"code\":\"E\",\"name\":\"A\",\"people\":12.5}"), "E,A,-,- /properties/people range");
	read_one(&mapping, FEATURE("{\"code\":\"E\",\"name\":\"A\",\"people\":-1}"), "E,A,-,- /properties/people range");
	read_one(&mapping, FEATURE("{\"code\":\"E\",\"name\":\"A\",\"people\":100000001}"), "E,A,-,- /properties/people range");
	read_one(&mapping, FEATURE("{\"code\":\"E\",\"name\":\"A\",\"people\":\"many\"}"), "E,A,-,- /properties/people range");
	read_one(&mapping, FEATURE("{\"name\":\"A\"}"), "-,A,-,- /properties/code required");
	read_one(&mapping, FEATURE("{\"code\":null,\"name\":\"\"}"), "-,-,-,- /properties/code required; /properties/name length");
	read_one(&mapping, FEATURE("{\"code\":true,\"name\":\"a\\nb\"}"), "-,-,-,- /properties/code type; /properties/name characters");
	read_one(&mapping, FEATURE("null"), "-,-,-,- /properties type");
	static const struct feature_mapping odd = { .srid = SRID_WGS84, .code = "a/b~c", .name = "n" };
	read_one(&odd, FEATURE("{\"n\":\"x\"}"), "-,x,-,- /properties/a~1b~0c required");
}

static void a_feature_is_looked_at_as_a_body(void **state)
{
	(void)state;
#define REST "\"properties\":{\"code\":\"E\",\"name\":\"A\"}"
	read_one(&mapping, "{\"type\":\"Feature\"," REST "}", "E,A,-,- /geometry required");
	read_one(&mapping, "{\"type\":\"Feature\"," REST ",\"geometry\":null}", "E,A,-,- /geometry required");
	read_one(&mapping, "{\"type\":\"Thing\"," REST ",\"geometry\":" SQUARE "}", "E,A,-,- /type enum");
	read_one(&mapping,
		 "{\"type\":\"Feature\"," REST ",\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[1,0],[1,1],[0,1]]]}}",
		 "E,A,-,- /geometry/coordinates/0 unclosed");
	read_one(&mapping, "{\"type\":\"Feature\"," REST ",\"geometry\":{\"type\":\"Point\",\"coordinates\":[0,0]}}",
		 "E,A,-,- /geometry/type enum");
	read_one(&mapping, "", "-,-,-,-  too_large");
	read_one(&mapping, "{\"type\":\"Feature\",\"type\":\"Feature\"," REST "}", "-,-,-,-  duplicate");
	read_one(&mapping, "{\"type\":}", "-,-,-,-  syntax");
	read_one(&mapping, "{\"type\":\"\xff\"}", "-,-,-,-  encoding");
	static const char grid[] =
	    "{\"type\":\"Feature\"," REST
	    ",\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[623000,308000],[624000,308000],[624000,309000],[623000,308000]]]}}";
	read_one(&mapping, grid, "E,A,-,- /geometry/coordinates/0/0 range");
	static const struct feature_mapping british = { .srid = SRID_NATIONAL, .code = "code", .name = "name" };
	read_one(&british, grid, "E,A,-,- ");
	read_one(&british,
		 "{\"type\":\"Feature\"," REST ",\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[-1,0],[1,0],[1,1],[-1,0]]]}}",
		 "E,A,-,- /geometry/coordinates/0/0 range");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(features_come_one_by_one),
		cmocka_unit_test(what_is_no_collection_is_refused),
		cmocka_unit_test(a_broken_array_is_refused_after_what_came_before),
		cmocka_unit_test(the_reference_system_agrees),
		cmocka_unit_test(depth_and_length_are_bounded),
		cmocka_unit_test(who_reads_may_stop),
		cmocka_unit_test(properties_are_mapped),
		cmocka_unit_test(a_feature_is_looked_at_as_a_body),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
