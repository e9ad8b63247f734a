/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "histogram.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

enum { STEP_BITS = HISTOGRAM_STEP_BITS, STEPS = 1 << STEP_BITS };

static size_t step_of(int64_t us)
{
	uint64_t value = us < 0 ? 0 : (uint64_t)us;
	if (value < STEPS)
		return (size_t)value;
	unsigned shift = (unsigned)(63 - __builtin_clzll(value)) - STEP_BITS;
	size_t step = (size_t)(shift + 1) * STEPS + (size_t)((value >> shift) - STEPS);
	return step < HISTOGRAM_STEPS ? step : HISTOGRAM_STEPS - 1;
}

static double step_ms(size_t step)
{
	if (step < STEPS)
		return (double)step / 1e3;
	size_t shift = step / STEPS - 1;
	return (double)((STEPS + step % STEPS) << shift) / 1e3;
}

void histogram_add(struct histogram *histogram, int64_t us)
{
	histogram->counts[step_of(us)]++;
	histogram->n++;
	if (us > histogram->max_us)
		histogram->max_us = us;
}

double histogram_percentile(const struct histogram *histogram, double part)
{
	uint64_t wanted = (uint64_t)((double)histogram->n * part), seen = 0;
	for (size_t step = 0; step < HISTOGRAM_STEPS; step++) {
		seen += histogram->counts[step];
		if (seen > wanted)
			return step_ms(step);
	}
	return (double)histogram->max_us / 1e3;
}

void histogram_print(const char *name, const struct histogram *histogram)
{
	printf("\"%s\":{\"n\":%" PRIu64 ",\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"max_ms\":%.3f}", name,
	       histogram->n, histogram_percentile(histogram, 0.5), histogram_percentile(histogram, 0.9),
	       histogram_percentile(histogram, 0.99), histogram_percentile(histogram, 0.999), (double)histogram->max_us / 1e3);
}
