/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "wardmote/problem.h"

#include <stdarg.h>
#include <stdio.h>

static const struct problem_kind kinds[PROBLEMS] = {
	[PROBLEM_INVALID_REQUEST] = {
		.slug = "invalid-request",
		.status = 400,
		.title = "The request is not valid",
		.doc = "The request itself shows faults: in its body, its parameters or its header fields. `errors` lists all of "
		       "them at once, each with its place and a stable code. Correct them and send the request again; sending it "
		       "unchanged cannot succeed.",
	},
	[PROBLEM_MALFORMED_HTTP] = {
		.slug = "malformed-http",
		.status = 400,
		.title = "The HTTP message is not well-formed",
		.doc = "The message breaks a rule of HTTP that keeps clients, proxies and this server in agreement about where a "
		       "request ends and what it asks for. `detail` names the rule. The connection is closed. This is a fault of "
		       "the client's HTTP library or of a proxy, not of the data.",
	},
	[PROBLEM_UNAUTHENTICATED] = {
		.slug = "unauthenticated",
		.status = 401,
		.title = "Sign in first",
		.doc = "This needs an access token. Get one from POST /oauth/token (programs) or POST /v1/sessions (people) and "
		       "send it as `Authorization: Bearer <token>`.",
	},
	[PROBLEM_INVALID_TOKEN] = {
		.slug = "invalid-token",
		.status = 401,
		.title = "The access token is not valid",
		.doc = "The token has expired, was revoked, belongs to an account that was disabled or changed, or is not one of "
		       "ours. Get a new one: with the refresh token, or by signing in again.",
	},
	[PROBLEM_FORBIDDEN] = {
		.slug = "forbidden",
		.status = 403,
		.title = "Your account may not do this",
		.doc = "You may see this record, but your role, or your partner's rights on the record, do not allow what you "
		       "asked for. Ask a manager of the partner that owns it.",
	},
	[PROBLEM_INSUFFICIENT_SCOPE] = {
		.slug = "insufficient-scope",
		.status = 403,
		.title = "The token's scopes do not cover this",
		.doc = "Your account may do this, but this token was issued for less. `WWW-Authenticate` names the scope that is "
		       "needed; ask for a token that has it.",
	},
	[PROBLEM_NOT_FOUND] = {
		.slug = "not-found",
		.status = 404,
		.title = "There is nothing here",
		.doc = "No such path, or no such record for you: what you may not see is answered exactly as what does not exist. "
		       "A deleted record is not found either; its history is kept.",
	},
	[PROBLEM_METHOD_NOT_ALLOWED] = {
		.slug = "method-not-allowed",
		.status = 405,
		.title = "The resource does not know this method",
		.doc = "`Allow` lists the methods that the resource has.",
	},
	[PROBLEM_NOT_ACCEPTABLE] = {
		.slug = "not-acceptable",
		.status = 406,
		.title = "No representation that you accept",
		.doc = "`Accept` excludes every format that this resource has. JSON is always there; lists and records also come "
		       "as CSV, those with a geometry as GeoJSON. Leave `Accept` out for JSON, or use the suffixes .csv and "
		       ".geojson.",
	},
	[PROBLEM_REQUEST_TIMEOUT] = {
		.slug = "request-timeout",
		.status = 408,
		.title = "The request did not arrive in time",
		.doc = "The body came too slowly. Send it again, at once and without pauses.",
	},
	[PROBLEM_CONFLICT] = {
		.slug = "conflict",
		.status = 409,
		.title = "The request conflicts with what is stored",
		.doc = "Something stored stands against it: a value that must be unique is taken, the record is in a state that "
		       "does not allow the step, a gate is not met, or other records still refer to this one. `errors` says what, "
		       "for gates all of them at once. Read the record, settle the conflict, and try again.",
	},
	[PROBLEM_IN_FLIGHT] = {
		.slug = "in-flight",
		.status = 409,
		.title = "A request with this Idempotency-Key is still running",
		.doc = "The first request with this key has not ended yet. Wait a second and send the same request again: you "
		       "then get its answer.",
	},
	[PROBLEM_PRECONDITION_FAILED] = {
		.slug = "precondition-failed",
		.status = 412,
		.title = "The record has changed meanwhile",
		.doc = "The version that `If-Match` names is not the current one: somebody else changed the record after you read "
		       "it. Read it again, apply your change to what you get, and send it with the new ETag.",
	},
	[PROBLEM_CONTENT_TOO_LARGE] = {
		.slug = "content-too-large",
		.status = 413,
		.title = "The body is too large",
		.doc = "A body has at most 1 MiB; where it may hold a geometry 16 MiB; without a token 64 KiB. Nothing was "
		       "stored.",
	},
	[PROBLEM_URI_TOO_LONG] = {
		.slug = "uri-too-long",
		.status = 414,
		.title = "The URL is too long",
		.doc = "The request target has at most 8 KiB. Use fewer filter values in one request.",
	},
	[PROBLEM_UNSUPPORTED_MEDIA_TYPE] = {
		.slug = "unsupported-media-type",
		.status = 415,
		.title = "The body is in a format that is not taken here",
		.doc = "`Accept-Post` or `Accept-Patch` lists what is taken: JSON in UTF-8, for PATCH also merge-patch. Bodies "
		       "must not be compressed.",
	},
	[PROBLEM_UNPROCESSABLE] = {
		.slug = "unprocessable",
		.status = 422,
		.title = "The request does not fit the data",
		.doc = "The request is well-formed, but not against what is stored: a reference to a record that does not exist "
		       "or that you may not see, a code that is in no list of yours, a value outside the scale of its register, a "
		       "geometry that is not valid. `errors` lists all of them at once; nothing was stored.",
	},
	[PROBLEM_KEY_REUSED] = {
		.slug = "key-reused",
		.status = 422,
		.title = "This Idempotency-Key was used for another request",
		.doc = "The key was already used for this path with another body. Use a new key for each new request, and the "
		       "same one only to repeat it.",
	},
	[PROBLEM_PRECONDITION_REQUIRED] = {
		.slug = "precondition-required",
		.status = 428,
		.title = "If-Match is required",
		.doc = "Changing an existing record needs `If-Match` with the ETag that you read, so that nobody's change is "
		       "lost. `If-Match: *` says that you want to overwrite whatever is there.",
	},
	[PROBLEM_TOO_MANY_REQUESTS] = {
		.slug = "too-many-requests",
		.status = 429,
		.title = "Too many requests",
		.doc = "You passed the limit that `RateLimit-Policy` states. Wait as many seconds as `Retry-After` says.",
	},
	[PROBLEM_HEADERS_TOO_LARGE] = {
		.slug = "headers-too-large",
		.status = 431,
		.title = "The header fields are too large",
		.doc = "All header fields together have at most 8 KiB.",
	},
	[PROBLEM_INTERNAL] = {
		.slug = "internal",
		.status = 500,
		.title = "The server failed",
		.doc = "This is our fault. Nothing of a failed write was stored. Tell the operator the `trace_id`.",
	},
	[PROBLEM_NOT_IMPLEMENTED] = {
		.slug = "not-implemented",
		.status = 501,
		.title = "The server does not know this method or coding",
		.doc = "The methods are GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS; the only transfer coding is chunked.",
	},
	[PROBLEM_UNAVAILABLE] = {
		.slug = "unavailable",
		.status = 503,
		.title = "The server cannot take this now",
		.doc = "It is overloaded, restarting, or cannot reach its database. Nothing was stored. Wait as many seconds as "
		       "`Retry-After` says and send the request again.",
	},
	[PROBLEM_OUTCOME_UNKNOWN] = {
		.slug = "outcome-unknown",
		.status = 503,
		.title = "It is not known whether the change was stored",
		.doc = "The connection to the database broke while the change was being stored; `outcome` is \"unknown\". Send "
		       "the request again with the same `Idempotency-Key`: you get the first answer if it was stored, and it is "
		       "stored now if it was not. Without a key, read the record first.",
	},
	[PROBLEM_TIMEOUT] = {
		.slug = "timeout",
		.status = 504,
		.title = "The request took too long",
		.doc = "The database did not answer within the deadline of the request. Nothing was stored. Ask for less (a "
		       "smaller limit, a narrower filter), or try again later.",
	},
	[PROBLEM_VERSION_NOT_SUPPORTED] = {
		.slug = "version-not-supported",
		.status = 505,
		.title = "The HTTP version is not supported",
		.doc = "The server speaks HTTP/1.1 and HTTP/1.0. Put a proxy in front of it for others.",
	},
};

