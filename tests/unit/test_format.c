/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What is formatted without printf is what printf makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../src/base/format.h"
#include "wardmote/arena.h"

enum { SIZE = 4096 };

/* Both ways; `split`: whether printf can be done without. */
__attribute__((format(printf, 2, 3))) static void same(bool split, const char *format, ...)
{
	char wanted[SIZE], found[SIZE];
	struct format_parts parts;
	struct arena arena;
	va_list args;
	va_start(args, format);
	vsnprintf(wanted, sizeof wanted, format, args);
	va_end(args);
	va_start(args, format);
	assert_int_equal(format_split(&parts, format, args), split);
	va_end(args);
	if (split) {
		assert_int_equal(parts.len, strlen(wanted));
		format_join(&parts, found);
		assert_memory_equal(found, wanted, parts.len);
	}
	/* The same by way of a buffer, whether or not. */
	arena_init(&arena);
	struct buffer buffer = { .arena = &arena };
	buffer_text(&buffer, "before ");
	va_start(args, format);
	buffer_vformat(&buffer, format, args);
	va_end(args);
	assert_int_equal(buffer.len, 7 + strlen(wanted));
	assert_string_equal(buffer.ptr + 7, wanted);
	arena_done(&arena);
}

static void numbers(void **state)
{
	(void)state;
	static const long long values[] = {
		0,        1,        -1,       9,       10,         -10,  99,       100,       INT_MAX,         INT_MIN,      UINT_MAX,
		LONG_MAX, LONG_MIN, 12345678, -987654, 1000000007, 0xff, 0xabcdef, 1LL << 60, (1LL << 60) + 7, -(1LL << 62), 4294967296
	};
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		same(true, "<%d>", (int)values[i]);
		same(true, "<%ld>", (long)values[i]);
		same(true, "<%u>", (unsigned)values[i]);
		same(true, "<%lu>", (unsigned long)values[i]);
		same(true, "<%zu>", (size_t)values[i]);
		same(true, "<%lx>", (unsigned long)values[i]);
		same(true, "<%016lx>", (unsigned long)values[i]);
		same(true, "<%" PRId64 ">%" PRIu64 "-%016" PRIx64, (int64_t)values[i], (uint64_t)values[i], (uint64_t)values[i]);
	}
	for (unsigned value = 0; value < 1000; value++) {
		char wanted[8], found[8] = "";
		snprintf(wanted, sizeof wanted, "%03u", value);
		format_digits(value, 3, found);
		assert_string_equal(found, wanted);
	}
}

static void texts(void **state)
{
	(void)state;
	same(true, "plain");
	same(true, "%%%s%%", "100");
	same(true, "%s, %s and %s", "a", "", "c");
	same(true, "%.*s|%.*s|%.*s", 3, "abcdef", 0, "abc", 9, "short");
	same(true, "\"%s\";r=%ld;t=%d", "account", 599L, 60);
	same(true, "%s", "%s %d %n");
}

static void what_is_left_to_printf(void **state)
{
	(void)state;
	same(false, "%5d", 7);
	same(false, "%02x", 10);
	same(false, "%.3f", 1.5);
	same(false, "%1$s and %1$s", "x");
	same(false, "%.*s", -1, "all of it");
	same(false, "%c", 'x');
	same(false, "%s then %lld", "a", 5LL);
	const char *volatile none = NULL; /* hidden, or the compiler would say so */
	same(false, "%s", none);
	/* More conversions than are kept, and more digits. */
	same(false, "%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a",
	     "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a");
	same(false, "%ld%ld%ld%ld%ld%ld%ld%ld%ld%ld%ld%ld%ld%ld%ld", LONG_MIN, LONG_MIN, LONG_MIN, LONG_MIN, LONG_MIN, LONG_MIN, LONG_MIN,
	     LONG_MIN, LONG_MIN, LONG_MIN, LONG_MIN, LONG_MIN, LONG_MIN, LONG_MIN, LONG_MIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(numbers), cmocka_unit_test(texts), cmocka_unit_test(what_is_left_to_printf) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
