/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A second parser of HTTP: RFC 9112 by the letter, but for what docs/http-gate.md lists as not to be seen: bare LFs in the framing of chunks, line ends of the right
 * length with a NUL or a colon in them, empty lines and lines that begin with NUL before a request, and loose trailers. */
#include "strict.h"

#include <stdint.h>
#include <string.h>

#include "gate.h"

struct cursor {
	const char *at;
	const char *end;
};

unsigned strict_sum(unsigned sum, struct slice bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		sum = sum * 31 + (unsigned char)bytes.ptr[i];
	return sum;
}

static bool starts_with(struct cursor cursor, struct slice text)
{
	return (size_t)(cursor.end - cursor.at) >= text.len && memcmp(cursor.at, text.ptr, text.len) == 0;
}

/* The line up to its end, which is skipped. False: there is none, or the line holds CR, LF or NUL. *ret_last: the end of the head was skipped as well. */
static bool take_line(struct cursor *cursor, bool nul_ends, struct slice *ret_line, bool *ret_last)
{
	const char *lf = memchr(cursor->at, '\n', (size_t)(cursor->end - cursor->at));
	if (lf == NULL)
		return false;
	bool plain = lf > cursor->at && (lf[-1] == '\r' || (nul_ends && lf[-1] == '\0'));
	struct cursor from_lf = { lf, cursor->end };
	*ret_last = !plain && (starts_with(from_lf, SLICE("\n\0\r\n")) || (nul_ends && starts_with(from_lf, SLICE("\n\0\0\n"))));
	if (!plain && !*ret_last)
		return false;
	struct slice line = { cursor->at, (size_t)(lf - cursor->at) - plain };
	if (memchr(line.ptr, '\r', line.len) != NULL || memchr(line.ptr, '\0', line.len) != NULL)
		return false;
	cursor->at = lf + (*ret_last ? 4 : 1);
	*ret_line = line;
	return true;
}

static bool take_loose_line(struct cursor *cursor, struct slice *ret_line)
{
	const char *lf = memchr(cursor->at, '\n', (size_t)(cursor->end - cursor->at));
	if (lf == NULL)
		return false;
	size_t len = (size_t)(lf - cursor->at);
	if (len > 0 && lf[-1] == '\r')
		len--;
	*ret_line = (struct slice){ cursor->at, len };
	cursor->at = lf + 1;
	return true;
}

static bool take_request_line(struct cursor *cursor, struct strict_request *request, bool *ret_last)
{
	struct slice line;
	for (struct cursor ahead = *cursor; take_loose_line(&ahead, &line) && (line.len == 0 || line.ptr[0] == '\0');)
		*cursor = ahead;
	if (!take_line(cursor, false, &line, ret_last))
		return false;
	const char *first = memchr(line.ptr, ' ', line.len);
	const char *last = memrchr(line.ptr, ' ', line.len);
	if (first == NULL || first == last || memchr(first + 1, ' ', (size_t)(last - first - 1)) != NULL)
		return false;
	request->method = (struct slice){ line.ptr, (size_t)(first - line.ptr) };
	request->target = (struct slice){ first + 1, (size_t)(last - first - 1) };
	return true;
}

struct framing {
	bool chunked;
	bool sized;
	uint64_t length;
};

static bool take_number(struct slice text, unsigned base, uint64_t *ret_number)
{
	uint64_t number = 0;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
		if (digit >= base || number > UINT32_MAX)
			return false;
		number = number * base + digit;
	}
	*ret_number = number;
	return text.len > 0;
}

static bool take_fields(struct cursor *cursor, struct framing *framing)
{
	struct slice line;
	for (bool last = false; !last;) {
		if (starts_with(*cursor, SLICE(":\n"))) {
			cursor->at += 2;
			return true;
		}
		if (!take_line(cursor, true, &line, &last))
			return false;
		if (line.len == 0)
			return true;
		const char *colon = memchr(line.ptr, ':', line.len);
		if (colon == NULL || line.ptr[0] == ' ' || line.ptr[0] == '\t' || colon == line.ptr || colon[-1] == ' ' ||
		    colon[-1] == '\t')
			return false;
		struct slice name = { line.ptr, (size_t)(colon - line.ptr) };
		struct slice value = gate_trim((struct slice){ colon + 1, (size_t)(line.ptr + line.len - colon - 1) });
		if (gate_name_equal(name, SLICE("Content-Length"))) {
			if (framing->sized || framing->chunked || !take_number(value, 10, &framing->length))
				return false;
			framing->sized = true;
		} else if (gate_name_equal(name, SLICE("Transfer-Encoding"))) {
			if (framing->sized || framing->chunked || !gate_name_equal(value, SLICE("chunked")))
				return false;
			framing->chunked = true;
		}
	}
	return true;
}

static bool take_bytes(struct cursor *cursor, uint64_t len, struct strict_request *request)
{
	if ((uint64_t)(cursor->end - cursor->at) < len)
		return false;
	request->body_sum = strict_sum(request->body_sum, (struct slice){ cursor->at, (size_t)len });
	request->body_len += (size_t)len;
	cursor->at += len;
	return true;
}

static bool take_chunks(struct cursor *cursor, struct strict_request *request)
{
	for (;;) {
		struct slice line;
		if (!take_loose_line(cursor, &line))
			return false;
		const char *extension = memchr(line.ptr, ';', line.len);
		uint64_t len;
		if (!take_number(extension == NULL ? line : (struct slice){ line.ptr, (size_t)(extension - line.ptr) }, 16, &len))
			return false;
		if (len == 0)
			break;
		if (!take_bytes(cursor, len, request) || !take_loose_line(cursor, &line) || line.len > 0)
			return false;
	}
	struct slice trailer;
	for (bool first = true; take_loose_line(cursor, &trailer); first = false) {
		if (trailer.len == 0 || trailer.ptr[0] == '\0' || (trailer.ptr[0] == ':' && !first))
			return true;
	}
	return false;
}

void strict_parse(struct slice stream, struct strict *strict)
{
	struct cursor cursor = { stream.ptr, stream.ptr + stream.len };
	while (strict->n < STRICT_MAX) {
		struct strict_request request = { 0 };
		struct framing framing = { 0 };
		bool last;
		if (!take_request_line(&cursor, &request, &last) || (!last && !take_fields(&cursor, &framing)))
			return;
		/* The head counts even when its body is cut short: it may begin, and end without a body. */
		struct strict_request *kept = &strict->requests[strict->n++];
		*kept = request;
		bool whole = framing.chunked ? take_chunks(&cursor, &request) : take_bytes(&cursor, framing.length, &request);
		*kept = request;
		if (!whole) {
			kept->body_len = SIZE_MAX;
			return;
		}
	}
}
