/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The hosts of a URI, turned. libpq tries them in their order and is content with the first that takes writes, which after a failover may be a former
 * primary that came back: so each attempt that failed makes the next one begin with the host after. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wardmote/db.h"

static size_t count_items(const char *list)
{
	size_t n = 1;
	for (const char *at = list; *at != '\0'; at++)
		n += *at == ',';
	return n;
}

static bool is_list(const PQconninfoOption *option)
{
	bool named =
	    strcmp(option->keyword, "host") == 0 || strcmp(option->keyword, "hostaddr") == 0 || strcmp(option->keyword, "port") == 0;
	return named && option->val != NULL;
}

/* NULL: no list of hosts that could be turned. */
static PQconninfoOption *parse(const char *uri, size_t *ret_n)
{
	*ret_n = 1;
	if (strchr(uri, '=') == NULL && strstr(uri, "://") == NULL)
		return NULL; /* the name of a database */
	PQconninfoOption *options = PQconninfoParse(uri, NULL);
	for (const PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++) {
		if (is_list(option) && count_items(option->val) > *ret_n)
			*ret_n = count_items(option->val);
	}
	if (*ret_n > 1)
		return options;
	PQconninfoFree(options);
	return NULL;
}

size_t db_hosts(const char *uri)
{
	size_t n;
	PQconninfoFree(parse(uri, &n));
	return n;
}

static void put_escaped(FILE *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\'' || text[i] == '\\')
			fputc('\\', out);
		fputc(text[i], out);
	}
}

/* The items from number `first` on, then those before it. One item for all hosts stays what it is. */
static void put_turned(FILE *out, const char *list, size_t first)
{
	size_t n = count_items(list);
	const char *start = list;
	for (size_t i = 0; n > 1 && i < first % n; i++)
		start = strchr(start, ',') + 1;
	put_escaped(out, start, strlen(start));
	if (start == list)
		return;
	fputc(',', out);
	put_escaped(out, list, (size_t)(start - list) - 1);
}

char *db_uri_from(const char *uri, size_t first)
{
	size_t n, size = 0;
	PQconninfoOption *options = parse(uri, &n);
	if (options == NULL || first % n == 0) {
		PQconninfoFree(options);
		return strdup(uri);
	}
	char *turned = NULL;
	FILE *out = open_memstream(&turned, &size);
	for (const PQconninfoOption *option = options; out != NULL && option->keyword != NULL; option++) {
		if (option->val == NULL)
			continue;
		fprintf(out, "%s='", option->keyword);
		if (is_list(option))
			put_turned(out, option->val, first % n);
		else
			put_escaped(out, option->val, strlen(option->val));
		fputs("' ", out);
	}
	PQconninfoFree(options);
	bool whole = out != NULL && ferror(out) == 0;
	if (out != NULL && fclose(out) != 0)
		whole = false;
	if (!whole) {
		free(turned);
		return NULL;
	}
	return turned;
}
