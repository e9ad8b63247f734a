/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A second, strict parser of HTTP: which requests a stream of bytes holds. */
#ifndef WARDMOTE_FUZZ_STRICT_H
#define WARDMOTE_FUZZ_STRICT_H

#include "wardmote/slice.h"

enum { STRICT_MAX = 64 };

struct strict_request {
	struct slice method, target;
	size_t body_len; /* SIZE_MAX: the stream ends within the body */
	unsigned body_sum;
};

struct strict {
	struct strict_request requests[STRICT_MAX];
	size_t n; /* up to the first byte that is not HTTP */
};

void strict_parse(struct slice stream, struct strict *strict);
/* A sum over bytes that may come in pieces; starts with 0. */
unsigned strict_sum(unsigned sum, struct slice bytes);

#endif
