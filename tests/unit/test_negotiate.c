/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "faults.h"

#include <errno.h>

#include "wardmote/negotiate.h"

enum { JSON = 1 << FORMAT_JSON, CSV = 1 << FORMAT_CSV, GEOJSON = 1 << FORMAT_GEOJSON, ALL = JSON | CSV | GEOJSON };

static void the_best_format_is_chosen(void **state)
{
	(void)state;
	static const struct {
		const char *accept, *suffix;
		unsigned offered;
		int format; /* -1: none */
	} cases[] = {
		{ NULL, NULL, ALL, FORMAT_JSON },
		{ "", NULL, ALL, FORMAT_JSON },
		{ "*/*", NULL, ALL, FORMAT_JSON },
		{ "*", NULL, ALL, FORMAT_JSON },
		{ "application/*", NULL, ALL, FORMAT_JSON },
		{ "text/*", NULL, ALL, FORMAT_CSV },
		{ "text/csv", NULL, ALL, FORMAT_CSV },
		{ "text/csv", NULL, JSON, -1 },
		{ "TEXT/CSV;header=present", NULL, ALL, FORMAT_CSV },
		{ "application/geo+json, application/json", NULL, ALL, FORMAT_GEOJSON },
		{ "application/json, application/geo+json", NULL, ALL, FORMAT_JSON },
		{ "application/geo+json, application/json", NULL, JSON | CSV, FORMAT_JSON },
		{ "text/csv;q=0.5, application/json;q=0.4", NULL, ALL, FORMAT_CSV },
		{ "text/csv;q=0.5, */*;q=0.501", NULL, ALL, FORMAT_JSON },
		{ "application/json;q=0, */*", NULL, ALL, FORMAT_GEOJSON },
		{ "application/json;q=0, */*", NULL, JSON, -1 },
		{ "application/json;q=0", NULL, ALL, -1 },
		{ "text/html", NULL, ALL, -1 },
		{ "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", NULL, ALL, FORMAT_JSON },
		{ "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", NULL, ALL, FORMAT_JSON },
		{ "application/vnd.oai.openapi+json;version=3.0, application/json;version=3.0", NULL, ALL, FORMAT_JSON },
		{ "x/y;a=\"b,text/csv\"", NULL, ALL, -1 },
		{ "text/csv;q=2", NULL, ALL, FORMAT_JSON }, /* nothing in it can be read */
		{ ",,;", NULL, ALL, FORMAT_JSON },
		{ "application/json", "csv", ALL, FORMAT_CSV },
		{ "text/html", "geojson", ALL, FORMAT_GEOJSON },
		{ "*/*", "geojson", JSON | CSV, -1 },
		{ "*/*", "pdf", ALL, -1 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		enum format format = FORMAT_CSV;
		int r = negotiate_format(slice_of(cases[i].accept), cases[i].suffix, cases[i].offered, &format);
		if (r != (cases[i].format < 0 ? -ENOTSUP : 0) || (r == 0 && (int)format != cases[i].format))
			print_error("%s\n", cases[i].accept);
		assert_int_equal(r, cases[i].format < 0 ? -ENOTSUP : 0);
		if (r == 0)
			assert_int_equal(format, cases[i].format);
	}
}

static void a_type_of_its_own_is_offered_alone(void **state)
{
	(void)state;
	static const char tile[] = "application/vnd.mapbox-vector-tile", api[] = "application/vnd.oai.openapi+json;version=3.0";
	static const struct {
		const char *accept, *media;
		bool good;
	} cases[] = {
		{ NULL, tile, true },
		{ "*/*", tile, true },
		{ "application/*", tile, true },
		{ "application/vnd.mapbox-vector-tile, image/png", tile, true },
		{ "application/json", tile, false },
		{ "image/*, */*;q=0", tile, false },
		{ "application/vnd.mapbox-vector-tile;q=0, */*", tile, false },
		{ "application/json", api, true },
		{ "application/vnd.oai.openapi+json", api, true },
		{ "Application/vnd.oai.openapi+json; version=3.0", api, true },
		{ "text/html, application/json;q=0.1", api, true },
		{ "text/html", api, false },
		{ "application/json;q=0", api, false },
		{ "junk", api, true }, /* nothing in it can be read */
	};
	struct arena arena;
	arena_init(&arena);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int r = negotiate_media(&arena, slice_of(cases[i].accept), cases[i].media);
		if ((r == 0) != cases[i].good)
			print_error("%s: %s\n", cases[i].accept, cases[i].media);
		assert_int_equal(r, cases[i].good ? 0 : -ENOTSUP);
	}
	arena_done(&arena);
}