struct code {
	const char *name;
	const char *doc;
};

/* What the request alone shows (400) and what needs data (403, 409, 422), each in alphabetical order. A contract test knows all that the sources use. */
static const struct code request_codes[] = {
	{ "blank", "The text holds nothing but white space." },
	{ "characters", "The text holds control characters, non-characters or characters that change the direction of writing." },
	{ "cursor", "The cursor is not one of ours, or belongs to another query." },
	{ "dimension", "A position has more than two numbers." },
	{ "duplicate", "The same member, parameter or item is there twice." },
	{ "encoding", "A percent escape is cut short or no hexadecimal number, or the text is not UTF-8." },
	{ "enum", "The value is none of a closed list; `detail` names those allowed." },
	{ "format", "The text has not the form of its type (UUID, date, time, timestamp, URL, entity tag, cursor)." },
	{ "length", "The text, list or ring is too short or too long; `detail` names the limit." },
	{ "not_in_format", "The format that was asked for has no place for what the parameter adds." },
	{ "not_nullable", "The field cannot be null." },
	{ "not_with_all", "A list that is asked for whole (`limit=all`) has no pages, and tells no number before its records." },
	{ "number", "A number is no JSON number, or its literal or exponent is too long." },
	{ "order", "The value lies before the one it may not precede." },
	{ "range", "The number lies outside its range; `detail` names it." },
	{ "read_only", "The server sets this field; leave it out." },
	{ "required", "The field, parameter or header field must be there." },
	{ "syntax", "The body is not JSON; `detail` says where it stops to be." },
	{ "too_deep", "The body is nested too deep." },
	{ "too_large", "The body without its geometry is too large." },
	{ "too_many", "There are too many values, parameters or filters; `detail` names the limit." },
	{ "too_many_positions", "A geometry has too many positions; `detail` names the limit (413)." },
	{ "type", "The value has another type than the field; `detail` names it." },
	{ "unclosed", "A ring does not end where it begins." },
	{ "unknown_field", "The resource has no such field; `detail` offers the nearest name." },
	{ "unknown_parameter", "The operation has no such parameter; `detail` offers the nearest name." },
};

