/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Verified tokens: checking a signature takes longer than all the rest of a request. Sets of four, the least recently used makes room.
 * Only tokens that passed are kept, so nobody without one can push others out. */
#include <errno.h>
#include <stdlib.h>

#include <sodium.h>

#include "internal.h"

enum { WAYS = 4, DIGEST_LEN = 32 };

struct entry {
	unsigned char digest[DIGEST_LEN];
	uint64_t used; /* the cache's clock; 0: empty */
	struct auth_claims claims;
};

struct auth_cache {
	struct auth_keys *keys; /* the set by which the entries were verified */
	uint64_t clock, hits, misses;
	size_t sets;
	struct entry entries[];
};

int auth_cache_new(size_t entries, struct auth_cache **ret_cache)
{
	if (sodium_init() < 0)
		return -EIO;
	size_t sets = entries < WAYS ? 1 : entries / WAYS;
	struct auth_cache *cache = calloc(1, sizeof(*cache) + sets * WAYS * sizeof(struct entry));
	if (cache == NULL)
		return -ENOMEM;
	cache->sets = sets;
	*ret_cache = cache;
	return 0;
}

void auth_cache_free(struct auth_cache *cache)
{
	if (cache == NULL)
		return;
	auth_keys_unref(cache->keys);
	free(cache);
}

static struct entry *set_of(struct auth_cache *cache, const unsigned char *digest)
{
	uint64_t bits;
	memcpy(&bits, digest, sizeof(bits));
	return &cache->entries[bits % cache->sets * WAYS];
}

static struct entry *find(struct auth_cache *cache, const unsigned char *digest)
{
	struct entry *set = set_of(cache, digest);
	for (size_t i = 0; i < WAYS; i++)
		if (set[i].used != 0 && memcmp(set[i].digest, digest, DIGEST_LEN) == 0)
			return &set[i];
	return NULL;
}

static struct entry *oldest(struct auth_cache *cache, const unsigned char *digest)
{
	struct entry *set = set_of(cache, digest), *found = set;
	for (size_t i = 1; i < WAYS; i++)
		if (set[i].used < found->used)
			found = &set[i];
	return found;
}

static void adopt(struct auth_cache *cache, struct auth_keys *keys)
{
	if (cache->keys == keys)
		return;
	auth_keys_unref(cache->keys);
	cache->keys = auth_keys_ref(keys);
	/* Not all of them, whatever they are: to write to a page that was never used makes it take room. */
	for (size_t i = 0; i < cache->sets * WAYS; i++)
		if (cache->entries[i].used != 0)
			cache->entries[i].used = 0;
}

static void digest_of(struct slice token, unsigned char *ret_digest)
{
	crypto_generichash(ret_digest, DIGEST_LEN, (const unsigned char *)token.ptr, token.len, NULL, 0);
}

static int look_up(struct auth_cache *cache, const struct auth_policy *policy, const unsigned char *digest, int64_t now,
		   const struct auth_claims **ret_claims, const char **ret_why)
{
	struct entry *entry = find(cache, digest);
	if (entry == NULL)
		return -ENOENT;
	if (entry->claims.expires <= now - policy->leeway_seconds || entry->claims.issued > now + policy->leeway_seconds) {
		*ret_why = entry->claims.issued > now + policy->leeway_seconds ? "not_yet" : "expired";
		entry->used = 0;
		return -EACCES;
	}
	cache->hits++;
	entry->used = ++cache->clock;
	*ret_claims = &entry->claims;
	return 0;
}

int auth_cache_find(struct auth_cache *cache, struct auth_keys *keys, const struct auth_policy *policy, struct slice token, int64_t now,
		    const struct auth_claims **ret_claims, const char **ret_why)
{
	unsigned char digest[DIGEST_LEN];
	adopt(cache, keys);
	digest_of(token, digest);
	return look_up(cache, policy, digest, now, ret_claims, ret_why);
}

int auth_cache_verify(struct auth_cache *cache, struct auth_keys *keys, const struct auth_policy *policy, struct slice token, int64_t now,
		      const struct auth_claims **ret_claims, const char **ret_why)
{
	unsigned char digest[DIGEST_LEN];
	adopt(cache, keys);
	digest_of(token, digest);
	int r = look_up(cache, policy, digest, now, ret_claims, ret_why);
	if (r != -ENOENT)
		return r;
	struct auth_claims claims;
	cache->misses++;
	r = auth_token_verify(keys, policy, token, now, &claims, ret_why);
	if (r != 0)
		return r;
	struct entry *entry = oldest(cache, digest);
	memcpy(entry->digest, digest, DIGEST_LEN);
	entry->claims = claims;
	entry->used = ++cache->clock;
	*ret_claims = &entry->claims;
	return 0;
}

void auth_cache_drop(struct auth_cache *cache, struct slice token)
{
	unsigned char digest[DIGEST_LEN];
	digest_of(token, digest);
	struct entry *entry = find(cache, digest);
	if (entry != NULL)
		entry->used = 0;
}

void auth_cache_stats(const struct auth_cache *cache, uint64_t *ret_hits, uint64_t *ret_misses)
{
	*ret_hits = cache->hits;
	*ret_misses = cache->misses;
}
