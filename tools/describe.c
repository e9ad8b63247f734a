/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Build tool: describe OUT writes the OpenAPI document, with a mark where a server's address belongs. To render it takes as long as all else that a start
 * does, and several times the memory. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wardmote/openapi.h"
#include "wardmote/resources.h"

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "describe: %s: %s\n", what, why);
	return EXIT_FAILURE;
}

static int write_document(const char *path, struct slice document)
{
	FILE *out = fopen(path, "wb");
	if (out == NULL)
		return fail(path, strerror(errno));
	fwrite(document.ptr, 1, document.len, out);
	int bad = ferror(out);
	bad |= fclose(out);
	return bad ? fail(path, "cannot be written") : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return fail("usage", "describe OUT");
	struct arena arena;
	struct catalog *catalog = NULL;
	const char *error = NULL;
	arena_init(&arena);
	int code;
	if (catalog_new(resources_all, resources_general, &catalog, &error) < 0)
		code = fail("catalog", error);
	else
		code = write_document(argv[1], openapi_render(&arena, catalog, OPENAPI_BASE_MARK, WARDMOTE_VERSION));
	catalog_free(catalog);
	arena_done(&arena);
	return code;
}
