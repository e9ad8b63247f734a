/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The only code that knows libsodium and libcrypto: signing keys, access tokens behind a strict gate, the cache of verified tokens, the keys and assertions
 * of clients, sealed cursors, secrets, passwords on one helper thread. It knows neither HTTP nor SQL; statements that issue tokens are in
 * src/resources/accounts and are driven by src/server. */
#ifndef WARDMOTE_AUTH_H
#define WARDMOTE_AUTH_H

#include <stdint.h>

#include "wardmote/arena.h"
#include "wardmote/resource.h"

/* Before anything else, where want of memory is to be told from everything else that can fail (the server). */
void auth_start(void);

enum { UUID_TEXT = 37, AUTH_SCOPES_MAX = 512, AUTH_CLIENT_MAX = 63 };

/* --- key folder: signing keys as PEM files (0600) named <kid>.pem, kid = RFC 7638 thumbprint; cursor.key: 32 bytes --- */
struct auth_keys; /* const after loading; reference-counted, swapped whole on reload */

/* Loads the folder; refuses encrypted or wrong keys, wider modes than 0600, RSA, other curves than P-256. 0 or negative errno with a message. */
int auth_keys_load(const char *folder, struct arena *arena, struct auth_keys **ret_keys, const char **ret_error);
struct auth_keys *auth_keys_ref(struct auth_keys *keys);
void auth_keys_unref(struct auth_keys *keys);
/* Makes what a folder lacks (first start) or a further signing key (`wardmote key rotate`): published at once, used for signing from 10 minutes on
 * (at once when it is the first), dropped `retire_seconds` after a newer one started to sign. */
int auth_keys_create(const char *folder, struct arena *arena, const char **ret_kid, const char **ret_error);
int auth_keys_retire(const char *folder, long retire_seconds, struct arena *arena, const char **ret_error);
/* The JWKS document (RFC 7517). */
struct slice auth_jwks(struct arena *arena, const struct auth_keys *keys);

/* --- access tokens --- */
struct auth_claims {
	char account[UUID_TEXT]; /* sub */
	char partner[UUID_TEXT];
	char session[UUID_TEXT]; /* sid; empty for client_credentials */
	char jti[UUID_TEXT];
	char client_id[64];
	enum caller role;
	bool person;
	long epoch; /* account's epoch when issued */
	int64_t issued, expires; /* seconds */
	bool scoped; /* false: no scope claim, everything the role allows */
	char scopes[AUTH_SCOPES_MAX]; /* space separated */
};

/* May a token with these claims use this scope? */
bool auth_has_scope(const struct auth_claims *claims, const char *scope);

struct auth_policy {
	const char *issuer, *audience;
	long leeway_seconds; /* 30 */
	/* NULL, or what an assertion's aud may be beside the issuer: old clients send the URL of the token endpoint. */
	const char *token_endpoint;
};

/* Signs with the newest key that may sign. 0 or negative errno; -ENOMEM says nothing of the claims. */
int auth_token_sign(struct arena *arena, const struct auth_keys *keys, const struct auth_policy *policy, const struct auth_claims *claims,
		    const char **ret_token);
/* Verifies through the gate: length and alphabet, canonical base64url, no duplicate members, exact algorithm and key by kid, no crit/jku/x5u/jwk/
 * x5c/b64/zip, typed iss aud exp nbf iat sub jti token_use. 0, -EACCES, or -ENOMEM (nothing is known of the token); `ret_why` is a constant code for logs, never the token's text. */
int auth_token_verify(const struct auth_keys *keys, const struct auth_policy *policy, struct slice token, int64_t now,
		      struct auth_claims *ret_claims, const char **ret_why);

/* Bounded cache of verified tokens, one per worker, keyed by BLAKE2b-256 of the token. Looks up first, verifies on a miss. Entries of another key set
 * than `keys` are dropped. Time claims are checked each time. */
struct auth_cache;
int auth_cache_new(size_t entries, struct auth_cache **ret_cache);
void auth_cache_free(struct auth_cache *cache);
int auth_cache_verify(struct auth_cache *cache, struct auth_keys *keys, const struct auth_policy *policy, struct slice token, int64_t now,
		      const struct auth_claims **ret_claims, const char **ret_why);
/* The same without a verification: -ENOENT where it would take one. */
int auth_cache_find(struct auth_cache *cache, struct auth_keys *keys, const struct auth_policy *policy, struct slice token, int64_t now,
		    const struct auth_claims **ret_claims, const char **ret_why);
