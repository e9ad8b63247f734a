/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A quick hash for tables. Not for input that a client chooses, and not for anything that is kept or sent. */
#ifndef WARDMOTE_HASH_H
#define WARDMOTE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Eight bytes a step: statement texts are kilobytes long. Never 0, which stands for "not known". */
static inline uint64_t hash_bytes(const void *bytes, size_t len)
{
	const char *at = bytes;
	uint64_t hash = 0x9e3779b97f4a7c15u ^ len, word;
	for (; len >= 8; at += 8, len -= 8) {
		memcpy(&word, at, 8);
		hash = (hash ^ word) * 0xff51afd7ed558ccdu;
		hash ^= hash >> 32;
	}
	word = 0;
	memcpy(&word, at, len);
	hash = (hash ^ word) * 0xc4ceb9fe1a85ec53u;
	return (hash ^ (hash >> 29)) | 1;
}

#endif
