/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Randomness, hashes, base64url, sealed texts: thin over libsodium, and libxxhash for what needs speed. */
#include <errno.h>
#include <stdlib.h>

#include <sodium.h>

#define XXH_INLINE_ALL /* the type of its state is no part of its library's interface */
#include <xxhash.h>

#include "internal.h"
#include "wardmote/clock.h"

void base64url_encode(char *ret_text, size_t size, const unsigned char *bytes, size_t len)
{
	sodium_bin2base64(ret_text, size, bytes, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

int base64url_decode(unsigned char *ret_bytes, size_t size, struct slice text, size_t *ret_len)
{
	/* Strict by itself: without characters to ignore and with no end pointer it takes the whole text or nothing, and no stray bits. */
	if (sodium_base642bin(ret_bytes, size, text.ptr, text.len, NULL, ret_len, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
		return -EINVAL;
	return 0;
}

struct slice auth_seal(struct arena *arena, const struct auth_keys *keys, struct slice plain)
{
	size_t len = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + plain.len;
	unsigned char *box = arena_alloc(arena, len);
	/* The nonce is a keyed hash of the text: equal texts give equal cursors, so that the ETag of a list that did not change stays; different texts
	 * never share one. */
	crypto_generichash(box, crypto_secretbox_NONCEBYTES, (const unsigned char *)plain.ptr, plain.len, keys->cursor,
			   sizeof keys->cursor);
	crypto_secretbox_easy(box + crypto_secretbox_NONCEBYTES, (const unsigned char *)plain.ptr, plain.len, box, keys->cursor);
	size_t size = sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	char *text = arena_alloc(arena, size);
	base64url_encode(text, size, box, len);
	return (struct slice){ text, size - 1 };
}

int auth_unseal(struct arena *arena, const struct auth_keys *keys, struct slice sealed, struct slice *ret_plain)
{
	size_t len;
	unsigned char *box = arena_alloc(arena, sealed.len + 1);
	if (base64url_decode(box, sealed.len, sealed, &len) != 0 || len < crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES)
		return -EINVAL;
	size_t plain_len = len - crypto_secretbox_NONCEBYTES - crypto_secretbox_MACBYTES;
	unsigned char *plain = arena_alloc(arena, plain_len + 1);
	if (crypto_secretbox_open_easy(plain, box + crypto_secretbox_NONCEBYTES, len - crypto_secretbox_NONCEBYTES, box, keys->cursor) != 0)
		return -EINVAL;
	*ret_plain = (struct slice){ (const char *)plain, plain_len };
	return 0;
}

const char *auth_secret(struct arena *arena, const char *prefix)
{
	unsigned char bytes[32];
	char text[sodium_base64_ENCODED_LEN(sizeof(bytes), sodium_base64_VARIANT_URLSAFE_NO_PADDING)];
	randombytes_buf(bytes, sizeof(bytes));
	base64url_encode(text, sizeof(text), bytes, sizeof(bytes));
	const char *secret = arena_printf(arena, "%s%s", prefix, text);
	sodium_memzero(bytes, sizeof(bytes));
	sodium_memzero(text, sizeof(text));
	return secret;
}

const char *auth_sha256(struct arena *arena, struct slice text)
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256(hash, (const unsigned char *)text.ptr, text.len);
	char *hex = arena_alloc(arena, 2 * sizeof(hash) + 1);
	return sodium_bin2hex(hex, 2 * sizeof(hash) + 1, hash, sizeof(hash));
}

uint64_t auth_hash(const struct slice *parts, size_t n)
{
	crypto_generichash_state state;
	unsigned char hash[crypto_generichash_BYTES_MIN];
	crypto_generichash_init(&state, NULL, 0, sizeof(hash));
	for (size_t i = 0; i < n; i++) {
		/* With its length, so that "ab","c" and "a","bc" differ. */
		uint64_t len = parts[i].len;
		crypto_generichash_update(&state, (const unsigned char *)&len, sizeof(len));
		crypto_generichash_update(&state, (const unsigned char *)parts[i].ptr, parts[i].len);
	}
	crypto_generichash_final(&state, hash, sizeof(hash));
	uint64_t value;
	memcpy(&value, hash, sizeof(value));
	return value;
}

_Static_assert(TAGS_SECRET_LEN >= XXH3_SECRET_SIZE_MIN && CURSOR_KEY_LEN == randombytes_SEEDBYTES, "the lengths that the libraries take");

void tags_secret(const unsigned char *cursor_key, unsigned char *ret_secret)
{
	static const char purpose[] = "tags of representations";
	unsigned char seed[randombytes_SEEDBYTES];
	crypto_generichash(seed, sizeof seed, (const unsigned char *)purpose, sizeof purpose, cursor_key, CURSOR_KEY_LEN);
	randombytes_buf_deterministic(ret_secret, TAGS_SECRET_LEN, seed);
	sodium_memzero(seed, sizeof seed);
}

uint64_t auth_tag(const struct auth_keys *keys, const struct slice *parts, size_t n)
{
	XXH3_state_t state;
	XXH3_64bits_reset_withSecret(&state, keys->tags, sizeof keys->tags);
	for (size_t i = 0; i < n; i++) {
		uint64_t len = parts[i].len;
		XXH3_64bits_update(&state, &len, sizeof len);
		XXH3_64bits_update(&state, parts[i].ptr, parts[i].len);
	}
	return XXH3_64bits_digest(&state);
}

enum { UUID_RANDOM = 10 }; /* bytes; before them are six of the time */

static void write_uuid(const unsigned char *random, char *ret_text)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char b[16];
	uint64_t ms = (uint64_t)(clock_wall_us() / 1000);
	for (int i = 0; i < 6; i++)
		b[i] = (unsigned char)(ms >> (40 - 8 * i));
	memcpy(b + 6, random, UUID_RANDOM);
	b[6] = (unsigned char)(0x70 | (b[6] & 0x0f));
	b[8] = (unsigned char)(0x80 | (b[8] & 0x3f));
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*ret_text++ = '-';
		*ret_text++ = digits[b[i] >> 4];
		*ret_text++ = digits[b[i] & 15];
	}
	*ret_text = '\0';
}

const char *auth_uuid(struct arena *arena)
{
	unsigned char random[UUID_RANDOM];
	char *text = arena_alloc(arena, UUID_TEXT);
	randombytes_buf(random, sizeof random);
	write_uuid(random, text);
	return text;
}

void auth_uuid_drawn(struct auth_draw *draw, char ret_uuid[UUID_TEXT])
{
	_Static_assert(sizeof draw->bytes % UUID_RANDOM == 0, "a draw is for so many");
	if (draw->left == 0) {
		randombytes_buf(draw->bytes, sizeof draw->bytes);
		draw->left = sizeof draw->bytes;
	}
	draw->left -= UUID_RANDOM;
	write_uuid(draw->bytes + draw->left, ret_uuid);
}
