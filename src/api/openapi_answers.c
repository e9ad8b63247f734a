/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What an operation can answer: derived from its verb, flags and role, so that no row has to list it. */
#include "openapi_internal.h"

#include <string.h>

#include "wardmote/problem.h"

enum { STATUS_END = 600 };

/* The refusals: the name of the component, or NULL where no operation names it because it comes before routing or leads to none; and the header fields
 * that it has besides those of all. */
static const struct refusal {
	int status;
	const char *name;
	const char *headers[2];
} refusals[] = {
	{ 400, "BadRequest", { NULL } },
	{ 401, "Unauthenticated", { "WWW-Authenticate" } },
	{ 403, "Forbidden", { NULL } },
	{ 404, "NotFound", { NULL } },
	{ 405, NULL, { "Allow" } },
	{ 406, "NotAcceptable", { NULL } },
	{ 409, "Conflict", { NULL } },
	{ 412, "PreconditionFailed", { NULL } },
	{ 413, "ContentTooLarge", { NULL } },
	{ 414, NULL, { NULL } },
	{ 415, "UnsupportedMediaType", { NULL } },
	{ 422, "Unprocessable", { NULL } },
	{ 428, "PreconditionRequired", { NULL } },
	{ 429, "TooManyRequests", { "Retry-After" } },
	{ 431, NULL, { NULL } },
	{ 500, "Internal", { NULL } },
	{ 501, NULL, { NULL } },
	{ 503, "Unavailable", { "Retry-After" } },
	{ 504, "Timeout", { NULL } },
	{ 505, NULL, { NULL } },
};

enum { N_REFUSALS = sizeof(refusals) / sizeof(*refusals) };

/* Components that any request can get too. */
static const int any_request[] = { 400, 404, 413, 415, 429, 503 };

/* Native operations: what their answer is, in which media type, and whether it comes from the process alone, without the
 * database. */
static const struct native_answer {
	const char *schema;
	bool alone;
	const char *media;
	int refused; /* a status beyond those derived and those of the row; 0: none */
} natives[] = {
	[NATIVE_ROOT] = { "Root", true, NULL, 0 },
	[NATIVE_V1] = { "Index", true, NULL, 0 },
	[NATIVE_OPENAPI] = { "OpenapiDocument", true, "application/vnd.oai.openapi+json", 0 },
	[NATIVE_PROBLEMS] = { "ProblemKinds", true, NULL, 0 },
	[NATIVE_PROBLEM] = { "ProblemKind", true, NULL, 0 },
	[NATIVE_JWKS] = { "Jwks", true, "application/jwk-set+json", 0 },
	[NATIVE_METADATA] = { "ServerMetadata", true, NULL, 0 },
	[NATIVE_SECURITY_TXT] = { NULL, true, "text/plain", 404 },
	[NATIVE_TOKEN] = { "Token", false, NULL, 401 },
	[NATIVE_REVOKE] = { NULL, false, NULL, 401 },
	[NATIVE_INTROSPECT] = { "Introspection", false, NULL, 401 },
	[NATIVE_SESSION_CREATE] = { "Token", false, NULL, 0 },
	[NATIVE_ENROL] = { "Token", false, NULL, 0 },
	[NATIVE_LOGOUT] = { NULL, false, NULL, 0 },
	[NATIVE_ME] = { "Me", false, NULL, 0 },
	[NATIVE_ME_PASSWORD] = { NULL, false, NULL, 0 },
	[NATIVE_ME_SESSIONS] = { "SessionList", false, NULL, 0 },
	[NATIVE_ME_SESSIONS_DELETE] = { NULL, false, NULL, 0 },
	[NATIVE_SECRET_CREATE] = { "Secret", false, NULL, 0 },
	[NATIVE_ENROLMENT_CREATE] = { "Enrolment", false, NULL, 0 },
	[NATIVE_ACCOUNT_CREATE] = { "AccountWithCredential", false, NULL, 0 },
	[NATIVE_CHANGES] = { "Changes", false, NULL, 0 },
};

static const struct native_answer *native_of(const struct operation *operation)
{
	return operation->native == NATIVE_NONE ? NULL : &natives[operation->native];
}

