/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The helper thread: right verdicts, each to its own worker, and no more than it can hold. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "wardmote/auth.h"

struct fixture {
	struct auth_hasher *hasher;
	int fds[2];
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	assert_int_equal(auth_hasher_new(&fixture->hasher), 0);
	for (int i = 0; i < 2; i++)
		fixture->fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	auth_hasher_free(fixture->hasher);
	auth_hasher_free(NULL);
	close(fixture->fds[0]);
	close(fixture->fds[1]);
	free(fixture);
	return 0;
}

/* Waits for the next finished job of a worker, as its loop does. */
static struct auth_hash_job *next_job(struct fixture *fixture, int worker)
{
	for (;;) {
		struct auth_hash_job *job = auth_hasher_take(fixture->hasher, fixture->fds[worker]);
		if (job != NULL)
			return job;
		struct pollfd ready = { .fd = fixture->fds[worker], .events = POLLIN };
		assert_int_equal(poll(&ready, 1, 30000), 1);
		uint64_t count;
		assert_int_equal(read(fixture->fds[worker], &count, sizeof(count)), sizeof(count));
	}
}

static struct auth_hash_job run(struct fixture *fixture, const char *password, const char *stored)
{
	struct auth_hash_job job = { .password = slice_of(password), .stored = stored, .wake_fd = fixture->fds[0] };
	assert_int_equal(auth_hasher_submit(fixture->hasher, &job), 0);
	assert_ptr_equal(next_job(fixture, 0), &job);
	assert_null(auth_hasher_take(fixture->hasher, fixture->fds[0]));
	return job;
}

static void test_make_and_compare(void **state)
{
	struct auth_hash_job made = run(*state, "correct horse battery staple", NULL);
	assert_int_equal(made.result, AUTH_HASH_MADE);
	assert_memory_equal(made.hash, "$argon2id$v=19$m=19456,t=2,p=1$", 31);
	assert_int_equal(run(*state, "correct horse battery staple", made.hash).result, AUTH_HASH_MATCH);
	assert_int_equal(run(*state, "correct horse battery stable", made.hash).result, AUTH_HASH_MISMATCH);
	assert_int_equal(run(*state, "", made.hash).result, AUTH_HASH_MISMATCH);
	assert_int_equal(run(*state, "x", "not a hash").result, AUTH_HASH_MISMATCH);
	struct auth_hash_job again = run(*state, "correct horse battery staple", NULL);
	assert_string_not_equal(again.hash, made.hash);
}

static void test_the_decoy_costs_the_same_and_matches_nothing(void **state)
{
	assert_memory_equal(auth_hasher_decoy(), "$argon2id$v=19$m=19456,t=2,p=1$", 31);
	assert_int_equal(run(*state, "", auth_hasher_decoy()).result, AUTH_HASH_MISMATCH);
	assert_int_equal(run(*state, "password", auth_hasher_decoy()).result, AUTH_HASH_MISMATCH);
}

static void test_each_worker_gets_its_own(void **state)
{
	struct fixture *fixture = *state;
	struct auth_hash_job jobs[6];
	for (int i = 0; i < 6; i++) {
		jobs[i] = (struct auth_hash_job){ .password = SLICE("p"), .wake_fd = fixture->fds[i % 2] };
		assert_int_equal(auth_hasher_submit(fixture->hasher, &jobs[i]), 0);
	}
	/* The second worker first: its jobs lie between the other's. */
	for (int i = 1; i < 6; i += 2)
		assert_ptr_equal(next_job(fixture, 1), &jobs[i]);
	for (int i = 0; i < 6; i += 2)
		assert_ptr_equal(next_job(fixture, 0), &jobs[i]);
}

static void test_a_full_queue_refuses(void **state)
{
	struct fixture *fixture = *state;
	enum { MANY = 40 };
	struct auth_hash_job jobs[MANY];
	int taken = 0;
	for (int i = 0; i < MANY; i++) {
		jobs[i] = (struct auth_hash_job){ .password = SLICE("p"), .wake_fd = fixture->fds[0] };
		int r = auth_hasher_submit(fixture->hasher, &jobs[i]);
		assert_true(r == 0 || r == -EAGAIN);
		taken += r == 0;
	}
	/* 16 wait; one or more were done meanwhile. */
	assert_in_range(taken, 16, MANY - 1);
	for (int i = 0; i < taken; i++)
		assert_int_equal(next_job(fixture, 0)->result, AUTH_HASH_MADE);
	assert_null(auth_hasher_take(fixture->hasher, fixture->fds[0]));
}

static void test_stops_with_jobs_waiting(void **state)
{
	struct fixture *fixture = *state;
	struct auth_hash_job jobs[8];
	for (int i = 0; i < 8; i++) {
		jobs[i] = (struct auth_hash_job){ .password = SLICE("p"), .wake_fd = fixture->fds[0] };
		assert_int_equal(auth_hasher_submit(fixture->hasher, &jobs[i]), 0);
	}
	auth_hasher_free(fixture->hasher);
	assert_int_equal(auth_hasher_new(&fixture->hasher), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_make_and_compare, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_decoy_costs_the_same_and_matches_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_worker_gets_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_full_queue_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stops_with_jobs_waiting, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
