/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "rate.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { BUCKETS = 1 << 16, TOKEN_BITS = 26, WINDOW_SECONDS = 60 };

/* A bucket is one word: the time of its last change in milliseconds (38 bits) and the requests that were left then, in 1/64 (26 bits). */
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

static uint64_t left_at(uint64_t word, uint64_t full, uint64_t limit, uint64_t now_ms)
{
	if (word == 0)
		return full;
	uint64_t then_ms = word >> TOKEN_BITS, left = word & ((1u << TOKEN_BITS) - 1);
	uint64_t passed = now_ms > then_ms ? now_ms - then_ms : 0;
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
	return (struct rate_verdict){ .allowed = allowed, .limit = limit, .remaining = (long)(rest / 64), .reset_seconds = reset < 1 ? 1 : reset };
}

struct rate_verdict rate_look(struct rate_table *table, uint64_t key, long limit, int64_t now_us)
{
	uint64_t word = atomic_load_explicit(bucket_of(table, key), memory_order_relaxed);
	uint64_t left = left_at(word, (uint64_t)limit * 64, (uint64_t)limit, (uint64_t)now_us / 1000 + 1);
	return verdict_of(left, left >= 64, limit);
}

struct rate_verdict rate_take(struct rate_table *table, uint64_t key, long limit, int64_t now_us)
{
	uint64_t now_ms = (uint64_t)now_us / 1000 + 1;
	uint64_t full = (uint64_t)limit * 64;
	_Atomic uint64_t *bucket = bucket_of(table, key);
	uint64_t word = atomic_load_explicit(bucket, memory_order_relaxed);
	uint64_t left;
	bool allowed;
	do {
		left = left_at(word, full, (uint64_t)limit, now_ms);
		allowed = left >= 64;
		if (!allowed)
			break;
	} while (!atomic_compare_exchange_weak_explicit(bucket, &word, now_ms << TOKEN_BITS | (left - 64), memory_order_relaxed, memory_order_relaxed));
	return verdict_of(allowed ? left - 64 : left, allowed, limit);
}
