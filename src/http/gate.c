/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "gate.h"

#include <strings.h>

/* Far above every body cap and far below the values that libmicrohttpd confuses with "unknown". */
static const uint64_t content_length_max = (uint64_t)1 << 40;

#define MALFORMED(rule, detail)                                                                                                            \
	{                                                                                                                                  \
		PROBLEM_MALFORMED_HTTP, 400, rule, detail                                                                                  \
	}

static const struct gate_verdict version_refused = { PROBLEM_VERSION_NOT_SUPPORTED, 505, "http_version",
						     "Only HTTP/1.0 and HTTP/1.1 are spoken here." };
static const struct gate_verdict target_length = { PROBLEM_URI_TOO_LONG, 414, "target_length", "The request target is too long." };
static const struct gate_verdict headers_length = { PROBLEM_HEADERS_TOO_LARGE, 431, "headers_length",
						    "The header fields are too long altogether." };
static const struct gate_verdict head_layout =
    MALFORMED("head_layout", "A line of the head is folded, ends in a bare LF, or holds a NUL byte or surplus spaces.");
static const struct gate_verdict field_name =
    MALFORMED("field_name", "A header field's name holds a character that is not allowed in a token.");
static const struct gate_verdict field_value = MALFORMED("field_value", "A header field's value holds a control character.");
static const struct gate_verdict transfer_and_length =
    MALFORMED("transfer_encoding_and_content_length", "Transfer-Encoding and Content-Length exclude each other.");
static const struct gate_verdict transfer_in_1_0 = MALFORMED("transfer_encoding_in_http_1_0", "HTTP/1.0 knows no Transfer-Encoding.");
static const struct gate_verdict transfer_duplicate = MALFORMED("duplicate_transfer_encoding", "Transfer-Encoding may occur once.");
static const struct gate_verdict transfer_unknown = { PROBLEM_NOT_IMPLEMENTED, 501, "transfer_encoding",
						      "The only transfer coding known here is \"chunked\"." };
static const struct gate_verdict length_syntax = MALFORMED("content_length", "Content-Length must be one decimal number.");
static const struct gate_verdict host_missing = MALFORMED("host_missing", "HTTP/1.1 requires the Host field.");
static const struct gate_verdict host_syntax = MALFORMED("host", "Host must be a host name or address, with a port if need be.");
static const struct gate_verdict method_unknown = {
	PROBLEM_NOT_IMPLEMENTED, 501, "method", "The methods known here are GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS, in capitals."
};
static const struct gate_verdict target_form = MALFORMED("target_form", "The request target must be a path that starts with a slash.");
static const struct gate_verdict target_fragment = MALFORMED("target_fragment", "The request target must not contain '#'.");
static const struct gate_verdict target_character =
    MALFORMED("target_character", "The request target holds a character that must be percent-encoded.");
static const struct gate_verdict target_escape =
    MALFORMED("target_escape", "A '%' in the request target must be followed by two hexadecimal digits.");
static const struct gate_verdict target_nul = MALFORMED("target_nul", "The request target must not contain %00.");
static const struct gate_verdict target_control = MALFORMED("target_control", "The path must not contain encoded control characters.");
static const struct gate_verdict target_canonical =
    MALFORMED("target_not_canonical", "The path percent-encodes a character that needs none, or a slash or backslash.");
static const struct gate_verdict target_utf8 = MALFORMED("target_utf8", "The percent-encoded bytes of the request target are not UTF-8.");
static const struct gate_verdict target_dots = MALFORMED("target_dot_segment", "The path must not contain the segments \".\" and \"..\".");
static const struct gate_verdict expectation = MALFORMED("expect", "The only expectation known here is \"100-continue\".");
static const struct gate_verdict content_coding = { PROBLEM_UNSUPPORTED_MEDIA_TYPE, 415, "content_encoding",
						    "Request bodies must not be compressed." };

const struct gate_verdict gate_body_too_large = { PROBLEM_CONTENT_TOO_LARGE, 413, "body_length",
						  "The body is longer than this request may carry; a GET carries none." };
const struct gate_verdict gate_body_memory = { PROBLEM_UNAVAILABLE, 503, "body_memory", "Too many long bodies are arriving at once." };
const struct gate_verdict gate_body_disk = { PROBLEM_UNAVAILABLE, 503, "body_disk", "The server has no room on its disk for this body." };
const struct gate_verdict gate_connection_limit = { PROBLEM_UNAVAILABLE, 503, "connection_limit", "Too many connections are open." };
const struct gate_verdict gate_header_timeout = { PROBLEM_REQUEST_TIMEOUT, 408, "header_timeout",
						  "The head of the request took too long." };
