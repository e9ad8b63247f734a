/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Calls of src/auth into the libraries below it, which fail on demand (wrapped.c); nothing fails that is not armed. */
#ifndef WARDMOTE_TESTS_WRAPPED_H
#define WARDMOTE_TESTS_WRAPPED_H

#include <stdbool.h>

/* From now on the call after `calls` more fails with this errno, and with `forever` each after it; `only` names the one function that counts, or NULL. */
void wrapped_arm(const char *only, long calls, int error, bool forever);
/* Nothing fails any more. Was there such a call? */
bool wrapped_disarm(void);

#endif
