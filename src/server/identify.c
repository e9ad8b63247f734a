/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The id of a request: the trace id of a valid traceparent, a well-formed X-Request-Id, or one that we make. */
#include "request.h"

static bool is_hex(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (strchr("0123456789abcdef", text.ptr[i]) == NULL || text.ptr[i] == '\0')
			return false;
	}
	return true;
}

/* W3C Trace Context: version-traceid-parentid-flags; anything wrong and the whole field is as if absent. */
static bool trace_id(struct slice field, char ret_id[40])
{
	if (field.len < 55 || field.ptr[2] != '-' || field.ptr[35] != '-' || field.ptr[52] != '-')
		return false;
	struct slice version = { field.ptr, 2 }, trace = { field.ptr + 3, 32 }, parent = { field.ptr + 36, 16 },
		     flags = { field.ptr + 53, 2 };
	bool zero = strspn(trace.ptr, "0") >= 32 || strspn(parent.ptr, "0") >= 16;
	if (zero || slice_is(version, "ff") || !is_hex(version) || !is_hex(trace) || !is_hex(parent) || !is_hex(flags))
		return false;
	if (slice_is(version, "00") ? field.len != 55 : field.len > 55 && field.ptr[55] != '-')
		return false;
	memcpy(ret_id, trace.ptr, 32);
	ret_id[32] = '\0';
	return true;
}

static bool given_id(struct slice field, char ret_id[40])
{
	if (field.len < 8 || field.len > 36)
		return false;
	for (size_t i = 0; i < field.len; i++) {
		char c = field.ptr[i];
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_'))
			return false;
	}
	memcpy(ret_id, field.ptr, field.len);
	ret_id[field.len] = '\0';
	return true;
}

void request_identify(struct request *request)
{
	if (trace_id(http_header(request->exchange, "traceparent"), request->id) ||
	    given_id(http_header(request->exchange, "x-request-id"), request->id))
		return;
	auth_uuid_drawn(&request->worker->draw, request->id);
}
