/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "config_check.h"

#include <stdlib.h>

#include "wardmote/log.h"

static const char digits[] = "0123456789";
static const char host_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
static const char path_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_~/";

bool check_not_empty(const char *text)
{
	return text[0] != '\0';
}

/* The length of a host (a name, an IPv4 address or an IPv6 address in brackets) at the start of the text; 0 when there is none. */
static size_t host_length(const char *text)
{
	if (text[0] != '[')
		return strspn(text, host_characters);
	size_t inside = strspn(text + 1, "0123456789abcdefABCDEF:.%");
	return inside > 0 && text[1 + inside] == ']' ? inside + 2 : 0;
}

/* The length of ":port"; 0 when there is none. */
static size_t port_length(const char *text)
{
	if (text[0] != ':')
		return 0;
	size_t len = strspn(text + 1, digits);
	return len > 0 && len <= 5 && strtol(text + 1, NULL, 10) <= 65535 ? len + 1 : 0;
}

bool check_address(const char *text)
{
	size_t host = host_length(text);
	size_t port = port_length(text + host);
	return host > 0 && port > 0 && text[host + port] == '\0';
}

/* The length of "http(s)://host[:port]"; 0 when there is none. */
static size_t origin_length(const char *text)
{
	size_t scheme = strncmp(text, "https://", 8) == 0 ? 8 : strncmp(text, "http://", 7) == 0 ? 7 : 0;
	size_t host = scheme == 0 ? 0 : host_length(text + scheme);
	if (host == 0)
		return 0;
	return scheme + host + port_length(text + scheme + host);
}

bool check_url_or_empty(const char *text)
{
	if (text[0] == '\0')
		return true;
	size_t origin = origin_length(text);
	if (origin == 0)
		return false;
	size_t path = strspn(text + origin, path_characters);
	return text[origin + path] == '\0' && (path == 0 || (text[origin] == '/' && text[origin + path - 1] != '/'));
}

bool check_origins(const char *text)
{
	while (text[0] != '\0') {
		size_t len = origin_length(text);
		if (len == 0 || (text[len] != '\0' && text[len] != ',') || (text[len] == ',' && text[len + 1] == '\0'))
			return false;
		text += len + (text[len] == ',');
	}
	return true;
}

bool check_log_level(const char *text)
{
	enum log_level level;
	return log_level_parse(text, &level) == 0;
}

bool check_pooler(const char *text)
{
	return strcmp(text, "none") == 0 || strcmp(text, "transaction") == 0;
}

bool check_transactions(const char *text)
{
	return strcmp(text, "implicit") == 0 || strcmp(text, "explicit") == 0;
}

/* One number of at most `most` either way, and what ends it; NULL where there is none. */
static const char *degrees(const char *text, double most, double *ret_number)
{
	size_t len = strspn(text, "-.0123456789");
	char *end;
	*ret_number = strtod(text, &end);
	return len > 0 && len <= 20 && end == text + len && *ret_number >= -most && *ret_number <= most ? end : NULL;
}

bool check_extent_or_empty(const char *text)
{
	double corners[4];
	if (text[0] == '\0')
		return true;
	for (int i = 0; i < 4; i++) {
		text = degrees(text, i % 2 == 0 ? 180 : 90, &corners[i]);
		if (text == NULL || *text != (i < 3 ? ',' : '\0'))
			return false;
		text++;
	}
	return corners[1] < corners[3] && corners[0] != corners[2];
}

bool check_timezone(const char *text)
{
	size_t len = strlen(text);
	return len > 0 && len <= 64 && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/") == len &&
	       text[0] != '/' && strstr(text, "..") == NULL;
}