bool openapi_is_conditional(const struct operation *operation)
{
	return operation->verb == V_LIST || operation->verb == V_GET || operation->verb == V_HISTORY ||
	       operation->native == NATIVE_OPENAPI || operation->flags & (OP_PAGED | OP_CONDITIONAL);
}

/* The header fields that every answer has, and these. */
static json_t *headers_of(const struct openapi *doc, const char *const *names, size_t n)
{
	static const char *const all[] = { "Access-Control-Allow-Origin", "RateLimit", "RateLimit-Policy" };
	json_t *headers = openapi_pack("{}");
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		openapi_set(headers, all[i], openapi_ref(doc->arena, "headers", all[i]));
	for (size_t i = 0; i < n && names[i] != NULL; i++)
		openapi_set(headers, names[i], openapi_ref(doc->arena, "headers", names[i]));
	return headers;
}

/* --- refusals --- */

static json_t *problem_example(const struct openapi *doc, const struct problem_kind *kind)
{
	static const char id[] = "4bf92f3577b34da6a3ce929d0e0e4736";
	return openapi_pack("{ss,s{ss,ss,si,ss,ss,ss}}", "summary", kind->title, "value", "type",
			    arena_printf(doc->arena, "%s/problems/%s", doc->base_url, kind->slug), "title", kind->title, "status",
			    kind->status, "detail", kind->title, "instance", arena_printf(doc->arena, "urn:wardmote:request:%s", id),
			    "trace_id", id);
}

/* Extensions do not count as users of a component, so what only they name moves to them. */
static void inline_headers(const struct openapi *doc, json_t *headers, const char *const *names, size_t n)
{
	json_t *components = json_object_get(json_object_get(doc->root, "components"), "headers");
	for (size_t i = 0; i < n && names[i] != NULL; i++) {
		openapi_set(headers, names[i], json_incref(json_object_get(components, names[i])));
		json_object_del(components, names[i]);
	}
}

static json_t *refusal_answer(const struct openapi *doc, const struct refusal *refusal)
{
	struct buffer text = { .arena = doc->arena };
	json_t *examples = openapi_pack("{}");
	for (int i = 0; i < PROBLEMS; i++) {
		const struct problem_kind *kind = problem_kind((enum problem)i);
		if (kind->status != refusal->status)
			continue;
		buffer_format(&text, "%s`%s`: %s", text.len > 0 ? "\n\n" : "", kind->slug, kind->doc);
		openapi_set(examples, kind->slug, problem_example(doc, kind));
	}
	json_t *headers = headers_of(doc, refusal->headers, 2);
	if (refusal->name == NULL)
		inline_headers(doc, headers, refusal->headers, 2);
	return openapi_pack("{ss,so,s{s{so,so}}}", "description", text.ptr, "headers", headers, "content", "application/problem+json",
			    "schema", openapi_ref(doc->arena, "schemas", "Problem"), "examples", examples);
}

void openapi_problems(struct openapi *doc)
{
	json_t *any = json_object_get(doc->root, "x-any-request");
	for (size_t i = 0; i < N_REFUSALS; i++) {
		const struct refusal *refusal = &refusals[i];
		const char *status = arena_printf(doc->arena, "%d", refusal->status);
		if (refusal->name != NULL)
			openapi_set(doc->responses, refusal->name, refusal_answer(doc, refusal));
		else
			openapi_set(any, status, refusal_answer(doc, refusal));
		for (size_t k = 0; k < sizeof(any_request) / sizeof(*any_request); k++)
			if (any_request[k] == refusal->status)
				openapi_set(any, status, openapi_ref(doc->arena, "responses", refusal->name));
	}
}

/* --- which statuses --- */

static bool refers_to(const struct field *field, const char *resource)
{
	if (field->refers != NULL && strcmp(field->refers, resource) == 0)
		return true;
	for (const struct field *member = field->members; member != NULL && member->name != NULL; member++)
		if (member->refers != NULL && strcmp(member->refers, resource) == 0)
			return true;
	return false;
}

static bool is_referenced(const struct catalog *catalog, const struct resource *resource)
{
	size_t n;
	const struct shape *const *shapes = catalog_shapes(catalog, &n);
	for (size_t s = 0; s < n; s++)
		for (size_t f = 0; f < shapes[s]->n_fields; f++)
			if (refers_to(shapes[s]->fields[f], resource->name))
				return true;
	return false;
}