static const struct code data_codes[] = {
	{ "axes_swapped",
	  "The geometry or position lies where the server's map is once longitude and latitude are swapped: longitude comes first." },
	{ "consent_required", "A person is named in a public role or with consent, its purpose and its end; to everyone only so." },
	{ "constraint", "The record would break a rule of its kind." },
	{ "create_only", "The field is set once, when the record is created." },
	{ "cycle", "The record would be a part of itself." },
	{ "duplicate", "The same partner, value or scope is there twice." },
	{ "enum", "The value is none of a closed list; `detail` names those allowed." },
	{ "evidence_required", "A designation on an index of deprivation has its evidence: the index, rank or score, and the day." },
	{ "format", "The text has not the form that this kind of record asks for." },
	{ "host", "The partner that runs the installation cannot be deleted." },
	{ "illegal_transition", "The life cycle has no step from the present state to this one; `detail` names those it has." },
	{ "in_use", "Other records refer to this one; `detail` says which and how many." },
	{ "invalid_geometry", "The geometry is not valid; `detail` has the reason and the place." },
	{ "last_administrator", "The last active administrator cannot be taken away." },
	{ "mismatch", "The body and the query name different records." },
	{ "not_allowed", "The field cannot have a value in a record like this one." },
	{ "not_found", "The reference or code leads to no record that you can see." },
	{ "not_in_scale", "The value is not on the scale of the register; `detail` lists those that are." },
	{ "not_published", "What a partner collected itself is private to it, and granted to nobody." },
	{ "not_unique", "Another record has this value already." },
	{ "not_writable", "You may see the record, but not change it." },
	{ "not_yours", "You may not create records of this partner." },
	{ "order", "The value lies before the one it may not precede." },
	{ "overlaps_in_time", "Another record holds on some of these days; `detail` names it." },
	{ "owner_only", "Only the owner of the record sets this." },
	{ "required", "A record like this one, or the step, needs the field." },
	{ "self", "The record cannot refer to itself." },
	{ "shares", "Shares are of the record's own localities, and add up to 1." },
	{ "state", "The state of the record does not allow this." },
	{ "unknown_scope", "There is no such scope." },
	{ "visibility", "The step needs a wider visibility." },
	{ "was_visible", "What was ever shared or public is not deleted." },
};

const struct problem_kind *problem_kind(enum problem problem)
{
	return problem < PROBLEMS ? &kinds[problem] : &kinds[PROBLEM_INTERNAL];
}

enum problem problem_find(struct slice slug)
{
	enum problem problem = 0;
	while (problem < PROBLEMS && !slice_is(slug, kinds[problem].slug))
		problem++;
	return problem;
}

bool faults_have(const struct faults *faults, const char *code)
{
	bool found = false;
	for (size_t i = 0; !found && i < faults->n; i++)
		found = strcmp(faults->rows[i].code, code) == 0;
	return found;
}

void fault_add(struct faults *faults, enum fault_place place, const char *name, const char *code, const char *detail, ...)
{
	if (faults->n == FAULTS_MAX) {
		faults->more++;
		return;
	}
	va_list args;
	va_start(args, detail);
	char text[1024];
	int len = vsnprintf(text, sizeof text, detail, args);
	va_end(args);
	if (len < 0)
		arena_lack(faults->arena);
	struct slice written = { text, len < 0 ? 0 : (size_t)len < sizeof text ? (size_t)len : sizeof text - 1 };
	/* A cut may leave part of a character: its last one goes, bytes that continue it and the one that begins it. */
	bool cut = len >= (int)sizeof text;
	while (cut && written.len > 0 && ((unsigned char)text[written.len - 1] & 0xc0) == 0x80)
		written.len--;
	if (cut && written.len > 0 && ((unsigned char)text[written.len - 1] & 0x80) != 0)
		written.len--;
	faults->rows[faults->n++] = (struct fault){
		.place = place,
		.name = arena_copy(faults->arena, slice_of(name)),
		.code = code,
		.detail = arena_copy(faults->arena, written),
	};
}

