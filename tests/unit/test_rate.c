/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Token buckets: a full one at first, a request less each time, filled again by the clock, and right when many threads take from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "rate.h"

enum { SECOND_US = 1000000, START_US = 1000 * SECOND_US };

static int set_up(void **state)
{
	*state = rate_table_new();
	return *state == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	rate_table_free(*state);
	return 0;
}

static void a_burst_takes_all_and_no_more(void **state)
{
	for (long i = 0; i < 10; i++) {
		struct rate_verdict verdict = rate_take(*state, 1, 10, START_US);
		assert_true(verdict.allowed);
		assert_int_equal(verdict.limit, 10);
		assert_int_equal(verdict.remaining, 9 - i);
		/* Ten a minute is one in six seconds: so long until it is full again. */
		assert_int_equal(verdict.reset_seconds, 6 * (i + 1));
	}
	struct rate_verdict verdict = rate_take(*state, 1, 10, START_US);
	assert_false(verdict.allowed);
	assert_int_equal(verdict.remaining, 0);
	assert_int_equal(verdict.reset_seconds, 6);
}

static void a_refused_request_costs_nothing(void **state)
{
	for (int i = 0; i < 10; i++)
		assert_true(rate_take(*state, 1, 10, START_US).allowed);
	/* Somebody who keeps knocking is let in as soon as somebody who waits. */
	for (int64_t at = START_US; at < START_US + 6 * SECOND_US; at += SECOND_US / 2)
		assert_false(rate_take(*state, 1, 10, at).allowed);
	assert_true(rate_take(*state, 1, 10, START_US + 6 * SECOND_US).allowed);
	assert_false(rate_take(*state, 1, 10, START_US + 6 * SECOND_US).allowed);
}

static void what_the_answer_promises_is_kept(void **state)
{
	for (long limit = 1; limit <= 100000; limit = limit * 3 + 1) {
		uint64_t key = (uint64_t)limit * 7919;
		for (long i = 0; i < limit; i++)
			assert_true(rate_take(*state, key, limit, START_US).allowed);
		struct rate_verdict refused = rate_take(*state, key, limit, START_US);
		assert_false(refused.allowed);
		assert_in_range(refused.reset_seconds, 1, 60);
		assert_true(rate_take(*state, key, limit, START_US + refused.reset_seconds * SECOND_US).allowed);
	}
}

static void it_is_full_after_a_minute_and_never_fuller(void **state)
{
	for (int i = 0; i < 7; i++)
		assert_true(rate_take(*state, 1, 7, START_US).allowed);
	for (int round = 1; round <= 3; round++) {
		int64_t now_us = START_US + (int64_t)round * 3600 * SECOND_US;
		for (int i = 0; i < 7; i++)
			assert_true(rate_take(*state, 1, 7, now_us).allowed);
		assert_false(rate_take(*state, 1, 7, now_us).allowed);
	}
}

static void an_empty_bucket_stays_empty_for_a_clock_behind(void **state)
{
	for (int i = 0; i < 5; i++)
		assert_true(rate_take(*state, 1, 5, START_US).allowed);
	/* Another thread read its clock a moment earlier. */
	assert_false(rate_take(*state, 1, 5, START_US - 5000).allowed);
	assert_false(rate_take(*state, 1, 5, START_US).allowed);
}

static void a_steady_client_gets_its_rate(void **state)
{
	/* 60 a minute; one asks four times a second for ten minutes: the burst, then one a second. */
	int allowed = 0;
	for (int i = 0; i < 4 * 600; i++)
		allowed += rate_take(*state, 1, 60, START_US + i * (int64_t)SECOND_US / 4).allowed;
	assert_in_range(allowed, 60 + 595, 60 + 600);
}

static void the_largest_limit_is_counted(void **state)
{
	enum { MOST = 10000000 }; /* what the settings allow */
	for (long i = 1; i <= 3; i++)
		assert_int_equal(rate_take(*state, 1, MOST, START_US).remaining, MOST - i);
	for (long i = 4; i <= MOST; i++)
		assert_true(rate_take(*state, 1, MOST, START_US).allowed);
	assert_false(rate_take(*state, 1, MOST, START_US).allowed);
}

