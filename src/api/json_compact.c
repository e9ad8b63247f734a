/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "wardmote/view.h"

/* The place after the string that begins here; a backslash never stands alone. */
static size_t string_end(const char *text, size_t len, size_t at)
{
	for (at++; at < len && text[at] != '"'; at++)
		at += text[at] == '\\' ? 1 : 0;
	return at < len ? at + 1 : len;
}

size_t json_compact(char *text, size_t len)
{
	static const bool blank[256] = { [' '] = true, ['\n'] = true, ['\t'] = true, ['\r'] = true };
	size_t kept = 0, at = 0;
	while (at < len) {
		size_t from = at;
		while (at < len && !blank[(unsigned char)text[at]])
			at = text[at] == '"' ? string_end(text, len, at) : at + 1;
		if (kept != from)
			memmove(text + kept, text + from, at - from);
		kept += at - from;
		while (at < len && blank[(unsigned char)text[at]])
			at++;
	}
	return kept;
}
