/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A body that passes is JSON as a whole, geometry and all, and says the same as the two parts that it was cut into. Faults can always be rendered. */
#include "fuzz.h"

#include <jansson.h>

#include "tickets.h"
#include "wardmote/validate.h"

static void check_whole(struct slice bytes, const struct body *body)
{
	json_t *whole = json_loadb(bytes.ptr, bytes.len, JSON_REJECT_DUPLICATES, NULL);
	json_t *rest = json_loadb(body->json.ptr, body->json.len, JSON_REJECT_DUPLICATES, NULL);
	HOLDS(json_is_object(whole) && json_is_object(rest));
	if (body->geometry.ptr != NULL) {
		json_t *geometry = body->geometry.len == 0 ? json_null() : json_loadb(body->geometry.ptr, body->geometry.len, 0, NULL);
		HOLDS(json_object_set_new(rest, "geometry", geometry) == 0);
	}
	HOLDS(json_equal(whole, rest));
	json_decref(whole);
	json_decref(rest);
}

static void check_rendering(struct arena *arena, const struct faults *faults)
{
	const struct problem_context context = { .base_url = "https://w.example", .request_id = "0" };
	HOLDS(faults->n > 0);
	struct slice text = problem_render(arena, PROBLEM_INVALID_REQUEST, &context, NULL, faults, NULL);
	json_t *problem = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
	HOLDS(json_array_size(json_object_get(problem, "errors")) == faults->n);
	json_decref(problem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* the first byte chooses the mode, the rest is the body */
	if (size == 0)
		return 0;
	struct arena arena;
	arena_init(&arena);
	struct faults faults = { .arena = &arena };
	struct slice bytes = { (const char *)data + 1, size - 1 };
	struct body body;
	if (body_validate(&arena, &ticket_shape, data[0] % 3, bytes, &body, &faults) == 0)
		check_whole(bytes, &body);
	else
		check_rendering(&arena, &faults);
	arena_done(&arena);
	return 0;
}