static void a_clock_behind_by_moments_gives_nothing(void **state)
{
	/* Requests that come in turn from two threads, of which one reads its clock a little earlier: ten a second for a second are not more. */
	int allowed = 0;
	for (int i = 0; i < 2000; i++)
		allowed += rate_take(*state, 1, 600, START_US + i * 500 - (i % 2) * 20000).allowed;
	assert_in_range(allowed, 600, 611);
}

static void limits_hold_on_machines_that_run_for_years(void **state)
{
	const int64_t day_us = INT64_C(86400) * SECOND_US;
	for (int64_t day = 1; day < 4000; day += 3) {
		for (int i = 0; i < 5; i++)
			assert_true(rate_take(*state, 1, 5, day * day_us).allowed);
		assert_false(rate_take(*state, 1, 5, day * day_us).allowed);
		assert_false(rate_take(*state, 1, 5, day * day_us + SECOND_US).allowed);
	}
}

static void who_comes_back_is_let_in(void **state)
{
	const int64_t day_us = INT64_C(86400) * SECOND_US;
	for (int64_t away = 1; away < 400; away++) {
		uint64_t key = (uint64_t)away * 7919;
		assert_true(rate_take(*state, key, 1, START_US).allowed);
		assert_false(rate_take(*state, key, 1, START_US).allowed);
		assert_true(rate_take(*state, key, 1, START_US + away * day_us).allowed);
		assert_false(rate_take(*state, key, 1, START_US + away * day_us).allowed);
	}
}

static void looking_takes_nothing(void **state)
{
	assert_int_equal(rate_look(*state, 1, 3, START_US).remaining, 3);
	for (int i = 2; i >= 0; i--) {
		assert_true(rate_look(*state, 1, 3, START_US).allowed);
		rate_take(*state, 1, 3, START_US);
		assert_int_equal(rate_look(*state, 1, 3, START_US).remaining, i);
	}
	assert_false(rate_look(*state, 1, 3, START_US).allowed);
	assert_false(rate_look(*state, 1, 3, START_US + 19 * (int64_t)SECOND_US).allowed);
	assert_true(rate_look(*state, 1, 3, START_US + 21 * (int64_t)SECOND_US).allowed);
}

static void keys_do_not_share(void **state)
{
	assert_true(rate_take(*state, 1, 1, START_US).allowed);
	assert_false(rate_take(*state, 1, 1, START_US).allowed);
	int shared = 0;
	for (uint64_t key = 2; key < 1002; key++)
		shared += !rate_take(*state, key, 1, START_US).allowed;
	/* Keys hash to 65,536 places: of a thousand some seven meet another. */
	assert_in_range(shared, 0, 40);
}

enum { THREADS = 4, TRIES = 5000, LIMIT = 10000 };

struct crowd {
	struct rate_table *table;
	atomic_int allowed;
};

static void *take_many(void *context)
{
	struct crowd *crowd = context;
	for (int i = 0; i < TRIES; i++)
		atomic_fetch_add(&crowd->allowed, rate_take(crowd->table, 1, LIMIT, START_US).allowed);
	return NULL;
}

static void threads_take_each_request_once(void **state)
{
	struct crowd crowd = { .table = *state };
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_many, &crowd), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&crowd.allowed), LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_burst_takes_all_and_no_more, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_refused_request_costs_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_the_answer_promises_is_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(it_is_full_after_a_minute_and_never_fuller, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_empty_bucket_stays_empty_for_a_clock_behind, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_steady_client_gets_its_rate, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_largest_limit_is_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_clock_behind_by_moments_gives_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(limits_hold_on_machines_that_run_for_years, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_comes_back_is_let_in, set_up, tear_down),
		cmocka_unit_test_setup_teardown(looking_takes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keys_do_not_share, set_up, tear_down),
		cmocka_unit_test_setup_teardown(threads_take_each_request_once, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
