/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Header fields that choose (Accept, Accept-Encoding, Content-Type, If-Match, If-None-Match) and lists of networks. The first byte says which; what they come to is
 * worked out a second time, in a plainer way. */
#include "fuzz.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "internal.h"
#include "wardmote/negotiate.h"
#include "wardmote/network.h"

enum { FIELD_MAX_LEN = 1024, ELEMENTS_MAX = 64 };

/* --- a plainer reading of Accept: cut at every comma and semicolon, which is the same where nothing is quoted --- */

static char *strip(char *text)
{
	text += strspn(text, " \t");
	for (size_t len = strlen(text); len > 0 && strchr(" \t", text[len - 1]) != NULL; len--)
		text[len - 1] = '\0';
	return text;
}

/* In thousandths; -1: none. */
static int quality_of(const char *text)
{
	char digits[4] = "000";
	size_t whole = text[0] == '0' || text[0] == '1';
	size_t fraction = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;
	if (text[0] == '\0' || fraction > 3 || text[whole + (text[whole] == '.') + fraction] != '\0')
		return -1;
	if (fraction > 0)
		memcpy(digits, text + whole + 1, fraction);
	int quality = atoi(digits) + (text[0] == '1' ? 1000 : 0);
	return quality <= 1000 ? quality : -1;
}

struct element {
	char *type;
	int quality;
};

static size_t split_accept(char *text, struct element *elements)
{
	size_t n = 0;
	for (char *part; (part = strsep(&text, ",")) != NULL && n < ELEMENTS_MAX;) {
		struct element element = { strip(strsep(&part, ";")), 1000 };
		for (char *parameter; (parameter = strsep(&part, ";")) != NULL;) {
			char *value = parameter, *name = strip(strsep(&value, "="));
			if (strcasecmp(name, "q") == 0)
				element.quality = value == NULL ? quality_of("") : quality_of(strip(value));
		}
		/* a bare "*" means everything */
		bool readable = element.quality >= 0 && (strchr(element.type, '/') != NULL || strcmp(element.type, "*") == 0);
		if (readable)
			elements[n++] = element;
	}
	return n;
}

static int closeness_of(const char *range, const char *type)
{
	size_t main = (size_t)(strchr(type, '/') - type) + 1;
	if (strcmp(range, "*") == 0 || strcmp(range, "*/*") == 0)
		return 1;
	if (strcasecmp(range, type) == 0)
		return 3;
	return strncasecmp(range, type, main) == 0 && strcmp(range + main, "*") == 0 ? 2 : 0;
}

/* The format, or -1: none of those offered. */
static int choose(const struct element *elements, size_t n)
{
	static const char *const types[] = { "application/json", "application/geo+json", "text/csv" };
	static const enum format order[] = { FORMAT_JSON, FORMAT_GEOJSON, FORMAT_CSV };
	int chosen = -1, best = 0;
	size_t place = 0;
	for (size_t i = 0; i < 3; i++) {
		int close = 0, quality = 0;
		size_t at = 0;
		for (size_t k = 0; k < n; k++) {
			if (closeness_of(elements[k].type, types[i]) <= close)
				continue;
			close = closeness_of(elements[k].type, types[i]);
			quality = elements[k].quality;
			at = k;
		}
		if (quality > best || (quality == best && quality > 0 && at < place)) {
			chosen = (int)order[i];
			best = quality;
			place = at;
		}
	}
	return chosen;
}

static void check_accept(struct arena *arena, struct slice field)
{
	struct element elements[ELEMENTS_MAX];
	enum format format;
	int r = negotiate_format(field, NULL, 1U << FORMAT_JSON | 1U << FORMAT_CSV | 1U << FORMAT_GEOJSON, &format);
	size_t commas = 0;
	for (size_t i = 0; i < field.len; i++)
		commas += field.ptr[i] == ',';
	if (memchr(field.ptr, '\0', field.len) != NULL || memchr(field.ptr, '"', field.len) != NULL || commas >= ELEMENTS_MAX)
		return;
	size_t n = split_accept(arena_copy(arena, field), elements);
	int expected = n == 0 ? (int)FORMAT_JSON : choose(elements, n);
	HOLDS(expected < 0 ? r < 0 : r == 0 && (int)format == expected);
	HOLDS(negotiate_format(field, "csv", 1U << FORMAT_JSON | 1U << FORMAT_CSV, &format) == 0 && format == FORMAT_CSV);
	HOLDS(negotiate_format(field, "geojson", 1U << FORMAT_JSON, &format) < 0);
}

