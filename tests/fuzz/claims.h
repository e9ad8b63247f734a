/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A second opinion on tokens. */
#ifndef WARDMOTE_FUZZ_CLAIMS_H
#define WARDMOTE_FUZZ_CLAIMS_H

#include "forge.h"

enum { CLAIMS_NOW = 1800000000, CLAIMS_LEEWAY = 30 };

/* A token that was accepted: libcrypto finds the key's signature over its first two parts, and the gate's rules, written again, allow its claims. */
void claims_check(struct forge *forge, struct slice token, const struct auth_policy *policy, const struct auth_claims *claims);

#endif
