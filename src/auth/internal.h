/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the files of this folder share: the key set and base64url. */
#ifndef WARDMOTE_AUTH_INTERNAL_H
#define WARDMOTE_AUTH_INTERNAL_H

#include <stdatomic.h>
#include <stdio.h>

#include "wardmote/auth.h"

enum {
	KEYS_MAX = 16,
	KID_TEXT = 44, /* base64url of a SHA-256, with its NUL */
	COORDINATE_LEN = 32, /* P-256 */
	CURSOR_KEY_LEN = 32,
	TAGS_SECRET_LEN = 192,
	KEY_FILE_MAX = 16 << 10,
	SIGNATURE_LEN = 64, /* r and s */
	PEM_MAX = 1024, /* a private P-256 key as PEM, with its NUL */
	SIGN_DELAY_SECONDS = 600, /* a further key is published this long before it signs: every node has read it by then */
};

struct auth_key {
	char kid[KID_TEXT];
	int64_t signs_from;
	unsigned char x[COORDINATE_LEN], y[COORDINATE_LEN];
	/* Written anew from the parsed key. */
	char private_pem[PEM_MAX];
};

struct auth_keys {
	atomic_size_t refs;
	size_t n;
	struct auth_key keys[KEYS_MAX]; /* by signs_from, then kid */
	unsigned char cursor[CURSOR_KEY_LEN];
	unsigned char tags[TAGS_SECRET_LEN]; /* made of it */
};

/* The key that signs now: the newest that may, else (clocks disagree) the oldest. */
const struct auth_key *auth_keys_signing(const struct auth_keys *keys, int64_t now);
/* NULL when there is none of this name. */
const struct auth_key *auth_keys_find(const struct auth_keys *keys, struct slice kid);

/* Base64url without padding. `ret_text` has room for the result and its NUL. */
void base64url_encode(char *ret_text, size_t size, const unsigned char *bytes, size_t len);
/* Canonical only: no padding, no foreign character, no stray bits. 0 or -EINVAL. */
int base64url_decode(unsigned char *ret_bytes, size_t size, struct slice text, size_t *ret_len);

/* The secret of auth_tag. */
void tags_secret(const unsigned char *cursor_key, unsigned char *ret_secret);

/* --- signing (sign.c) --- */
/* 0 or -ENOMEM. */
int sign_es256(const struct auth_key *key, struct slice text, unsigned char ret_signature[SIGNATURE_LEN]);

/* --- key files (keyfile.c) --- */
/* Parses and checks a PEM text: an unencrypted, valid private key on P-256. 0, or -EINVAL with why. */
int keyfile_parse(struct slice pem, struct auth_key *ret_key, const char **ret_why);
/* Makes a key; `ret_key` as if parsed. 0 or -EIO. */
int keyfile_generate(struct auth_key *ret_key);
/* Reads a whole file of a folder: regular, at most `max` bytes, mode 0600 or less. The text ends in NUL. 0 or negative errno with a message. */
int keyfile_read(int folder, const char *name, size_t max, struct arena *arena, struct slice *ret_text, int64_t *ret_modified,
		 const char **ret_error);
/* Writes a new file whole or not at all, mode 0600, never over another. 0, -EEXIST or another negative errno. */
int keyfile_write(int folder, const char *name, struct slice text);

#endif
