/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rate.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { BUCKETS = 1 << 16, TOKEN_BITS = 30, TIME_BITS = 64 - TOKEN_BITS, WINDOW_SECONDS = 60 };

/* A bucket is one word: the time of its last change in milliseconds (34 bits: 198 days, then from 0 again) and the requests that were
 * left then, in 1/64 (30 bits: some 16 million). */
struct rate_table {
	_Atomic uint64_t buckets[BUCKETS];
};

struct rate_table *rate_table_new(void)
{
	return calloc(1, sizeof(struct rate_table));
}

void rate_table_free(struct rate_table *table)
{
	free(table);
}

/* Threads read their clocks before they come here: who is a little behind would seem to be most of the circle ahead. */
static uint64_t passed_since(uint64_t word, uint64_t now_ms)
{
	const uint64_t circle = UINT64_C(1) << TIME_BITS;
	uint64_t passed = (now_ms - (word >> TOKEN_BITS)) & (circle - 1);
	return passed > circle - WINDOW_SECONDS * 1000 ? 0 : passed;
}

static uint64_t left_at(uint64_t word, uint64_t full, uint64_t limit, uint64_t passed)
{
	if (word == 0)
		return full;
	uint64_t left = word & ((UINT64_C(1) << TOKEN_BITS) - 1);
	if (passed > WINDOW_SECONDS * 1000)
		return full;
	left += passed * limit * 64 / (WINDOW_SECONDS * 1000);
	return left > full ? full : left;
}

static _Atomic uint64_t *bucket_of(struct rate_table *table, uint64_t key)
{
	uint64_t mixed = (key ^ (key >> 31)) * 0x9e3779b97f4a7c15u;
	return &table->buckets[mixed >> 48];
}

static struct rate_verdict verdict_of(uint64_t rest, bool allowed, long limit)
{
	uint64_t full = (uint64_t)limit * 64;
	uint64_t missing = allowed ? full - rest : 64 - rest;
	long reset = (long)((missing * WINDOW_SECONDS + full - 1) / full);
	return (struct rate_verdict){
		.allowed = allowed, .limit = limit, .remaining = (long)(rest / 64), .reset_seconds = reset < 1 ? 1 : reset
	};
}

struct rate_verdict rate_look(struct rate_table *table, uint64_t key, long limit, int64_t now_us)
{
	uint64_t word = atomic_load_explicit(bucket_of(table, key), memory_order_relaxed);
	uint64_t passed = passed_since(word, (uint64_t)now_us / 1000 + 1);
	uint64_t left = left_at(word, (uint64_t)limit * 64, (uint64_t)limit, passed);
	return verdict_of(left, left >= 64, limit);
}

struct rate_verdict rate_take(struct rate_table *table, uint64_t key, long limit, int64_t now_us)
{
	uint64_t now_ms = (uint64_t)now_us / 1000 + 1;
	uint64_t full = (uint64_t)limit * 64;
	_Atomic uint64_t *bucket = bucket_of(table, key);
	uint64_t word = atomic_load_explicit(bucket, memory_order_relaxed);
	uint64_t left, next;
	bool allowed;
	do {
		uint64_t passed = passed_since(word, now_ms);
		left = left_at(word, full, (uint64_t)limit, passed);
		allowed = left >= 64;
		if (!allowed)
			break;
		/* A bucket's time never goes back: the same moments would fill it twice. */
		uint64_t at_ms = word == 0 ? now_ms : (word >> TOKEN_BITS) + passed;
		next = at_ms << TOKEN_BITS | (left - 64);
	} while (!atomic_compare_exchange_weak_explicit(bucket, &word, next, memory_order_relaxed, memory_order_relaxed));
	return verdict_of(allowed ? left - 64 : left, allowed, limit);
}
