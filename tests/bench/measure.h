/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What all of this directory's clocks and medians are made of. */
#ifndef MEASURE_H
#define MEASURE_H

#include <time.h>

static inline double now_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

/* For qsort(), of doubles. */
static inline int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

#endif
