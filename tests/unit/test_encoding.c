/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "../../src/http/internal.h"

static void gzip_is_for_who_asks(void **state)
{
	(void)state;
	static const struct {
		const char *field;
		bool accepted;
	} rows[] = {
		{ "", false },
		{ "gzip", true },
		{ "GZIP", true },
		{ "x-gzip", true },
		{ "br, deflate", false },
		{ "br;q=1, gzip;q=0.8", true },
		{ "gzip;q=0", false },
		{ "gzip;q=0.000", false },
		{ "gzip;q=0.001", true },
		{ "gzip;q=x", false },
		{ "gzip;Q=1", true },
		{ "gzip;level=9", true },
		{ "gzip;level=9;q=0", false },
		{ "gzip;qs=0", true },
		{ "gzip;q", true },
		{ "*", true },
		{ "*;q=0", false },
		{ "gzip;q=0, *", false },
		{ "*;q=0, gzip", true },
		{ " , gzip ,", true },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (encoding_gzip_accepted(slice_of(rows[i].field)) != rows[i].accepted)
			fail_msg("`%s`", rows[i].field);
}

static void vary_names_the_field_once(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	assert_string_equal(encoding_vary(&arena, NULL), "Accept-Encoding");
	assert_string_equal(encoding_vary(&arena, ""), "Accept-Encoding");
	assert_string_equal(encoding_vary(&arena, "Accept, Origin"), "Accept, Origin, Accept-Encoding");
	assert_string_equal(encoding_vary(&arena, "Accept, accept-encoding"), "Accept, accept-encoding");
	assert_string_equal(encoding_vary(&arena, "*"), "*");
	arena_done(&arena);
}

/* Packed and unpacked again, in pieces of which one is empty; the state serves one text after another. */
static void check_round_trip(struct http_server *server, size_t len)
{
	char *text = malloc(len), *back = malloc(len + 1);
	assert_non_null(text);
	assert_non_null(back);
	for (size_t i = 0; i < len; i++)
		text[i] = "{\"items\":[]}"[i % 12];
	struct slice body[3] = { { text, len / 2 }, { "", 0 }, { text + len / 2, len - len / 2 } }, packed;
	assert_int_equal(encoding_gzip(server, body, 3, len, &packed), 0);
	assert_true(packed.len < len);
	z_stream stream = { .next_in = (unsigned char *)(uintptr_t)packed.ptr,
			    .avail_in = (unsigned)packed.len,
			    .next_out = (unsigned char *)back,
			    .avail_out = (unsigned)len + 1 };
	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	assert_int_equal(stream.total_out, len);
	assert_memory_equal(text, back, len);
	inflateEnd(&stream);
	free((void *)(uintptr_t)packed.ptr);
	free(back);
	free(text);
}

static void what_is_packed_comes_out_again(void **state)
{
	(void)state;
	struct http_server *server = calloc(1, sizeof *server);
	assert_non_null(server);
	check_round_trip(server, 2000);
	check_round_trip(server, 1 << 20);
	check_round_trip(server, 5000);
	struct slice body = { "", 0 }, packed;
	assert_int_equal(encoding_gzip(server, &body, 1, UINT_MAX, &packed), -EFBIG);
	deflateEnd(&server->gzip);
	free(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gzip_is_for_who_asks),
		cmocka_unit_test(vary_names_the_field_once),
		cmocka_unit_test(what_is_packed_comes_out_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
