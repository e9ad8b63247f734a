/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The public keys in the body of an account: what their descriptor cannot say, since it takes libcrypto to see it. */
#include <errno.h>
#include <stdlib.h>

#include <jansson.h>

#include "request.h"
#include "wardmote/memory.h"
#include "wardmote/resources.h"

enum { LOOKED_AT_MAX = 64 << 10 };

static void tell(struct request *request, size_t index, const struct auth_jwk_fault *fault)
{
	const char *pointer = arena_printf(request->arena, "/jwks/keys/%zu%s%s", index, fault->member[0] == '\0' ? "" : "/", fault->member);
	fault_add(&request->faults, FAULT_POINTER, pointer, fault->code, "%s", fault->detail);
}

/* Told apart from other members that a key does not have: who sent one has shown it. */
static void find_private(struct request *request, const json_t *key, size_t index)
{
	static const char *const names[] = { "d", "p", "q", "dp", "dq", "qi", "oth", "k" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct auth_jwk_fault fault = {
			names[i], "private_key",
			"This part of a key is private and was now shown: make a new key, and send its public half alone."
		};
		if (json_object_get(key, names[i]) != NULL)
			tell(request, index, &fault);
	}
}

static void check_key(struct request *request, const json_t *keys, size_t index)
{
	const json_t *key = json_array_get(keys, index);
	struct auth_jwk_fault fault = { "kid", "duplicate", "Another key has this name." };
	for (size_t i = 0; i < index; i++) {
		if (json_equal(json_object_get(json_array_get(keys, i), "kid"), json_object_get(key, "kid")))
			tell(request, index, &fault);
	}
	char *text = json_dumps(key, JSON_COMPACT);
	int error = text == NULL ? -ENOMEM : auth_jwk_check(slice_of(text), &fault);
	free(text);
	if (error == -ENOMEM)
		arena_lack(request->arena);
	else if (error < 0)
		tell(request, index, &fault);
}

/* Has the body, which passed, public keys of an account, or null in their place? */
static bool names_keys(const struct request *request)
{
	const struct shape *shape = request->match.route->shape;
	int field = shape->resource == &account_resource ? shape_field(shape, SLICE("jwks")) : -1;
	return field >= 0 && (request->call.body.present & UINT64_C(1) << field);
}

bool client_keys_given(const struct request *request)
{
	if (!names_keys(request))
		return false;
	json_t *body = json_loadb(request->call.body.json.ptr, request->call.body.json.len, 0, NULL);
	bool given = json_is_object(json_object_get(body, "jwks"));
	json_decref(body);
	return given;
}

/* The bytes are a body that passed all other checks, or had faults: then only what is private is looked for, as long as that is little work. */
void client_keys_check(struct request *request, struct slice bytes)
{
	uint64_t lacks = memory_lacks();
	bool good = request->faults.n == 0;
	if (request->match.route->shape->resource != &account_resource || (good ? !names_keys(request) : bytes.len > LOOKED_AT_MAX))
		return;
	json_t *body = json_loadb(bytes.ptr == NULL ? "" : bytes.ptr, bytes.len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *keys = json_object_get(json_object_get(body, "jwks"), "keys");
	for (size_t i = 0; i < json_array_size(keys) && i < CLIENT_KEYS_MAX; i++) {
		if (good)
			check_key(request, keys, i);
		else
			find_private(request, json_array_get(keys, i), i);
	}
	json_decref(body);
	if (memory_lacks() != lacks)
		arena_lack(request->arena);
}