static void check_types(struct arena *arena, struct slice field)
{
	HOLDS(negotiate_body(BODY_NONE, field) < 0);
	bool json = negotiate_body(BODY_JSON, field) == 0, form = negotiate_body(BODY_FORM, field) == 0;
	HOLDS(!json || (negotiate_body(BODY_MERGE_PATCH, field) == 0 && !form));
	HOLDS(!json || field.len >= strlen("application/json"));
	HOLDS(!form || field.len >= strlen("application/x-www-form-urlencoded"));
	bool gzip = encoding_gzip_accepted(field);
	/* no NUL comes past the gate of messages */
	bool plain = memchr(field.ptr, '\0', field.len) == NULL;
	HOLDS(!gzip || !plain || memmem(field.ptr, field.len, "*", 1) != NULL || strcasestr(arena_copy(arena, field), "gzip") != NULL);
}

/* --- entity tags --- */

static void check_tags(struct arena *arena, struct slice field)
{
	struct tags tags, again;
	const char *version, *same;
	if (tags_parse(field, &tags) < 0)
		return;
	HOLDS(tags.any ? tags.n == 0 : tags.n > 0 && tags.n <= TAGS_MAX);
	struct buffer text = { .arena = arena };
	for (size_t i = 0; i < tags.n; i++) {
		HOLDS(memchr(tags.rows[i].text.ptr, '"', tags.rows[i].text.len) == NULL);
		buffer_text(&text, tags.rows[i].weak ? ",W/\"" : ", \"");
		buffer_add(&text, tags.rows[i].text);
		buffer_text(&text, "\"");
	}
	HOLDS(tags.any || (tags_parse(buffer_slice(&text), &again) == 0 && again.n == tags.n));
	for (size_t i = 0; i < tags.n; i++) {
		HOLDS(slice_equal(tags.rows[i].text, again.rows[i].text) && tags.rows[i].weak == again.rows[i].weak);
		struct slice one = tags.rows[i].text;
		if (memchr(one.ptr, '\0', one.len) == NULL)
			HOLDS(tags_match(&tags, arena_printf(arena, "\"%.*s\"", (int)one.len, one.ptr)));
	}
	int r = tags_version(arena, &tags, &version);
	HOLDS(r < 0 || (version == NULL) == tags.any);
	if (r < 0 || version == NULL || strcmp(version, "0") == 0)
		return;
	/* a tag that is ours is found again, and only a strong one named it */
	HOLDS(tags_parse(slice_of(etag_compose(arena, version, 7)), &again) == 0 && tags_version(arena, &again, &same) == 0);
	HOLDS(strcmp(same, version) == 0 && atol(version) >= 1 && atol(version) <= INT32_MAX);
	bool named = false;
	for (size_t i = 0; i < tags.n; i++)
		named = named || (!tags.rows[i].weak && tags.rows[i].text.len > strlen(version) + 16 &&
				  memcmp(tags.rows[i].text.ptr, version, strlen(version)) == 0);
	HOLDS(named);
}

/* --- networks: "address|list", compared bit by bit --- */

static bool bits_of(const char *text, unsigned char ret_bytes[16], int *ret_most)
{
	memcpy(ret_bytes, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
	*ret_most = 32;
	if (inet_pton(AF_INET, text, ret_bytes + 12) == 1)
		return true;
	*ret_most = 128;
	return inet_pton(AF_INET6, text, ret_bytes) == 1;
}

static bool covered(char *entry, const unsigned char *address)
{
	unsigned char network[16];
	char *bits = entry;
	int most;
	if (!bits_of(strsep(&bits, "/"), network, &most))
		return false;
	int n = 128 - most + (bits == NULL ? most : atoi(bits));
	for (int i = 0; i < n; i++) {
		if ((network[i / 8] ^ address[i / 8]) & 0x80 >> i % 8)
			return false;
	}
	return true;
}

static void check_networks(struct arena *arena, struct slice field)
{
	unsigned char bytes[16];
	char key[NETWORK_KEY_MAX], again[NETWORK_KEY_MAX], text[INET6_ADDRSTRLEN];
	int most;
	char *list = arena_copy(arena, field), *address = strsep(&list, "|");
	bool is_address = network_is_address(slice_of(address));
	HOLDS(is_address == bits_of(address, bytes, &most));
	if (is_address) {
		network_key(address, key);
		HOLDS(network_is_address(slice_of(key)));
		network_key(key, again);
		HOLDS(strcmp(key, again) == 0);
		HOLDS(network_list_has(inet_ntop(AF_INET6, bytes, text, sizeof text), slice_of(address)));
	}
	if (list == NULL || !network_list_valid(list))
		return;
	bool expected = false, has = network_list_has(list, slice_of(address));
	for (char *entry; is_address && (entry = strsep(&list, ",")) != NULL;)
		expected = covered(strip(entry), bytes) || expected;
	HOLDS(has == expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > FIELD_MAX_LEN)
		return 0;
	struct slice field = { (const char *)data + 1, size - 1 };
	struct arena arena;
	arena_init(&arena);
	switch (data[0] % 4) {
	case 0:
		check_accept(&arena, field);
		break;
	case 1:
		check_types(&arena, field);
		break;
	case 2:
		check_tags(&arena, field);
		break;
	case 3:
		check_networks(&arena, field);
		break;
	}
	arena_done(&arena);
	return 0;
}