static int success_of(const struct operation *operation)
{
	if (operation->verb == V_DELETE || operation->flags & OP_NO_CONTENT)
		return 204;
	return operation->verb == V_CREATE || operation->flags & OP_CREATES ? 201 : 200;
}

static void mark(bool *set, const int *statuses)
{
	for (; *statuses != 0; statuses++)
		set[*statuses] = true;
}

static void mark_verb(const struct openapi *doc, const struct operation *operation, bool *set)
{
	switch (operation->verb) {
	case V_CREATE:
	case V_PATCH:
		mark(set, (const int[]){ 409, 422, 0 });
		break;
	case V_PUT:
		mark(set, (const int[]){ 201, 412, 422, 0 });
		if (operation->resource->flags & R_UNIQUE || operation->resource->gate_sql != NULL)
			set[409] = true;
		break;
	case V_DELETE:
		if (operation->resource->delete_sql != NULL || is_referenced(doc->catalog, operation->resource))
			set[409] = true;
		break;
	case V_LIST:
	case V_GET:
	case V_HISTORY:
	case V_SQL:
	case V_NATIVE:
		break;
	}
}

static void mark_statuses(const struct openapi *doc, const struct operation *operation, bool *set)
{
	const struct native_answer *native = native_of(operation);
	bool alone = native != NULL && native->alone;
	set[success_of(operation)] = true;
	mark(set, (const int[]){ 400, 429, 500, 503, 0 });
	if (!(operation->flags & OP_OAUTH))
		set[401] = true; /* a token that does not hold is refused everywhere */
	if (!alone)
		set[504] = true;
	if (native != NULL && native->refused != 0)
		set[native->refused] = true;
	if (operation->scope != NULL || operation->least > CALLER_VIEWER)
		set[403] = true;
	if (strchr(operation->path, '{') != NULL)
		set[404] = true;
	if (native == NULL && operation->body_kind != BODY_FORM)
		set[406] = true;
	if (openapi_is_conditional(operation))
		set[304] = true;
	if (operation->flags & OP_IF_MATCH)
		mark(set, (const int[]){ 412, 428, 0 });
	if (operation->flags & OP_IDEMPOTENT)
		set[409] = true; /* the same key is in flight */
	if (operation->flags & OP_IDEMPOTENT && operation->body_kind != BODY_NONE)
		set[422] = true; /* the same key, another body */
	if (operation->body_kind != BODY_NONE)
		mark(set, (const int[]){ 413, 415, 0 });
	if (operation->flags & OP_SPOOL)
		set[202] = true;
	mark_verb(doc, operation, set);
	if (operation->statuses != NULL)
		mark(set, operation->statuses);
}

/* --- successes --- */

static json_t *json_content(const struct openapi *doc, const char *media, const char *schema)
{
	return openapi_pack("{s{so}}", media, "schema", openapi_ref(doc->arena, "schemas", schema));
}

static const char *record_suffix(enum verb verb)
{
	return verb == V_LIST ? "List" : verb == V_HISTORY ? "History" : "";
}

static json_t *native_content(const struct openapi *doc, const struct native_answer *native)
{
	const char *media = native->media != NULL ? native->media : "application/json";
	if (native->schema != NULL)
		return json_content(doc, media, native->schema);
	if (native->media != NULL)
		return openapi_pack("{s{s{ss,si,ss}}}", media, "schema", "type", "string", "maxLength", 65536, "pattern",
				    "^[^\\x00-\\x08]*$");
	return NULL;
}

/* A media type without its parameters. */
static const char *plain_media(const struct openapi *doc, const char *media)
{
	if (media == NULL)
		return "application/json";
	return arena_copy(doc->arena, (struct slice){ media, strcspn(media, ";") });
}

