/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Counters of one worker, written by it alone and read by the admin listener: relaxed atomics. */
#ifndef WARDMOTE_METRICS_H
#define WARDMOTE_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "wardmote/arena.h"

/* Statuses that are counted on their own; anything else counts as "other". */
enum { METRIC_STATUSES = 32, METRIC_BUCKETS = 14 };

struct route_metrics {
	_Atomic uint64_t statuses[METRIC_STATUSES];
	_Atomic uint64_t buckets[METRIC_BUCKETS]; /* not cumulative; the last is +Inf */
	_Atomic uint64_t microseconds;
};

struct metrics {
	struct route_metrics *routes; /* by the catalog's order; then one for each method of requests without a route */
	size_t n_routes;
	_Atomic uint64_t refused; /* by the HTTP gate */
	_Atomic uint64_t limited; /* 429 */
	_Atomic uint64_t shed; /* 503 */
	_Atomic uint64_t exports, exports_cut, export_bytes;
};

/* The row of a request that no route takes; what it asked for is not told. */
#define METRICS_UNMATCHED "unmatched"
size_t metrics_unmatched(size_t routes, struct slice method);

int metrics_init(struct metrics *metrics, size_t routes);
void metrics_done(struct metrics *metrics);
void metrics_count(struct metrics *metrics, size_t route, int status, int64_t microseconds);

/* The text of the exposition format 0.0.4. */
struct server;
struct slice metrics_render(struct arena *arena, struct server *server);

#endif
