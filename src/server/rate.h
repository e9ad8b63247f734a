/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Rate limits: one fixed-size table of token buckets in atomics, shared by all workers. Keys that hash to one place share a bucket, which can
 * only make a limit stricter for two callers out of tens of thousands. */
#ifndef WARDMOTE_RATE_H
#define WARDMOTE_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct rate_table;

struct rate_verdict {
	bool allowed;
	long limit; /* requests a minute */
	long remaining;
	long reset_seconds; /* until one more is allowed (refused), or until the bucket is full again */
};

/* NULL: no memory. */
struct rate_table *rate_table_new(void);
void rate_table_free(struct rate_table *table);
/* Takes one request from the bucket of `key`, which holds at most `limit` and fills at limit/60 a second. */
struct rate_verdict rate_take(struct rate_table *table, uint64_t key, long limit, int64_t now_us);
/* The same verdict without taking one. */
struct rate_verdict rate_look(struct rate_table *table, uint64_t key, long limit, int64_t now_us);

#endif
