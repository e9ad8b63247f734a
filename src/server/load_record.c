/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One record of a file on its way into the server. Records refer to others by "@resource/key", never by id; an id is learned when the record that has
 * it is stored. Most records are PUT by external_id. Resources without one (partners, accounts) are searched by the fields that the file names:
 * a hit is kept, and only the members that it leaves empty are filled in; without a hit the record is created. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "wardmote/auth.h"

enum { SEARCH_MAX = 500 };

/* All that is known about the record at hand. */
struct work {
	struct load_run *run;
	const struct load_file *file;
	const char *key;
	json_t *body; /* owned; resolved */
	json_t *path; /* the states that it is led through, the first one included; NULL: it stays where it starts */
	struct load_identity *identity;
	struct arena *arena;
};

static int complain(const struct work *work, const char *why)
{
	fprintf(stderr, "wardmote load: %s: \"%s\": %s\n", work->file->path, work->key, why);
	return -EINVAL;
}

static int refused(const struct work *work, const struct load_request *request, const struct load_answer *answer)
{
	fprintf(stderr, "wardmote load: %s: \"%s\": %s %s: ", work->file->path, work->key, request->method, request->target);
	load_answer_print(answer, stderr);
	return -EBADMSG;
}

/* Takes the value over. */
static void set_member(json_t *object, const char *name, json_t *value)
{
	load_need(json_object_set_new(object, name, value) == 0 ? object : NULL);
}

static json_t *resolve(const struct work *work, json_t *value);

static json_t *resolve_text(const struct work *work, json_t *value)
{
	const char *text = json_string_value(value);
	if (text[0] != '@')
		return json_incref(value);
	if (text[1] == '@') /* a text that really begins with one */
		return load_need(json_string(text + 1));
	json_t *id = json_object_get(work->run->ids, text + 1);
	if (id == NULL)
		complain(work, arena_printf(work->arena, "%s is not among the records loaded before", text));
	return json_incref(id);
}

static json_t *resolve_members(const struct work *work, json_t *value)
{
	json_t *copy = load_need(json_object());
	for (void *at = json_object_iter(value); at != NULL; at = json_object_iter_next(value, at)) {
		json_t *member = resolve(work, json_object_iter_value(at));
		if (member == NULL) {
			json_decref(copy);
			return NULL;
		}
		set_member(copy, json_object_iter_key(at), member);
	}
	return copy;
}

static json_t *resolve_items(const struct work *work, json_t *value)
{
	json_t *copy = load_need(json_array());
	for (size_t i = 0; i < json_array_size(value); i++) {
		json_t *item = resolve(work, json_array_get(value, i));
		if (item == NULL) {
			json_decref(copy);
			return NULL;
		}
		load_need(json_array_append_new(copy, item) == 0 ? copy : NULL);
	}
	return copy;
}

/* A copy with ids in the place of references; NULL, after a message, when one is unknown. */
static json_t *resolve(const struct work *work, json_t *value)
{
	if (json_is_string(value))
		return resolve_text(work, value);
	if (json_is_object(value))
		return resolve_members(work, value);
	if (json_is_array(value))
		return resolve_items(work, value);
	return json_incref(value);
}

static int remember(const struct work *work, json_t *stored)
{
	json_t *id = json_object_get(stored, "id");
	if (!json_is_string(id))
		return complain(work, "the answer has no id");
	set_member(work->run->ids, arena_printf(work->arena, "%s/%s", work->file->resource, work->key), json_incref(id));
	return 0;
}

static char *copy_text(const json_t *value)
{
	const char *text = json_string_value(value);
	return text == NULL ? NULL : load_need(strdup(text));
}

/* A service account among the records is somebody that later records may act as. */
static int remember_account(const struct work *work, json_t *stored)
{
	struct load_run *run = work->run;
	if (strcmp(work->file->resource, "accounts") != 0 || json_object_get(stored, "client_id") == NULL)
		return 0;
	if (run->n_made == LOAD_IDENTITIES_MAX)
		return complain(work, arena_printf(work->arena, "more than %d accounts", LOAD_IDENTITIES_MAX));
	size_t i = run->n_made++;
	run->made[i].key = load_need(strdup(work->key));
	run->made[i].identity = (struct load_identity){
		.client_id = copy_text(json_object_get(stored, "client_id")),
		.client_secret = copy_text(json_object_get(stored, "client_secret")),
		.account_id = copy_text(json_object_get(stored, "id")),
	};
	return 0;
}

static const char *random_key(struct arena *arena)
{
	return auth_secret(arena, "");
}

