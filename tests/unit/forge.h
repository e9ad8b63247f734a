/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Tokens of any form, with real signatures: what an attacker with a stolen key, or a careless issuer, could make. */
#ifndef WARDMOTE_TESTS_FORGE_H
#define WARDMOTE_TESTS_FORGE_H

#include <openssl/evp.h>

#include "wardmote/auth.h"

/* A key folder in a fresh temporary directory, with its one signing key. */
struct forge {
	char folder[64];
	struct arena arena;
	struct auth_keys *keys;
	const char *kid;
	EVP_PKEY *key;
};

void forge_init(struct forge *forge);
void forge_done(struct forge *forge);
/* The keys that are loaded stay. */
void forge_remove_folder(struct forge *forge);
/* The private key in a file of the folder. */
EVP_PKEY *forge_read_key(const char *folder, const char *kid);
/* base64url(header).base64url(payload).signature by `key` with `digest` ("SHA256"). For EC keys r and s, for RSA PKCS#1; for a NULL key an
 * empty signature. */
const char *forge_token(struct forge *forge, const char *header, const char *payload, EVP_PKEY *key, const char *digest);
/* HS256 with these bytes as the secret. */
const char *forge_hmac(struct forge *forge, const char *header, const char *payload, struct slice secret);
const char *forge_base64url(struct arena *arena, struct slice bytes);
/* {"alg":"ES256","typ":"at+jwt","kid":...} */
const char *forge_header(struct forge *forge);

#endif