static void bodies_have_a_type(void **state)
{
	(void)state;
	static const struct {
		enum body_kind kind;
		const char *type;
		bool good;
	} cases[] = {
		{ BODY_JSON, "application/json", true },
		{ BODY_JSON, "Application/JSON ; charset=UTF-8", true },
		{ BODY_JSON, "application/json; charset=\"utf-8\"", true },
		{ BODY_JSON, "application/json; charset=latin1", false },
		{ BODY_JSON, "application/json; profile=x", false },
		{ BODY_JSON, "application/merge-patch+json", false },
		{ BODY_JSON, "text/plain", false },
		{ BODY_JSON, "", false },
		{ BODY_JSON, NULL, false },
		{ BODY_MERGE_PATCH, "application/merge-patch+json", true },
		{ BODY_MERGE_PATCH, "application/json", true },
		{ BODY_MERGE_PATCH, "application/json-patch+json", false },
		{ BODY_FORM, "application/x-www-form-urlencoded;charset=UTF-8", true },
		{ BODY_FORM, "application/json", false },
		{ BODY_NONE, "application/json", false },
		{ BODY_GEOJSON, "application/geo+json", true },
		{ BODY_GEOJSON, "application/json; charset=utf-8", true },
		{ BODY_GEOJSON, "text/csv", false },
		{ BODY_CSV, "text/csv; charset=utf-8", true },
		{ BODY_CSV, "text/csv; header=present", false },
		{ BODY_CSV, "application/json", false },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(negotiate_body(cases[i].kind, slice_of(cases[i].type)), cases[i].good ? 0 : -ENOTSUP);
}

#define HASH "0123456789abcdef"

static void tags_are_lists(void **state)
{
	(void)state;
	static const struct {
		const char *field;
		int r;
		const char *version; /* "-": several */
		bool matches; /* "3-<HASH>" */
	} cases[] = {
		{ "*", 0, NULL, true },
		{ " * ", 0, NULL, true },
		{ "\"3-" HASH "\"", 0, "3", true },
		{ "\"3-fedcba9876543210\"", 0, "3", false },
		{ "W/\"3-" HASH "\"", 0, "0", true },
		{ "\"x,y\", , \"3-" HASH "\"", 0, "3", true },
		{ "\"3-" HASH "\",\"3-fedcba9876543210\"", 0, "3", true },
		{ "\"3-" HASH "\",\"4-" HASH "\"", 0, "-", true },
		{ "\"3.2-" HASH "\"", 0, "3.2", false },
		{ "\"3.4294967295-" HASH "\"", 0, "3.4294967295", false },
		{ "\"3.2-" HASH "\",\"3-" HASH "\"", 0, "-", true },
		{ "\"3.1-" HASH "\"", 0, "0", false },
		{ "\"3.-" HASH "\"", 0, "0", false },
		{ "\".2-" HASH "\"", 0, "0", false },
		{ "\"3.02-" HASH "\"", 0, "0", false },
		{ "\"3.2.2-" HASH "\"", 0, "0", false },
		{ "\"3.4294967296-" HASH "\"", 0, "0", false },
		{ "\"\"", 0, "0", false },
		{ "\"0-" HASH "\"", 0, "0", false },
		{ "\"03-" HASH "\"", 0, "0", false },
		{ "\"-3-" HASH "\"", 0, "0", false },
		{ "\"2147483648-" HASH "\"", 0, "0", false },
		{ "\"3-" HASH "0\"", 0, "0", false },
		{ "\"3-0123456789ABCDEF\"", 0, "0", false },
		{ "\"" HASH "\"", 0, "0", false },
		{ "", -EINVAL, NULL, false },
		{ ",", -EINVAL, NULL, false },
		{ "3", -EINVAL, NULL, false },
		{ "\"3", -EINVAL, NULL, false },
		{ "\"3\" \"4\"", -EINVAL, NULL, false },
		{ "w/\"3\"", -EINVAL, NULL, false },
		{ "*, \"3\"", -EINVAL, NULL, false },
		{ "\"a b\"", -EINVAL, NULL, false },
	};
	struct arena arena;
	arena_init(&arena);
	const char *etag = etag_compose(&arena, "3", UINT64_C(0x0123456789abcdef));
	assert_string_equal(etag, "\"3-" HASH "\"");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct tags tags;
		if (tags_parse(slice_of(cases[i].field), &tags) != cases[i].r)
			print_error("case %zu\n", i);
		assert_int_equal(tags_parse(slice_of(cases[i].field), &tags), cases[i].r);
		if (cases[i].r < 0)
			continue;
		const char *version = "-";
		assert_int_equal(tags_version(&arena, &tags, &version),
				 cases[i].version != NULL && cases[i].version[0] == '-' ? -E2BIG : 0);
		if (cases[i].version == NULL)
			assert_null(version);
		else
			assert_string_equal(version, cases[i].version);
		assert_int_equal(tags_match(&tags, etag), cases[i].matches);
	}
	arena_done(&arena);
}

static void tags_are_counted(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	struct buffer text = { .arena = &arena };
	for (size_t i = 0; i < TAGS_MAX; i++)
		buffer_format(&text, "\"%zu\",", i);
	struct tags tags;
	assert_int_equal(tags_parse(buffer_slice(&text), &tags), 0);
	assert_int_equal(tags.n, TAGS_MAX);
	buffer_text(&text, "\"x\"");
	assert_int_equal(tags_parse(buffer_slice(&text), &tags), -E2BIG);
	assert_string_equal(etag_compose(&arena, NULL, 1), "\"0000000000000001\"");
	arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_best_format_is_chosen), cmocka_unit_test(a_type_of_its_own_is_offered_alone),
		cmocka_unit_test(bodies_have_a_type),        cmocka_unit_test(tags_are_lists),
		cmocka_unit_test(tags_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