/* An account found from an earlier run has a secret that nobody kept: it gets a new one. */
static int renew_secret(const struct work *work, struct load_identity *identity)
{
	json_t *body = load_need(json_object());
	struct load_request request = {
		.method = "POST",
		.target = arena_printf(work->arena, "/v1/accounts/%s/secrets", identity->account_id),
		.body = body,
		.media_type = "application/json",
		.idempotency_key = random_key(work->arena),
	};
	struct load_answer answer = { 0 };
	int r = load_client_call(work->run->client, &work->run->own, &request, &answer);
	json_decref(body);
	if (r == 0) {
		identity->client_secret = copy_text(json_object_get(answer.body, "client_secret"));
		if (identity->client_secret == NULL)
			r = refused(work, &request, &answer);
	}
	load_answer_done(&answer);
	return r;
}

static int find_identity(struct work *work, const char *as)
{
	work->identity = &work->run->own;
	if (as == NULL)
		return 0;
	for (size_t i = 0; i < work->run->n_made; i++) {
		if (strcmp(work->run->made[i].key, as) != 0)
			continue;
		work->identity = &work->run->made[i].identity;
		return work->identity->client_secret != NULL ? 0 : renew_secret(work, work->identity);
	}
	return complain(work, arena_printf(work->arena, "there is no account \"%s\" to act as", as));
}

static size_t index_of(const json_t *values, const json_t *value)
{
	size_t i = 0;
	while (i < json_array_size(values) && !json_equal(json_array_get(values, i), value))
		i++;
	return i;
}

/* Moves the record from where it stands to the end of its path; each answer says how it stands then. A record that somebody has moved off the path is
 * left alone. */
static int lead(const struct work *work, struct load_answer *answer)
{
	int r = 0;
	for (;;) {
		size_t at = index_of(work->path, json_object_get(answer->body, "status"));
		if (r < 0 || at + 1 >= json_array_size(work->path))
			return r;
		json_t *body = load_need(json_pack("{s:O}", "to", json_array_get(work->path, at + 1)));
		struct load_request request = {
			.method = "POST",
			.target = arena_printf(work->arena, "/v1/%s/%s/transitions", work->file->resource,
					       json_string_value(json_object_get(answer->body, "id"))),
			.body = body,
			.media_type = "application/json",
			.if_match = answer->etag,
			.idempotency_key = random_key(work->arena),
		};
		struct load_answer moved = { 0 };
		r = load_client_call(work->run->client, work->identity, &request, &moved);
		json_decref(body);
		if (r == 0 && moved.status != 200)
			r = refused(work, &request, &moved);
		load_answer_done(answer);
		*answer = moved;
	}
}

static int put(const struct work *work, enum load_outcome *ret_outcome)
{
	struct load_request request = {
		.method = "PUT",
		.target = arena_printf(work->arena, "/v1/%s?external_id=%s", work->file->resource,
				       load_client_escape(work->run->client, work->arena, work->key)),
		.body = work->body,
		.media_type = "application/json",
	};
	struct load_answer answer = { 0 };
	int r = load_client_call(work->run->client, work->identity, &request, &answer);
	if (r == 0 && answer.status != 200 && answer.status != 201)
		r = refused(work, &request, &answer);
	if (r == 0)
		r = remember(work, answer.body);
	enum load_outcome outcome = answer.status == 201 ? LOAD_CREATED : LOAD_PRESENT;
	if (r == 0)
		r = lead(work, &answer);
	if (r == 0)
		*ret_outcome = outcome;
	load_answer_done(&answer);
	return r;
}

static int create(const struct work *work, enum load_outcome *ret_outcome)
{
	struct load_request request = {
		.method = "POST",
		.target = arena_printf(work->arena, "/v1/%s", work->file->resource),
		.body = work->body,
		.media_type = "application/json",
		.idempotency_key = random_key(work->arena),
	};
	struct load_answer answer = { 0 };
	int r = load_client_call(work->run->client, work->identity, &request, &answer);
	if (r == 0 && answer.status != 201)
		r = refused(work, &request, &answer);
	if (r == 0)
		r = remember(work, answer.body);
	if (r == 0)
		r = remember_account(work, answer.body);
	if (r == 0)
		*ret_outcome = LOAD_CREATED;
	load_answer_done(&answer);
	return r;
}

/* "/v1/partners?code=norwich": the list narrowed by the first field of an alternative; not every field is a filter. */
static const char *search_target(const struct work *work, json_t *names)
{
	const char *name = json_string_value(json_array_get(names, 0));
	const char *value = json_string_value(json_object_get(work->body, name));
	if (value == NULL)
		return NULL;
	return arena_printf(work->arena, "/v1/%s?limit=%d&%s=%s", work->file->resource, SEARCH_MAX, name,
			    load_client_escape(work->run->client, work->arena, value));
}

static bool is_match(const struct work *work, json_t *names, json_t *stored)
{
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *text = json_string_value(json_array_get(names, i));
		if (!json_equal(json_object_get(work->body, text), json_object_get(stored, text)))
			return false;
	}
	return true;
}

