/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The gate of access tokens. The first byte chooses how the rest is used: as a whole token; or as a payload, a header, or both parts, signed with a good
 * key, so that the search comes past the signature. What is accepted must be a claim set that the gate's rules, written again here, allow. */
#include "fuzz.h"

#include <string.h>

#include <jansson.h>

#include "forge.h"

enum { NOW = 1800000000, MODES = 3 };

static const struct auth_policy policy = { "i", "a", 30 };

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

static void check(const char *payload, const struct auth_claims *claims)
{
	json_t *object = json_loads(payload, JSON_REJECT_DUPLICATES, NULL);
	HOLDS(json_is_object(object));
	HOLDS(strcmp(json_string_value(json_object_get(object, "iss")), "i") == 0);
	HOLDS(strcmp(json_string_value(json_object_get(object, "token_use")), "access") == 0);
	HOLDS(strcmp(json_string_value(json_object_get(object, "sub")), claims->account) == 0);
	HOLDS(json_integer_value(json_object_get(object, "exp")) == claims->expires && claims->expires > NOW - 30);
	HOLDS(claims->issued <= NOW + 30 && claims->issued < claims->expires);
	HOLDS(strlen(claims->account) == 36 && strlen(claims->partner) == 36 && strlen(claims->jti) == 36);
	HOLDS(claims->session[0] == '\0' || strlen(claims->session) == 36);
	HOLDS(claims->role >= CALLER_VIEWER && claims->role <= CALLER_ADMINISTRATOR && claims->epoch > 0);
	HOLDS(claims->scoped == (json_object_get(object, "scope") != NULL));
	HOLDS(strlen(claims->scopes) < AUTH_SCOPES_MAX && strlen(claims->client_id) > 0);
	json_decref(object);
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
		HOLDS(auth_token_verify(forge->keys, &policy, bytes, NOW, &claims, &why) != 0 && why != NULL);
	} else if (data[0] % MODES == 1) {
		const char *token = forge_token(&local, forge_header(&local), payload, forge->key, "SHA256");
		if (auth_token_verify(forge->keys, &policy, slice_of(token), NOW, &claims, &why) == 0)
			check(payload, &claims);
		else
			HOLDS(why != NULL);
	} else {
		const char *token = forge_token(&local, payload, "{}", forge->key, "SHA256");
		HOLDS(auth_token_verify(forge->keys, &policy, slice_of(token), NOW, &claims, &why) != 0 && why != NULL);
	}
	arena_done(&local.arena);
	return 0;
}
