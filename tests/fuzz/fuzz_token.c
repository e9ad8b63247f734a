/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The gate of access tokens. The first byte chooses how the rest is used: as a whole token; or as a payload, a header, or both parts, signed with a good
 * key, so that the search comes past the signature. What is accepted must pass a second opinion. */
#include "fuzz.h"

#include "claims.h"

enum { MODES = 3 };

static const struct auth_policy policy = { "i", "a", CLAIMS_LEEWAY, NULL };

/* libFuzzer has no set-up of its own: made at the first input and kept for the process. */
static struct forge *forge_once(void)
{
	static struct forge forge;
	static bool made;
	if (!made) {
		forge_init(&forge);
		forge_remove_folder(&forge);
		made = true;
	}
	return &forge;
}

static const char *text_of(struct arena *arena, const uint8_t *data, size_t size)
{
	return arena_copy(arena, (struct slice){ (const char *)data, size });
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct auth_claims claims;
	const char *why = NULL;
	if (size == 0)
		return 0;
	struct forge *forge = forge_once(), local = { .keys = forge->keys, .kid = forge->kid, .key = forge->key };
	arena_init(&local.arena);
	struct slice bytes = { (const char *)data + 1, size - 1 };
	const char *payload = text_of(&local.arena, data + 1, size - 1);
	if (data[0] % MODES == 0) {
		/* Nobody forges a signature by chance. */
		HOLDS(auth_token_verify(forge->keys, &policy, bytes, CLAIMS_NOW, &claims, &why) != 0 && why != NULL);
	} else if (data[0] % MODES == 1) {
		const char *token = forge_token(&local, forge_header(&local), payload, forge->key, "SHA256");
		if (auth_token_verify(forge->keys, &policy, slice_of(token), CLAIMS_NOW, &claims, &why) == 0)
			claims_check(&local, slice_of(token), &policy, &claims);
		else
			HOLDS(why != NULL);
	} else {
		const char *token = forge_token(&local, payload, "{}", forge->key, "SHA256");
		HOLDS(auth_token_verify(forge->keys, &policy, slice_of(token), CLAIMS_NOW, &claims, &why) != 0 && why != NULL);
	}
	arena_done(&local.arena);
	return 0;
}