const struct gate_verdict gate_body_timeout = { PROBLEM_REQUEST_TIMEOUT, 408, "body_timeout", "The body of the request took too long." };

/* Fields that mean one thing each. The library hands out the first of several, a proxy perhaps the last. */
static const struct {
	struct slice name;
	struct gate_verdict duplicate;
} singles[] = {
#define SINGLE(name, rule)                                                                                                                 \
	{                                                                                                                                  \
		{ name, sizeof(name) - 1 }, MALFORMED(rule, "The header field " name " may occur once.")                                   \
	}
	SINGLE("Host", "duplicate_host"),
	SINGLE("Content-Length", "duplicate_content_length"),
	SINGLE("Authorization", "duplicate_authorization"),
	SINGLE("Content-Type", "duplicate_content_type"),
	SINGLE("Content-Encoding", "duplicate_content_encoding"),
	SINGLE("If-Match", "duplicate_if_match"),
	SINGLE("If-Modified-Since", "duplicate_if_modified_since"),
	SINGLE("If-Unmodified-Since", "duplicate_if_unmodified_since"),
	SINGLE("Idempotency-Key", "duplicate_idempotency_key"),
	SINGLE("Expect", "duplicate_expect"),
	SINGLE("Origin", "duplicate_origin"),
	SINGLE("Range", "duplicate_range"),
	SINGLE("Access-Control-Request-Method", "duplicate_access_control_request_method"),
	SINGLE("X-Request-Id", "duplicate_x_request_id"),
	SINGLE("traceparent", "duplicate_traceparent"),
#undef SINGLE
};

enum { SINGLES = sizeof singles / sizeof singles[0] };

/* What a character may be part of: the name of a field, any text of a target without being special there, a target as it stands. */
enum { IN_TOKEN = 1 << 0, UNRESERVED = 1 << 1, IN_TARGET = 1 << 2, ANYWHERE = IN_TOKEN | UNRESERVED | IN_TARGET };

static const unsigned char classes[256] = {
	['0' ... '9'] = ANYWHERE,
	['A' ... 'Z'] = ANYWHERE,
	['a' ... 'z'] = ANYWHERE,
	['-'] = ANYWHERE,
	['.'] = ANYWHERE,
	['_'] = ANYWHERE,
	['~'] = ANYWHERE,
	['!'] = IN_TOKEN | IN_TARGET,
	['$'] = IN_TOKEN | IN_TARGET,
	['&'] = IN_TOKEN | IN_TARGET,
	['\''] = IN_TOKEN | IN_TARGET,
	['*'] = IN_TOKEN | IN_TARGET,
	['+'] = IN_TOKEN | IN_TARGET,
	['#'] = IN_TOKEN,
	['%'] = IN_TOKEN,
	['^'] = IN_TOKEN,
	['`'] = IN_TOKEN,
	['|'] = IN_TOKEN,
	['('] = IN_TARGET,
	[')'] = IN_TARGET,
	[','] = IN_TARGET,
	[';'] = IN_TARGET,
	['='] = IN_TARGET,
	[':'] = IN_TARGET,
	['@'] = IN_TARGET,
	['/'] = IN_TARGET,
};

static bool is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static bool is_unreserved(unsigned char c)
{
	return (classes[c] & UNRESERVED) != 0;
}

static bool is_token(struct slice text)
{
	unsigned char all = IN_TOKEN;
	for (size_t i = 0; i < text.len; i++)
		all &= classes[(unsigned char)text.ptr[i]];
	return text.len > 0 && all != 0;
}

/* Looks at all of it without a branch, so that the compiler takes many at a time. */
static bool has_control(struct slice text)
{
	unsigned char has = 0;
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		has |= (unsigned char)(((c < 0x20) & (c != '\t')) | (c == 0x7f));
	}
	return has != 0;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

struct slice gate_trim(struct slice value)
{
	while (value.len > 0 && is_space(value.ptr[0])) {
		value.ptr++;
		value.len--;
	}
	while (value.len > 0 && is_space(value.ptr[value.len - 1]))
		value.len--;
	return value;
}

