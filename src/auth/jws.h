/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What access tokens and assertions have in common (RFC 7515): their parts, and signatures through libcrypto. */
#ifndef WARDMOTE_AUTH_JWS_H
#define WARDMOTE_AUTH_JWS_H

#include <jansson.h>
#include <openssl/evp.h>

#include "internal.h"

enum {
	JWS_MAX = 4096, /* characters of a whole one */
	JWS_SIGNATURE_MAX = 512, /* RSA of 4,096 bits */
};

/* Ed25519 has two names: EdDSA (RFC 8037) and its own (RFC 9864). */
enum jws_algorithm { JWS_UNKNOWN, JWS_ES256, JWS_RS256, JWS_PS256, JWS_ED25519, JWS_ALGORITHMS };

struct jws_parts {
	struct slice header, payload, signature;
	struct slice signed_text; /* header, dot, payload */
};

/* At most JWS_MAX characters of the alphabet, with two dots. 0 or -EINVAL. */
int jws_split(struct slice text, struct jws_parts *ret_parts);
/* One part as a JSON object without duplicate members; NULL when it is anything else. `space` holds its bytes. */
json_t *jws_object(struct slice part, unsigned char *space, size_t size);
bool jws_member_is(const json_t *object, const char *name, const char *expected);
/* A whole number of seconds from 1 to the end of the year 9999. */
bool jws_time(const json_t *object, const char *name, int64_t *ret_time);
/* By its exact name. */
enum jws_algorithm jws_algorithm(const char *name);
/* Was this signed by the private half of this key, with this algorithm? */
bool jws_verify(enum jws_algorithm algorithm, EVP_PKEY *key, struct slice text, const unsigned char *signature, size_t len);
/* The public key of a point on P-256, or NULL. */
EVP_PKEY *jws_point(const unsigned char x[COORDINATE_LEN], const unsigned char y[COORDINATE_LEN]);

#endif