static const char *place_name(enum fault_place place)
{
	switch (place) {
	case FAULT_POINTER:
		return "pointer";
	case FAULT_PARAMETER:
		return "parameter";
	case FAULT_HEADER:
		return "header";
	}
	return "pointer";
}

static void render_member(struct buffer *out, const char *name, const char *value)
{
	buffer_format(out, "%s\"%s\":", out->len > 1 ? "," : "", name);
	buffer_json(out, slice_of(value));
}

static void render_faults(struct buffer *out, const struct faults *faults)
{
	for (size_t i = 0; i < faults->n; i++) {
		const struct fault *fault = &faults->rows[i];
		buffer_format(out, "%s{\"%s\":", i > 0 ? "," : "", place_name(fault->place));
		buffer_json(out, slice_of(fault->name));
		buffer_text(out, ",\"code\":");
		buffer_json(out, slice_of(fault->code));
		buffer_text(out, ",\"detail\":");
		buffer_json(out, slice_of(fault->detail));
		buffer_text(out, "}");
	}
}

/* What to say when the caller has nothing to say: how many faults there are, and that some are not listed. */
static const char *count_faults(struct arena *arena, const struct faults *faults)
{
	if (faults->more > 0)
		return arena_printf(arena, "%zu faults; the first %zu are listed.", faults->n + faults->more, faults->n);
	return faults->n == 1 ? faults->rows[0].detail : arena_printf(arena, "%zu faults, all listed.", faults->n);
}

struct slice problem_render(struct arena *arena, enum problem problem, const struct problem_context *context, const char *detail,
			    const struct faults *faults, const char *errors_json)
{
	const struct problem_kind *kind = problem_kind(problem);
	bool has_faults = errors_json == NULL && faults != NULL && faults->n > 0;
	if (detail == NULL && has_faults)
		detail = count_faults(arena, faults);
	if (detail == NULL)
		detail = kinds[problem].doc;
	struct buffer out = { .arena = arena };
	buffer_text(&out, "{");
	render_member(&out, "type", arena_printf(arena, "%s/problems/%s", context->base_url, kind->slug));
	render_member(&out, "title", kind->title);
	buffer_format(&out, ",\"status\":%d", kind->status);
	if (detail != NULL)
		render_member(&out, "detail", detail);
	if (context->request_id != NULL) {
		render_member(&out, "instance", arena_printf(arena, "urn:wardmote:request:%s", context->request_id));
		render_member(&out, "trace_id", context->request_id);
	}
	if (context->outcome != NULL)
		render_member(&out, "outcome", context->outcome);
	if (errors_json != NULL) {
		buffer_format(&out, ",\"errors\":%s", errors_json);
	} else if (has_faults) {
		buffer_text(&out, ",\"errors\":[");
		render_faults(&out, faults);
		buffer_text(&out, "]");
	}
	buffer_text(&out, "}");
	return buffer_slice(&out);
}

static void render_codes(struct buffer *out, const char *heading, const struct code *codes, size_t n)
{
	buffer_format(out, "\n### %s\n\n| code | meaning |\n|---|---|\n", heading);
	for (size_t i = 0; i < n; i++)
		buffer_format(out, "| `%s` | %s |\n", codes[i].name, codes[i].doc);
}

struct slice problem_registry(struct arena *arena)
{
	struct buffer out = { .arena = arena };
	buffer_text(
	    &out,
	    "# Problems\n\nEvery refusal is an `application/problem+json` document (RFC 9457), except those of `/oauth/*`, which have the "
	    "form of "
	    "RFC 6749. Its `type` is `<server>/problems/<slug>`; decide by `type` and by the `code` of each of the `errors`, never by the "
	    "texts.\n\nOne of `errors` has its place (`pointer`: JSON Pointer into the body; `parameter`: query parameter; `header`: "
	    "header "
	    "field), its `code` and a `detail` for people.\n");
	for (enum problem problem = 0; problem < PROBLEMS; problem++) {
		const struct problem_kind *kind = &kinds[problem];
		buffer_format(&out, "\n## %s\n\n**%d %s.** %s\n", kind->slug, kind->status, kind->title, kind->doc);
	}
	buffer_text(&out, "\n## Codes\n");
	render_codes(&out, "What the request alone shows (400)", request_codes, sizeof request_codes / sizeof *request_codes);
	render_codes(&out, "What needs data (403, 409, 422)", data_codes, sizeof data_codes / sizeof *data_codes);
	return buffer_slice(&out);
}