bool gate_name_equal(struct slice a, struct slice b)
{
	return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

static const struct gate_verdict *check_field_syntax(const struct gate_head *head)
{
	size_t total = 0;
	for (size_t i = 0; i < head->n_fields; i++)
		total += head->fields[i].name.len + head->fields[i].value.len + 4; /* ": " and CRLF */
	if (total > head->headers_max)
		return &headers_length;
	for (size_t i = 0; i < head->n_fields; i++) {
		if (!is_token(head->fields[i].name))
			return &field_name;
		if (has_control(head->fields[i].value))
			return &field_value;
	}
	return NULL;
}

/* The first field of this name; *ret_count says how many there are. */
static const struct gate_field *find(const struct gate_head *head, struct slice name, size_t *ret_count)
{
	const struct gate_field *first = NULL;
	*ret_count = 0;
	for (size_t i = 0; i < head->n_fields; i++) {
		if (!gate_name_equal(head->fields[i].name, name))
			continue;
		if (first == NULL)
			first = &head->fields[i];
		++*ret_count;
	}
	return first;
}

static const struct gate_verdict *parse_length(struct slice text, uint64_t *ret_length)
{
	uint64_t length = 0;
	if (text.len == 0)
		return &length_syntax;
	for (size_t i = 0; i < text.len; i++) {
		if (!is_digit((unsigned char)text.ptr[i]))
			return &length_syntax;
		length = length * 10 + (uint64_t)(text.ptr[i] - '0');
		if (length > content_length_max)
			return &gate_body_too_large;
	}
	*ret_length = length;
	return NULL;
}

static const struct gate_verdict *check_framing(const struct gate_head *head, struct gate_body *ret_body)
{
	size_t codings, lengths;
	const struct gate_field *coding = find(head, SLICE("Transfer-Encoding"), &codings);
	const struct gate_field *length = find(head, SLICE("Content-Length"), &lengths);
	*ret_body = (struct gate_body){ .chunked = codings > 0 };
	if (codings > 0 && lengths > 0)
		return &transfer_and_length;
	if (codings > 1)
		return &transfer_duplicate;
	if (codings == 1) {
		if (slice_is(head->version, "HTTP/1.0"))
			return &transfer_in_1_0;
		/* The library's own comparison knows no white space after the word: then it would wait for a body without end. */
		return gate_name_equal(coding->value, SLICE("chunked")) ? NULL : &transfer_unknown;
	}
	return lengths == 1 ? parse_length(length->value, &ret_body->length) : NULL;
}

static const struct gate_verdict *check_singles(const struct gate_head *head)
{
	unsigned seen[SINGLES] = { 0 };
	for (size_t i = 0; i < head->n_fields; i++) {
		for (size_t k = 0; k < SINGLES; k++) {
			if (gate_name_equal(head->fields[i].name, singles[k].name) && ++seen[k] > 1)
				return &singles[k].duplicate;
		}
	}
	return NULL;
}

static const struct gate_verdict *check_host(const struct gate_head *head)
{
	size_t count;
	const struct gate_field *field = find(head, SLICE("Host"), &count);
	if (field == NULL)
		return slice_is(head->version, "HTTP/1.1") ? &host_missing : NULL;
	struct slice host = gate_trim(field->value);
	for (size_t i = 0; i < host.len; i++) {
		unsigned char c = (unsigned char)host.ptr[i];
		if (!is_unreserved(c) && c != ':' && c != '[' && c != ']')
			return &host_syntax;
	}
	return host.len > 0 ? NULL : &host_syntax;
}

static bool is_method(struct slice method)
{
	static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" };
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		if (slice_is(method, methods[i]))
			return true;
	}
	return false;
}

