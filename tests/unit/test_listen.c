/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "wardmote/http.h"

static void addresses_are_taken_apart_strictly(void **state)
{
	(void)state;
	static const char *const bad[] = { "",       ":80",   "127.0.0.1", "127.0.0.1:",        "127.0.0.1:x", "127.0.0.1:80x",
					   "::1:80", "[]:80", "[::1:80",   "127.0.0.1:1234567", "127.0.0.1:-1" };
	struct arena arena;
	arena_init(&arena);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		int fd = -1;
		const char *bound = NULL;
		if (http_listen(bad[i], &arena, &fd, &bound) != -EINVAL)
			fail_msg("%s is taken for an address", bad[i]);
		assert_int_equal(fd, -1);
		assert_null(bound);
	}
	arena_done(&arena);
}

static void a_socket_is_ready_for_a_worker(void **state)
{
	static const char *const addresses[][2] = { { "127.0.0.1:0", "127.0.0.1:" }, { "[::1]:0", "[::1]:" }, { "localhost:0", "" } };
	(void)state;
	struct arena arena;
	arena_init(&arena);
	for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
		int fd, again, listening = 0;
		socklen_t len = sizeof listening;
		const char *bound, *same;
		assert_int_equal(http_listen(addresses[i][0], &arena, &fd, &bound), 0);
		assert_memory_equal(bound, addresses[i][1], strlen(addresses[i][1]));
		assert_string_not_equal(strrchr(bound, ':'), ":0");
		assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len), 0);
		assert_int_equal(listening, 1);
		/* what is bound is bound for us alone */
		assert_int_equal(http_listen(bound, &arena, &again, &same), -EADDRINUSE);
		close(fd);
	}
	arena_done(&arena);
}

static void an_address_that_is_not_ours_is_refused(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	int fd;
	const char *bound;
	assert_int_equal(http_listen("192.0.2.1:0", &arena, &fd, &bound), -EADDRNOTAVAIL);
	arena_done(&arena);
}

static void limits_of_nothing_are_refused(void **state)
{
	(void)state;
	static const struct http_limits good = { .connections = 1,
						 .header_timeout_ms = 100,
						 .body_timeout_ms = 100,
						 .transfer_timeout_ms = 100,
						 .idle_timeout_ms = 100,
						 .target_max = 100,
						 .headers_max = 100 };
	struct http_limits limits[] = { good, good, good, good, good };
	limits[0].connections = 0;
	limits[1].header_timeout_ms = 0;
	limits[2].body_timeout_ms = 1;
	limits[3].transfer_timeout_ms = -1;
	limits[4].idle_timeout_ms = 0;
	struct http_callbacks callbacks = { .context = NULL };
	struct http_server *server = NULL;
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
		assert_int_equal(http_server_new(-1, &limits[i], &callbacks, &server), -EINVAL);
	assert_int_equal(http_server_new(99999, &good, &callbacks, &server), -EBADF);
	assert_null(server);
	http_server_free(server);
	assert_int_equal(http_server_new(-1, &good, &callbacks, &server), 0);
	http_server_quiesce(server);
	http_server_quiesce(server);
	assert_int_equal(http_server_connections(server), 0);
	http_server_free(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_taken_apart_strictly),
		cmocka_unit_test(a_socket_is_ready_for_a_worker),
		cmocka_unit_test(an_address_that_is_not_ours_is_refused),
		cmocka_unit_test(limits_of_nothing_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
