/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "faults.h"

#include <errno.h>
#include <string.h>

#include "wardmote/csv_scan.h"

struct seen {
	struct arena arena;
	struct buffer text; /* "line:cell,cell;" of each row */
	size_t n, most;
};

static bool note(void *context, const struct csv_row *row)
{
	struct seen *seen = context;
	buffer_format(&seen->text, "%llu:", (unsigned long long)row->line);
	for (size_t i = 0; row->fault == NULL && i < row->n; i++)
		buffer_format(&seen->text, "%s%.*s", i > 0 ? "," : "", (int)row->cells[i].len, row->cells[i].ptr);
	buffer_format(&seen->text, "%s;", row->fault == NULL ? "" : row->fault);
	return ++seen->n < seen->most;
}

static const char *feed(struct seen *seen, struct slice text, size_t cut, size_t most)
{
	*seen = (struct seen){ .most = most };
	arena_init(&seen->arena);
	seen->text.arena = &seen->arena;
	struct csv_scan *scan = csv_new(note, seen);
	assert_non_null(scan);
	int r = csv_feed(scan, (struct slice){ text.ptr, cut });
	if (r == 0)
		r = csv_feed(scan, (struct slice){ text.ptr + cut, text.len - cut });
	if (r == 0)
		r = csv_end(scan);
	if (r == -EINVAL)
		buffer_format(&seen->text, " %s", csv_fault(scan, &seen->arena));
	else if (r < 0)
		buffer_format(&seen->text, " %d", r);
	csv_free(scan);
	return seen->text.ptr == NULL ? "" : seen->text.ptr;
}

static void check(const char *document, const char *wanted)
{
	struct seen seen;
	for (size_t cut = 0; cut <= strlen(document); cut++) {
		const char *found = feed(&seen, slice_of(document), cut, 1000);
		if (strcmp(found, wanted) != 0)
			print_error("%s cut at %zu\n", document, cut);
		assert_string_equal(found, wanted);
		arena_done(&seen.arena);
	}
}

static void rows_and_cells(void **state)
{
	(void)state;
	check("", "");
	check("a", "1:a;");
	check("a,b\nc,d\n", "1:a,b;2:c,d;");
	check("a,b\r\nc,d\r\n", "1:a,b;2:c,d;");
	check("a,\n,b\n", "1:a,;2:,b;");
	check(",", "1:,;");
	check("\n\na\n\n\nb\n\n", "3:a;6:b;");
	check("\xef\xbb\xbf"
	      "a\nb",
	      "1:a;2:b;");
	check(" a , b ", "1: a , b ;");
	check("\xc3\xa9\n", "1:\xc3\xa9;");
}

static void quotes(void **state)
{
	(void)state;
	check("\"a\",\"b,c\"\n", "1:a,b,c;");
	check("\"a\"\"b\"\n", "1:a\"b;");
	check("\"\"\n", "1:;");
	check("\"\",\"\"", "1:,;");
	check("\"a\nb\",c\nd\n", "1:a\nb,c;3:d;");
	check("\"a\r\nb\"\r\nd\r\n", "1:a\r\nb;3:d;");
	check("\"a", " The document ends within quotes. (line 1)");
	check("x\n\"a\n\n", "1:x; The document ends within quotes. (line 4)");
	check("a\"b\"\n", " A quote stands in the middle of a cell: quote the whole cell and double the quotes in it. (line 1)");
	check("\"a\"b\n", " Something follows the closing quote of a cell. (line 1)");
	check("\"a\" ,b\n", " Something follows the closing quote of a cell. (line 1)");
}

static void ends_of_lines(void **state)
{
	(void)state;
	check("a\rb", " A carriage return stands without its line feed. (line 1)");
	check("a\n\r", "1:a; A carriage return stands without its line feed. (line 2)");
	check("\xef"
	      "a",
	      " The document is not UTF-8. (line 1)");
	check("\xef\xbb", " The document is not UTF-8. (line 1)");
}

static void bad_rows_do_not_end_the_document(void **state)
{
	(void)state;
	check("a\n\xff\nb\n", "1:a;2:A cell is not UTF-8, or holds control characters.;3:b;");
	check("a\x01\nb", "1:A cell is not UTF-8, or holds control characters.;2:b;");
	struct seen seen;
	struct arena arena;
	arena_init(&arena);
	struct buffer text = { .arena = &arena };
	for (int i = 0; i < CSV_COLUMNS_MAX; i++)
		buffer_text(&text, ",");
	buffer_text(&text, "\nb\n");
	assert_string_equal(feed(&seen, buffer_slice(&text), 3, 10), "1:A row has at most 64 columns.;2:b;");
	arena_done(&seen.arena);
	/* 4,000 characters pass, of any width; one more does not */
	for (int width = 1; width <= 2; width++) {
		text = (struct buffer){ .arena = &arena };
		for (int i = 0; i < CSV_CELL_MAX; i++)
			buffer_text(&text, width == 1 ? "x" : "\xc3\xa9");
		feed(&seen, buffer_slice(&text), 7, 10);
		assert_int_equal(seen.text.len, (size_t)(CSV_CELL_MAX * width + 3));
		arena_done(&seen.arena);
		buffer_text(&text, "x,\"y\"\nb");
		assert_string_equal(feed(&seen, buffer_slice(&text), 7, 10), "1:A cell has at most 4,000 characters.;2:b;");
		arena_done(&seen.arena);
	}
	text = (struct buffer){ .arena = &arena };
	for (int i = 0; i < 5 * CSV_CELL_MAX; i++)
		buffer_text(&text, "x");
	buffer_text(&text, "\nb");
	assert_string_equal(feed(&seen, buffer_slice(&text), 7, 10), "1:A cell has at most 4,000 characters.;2:b;");
	arena_done(&seen.arena);
	arena_done(&arena);
}

static void who_reads_may_stop(void **state)
{
	(void)state;
	struct seen seen;
	const char *found = feed(&seen, SLICE("a\nb\nc\n"), 0, 2);
	assert_string_equal(found, arena_printf(&seen.arena, "1:a;2:b; %d", -ECANCELED));
	arena_done(&seen.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_and_cells),     cmocka_unit_test(quotes),
		cmocka_unit_test(ends_of_lines),      cmocka_unit_test(bad_rows_do_not_end_the_document),
		cmocka_unit_test(who_reads_may_stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