static json_t *content_of(const struct openapi *doc, const struct route *route)
{
	const struct operation *operation = route->operation;
	if (operation->native != NATIVE_NONE)
		return native_content(doc, native_of(operation));
	if (operation->answer != NULL)
		return openapi_pack("{s{so}}", plain_media(doc, operation->media), "schema",
				    openapi_load(operation->answer, operation->id));
	if (operation->resource == NULL)
		return NULL;
	const char *thing = operation->resource->thing;
	json_t *content = json_content(doc, "application/json", openapi_name(doc->arena, thing, record_suffix(operation->verb)));
	bool place = openapi_place(route->shape) != NULL;
	if (place && operation->verb == V_LIST)
		json_object_update_new(content, json_content(doc, "application/geo+json", openapi_name(doc->arena, thing, "Features")));
	if (place && operation->verb == V_GET)
		json_object_update_new(content, json_content(doc, "application/geo+json", openapi_name(doc->arena, thing, "Feature")));
	if (operation->verb == V_LIST || operation->verb == V_GET)
		openapi_set(
		    content, "text/csv",
		    openapi_pack(
			"{s{ss,si,ss,ss}}", "schema", "type", "string", "maxLength", 1 << 28, "pattern", "^[^\\x00-\\x08]*$", "description",
			"RFC 4180 with a header row; a value that a spreadsheet would take for a formula has an apostrophe in front. Pages "
			"of a list are linked by the header field Link."));
	return content;
}

static const char *status_text(int status)
{
	switch (status) {
	case 201:
		return "Created.";
	case 202:
		return "Accepted; it is under way.";
	case 204:
		return "Done; there is nothing to say.";
	case 304:
		return "What the client has is still the answer.";
	default:
		return "The answer.";
	}
}

static bool has_crs(const struct operation *operation)
{
	for (const struct parameter *own = operation->parameters; own != NULL && own->name != NULL; own++)
		if (strcmp(own->name, "crs") == 0)
			return true;
	return false;
}

static json_t *success_answer(const struct openapi *doc, const struct route *route, int status)
{
	const struct operation *operation = route->operation;
	const char *names[8] = { "Cache-Control" };
	size_t n = 1;
	bool reads = operation->verb == V_SQL &&
		     strcmp(operation->method, "GET") == 0; /* what has no version has a tag only where it is conditional */
	if (openapi_is_conditional(operation) || (operation->native == NATIVE_NONE && status != 204 && !reads))
		names[n++] = "ETag";
	if (status != 304 && (operation->verb == V_LIST || operation->verb == V_HISTORY || operation->flags & OP_PAGED))
		names[n++] = "Link";
	if (status == 201 && operation->resource != NULL)
		names[n++] = "Location";
	if (operation->flags & OP_SPOOL) {
		names[n++] = "Location";
		names[n++] = "Preference-Applied";
	}
	if (operation->flags & OP_IDEMPOTENT)
		names[n++] = "Idempotency-Replayed";
	bool read = operation->verb == V_LIST || operation->verb == V_GET;
	bool places = (read && openapi_place(route->shape) != NULL) || operation->flags & OP_GEOMETRY || has_crs(operation);
	if (status < 300 && places)
		names[n++] = "Content-Crs";
	json_t *answer = openapi_pack("{ss,so}", "description", status_text(status), "headers", headers_of(doc, names, n));
	json_t *content = status == 204 || status == 304 ? NULL : content_of(doc, route);
	if (content != NULL)
		openapi_set(answer, "content", content);
	return answer;
}

static json_t *answer_of(const struct openapi *doc, const struct route *route, int status)
{
	if (status < 400)
		return success_answer(doc, route, status);
	if (route->operation->flags & OP_OAUTH && (status == 400 || status == 401))
		return openapi_ref(doc->arena, "responses", status == 400 ? "OAuthBadRequest" : "OAuthUnauthenticated");
	for (size_t i = 0; i < N_REFUSALS; i++)
		if (refusals[i].status == status && refusals[i].name != NULL)
			return openapi_ref(doc->arena, "responses", refusals[i].name);
	return openapi_pack("{ss}", "description", "Refused.");
}

json_t *openapi_answers(const struct openapi *doc, const struct route *route)
{
	bool set[STATUS_END] = { false };
	mark_statuses(doc, route->operation, set);
	json_t *answers = openapi_pack("{}");
	for (int status = 0; status < STATUS_END; status++)
		if (set[status])
			openapi_set(answers, arena_printf(doc->arena, "%d", status), answer_of(doc, route, status));
	return answers;
}
