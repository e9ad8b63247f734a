/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "template.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *path, const char *what)
{
	fprintf(stderr, "%s: %s\n", path, what);
	exit(EXIT_FAILURE);
}

static void add_row(struct table *table, char *line, size_t *capacity)
{
	static char none[] = "";
	if (table->n_rows == *capacity) {
		*capacity = *capacity == 0 ? 1024 : *capacity * 2;
		table->cells = realloc(table->cells, *capacity * TEMPLATE_COLUMNS * sizeof *table->cells);
	}
	char *copy = strdup(line);
	if (table->cells == NULL || copy == NULL)
		fail("table", "out of memory");
	char **row = &table->cells[table->n_rows++ * TEMPLATE_COLUMNS];
	for (size_t i = 0; i < TEMPLATE_COLUMNS; i++)
		row[i] = copy == NULL ? none : strsep(&copy, "\t");
}

void table_read(const char *path, struct table *ret_table)
{
	*ret_table = (struct table){ 0 };
	if (path == NULL || path[0] == '\0')
		return;
	FILE *file = fopen(path, "r");
	if (file == NULL)
		fail(path, "cannot be read");
	char *line = NULL;
	size_t size = 0, capacity = 0;
	while (getline(&line, &size, file) >= 0) {
		line[strcspn(line, "\n")] = '\0';
		add_row(ret_table, line, &capacity);
	}
	free(line);
	fclose(file);
	if (ret_table->n_rows == 0)
		fail(path, "has no row");
}

/* The placeholder that begins here: its column, or -1. */
static int placeholder(const char *at, const char *end)
{
	if (end - at < 3 || at[0] != '{' || at[2] != '}')
		return -1;
	return at[1] == 'n' ? 0 : at[1] >= '1' && at[1] <= '9' ? at[1] - '0' : -1;
}

static void add_piece(struct template *template, const char *text, size_t len, int column)
{
	if (column < 0 && len == 0 && template->n > 0)
		return;
	if (template->n == TEMPLATE_PIECES)
		fail("template", "too many placeholders");
	template->pieces[template->n].text = text;
	template->pieces[template->n].len = len;
	template->pieces[template->n++].column = column;
	template->len += len;
}

void template_parse(const char *text, size_t len, struct template *ret_template)
{
	const char *end = text + len, *from = text;
	*ret_template = (struct template){ 0 };
	for (const char *at = text; at < end;) {
		int column = placeholder(at, end);
		if (column < 0) {
			at++;
			continue;
		}
		add_piece(ret_template, from, (size_t)(at - from), -1);
		add_piece(ret_template, at, 0, column);
		at += 3;
		from = at;
	}
	add_piece(ret_template, from, (size_t)(end - from), -1);
}

size_t template_fill(const struct template *template, const struct table *table, uint64_t number, char *out, size_t room)
{
	char digits[24];
	size_t n = 0;
	char *const *row = table->n_rows == 0 ? NULL : &table->cells[number % table->n_rows * TEMPLATE_COLUMNS];
	for (size_t i = 0; i < template->n; i++) {
		const char *text = template->pieces[i].text;
		size_t len = template->pieces[i].len;
		int column = template->pieces[i].column;
		if (column == 0)
			len = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, number);
		else if (column > 0)
			len = row == NULL ? 0 : strlen(row[column - 1]);
		if (column >= 0)
			text = column == 0 ? digits : row == NULL ? "" : row[column - 1];
		if (len > room - n)
			fail("template", "a request is too long");
		memcpy(out + n, text, len);
		n += len;
	}
	return n;
}
