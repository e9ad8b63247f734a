/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Time. Deadlines use the monotonic clock; only tokens, logs and Date use the wall clock. */
#ifndef WARDMOTE_CLOCK_H
#define WARDMOTE_CLOCK_H

#include <stdint.h>

int64_t clock_monotonic_us(void);
int64_t clock_wall_us(void); /* since 1970-01-01T00:00:00Z */
static inline int64_t clock_wall_seconds(void)
{
	return clock_wall_us() / 1000000;
}

#endif