/* The database did not know the account at this epoch any more. */
void auth_cache_drop(struct auth_cache *cache, struct slice token);
void auth_cache_stats(const struct auth_cache *cache, uint64_t *ret_hits, uint64_t *ret_misses);

/* --- clients' own keys, and the assertions that they sign with them (RFC 7523) --- */
struct auth_jwk_fault {
	const char *member, *code, *detail;
};

/* Is this JSON object a public key that a client may sign with: RSA of 2,048 to 4,096 bits for RS256 or PS256, P-256 for ES256, Ed25519? 0; -EINVAL with what is
 * wrong, or -ENOMEM. */
int auth_jwk_check(struct slice text, struct auth_jwk_fault *ret_fault);

struct auth_assertion {
	const char *client_id;
	const char *kid; /* NULL: it names none */
	const char *digest; /* SHA-256 of client and jti, in hex: it counts once */
	int64_t expires; /* seconds */
	int algorithm;
	struct slice signed_text;
	const unsigned char *signature;
	size_t signature_len;
};

/* All that an assertion shows by itself. 0, -EACCES with what is wrong, for its sender to read, or -ENOMEM. It refers to `text`. */
int auth_assertion_parse(struct arena *arena, const struct auth_policy *policy, struct slice text, int64_t now,
			 struct auth_assertion *ret_assertion, const char **ret_why);
/* Was it signed with this key (a JWK that passed auth_jwk_check) and that key's algorithm? Without a key (len 0) it never was, and that takes as long. 0, -EACCES
 * or -ENOMEM. */
int auth_assertion_verify(const struct auth_assertion *assertion, struct slice key);

/* --- sealing (cursors): XSalsa20-Poly1305 with the key folder's cursor key, base64url; the same text gives the same seal --- */
struct slice auth_seal(struct arena *arena, const struct auth_keys *keys, struct slice plain);
int auth_unseal(struct arena *arena, const struct auth_keys *keys, struct slice sealed, struct slice *ret_plain);

/* --- randomness, hashes --- */
/* 256 random bits in base64url with a prefix: "wms_..." (43 characters after it). */
const char *auth_secret(struct arena *arena, const char *prefix);
/* SHA-256 as 64 hex digits (secrets are random, so a plain hash is enough). */
const char *auth_sha256(struct arena *arena, struct slice text);
/* 64 bits of BLAKE2b over several parts, for ETags. */
uint64_t auth_hash(const struct slice *parts, size_t n);
/* The same for long texts, 20 times as quick: XXH3 with a secret made of the cursor key, without which nobody can aim at two texts of one tag. */
uint64_t auth_tag(const struct auth_keys *keys, const struct slice *parts, size_t n);
const char *auth_uuid(struct arena *arena); /* UUIDv7 */
/* The same from random bytes that were drawn for many at once: for ids that need be no secret. Zero-initialise it. */
struct auth_draw {
	size_t left;
	unsigned char bytes[500];
};
void auth_uuid_drawn(struct auth_draw *draw, char ret_uuid[UUID_TEXT]);

/* --- passwords: argon2id (19 MiB, t=2, p=1) on one helper thread per process with a queue of 16 --- */
struct auth_hasher;
enum auth_hash_result { AUTH_HASH_MATCH, AUTH_HASH_MISMATCH, AUTH_HASH_MADE, AUTH_HASH_FAILED };

struct auth_hash_job {
	/* filled by the caller; strings live until done */
	struct slice password;
	const char *stored; /* hash to compare with; NULL: make one */
	int wake_fd; /* eventfd of the worker; written when the job is finished */
	/* filled by the helper before the wake-up */
	enum auth_hash_result result;
	char hash[128];
	/* the worker takes finished jobs with auth_hasher_take */
	void *context;
	struct auth_hash_job *next;
};

int auth_hasher_new(struct auth_hasher **ret_hasher);
void auth_hasher_free(struct auth_hasher *hasher);
/* 0, or -EAGAIN when the queue is full (503). */
int auth_hasher_submit(struct auth_hasher *hasher, struct auth_hash_job *job);
/* The next finished job of this worker (by its wake_fd), or NULL. */
struct auth_hash_job *auth_hasher_take(struct auth_hasher *hasher, int wake_fd);
/* A valid hash of nothing: compared when the login does not exist, so that the time is the same. */
const char *auth_hasher_decoy(void);

#endif
