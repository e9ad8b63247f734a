/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Latencies in microseconds, each counted in a step that is right within 1.6 % (64 steps for each power of two: the form of an HDR histogram). */
#ifndef WARDMOTE_BENCH_HISTOGRAM_H
#define WARDMOTE_BENCH_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEP_BITS = 6, HISTOGRAM_STEPS = 26 << HISTOGRAM_STEP_BITS };

struct histogram {
	uint64_t counts[HISTOGRAM_STEPS];
	uint64_t n;
	int64_t max_us;
};

void histogram_add(struct histogram *histogram, int64_t us);
/* Milliseconds below which that part of the latencies lies. */
double histogram_percentile(const struct histogram *histogram, double part);
/* A member of a JSON object: "name":{"n", "p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms"}. */
void histogram_print(const char *name, const struct histogram *histogram);

#endif