static int pick(const struct work *work, json_t *names, json_t *items, json_t **ret_stored)
{
	json_t *found = NULL;
	for (size_t i = 0; i < json_array_size(items); i++) {
		json_t *item = json_array_get(items, i);
		if (!is_match(work, names, item))
			continue;
		if (found != NULL)
			return complain(work, "more than one stored record is like it");
		found = item;
	}
	if (found == NULL && json_array_size(items) == SEARCH_MAX)
		return complain(work, "too many stored records to look for it");
	*ret_stored = json_incref(found);
	return 0;
}

/* The stored record that an alternative finds: a new reference, or NULL in *ret_stored when there is none. */
static int search(const struct work *work, json_t *names, json_t **ret_stored)
{
	struct load_request request = { .method = "GET", .target = search_target(work, names) };
	if (request.target == NULL)
		return complain(work, "the first field of \"match\" is not a text of the record");
	struct load_answer answer = { 0 };
	int r = load_client_call(work->run->client, work->identity, &request, &answer);
	json_t *items = json_object_get(answer.body, "items");
	if (r == 0 && (answer.status != 200 || !json_is_array(items)))
		r = refused(work, &request, &answer);
	if (r == 0)
		r = pick(work, names, items, ret_stored);
	load_answer_done(&answer);
	return r;
}

/* The members that the record has and the stored one leaves empty. */
static json_t *missing(const struct work *work, json_t *stored)
{
	json_t *patch = load_need(json_object());
	for (void *at = json_object_iter(work->body); at != NULL; at = json_object_iter_next(work->body, at)) {
		const char *name = json_object_iter_key(at);
		json_t *value = json_object_iter_value(at);
		if (!json_is_null(value) && json_is_null(json_object_get(stored, name)))
			set_member(patch, name, json_incref(value));
	}
	return patch;
}

static int complete(const struct work *work, json_t *stored, json_t *patch)
{
	const char *id = json_string_value(json_object_get(stored, "id"));
	const char *target = arena_printf(work->arena, "/v1/%s/%s", work->file->resource, id);
	struct load_request get = { .method = "GET", .target = target };
	struct load_answer current = { 0 }, answer = { 0 };
	int r = load_client_call(work->run->client, work->identity, &get, &current);
	if (r == 0 && current.status != 200)
		r = refused(work, &get, &current);
	if (r < 0)
		goto out;
	struct load_request request = {
		.method = "PATCH",
		.target = target,
		.body = patch,
		.media_type = "application/merge-patch+json",
		.if_match = current.etag,
	};
	r = load_client_call(work->run->client, work->identity, &request, &answer);
	if (r == 0 && answer.status != 200)
		r = refused(work, &request, &answer);
out:
	load_answer_done(&current);
	load_answer_done(&answer);
	return r;
}

static int keep(const struct work *work, json_t *stored, enum load_outcome *ret_outcome)
{
	int r = remember(work, stored);
	if (r == 0)
		r = remember_account(work, stored);
	if (r < 0)
		return r;
	json_t *patch = missing(work, stored);
	*ret_outcome = LOAD_PRESENT;
	if (json_object_size(patch) > 0) {
		r = complete(work, stored, patch);
		*ret_outcome = LOAD_COMPLETED;
	}
	json_decref(patch);
	return r;
}

static int find_or_create(const struct work *work, enum load_outcome *ret_outcome)
{
	for (size_t i = 0; i < json_array_size(work->file->match); i++) {
		json_t *stored = NULL;
		int r = search(work, json_array_get(work->file->match, i), &stored);
		if (r < 0)
			return r;
		if (stored == NULL)
			continue;
		r = keep(work, stored, ret_outcome);
		json_decref(stored);
		return r;
	}
	return create(work, ret_outcome);
}

int load_record(struct load_run *run, const struct load_file *file, json_t *record, enum load_outcome *ret_outcome)
{
	struct arena arena;
	arena_init(&arena);
	struct work work = { .run = run, .file = file, .key = "?", .arena = &arena };
	const char *as = file->as;
	json_t *body = NULL;
	json_error_t error;
	int r = 0;
	if (json_unpack_ex(record, &error, JSON_STRICT, "{s:s, s?s, s?o, s:o}", "key", &work.key, "as", &as, "path", &work.path, "body",
			   &body) != 0)
		r = complain(&work, error.text);
	else if (!json_is_object(body))
		r = complain(&work, "body is not an object");
	if (r == 0)
		r = find_identity(&work, as);
	if (r == 0) {
		json_t *whole = load_need(json_copy(body));
		if (file->defaults != NULL)
			json_object_update_missing(whole, file->defaults);
		work.body = resolve(&work, whole);
		json_decref(whole);
		r = work.body == NULL ? -EINVAL : 0;
	}
	if (r == 0)
		r = file->match == NULL ? put(&work, ret_outcome) : find_or_create(&work, ret_outcome);
	json_decref(work.body);
	arena_done(&arena);
	return r;
}
