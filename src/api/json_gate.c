/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "json_gate.h"

#include <errno.h>
#include <string.h>

#include "text.h"

struct scan {
	struct arena *arena;
	struct faults *faults;
	struct slice bytes;
	const char *cut_name;
	size_t at;
	size_t depth;
	size_t nodes;
	struct slice cut;
};

size_t json_skip_space(struct slice bytes, size_t at)
{
	while (at < bytes.len && (bytes.ptr[at] == ' ' || bytes.ptr[at] == '\t' || bytes.ptr[at] == '\n' || bytes.ptr[at] == '\r'))
		at++;
	return at;
}

size_t json_string_end(struct slice bytes, size_t at)
{
	for (at++; at < bytes.len; at++) {
		if (bytes.ptr[at] == '"')
			return at + 1;
		if (bytes.ptr[at] == '\\')
			at++;
	}
	return 0;
}

const char *json_place(struct arena *arena, struct slice bytes, size_t offset)
{
	size_t line = 1, start = 0;
	if (offset > bytes.len)
		offset = bytes.len;
	for (size_t i = 0; i < offset; i++) {
		if (bytes.ptr[i] == '\n') {
			line++;
			start = i + 1;
		}
	}
	return arena_printf(arena, "line %zu, column %zu", line, offset - start + 1);
}

/* The code unit of \uXXXX whose 'u' is at `at`; -1 when it is none. */
static int32_t escaped_unit(struct slice text, size_t at)
{
	if (at + 4 >= text.len)
		return -1;
	int32_t unit = 0;
	for (size_t i = at + 1; i <= at + 4; i++) {
		char c = text.ptr[i];
		int digit = c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

bool json_string_is(struct slice literal, const char *name)
{
	size_t i = 0;
	for (; i < literal.len && *name != '\0'; name++) {
		int32_t c = (unsigned char)literal.ptr[i++];
		if (c == '\\') {
			/* names are letters, digits and underscores: the only escape that can write one of them is \u */
			if (i >= literal.len || literal.ptr[i] != 'u')
				return false;
			c = escaped_unit(literal, i);
			i += 5;
		}
		if (c != (unsigned char)*name)
			return false;
	}
	return i == literal.len && *name == '\0';
}

static int refuse(struct scan *scan, const char *code, const char *what)
{
	fault_add(scan->faults, FAULT_POINTER, "", code, "%s (%s)", what, json_place(scan->arena, scan->bytes, scan->at));
	return -EINVAL;
}

static int enter(struct scan *scan)
{
	if (++scan->depth > JSON_DEPTH_MAX)
		return refuse(scan, "too_deep", "The body is nested more than 32 levels deep.");
	scan->at++;
	return 0;
}

static void leave(struct scan *scan)
{
	/* one bracket too many is jansson's to report */
	scan->depth -= scan->depth > 0;
	scan->at++;
}

bool json_is_number_character(char c)
{
	return (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.' || c == 'e' || c == 'E';
}

static int scan_number(struct scan *scan)
{
	size_t end = scan->at;
	while (end < scan->bytes.len && json_is_number_character(scan->bytes.ptr[end]))
		end++;
	double value;
	if (text_number((struct slice){ scan->bytes.ptr + scan->at, end - scan->at }, &value) < 0)
		return refuse(scan, "number", "A number must be a JSON number of at most 32 characters with an exponent of at most 30.");
	scan->at = end;
	return 0;
}

/* Moves behind the value at `at` by its brackets alone; what it holds is checked by its own scanner. */
static int skip_value(struct scan *scan)
{
	size_t outside = scan->depth;
	do {
		if (scan->at >= scan->bytes.len)
			return refuse(scan, "syntax", "The body ends in the middle of a value.");
		char c = scan->bytes.ptr[scan->at];
		if (c == '{' || c == '[') {
			if (enter(scan) < 0)
				return -EINVAL;
		} else if (c == '}' || c == ']') {
			leave(scan);
		} else if (c == '"') {
			size_t end = json_string_end(scan->bytes, scan->at);
			if (end == 0)
				return refuse(scan, "syntax", "A string does not end.");
			scan->at = end;
		} else if (scan->depth > outside) {
			scan->at++;
		} else {
			while (scan->at < scan->bytes.len && strchr(",}] \t\r\n", scan->bytes.ptr[scan->at]) == NULL)
				scan->at++;
		}
	} while (scan->depth > outside);
	return 0;
}

static int cut_value(struct scan *scan)
{
	if (scan->cut.ptr != NULL)
		return refuse(scan, "duplicate", "An object has a member twice.");
	size_t start = scan->at = json_skip_space(scan->bytes, scan->at);
	if (start < scan->bytes.len && strchr("}],:", scan->bytes.ptr[start]) != NULL)
		return refuse(scan, "syntax", "A value is missing.");
	if (skip_value(scan) < 0)
		return -EINVAL;
	scan->cut = (struct slice){ scan->bytes.ptr + start, scan->at - start };
	return 0;
}

static int scan_string(struct scan *scan)
{
	size_t end = json_string_end(scan->bytes, scan->at);
	if (end == 0)
		return refuse(scan, "syntax", "A string does not end.");
	struct slice literal = { scan->bytes.ptr + scan->at + 1, end - scan->at - 2 };
	size_t next = json_skip_space(scan->bytes, end);
	if (next >= scan->bytes.len || scan->bytes.ptr[next] != ':') {
		scan->nodes++;
		scan->at = end;
		return 0;
	}
	scan->at = next + 1;
	if (scan->depth == 1 && scan->cut_name != NULL && json_string_is(literal, scan->cut_name))
		return cut_value(scan);
	return 0;
}

static int scan_token(struct scan *scan)
{
	switch (scan->bytes.ptr[scan->at]) {
	case '{':
	case '[':
		scan->nodes++;
		return enter(scan);
	case '}':
	case ']':
		leave(scan);
		return 0;
	case '"':
		return scan_string(scan);
	case '-':
	case '0' ... '9':
		scan->nodes++;
		return scan_number(scan);
	case 't':
	case 'f':
	case 'n':
		scan->nodes++;
		scan->at++;
		while (scan->at < scan->bytes.len && scan->bytes.ptr[scan->at] >= 'a' && scan->bytes.ptr[scan->at] <= 'z')
			scan->at++;
		return 0;
	default:
		scan->at++;
		return 0;
	}
}

int json_gate(struct arena *arena, struct slice bytes, const char *cut_name, struct json_gate *ret_gate, struct faults *faults)
{
	struct scan scan = { .arena = arena, .faults = faults, .bytes = bytes, .cut_name = cut_name };
	while (scan.at < bytes.len) {
		if (scan_token(&scan) < 0)
			return -EINVAL;
		if (scan.nodes > JSON_NODES_MAX)
			return refuse(&scan, "too_many", "The body has more than 10,000 values.");
	}
	ret_gate->cut = scan.cut;
	if (scan.cut.ptr == NULL) {
		ret_gate->json = bytes;
		return 0;
	}
	size_t before = (size_t)(scan.cut.ptr - bytes.ptr);
	size_t after = before + scan.cut.len;
	struct buffer rest = { .arena = arena };
	buffer_add(&rest, (struct slice){ bytes.ptr, before });
	buffer_add(&rest, SLICE("null"));
	buffer_add(&rest, (struct slice){ bytes.ptr + after, bytes.len - after });
	ret_gate->json = buffer_slice(&rest);
	return 0;
}
