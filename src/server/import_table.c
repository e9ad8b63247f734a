/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* CSV: each line becomes a row of texts by the names of its columns. These stand in the first line, or the kind of file has none and its columns are known. What
 * the texts mean is for the database. */
#include <string.h>

#include "import_run.h"
#include "wardmote/csv_scan.h"

enum { LINES_MAX = 1 << 24 };

struct table {
	struct run *run;
	const char *columns[CSV_COLUMNS_MAX];
	size_t n_columns; /* 0: the first line is yet to come */
	bool has_header;
};

static bool has_column(const struct table *table, struct slice name)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		if (slice_is(name, table->columns[i]))
			return true;
	}
	return false;
}

/* The next name of a list between commas; false at its end. */
static bool next_name(const char **list, struct slice *ret_name)
{
	if (*list == NULL || **list == '\0')
		return false;
	*ret_name = (struct slice){ *list, strcspn(*list, ",") };
	*list += ret_name->len + ((*list)[ret_name->len] == ',');
	return true;
}

static bool check_header(struct table *table)
{
	struct run *run = table->run;
	const char *required = run->settings[SET_REQUIRED];
	struct slice name;
	while (next_name(&required, &name)) {
		if (!has_column(table, name))
			return run_fail(run, "rejected",
					arena_printf(&run->arena, "The first line does not name the column %.*s.", (int)name.len,
						     name.ptr));
	}
	return true;
}

static bool take_header(struct table *table, const struct csv_row *row)
{
	struct run *run = table->run;
	if (row->fault != NULL)
		return run_fail(run, "rejected", arena_printf(&run->arena, "The first line: %s", row->fault));
	for (size_t i = 0; i < row->n; i++) {
		if (has_column(table, row->cells[i]))
			return run_fail(run, "rejected", "The first line names a column twice.");
		table->columns[table->n_columns++] = arena_copy(&run->arena, row->cells[i]);
	}
	return check_header(table);
}

static void add_cells(struct table *table, const struct csv_row *row)
{
	struct run *run = table->run;
	buffer_text(&run->batch, ",\"data\":{");
	for (size_t i = 0; i < table->n_columns && i < row->n; i++) {
		buffer_text(&run->batch, i > 0 ? "," : "");
		buffer_json(&run->batch, slice_of(table->columns[i]));
		buffer_text(&run->batch, ":");
		buffer_json(&run->batch, row->cells[i]);
	}
	buffer_text(&run->batch, "}");
}

static bool take_row(void *context, const struct csv_row *row)
{
	struct table *table = context;
	struct run *run = table->run;
	if (table->n_columns == 0)
		return take_header(table, row);
	if (row->line > LINES_MAX)
		return run_fail(run, "rejected", "A table has at most 16,777,216 lines.");
	run_row(run, (long)row->line);
	const char *fault = row->fault;
	if (fault == NULL && table->has_header && row->n != table->n_columns)
		fault = arena_printf(&run->batch_arena, "The line has %zu cells, and the first has %zu.", row->n, table->n_columns);
	if (fault == NULL) {
		add_cells(table, row);
	} else {
		run_member(run, "reason", "syntax");
		run_member(run, "detail", fault);
	}
	return run_row_end(run);
}

static int feed(void *scan, struct slice piece)
{
	return csv_feed(scan, piece);
}

static int end(void *scan)
{
	return csv_end(scan);
}

static const char *fault(const void *scan, struct arena *arena)
{
	return csv_fault(scan, arena);
}

bool import_table(struct run *run)
{
	struct table table = { .run = run, .has_header = run->settings[SET_COLUMNS] == NULL };
	const char *columns = run->settings[SET_COLUMNS];
	struct slice name;
	while (next_name(&columns, &name) && table.n_columns < CSV_COLUMNS_MAX)
		table.columns[table.n_columns++] = arena_copy(&run->arena, name);
	struct csv_scan *scan = csv_new(take_row, &table);
	if (scan == NULL)
		return run_short_of_memory(run);
	const struct reader reader = { scan, feed, end, fault };
	bool good = run_read(run, &reader);
	csv_free(scan);
	if (good && table.n_columns == 0)
		return run_fail(run, "rejected", "The document is empty.");
	return good;
}
