/* SPDX-License-Identifier: AGPL-3.0-or-later */
#ifndef WARDMOTE_AUTH_JWK_H
#define WARDMOTE_AUTH_JWK_H

#include "jws.h"

/* The key and the one algorithm that it is for; NULL with what is wrong. What was stored passed auth_jwk_check. */
EVP_PKEY *jwk_key(const json_t *jwk, enum jws_algorithm *ret_algorithm, struct auth_jwk_fault *ret_fault);

#endif