static int hex_value(unsigned char c)
{
	if (is_digit(c))
		return c - '0';
	unsigned char lower = c | 0x20;
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Follows UTF-8 through the bytes of the target; the ASCII ones must come between complete sequences. */
struct utf8 {
	unsigned missing; /* continuation bytes still to come */
	unsigned char low, high; /* range of the next one */
};

static bool utf8_step(struct utf8 *state, unsigned char c)
{
	if (state->missing > 0) {
		bool fits = c >= state->low && c <= state->high;
		*state = (struct utf8){ state->missing - 1, 0x80, 0xbf };
		return fits;
	}
	if (c < 0x80)
		return true;
	if (c < 0xc2 || c > 0xf4)
		return false;
	*state = (struct utf8){ c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3, 0x80, 0xbf };
	if (c == 0xe0)
		state->low = 0xa0;
	else if (c == 0xed)
		state->high = 0x9f;
	else if (c == 0xf0)
		state->low = 0x90;
	else if (c == 0xf4)
		state->high = 0x8f;
	return true;
}

/* In the query, encoding more than needed is what browsers do; in the path it would give one resource two names. */
static const struct gate_verdict *check_escaped(unsigned char c, bool in_path)
{
	if (c == '\0')
		return &target_nul;
	if (!in_path)
		return NULL;
	if (c < 0x20 || c == 0x7f)
		return &target_control;
	return is_unreserved(c) || c == '/' || c == '\\' ? &target_canonical : NULL;
}

static const struct gate_verdict *check_plain(unsigned char c, bool in_path)
{
	if (c == '#')
		return &target_fragment;
	if (classes[c] & IN_TARGET)
		return NULL;
	return c == '?' && !in_path ? NULL : &target_character;
}

static const struct gate_verdict *check_dots(struct slice path)
{
	for (size_t start = 1; start <= path.len;) {
		size_t end = start;
		while (end < path.len && path.ptr[end] != '/')
			end++;
		struct slice segment = { path.ptr + start, end - start };
		if (slice_is(segment, ".") || slice_is(segment, ".."))
			return &target_dots;
		start = end + 1;
	}
	return NULL;
}

static const struct gate_verdict *check_target(struct slice target)
{
	if (target.len == 0 || target.ptr[0] != '/')
		return &target_form;
	struct utf8 utf8 = { 0 };
	size_t path_len = target.len;
	for (size_t i = 0; i < target.len; i++) {
		unsigned char c = (unsigned char)target.ptr[i];
		bool in_path = path_len == target.len;
		const struct gate_verdict *verdict;
		if (c == '?' && in_path) {
			path_len = i;
			verdict = NULL;
		} else if (c == '%') {
			int high = i + 2 < target.len ? hex_value((unsigned char)target.ptr[i + 1]) : -1;
			int low = i + 2 < target.len ? hex_value((unsigned char)target.ptr[i + 2]) : -1;
			if (high < 0 || low < 0)
				return &target_escape;
			i += 2;
			c = (unsigned char)(high << 4 | low);
			verdict = check_escaped(c, in_path);
		} else {
			verdict = check_plain(c, in_path);
		}
		if (verdict != NULL)
			return verdict;
		if (!utf8_step(&utf8, c))
			return &target_utf8;
	}
	return utf8.missing > 0 ? &target_utf8 : check_dots((struct slice){ target.ptr, path_len });
}

static const struct gate_verdict *check_demands(const struct gate_head *head)
{
	size_t count;
	const struct gate_field *expect = find(head, SLICE("Expect"), &count);
	if (expect != NULL && !gate_name_equal(gate_trim(expect->value), SLICE("100-continue")))
		return &expectation;
	const struct gate_field *coding = find(head, SLICE("Content-Encoding"), &count);
	if (coding != NULL && !gate_name_equal(gate_trim(coding->value), SLICE("identity")))
		return &content_coding;
	return NULL;
}

const struct gate_verdict *gate_check(const struct gate_head *head, struct gate_body *ret_body)
{
	if (!slice_is(head->version, "HTTP/1.1") && !slice_is(head->version, "HTTP/1.0"))
		return &version_refused;
	if (head->target.len > head->target_max)
		return &target_length;
	const struct gate_verdict *verdict = check_field_syntax(head);
	struct gate_body body = { 0 };
	if (verdict == NULL)
		verdict = check_framing(head, &body);
	if (verdict == NULL)
		verdict = check_singles(head);
	if (verdict == NULL)
		verdict = check_host(head);
	if (verdict == NULL && !is_method(head->method))
		verdict = &method_unknown;
	if (verdict == NULL)
		verdict = check_target(head->target);
	if (verdict == NULL)
		verdict = check_demands(head);
	if (verdict == NULL)
		*ret_body = body;
	return verdict;
}

const struct gate_verdict *gate_check_layout(const struct gate_layout *layout, const struct gate_field *fields, size_t n_fields)
{
	/* Each space and line end was replaced by as many NULs. The parts are compared by address; only what is known to lie in the head is read. */
	if (layout->target != layout->method + strlen(layout->method) + 1 || layout->version != layout->target + layout->target_len + 1)
		return &head_layout;
	const char *cursor = layout->version + strlen(layout->version) + 2;
	for (size_t i = 0; i < n_fields; i++) {
		struct slice name = fields[i].name;
		struct slice value = fields[i].value;
		/* A folded line makes the library copy the name elsewhere; its value stays, so the name no longer lies right before it. */
		if (name.ptr != cursor || (uintptr_t)value.ptr <= (uintptr_t)(name.ptr + name.len))
			return &head_layout;
		for (const char *space = name.ptr + name.len + 1; space < value.ptr; space++) {
			if (!is_space(*space))
				return &head_layout;
		}
		cursor = value.ptr + value.len + 2;
	}
	if (cursor + 2 != layout->end)
		return &head_layout;
	/* LF NUL x LF is as long as two line ends, and leaves its x. */
	for (const char *at = cursor - 2; at < layout->end; at++) {
		if (*at != '\0')
			return &head_layout;
	}
	return NULL;
}
