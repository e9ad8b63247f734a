/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "faults.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "text.h"
#include "wardmote/validate.h"

static void dates_are_real_days(void **state)
{
	(void)state;
	static const char *const good[] = { "2026-11-21", "2024-02-29", "2000-02-29", "1000-01-01", "9999-12-31" };
	static const char *const bad[] = { "",         "2026-11-31", "2023-02-29",  "1900-02-29", "0999-01-01",
					   "2026-1-1", "2026-00-10", "2026-13-01",  "2026-01-00", "today",
					   "infinity", "2026/11/21", "2026-11-21 ", "20261121" };
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(text_is_date(slice_of(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(text_is_date(slice_of(bad[i])));
}

static void times_are_of_one_day(void **state)
{
	(void)state;
	assert_true(text_is_time(SLICE("00:00")) && text_is_time(SLICE("23:59")) && text_is_time(SLICE("09:30:59")));
	static const char *const bad[] = { "", "24:00", "9:30", "09:60", "09:30:60", "09:30:5", "09:30:", "09:30Z", "noon" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(text_is_time(slice_of(bad[i])));
}

static void timestamps_become_utc(void **state)
{
	(void)state;
	static const struct {
		const char *text, *utc;
	} cases[] = {
		{ "2026-11-21T12:00:00Z", "2026-11-21T12:00:00.000000Z" },
		{ "2026-11-21t12:00:00z", "2026-11-21T12:00:00.000000Z" },
		{ "2026-11-21T12:00:00.5+01:00", "2026-11-21T11:00:00.500000Z" },
		{ "2026-11-21T12:00:00.123456789Z", "2026-11-21T12:00:00.123456Z" },
		{ "2024-02-29T23:30:00-01:00", "2024-03-01T00:30:00.000000Z" },
		{ "2024-03-01T00:30:00+01:00", "2024-02-29T23:30:00.000000Z" },
		{ "2025-12-31T23:59:59-00:01", "2026-01-01T00:00:59.000000Z" },
		{ "2026-01-01T00:00:00+14:00", "2025-12-31T10:00:00.000000Z" },
		{ "1000-01-01T00:00:00+00:01", NULL },
		{ "9999-12-31T23:59:59-00:01", NULL },
		{ "2026-11-21T12:00:00", NULL },
		{ "2026-11-21 12:00:00Z", NULL },
		{ "2026-11-21T12:00Z", NULL },
		{ "2026-11-21T24:00:00Z", NULL },
		{ "2026-11-21T12:00:60Z", NULL },
		{ "2026-11-21T12:00:00.Z", NULL },
		{ "2026-11-21T12:00:00.1234567890Z", NULL },
		{ "2026-11-21T12:00:00+1400", NULL },
		{ "2026-11-21T12:00:00+14:01", NULL },
		{ "2026-11-21T12:00:00Zulu", NULL },
		{ "2026-02-30T12:00:00Z", NULL },
	};
	struct arena arena;
	arena_init(&arena);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *utc = "untouched";
		int r = text_timestamp(&arena, slice_of(cases[i].text), &utc);
		assert_int_equal(r, cases[i].utc == NULL ? -EINVAL : 0);
		assert_string_equal(utc, cases[i].utc == NULL ? "untouched" : cases[i].utc);
	}
	arena_done(&arena);
}

static void uuids_are_of_one_form(void **state)
{
	(void)state;
	assert_true(text_is_uuid(SLICE("0190f5fe-7c00-7a00-8abc-012345678901")));
	assert_true(text_is_uuid(SLICE("0190F5FE-7C00-7A00-8ABC-012345678901")));
	assert_false(text_is_uuid(SLICE("0190f5fe7c007a008abc012345678901")));
	assert_false(text_is_uuid(SLICE("{0190f5fe-7c00-7a00-8abc-01234567890}")));
	assert_false(text_is_uuid(SLICE("0190f5fe-7c00-7a00-8abc-01234567890g")));
}

static void text_refuses_what_deceives(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool text_good, line_good;
	} cases[] = {
		{ "Norwich \xe2\x80\x93 caf\xc3\xa9 \xf0\x9f\x98\x80", true, true },
		{ "tab\tand\r\nline", true, false },
		{ "\xd7\xa9\xe2\x80\x8f!", true, true }, /* Hebrew with a right-to-left mark */
		{ "a\xe2\x80\xa8z", true, false }, /* line separator */
		{ "bell\x07", false, false },
		{ "delete\x7f", false, false },
		{ "\xc2\x85", false, false }, /* C1 */
		{ "a\xe2\x80\xaez", false, false }, /* override */
		{ "a\xe2\x81\xa6z", false, false }, /* isolate */
		{ "\xef\xbf\xbe", false, false }, /* U+FFFE */
		{ "\xf0\x9f\xbf\xbf", false, false }, /* U+1FFFF */
		{ "\xef\xb7\x90", false, false }, /* U+FDD0 */
		{ "\xc0\xaf", false, false }, /* overlong */
		{ "\xe0\x80\xaf", false, false },
		{ "\xed\xa0\x80", false, false }, /* surrogate */
		{ "\xf4\x90\x80\x80", false, false }, /* above U+10FFFF */
		{ "cut \xe2\x82", false, false },
		{ "\xff", false, false },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(text_is_utf8(slice_of(cases[i].text)), cases[i].text_good);
		assert_int_equal(text_is_line(slice_of(cases[i].text)), cases[i].line_good);
	}
	assert_false(text_is_utf8(SLICE("nul\0nul")));
	assert_int_equal(text_characters(SLICE("caf\xc3\xa9 \xf0\x9f\x98\x80")), 6);
}

static void integers_are_strict(void **state)
{
	(void)state;
	int64_t value = 7;
	assert_int_equal(text_integer(SLICE("-9223372036854775808"), &value), 0);
	assert_true(value == INT64_MIN);
	assert_int_equal(text_integer(SLICE("9223372036854775807"), &value), 0);
	assert_true(value == INT64_MAX);
	assert_int_equal(text_integer(SLICE("0"), &value), 0);
	static const char *const bad[] = { "",   "-", "+1", "01", "-01", "1.0", "1e2", " 1", "9223372036854775808", "-9223372036854775809",
					   "0x1" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(text_integer(slice_of(bad[i]), &value), -EINVAL);
	assert_true(value == 0);
}

static void numbers_are_finite(void **state)
{
	(void)state;
	double value;
	assert_int_equal(text_number(SLICE("-51.3999999999999986"), &value), 0);
	assert_int_equal(text_number(SLICE("1e30"), &value), 0);
	assert_int_equal(text_number(SLICE("0.5E-3"), &value), 0);
	assert_true(value == 0.0005);
	static const char *const bad[] = { "",
					   "-",
					   ".5",
					   "1.",
					   "01",
					   "1e",
					   "1e+",
					   "1e31",
					   "1e-31",
					   "1e400",
					   "1e00000001",
					   "NaN",
					   "Infinity",
					   "0x10",
					   "1 ",
					   "+1",
					   "123456789012345678901234567890123" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(text_number(slice_of(bad[i]), &value), -EINVAL);
}

/* The short way and strtod agree to the last bit. */
static void short_numbers_are_exact(void **state)
{
	(void)state;
	uint64_t seed = 1;
	for (int i = 0; i < 200000; i++) {
		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		char text[64];
		int whole = (int)(seed >> 33 & 0x1ff) % 181, digits = (int)(seed >> 20 & 15);
		uint64_t fraction = seed >> 11;
		if (digits == 0)
			snprintf(text, sizeof text, "%s%d", seed >> 63 ? "-" : "", whole);
		else
			snprintf(text, sizeof text, "%s%d.%0*u", seed >> 63 ? "-" : "", whole, digits, (unsigned)(fraction % 1000000000));
		double value;
		assert_int_equal(text_number(slice_of(text), &value), 0);
		assert_true(value == strtod(text, NULL));
	}
}

static void urls_are_absolute(void **state)
{
	(void)state;
	static const char *const good[] = { "https://example.org", "http://example.org:8080/a/b?c=%20#d", "HTTPS://example.org/",
					    "http://[::1]/", "http://1.2.3.4?x" };
	static const char *const bad[] = { "",
					   "example.org",
					   "ftp://example.org",
					   "javascript:alert(1)",
					   "https://",
					   "https:///path",
					   "https://user@example.org/",
					   "https://user:word@example.org/",
					   "https://example.org/a b",
					   "https://example.org/\"><script>",
					   "https://example.org/%zz",
					   "https://example.org/%4",
					   "https://ex\xc3\xa4mple.org/",
					   "https://example.org:0/",
					   "https://example.org:65536/",
					   "https://example.org:/",
					   "https://[::1/" };
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(text_is_url(slice_of(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(text_is_url(slice_of(bad[i])));
}

static void the_nearest_name_is_offered(void **state)
{
	(void)state;
	static const struct {
		const char *wanted, *found;
	} cases[] = {
		{ "titel", "title" }, { "tittle", "title" }, { "tile", "title" }, { "Title", "title" }, { "open_in", "open_on" },
		{ "colour", NULL },   { "", NULL },          { "tag", NULL },     { "is", "id" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct nearest nearest = { .wanted = slice_of(cases[i].wanted) };
		nearest_offer(&nearest, "id");
		nearest_offer(&nearest, "title");
		nearest_offer(&nearest, "open_on");
		if (cases[i].found == NULL)
			assert_null(nearest.name);
		else
			assert_string_equal(nearest.name, cases[i].found);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dates_are_real_days),        cmocka_unit_test(times_are_of_one_day),
		cmocka_unit_test(timestamps_become_utc),      cmocka_unit_test(uuids_are_of_one_form),
		cmocka_unit_test(text_refuses_what_deceives), cmocka_unit_test(integers_are_strict),
		cmocka_unit_test(numbers_are_finite),         cmocka_unit_test(short_numbers_are_exact),
		cmocka_unit_test(urls_are_absolute),          cmocka_unit_test(the_nearest_name_is_offered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
