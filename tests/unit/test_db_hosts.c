/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* URIs that begin with another of their hosts, and what a fresh connection's answer says of its server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/db/internal.h"

/* One option of a URI or a conninfo string, as libpq understands it. */
static void assert_option(const char *uri, const char *keyword, const char *expected)
{
	PQconninfoOption *options = PQconninfoParse(uri, NULL);
	assert_non_null(options);
	const char *found = NULL;
	for (PQconninfoOption *option = options; option->keyword != NULL; option++)
		found = strcmp(option->keyword, keyword) == 0 ? option->val : found;
	if (expected == NULL)
		assert_null(found);
	else
		assert_string_equal(found, expected);
	PQconninfoFree(options);
}

static void assert_turned(const char *uri, size_t first, const char *keyword, const char *expected)
{
	char *turned = db_uri_from(uri, first);
	assert_option(turned, keyword, expected);
	free(turned);
}

static void test_hosts_are_turned(void **state)
{
	(void)state;
	const char *uri = "postgresql://me:p%27%5C%20@a:1,b:2,c:3/db?target_session_attrs=read-write&sslmode=require";
	assert_int_equal(db_hosts(uri), 3);
	static const char *const hosts[] = { "a,b,c", "b,c,a", "c,a,b", "a,b,c", "b,c,a" };
	static const char *const ports[] = { "1,2,3", "2,3,1", "3,1,2", "1,2,3", "2,3,1" };
	for (size_t first = 0; first < 5; first++) {
		assert_turned(uri, first, "host", hosts[first]);
		assert_turned(uri, first, "port", ports[first]);
		assert_turned(uri, first, "password", "p'\\ ");
		assert_turned(uri, first, "user", "me");
		assert_turned(uri, first, "dbname", "db");
		assert_turned(uri, first, "sslmode", "require");
		assert_turned(uri, first, "target_session_attrs", "read-write");
	}
}

static void test_what_is_there_once_stays(void **state)
{
	(void)state;
	const char *uri = "host=a,b hostaddr=10.0.0.1,10.0.0.2 port=6432 dbname='my db'";
	assert_turned(uri, 1, "host", "b,a");
	assert_turned(uri, 1, "hostaddr", "10.0.0.2,10.0.0.1");
	assert_turned(uri, 1, "port", "6432");
	assert_turned(uri, 1, "dbname", "my db");
	assert_turned("postgresql:///db?host=/run/a,/run/b", 1, "host", "/run/b,/run/a");
	assert_turned("host=a,,c port=1,,3", 1, "host", ",c,a");
	assert_turned("host=a,,c port=1,,3", 1, "port", ",3,1");
}

static void test_nothing_to_turn(void **state)
{
	(void)state;
	static const char *const uris[] = { "postgresql://me@one/db", "wardmote", "", "host=/run/postgresql",
					    "postgresql://[broken/x", "user=x" };
	for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
		assert_int_equal(db_hosts(uris[i]), 1);
		for (size_t first = 0; first < 3; first++) {
			char *same = db_uri_from(uris[i], first);
			assert_string_equal(same, uris[i]);
			free(same);
		}
	}
}

/* --- who answers --- */

static PGresult *answer(const char *timeline, const char *read_only, const char *waiting)
{
	PGresAttDesc columns[] = { { .name = "timeline" }, { .name = "read_only" }, { .name = "waiting" } };
	const char *const cells[] = { timeline, read_only, waiting };
	PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	assert_int_equal(PQsetResultAttrs(result, 3, columns), 1);
	for (int i = 0; i < 3; i++) {
		char cell[16] = { 0 };
		strncpy(cell, cells[i], sizeof cell - 1);
		assert_int_equal(PQsetvalue(result, 0, i, cell, (int)strlen(cell)), 1);
	}
	return result;
}

static void assert_standing(struct db_fence *fence, PGresult *result, enum standing expected, uint32_t timeline)
{
	uint32_t found = 99;
	assert_int_equal(fence_judge(fence, result, &found), expected);
	assert_int_equal(found, timeline);
	assert_non_null(standing_text(expected));
	PQclear(result);
}

static void test_the_fence_is_only_raised(void **state)
{
	(void)state;
	struct db_fence fence = { 0 };
	assert_standing(&fence, answer("10", "f", "f"), STANDING_GOOD, 10);
	assert_standing(&fence, answer("9", "f", "f"), STANDING_PAST, 9);
	assert_standing(&fence, answer("10", "f", "f"), STANDING_GOOD, 10);
	assert_standing(&fence, answer("4294967294", "f", "f"), STANDING_GOOD, 0xfffffffe);
	assert_standing(&fence, answer("10", "f", "f"), STANDING_PAST, 10);
	char name[12];
	fence_name(&fence, name, sizeof name);
	assert_string_equal(name, "4294967294");
	assert_true(fence_is_past(&fence, 10));
	assert_false(fence_is_past(&fence, 0xfffffffe));
	assert_false(fence_is_past(&fence, 0)); /* not told */
}

static void test_who_answers(void **state)
{
	(void)state;
	struct db_fence fence = { 0 };
	assert_standing(&fence, answer("", "t", "f"), STANDING_STANDBY, 0);
	assert_standing(&fence, answer("2", "t", "f"), STANDING_READ_ONLY, 2);
	assert_standing(&fence, answer("2", "f", "t"), STANDING_WAITING, 2);
	assert_standing(&fence, answer("1", "t", "t"), STANDING_PAST, 1);
	assert_standing(&fence, PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR), STANDING_UNTOLD, 0);
	assert_standing(&fence, PQmakeEmptyPGresult(NULL, PGRES_COMMAND_OK), STANDING_UNTOLD, 0);
	assert_standing(&fence, NULL, STANDING_UNTOLD, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts_are_turned), cmocka_unit_test(test_what_is_there_once_stays),
		cmocka_unit_test(test_nothing_to_turn),  cmocka_unit_test(test_the_fence_is_only_raised),
		cmocka_unit_test(test_who_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
