/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Build tool: turns text files into C.
 *   embed OUT.c SYMBOL=FILE...       const char SYMBOL[] (NUL-terminated) and const size_t SYMBOL_len for each file
 *   embed --table NAME OUT.c DEPFILE FOLDER
 *       const char *const NAME_names[], const char *const NAME_texts[] and const size_t NAME_n for the .sql files of a folder, sorted by name; a
 *       name is the file's without .sql. DEPFILE names the folder too, so that a new file is noticed. */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char *what, const char *name)
{
	fprintf(stderr, "embed: %s: %s\n", what, name);
	return EXIT_FAILURE;
}

/* One string literal a line of the file, so that the generated source can be read beside the original. */
static void write_literal(FILE *out, FILE *in, size_t *ret_len)
{
	size_t len = 0;
	bool fresh = true;
	for (int c = fgetc(in); c != EOF; c = fgetc(in)) {
		if (fresh)
			fputs("\n\t\"", out);
		fresh = c == '\n';
		if (c == '\n')
			fputs("\\n\"", out);
		else if (c == '"' || c == '\\' || c == '?') /* '?': no trigraphs */
			fprintf(out, "\\%c", c);
		else if (c >= 0x20 && c < 0x7f)
			fputc(c, out);
		else
			fprintf(out, "\\%03o", (unsigned)c);
		len++;
	}
	if (len == 0)
		fputs(" \"\"", out);
	else if (!fresh)
		fputc('"', out);
	*ret_len = len;
}

static int embed_file(FILE *out, const char *storage, const char *symbol, const char *path, size_t *ret_len)
{
	FILE *in = fopen(path, "rb");
	if (in == NULL)
		return fail(strerror(errno), path);
	fprintf(out, "%sconst char %s[] =", storage, symbol);
	write_literal(out, in, ret_len);
	fputs(";\n", out);
	int bad = ferror(in);
	fclose(in);
	return bad ? fail("cannot read", path) : EXIT_SUCCESS;
}

static int embed_symbols(FILE *out, int n, char **pairs)
{
	for (int i = 0; i < n; i++) {
		char *equals = strchr(pairs[i], '=');
		if (equals == NULL || equals == pairs[i])
			return fail("expected SYMBOL=FILE, got", pairs[i]);
		*equals = '\0';
		const char *symbol = pairs[i];
		size_t len = 0;
		fprintf(out, "extern const char %s[];\nextern const size_t %s_len;\n", symbol, symbol);
		if (embed_file(out, "", symbol, equals + 1, &len) != EXIT_SUCCESS)
			return EXIT_FAILURE;
		fprintf(out, "const size_t %s_len = %zu;\n\n", symbol, len);
	}
	return EXIT_SUCCESS;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

enum { FILES_MAX = 1000, PATH_SIZE = 4096 };

/* The names of the .sql files of a folder, without the ending, sorted. They live until the program ends. */
static int list_folder(const char *folder, char **names, size_t *ret_n)
{
	DIR *stream = opendir(folder);
	if (stream == NULL)
		return fail(strerror(errno), folder);
	size_t n = 0;
	for (struct dirent *entry = readdir(stream); entry != NULL && n < FILES_MAX; entry = readdir(stream)) {
		const char *dot = strrchr(entry->d_name, '.');
		if (dot != NULL && dot != entry->d_name && strcmp(dot, ".sql") == 0)
			names[n++] = strndup(entry->d_name, (size_t)(dot - entry->d_name));
	}
	closedir(stream);
	qsort(names, n, sizeof *names, compare_names);
	*ret_n = n;
	return EXIT_SUCCESS;
}

static int write_depfile(const char *path, const char *target, const char *folder, char *const *names, size_t n)
{
	FILE *out = fopen(path, "wb");
	if (out == NULL)
		return fail(strerror(errno), path);
	fprintf(out, "%s: %s", target, folder);
	for (size_t i = 0; i < n; i++)
		fprintf(out, " %s/%s.sql", folder, names[i]);
	fputc('\n', out);
	return fclose(out) == 0 ? EXIT_SUCCESS : fail(strerror(errno), path);
}

static int embed_table(FILE *out, const char *name, const char *folder, char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char symbol[32], path[PATH_SIZE];
		size_t len = 0;
		snprintf(symbol, sizeof symbol, "text_%zu", i);
		snprintf(path, sizeof path, "%s/%s.sql", folder, names[i]);
		if (embed_file(out, "static ", symbol, path, &len) != EXIT_SUCCESS)
			return EXIT_FAILURE;
	}
	fprintf(out, "\nextern const char *const %s_names[];\nextern const char *const %s_texts[];\nextern const size_t %s_n;\n\n", name,
		name, name);
	fprintf(out, "const char *const %s_names[] = {\n", name);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "\t\"%s\",\n", names[i]);
	fprintf(out, "\tNULL,\n};\n\nconst char *const %s_texts[] = {\n", name);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "\ttext_%zu,\n", i);
	fprintf(out, "\tNULL,\n};\n\nconst size_t %s_n = %zu;\n", name, n);
	return EXIT_SUCCESS;
}

/* argv: NAME OUT.c DEPFILE FOLDER */
static int embed_folder(FILE *out, char **argv)
{
	static char *names[FILES_MAX];
	size_t n = 0;
	if (list_folder(argv[3], names, &n) != EXIT_SUCCESS || write_depfile(argv[2], argv[1], argv[3], names, n) != EXIT_SUCCESS)
		return EXIT_FAILURE;
	return embed_table(out, argv[0], argv[3], names, n);
}

int main(int argc, char **argv)
{
	bool table = argc > 1 && strcmp(argv[1], "--table") == 0;
	int at = table ? 3 : 1;
	if (argc <= at || (table && argc != 6)) {
		fputs("usage: embed OUT.c SYMBOL=FILE... | embed --table NAME OUT.c DEPFILE FOLDER\n", stderr);
		return 2;
	}
	FILE *out = fopen(argv[at], "wb");
	if (out == NULL)
		return fail(strerror(errno), argv[at]);
	fputs("/* Generated by tools/embed.c: do not edit. */\n#include <stddef.h>\n\n", out);
	int status = table ? embed_folder(out, argv + 2) : embed_symbols(out, argc - at - 1, argv + at + 1);
	if (fclose(out) != 0)
		status = fail(strerror(errno), argv[at]);
	if (status != EXIT_SUCCESS)
		remove(argv[at]);
	return status;
}
