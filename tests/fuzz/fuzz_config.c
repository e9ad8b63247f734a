/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Settings. Each line of the input is one of: a line of the file, a variable, an argument (`F`, `E`, `A` and the bytes as they are), or a setting by its number
 * with a value (`f`, `e`, `a`, `b`), of which a model knows what must come out: flag before variable before file before default. */
#include "fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wardmote/config.h"

enum { ITEMS_MAX = 64, INPUT_LIMIT = 2048 };

enum source { FROM_DEFAULT, FROM_FILE, FROM_VARIABLE, FROM_FLAG };

struct expected {
	enum source source;
	struct slice value;
};

struct world {
	struct arena arena;
	struct expected expected[CONFIG_SETTINGS_MAX];
	struct buffer file;
	char *variables[ITEMS_MAX + 2];
	size_t n_variables;
	char *arguments[2 * ITEMS_MAX + 1];
	int n_arguments;
	bool raw; /* something that the model does not know */
	bool twice, nul;
	bool other_file; /* the file may not be the one that is read */
};

/* The names, from what the program prints of its defaults; made once. */
static const char *setting_name(size_t number)
{
	static char *names[CONFIG_SETTINGS_MAX];
	static size_t n;
	if (n == 0) {
		struct arena arena;
		struct config config;
		const char *error;
		char *text, *line, *none[] = { NULL };
		size_t size;
		arena_init(&arena);
		HOLDS(config_load(&config, &arena, 0, none, NULL, &error) == 0);
		FILE *out = open_memstream(&text, &size);
		config_print(&config, out);
		fclose(out);
		for (char *rest = text; (line = strsep(&rest, "\n")) != NULL;)
			if (line[0] != '\0' && line[0] != ' ')
				names[n++] = strdup(strsep(&line, " "));
		free(text);
		arena_done(&arena);
	}
	return names[number % n];
}

static size_t setting_number(const char *name)
{
	size_t i = 0;
	while (strcmp(setting_name(i), name) != 0)
		i++;
	return i;
}

/* --- from bytes to a file, variables and arguments --- */

static struct slice trim_value(struct slice value)
{
	while (value.len > 0 && (value.ptr[0] == ' ' || value.ptr[0] == '\t'))
		value = (struct slice){ value.ptr + 1, value.len - 1 };
	while (value.len > 0 && memchr(" \t\r\n", value.ptr[value.len - 1], 4) != NULL)
		value.len--;
	return value;
}

static void expect(struct world *world, const char *name, enum source source, struct slice value)
{
	struct expected *row = &world->expected[setting_number(name)];
	/* two variables of one name: the later one counts, and no shell makes them */
	world->twice = world->twice || (row->source == source && source != FROM_VARIABLE);
	if (source == FROM_FILE)
		value = slice_of(arena_copy(&world->arena, trim_value(value)));
	if (row->source <= source)
		*row = (struct expected){ source, value };
}

static char *spell(struct world *world, const char *prefix, const char *name, char dash, bool upper)
{
	char *text = arena_printf(&world->arena, "%s%s", prefix, name);
	for (char *c = text + strlen(prefix); *c != '\0'; c++)
		*c = *c == '_' ? dash : (char)(upper && *c != '_' ? *c - 'a' + 'A' : *c);
	return text;
}

static void add_item(struct world *world, char kind, struct slice line)
{
	const char *name = line.len == 0 ? "listen" : setting_name((unsigned char)line.ptr[0] & 0x3f);
	struct slice value = line.len == 0 ? line : (struct slice){ line.ptr + 1, line.len - 1 };
	char *text = arena_copy(&world->arena, value);
	struct slice bytes = kind == 'F' ? line : value;
	bool nul = memchr(bytes.ptr, '\0', bytes.len) != NULL;
	world->raw = world->raw || kind == 'F' || kind == 'E' || kind == 'A' || nul;
	world->other_file = world->other_file || kind == 'A' || kind == 'E';
	switch (kind) {
	case 'F':
	case 'f':
		world->nul = world->nul || nul;
		if (kind == 'f')
			buffer_format(&world->file, "%s = ", name);
		buffer_add(&world->file, bytes);
		buffer_text(&world->file, "\n");
		if (kind == 'f')
			expect(world, name, FROM_FILE, value);
		break;
	case 'E':
		world->variables[world->n_variables++] = arena_printf(&world->arena, "WARDMOTE_%s", arena_copy(&world->arena, line));
		break;
	case 'e':
		world->variables[world->n_variables++] =
		    arena_printf(&world->arena, "%s=%s", spell(world, "WARDMOTE_", name, '_', true), text);
		expect(world, name, FROM_VARIABLE, slice_of(text));
		break;
	case 'A':
		world->arguments[world->n_arguments++] = arena_copy(&world->arena, line);
		break;
	case 'a':
		world->arguments[world->n_arguments++] = arena_printf(&world->arena, "%s=%s", spell(world, "--", name, '-', false), text);
		expect(world, name, FROM_FLAG, slice_of(text));
		break;
	case 'b':
		world->arguments[world->n_arguments++] = spell(world, "--", name, '-', false);
		world->arguments[world->n_arguments++] = text;
		world->other_file = world->other_file || strncmp(text, "--config", 8) == 0;
		expect(world, name, FROM_FLAG, slice_of(text));
		break;
	default:
		break;
	}
}

static void build(struct world *world, struct slice input)
{
	size_t items = 0;
	while (input.len > 0 && items++ < ITEMS_MAX) {
		const char *end = memchr(input.ptr, '\n', input.len);
		size_t len = end == NULL ? input.len : (size_t)(end - input.ptr);
		if (len > 0)
			add_item(world, input.ptr[0], (struct slice){ input.ptr + 1, len - 1 });
		size_t used = len + (end != NULL);
		input = (struct slice){ input.ptr + used, input.len - used };
	}
}

/* --- what must hold --- */

static void check_value(const char *name, const char *printed, const struct expected *expected)
{
	if (expected->source == FROM_DEFAULT || strcmp(name, "workers") == 0)
		return;
	if (expected->value.len == 0) /* public_url, issuer, audience follow from others */
		return;
	if (strcmp(name, "database") == 0)
		HOLDS(strcmp(printed, "(set)") == 0);
	else if (printed[0] != '\0' && strspn(printed, "-0123456789") == strlen(printed))
		HOLDS(strtol(printed, NULL, 10) == strtol(expected->value.ptr, NULL, 10));
	else
		HOLDS(slice_is(expected->value, printed));
}

static void check_loaded(struct world *world, const struct config *config, const char *path)
{
	char *text, *line;
	size_t size, row = 0;
	FILE *out = open_memstream(&text, &size);
	config_print(config, out);
	fclose(out);
	for (char *rest = text; (line = strsep(&rest, "\n")) != NULL; row++) {
		char *value = strstr(line, " = "), *origin = strsep(&rest, "\n");
		if (line[0] == '\0')
			break;
		HOLDS(value != NULL && strncmp(origin, "    from ", 9) == 0 && config->origins[row] != NULL);
		*value = '\0';
		HOLDS(strcmp(line, setting_name(row)) == 0);
		const struct expected *expected = &world->expected[row];
		const char *names[] = { "default", path, spell(world, "WARDMOTE_", line, '_', true), spell(world, "--", line, '-', false) };
		HOLDS(strncmp(config->origins[row], names[expected->source], strlen(names[expected->source])) == 0);
		check_value(line, value + 3, expected);
	}
	free(text);
}

static void check_ranges(const struct config *config)
{
	HOLDS(config->workers >= 1 && config->workers <= 16 && config->connection_limit >= 10 && config->idempotency_hours >= 24);
	HOLDS(config->header_timeout_ms >= 100 && config->body_timeout_ms >= 100 && config->request_timeout_ms >= 100);
	HOLDS(config->rate_anonymous >= 0 && config->access_token_seconds >= 10 && config->access_token_seconds <= 86400);
	HOLDS(config_connections(config) >= 4 && config_connections(config) <= 16 * (64 + 128 + 64 + 64) + CONFIG_BACKGROUND);
	const char *port = strrchr(config->listen, ':');
	HOLDS(port != NULL && port > config->listen && atol(port + 1) <= 65535 && strpbrk(config->listen, "/@ ") == NULL);
	HOLDS(strncmp(config->public_url, "http://", 7) == 0 || strncmp(config->public_url, "https://", 8) == 0);
	HOLDS(config->public_url[strlen(config->public_url) - 1] != '/' && strpbrk(config->public_url, "?#\"<> \r\n") == NULL);
	HOLDS(strpbrk(config->public_url, "'\\") == NULL && strspn(config->map_extent, "-.,0123456789") == strlen(config->map_extent));
	HOLDS(strstr(config->timezone, "..") == NULL && config->timezone[0] != '/' && config->key_dir[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int file = -1;
	static char *nothing[] = { NULL };
	if (size > INPUT_LIMIT)
		return 0;
	if (file < 0) {
		environ = nothing;
		setting_name(0);
		file = memfd_create("settings", MFD_CLOEXEC);
		HOLDS(file >= 0);
	}
	struct world world = { 0 };
	arena_init(&world.arena);
	world.file.arena = &world.arena;
	build(&world, (struct slice){ (const char *)data, size });
	char *path = arena_printf(&world.arena, "/proc/self/fd/%d", file);
	if (world.file.len > 0) {
		HOLDS(ftruncate(file, 0) == 0 && pwrite(file, world.file.ptr, world.file.len, 0) == (ssize_t)world.file.len);
		world.variables[world.n_variables++] = arena_printf(&world.arena, "WARDMOTE_CONFIG=%s", path);
	}
	environ = world.variables;
	struct config config = { .workers = -7 };
	const char *error = NULL;
	char **rest;
	bool keep = size % 2 == 0;
	int r = config_load(&config, &world.arena, world.n_arguments, world.arguments, keep ? &rest : NULL, &error);
	environ = nothing;
	HOLDS(r == 0 ? config.workers > 0 : error != NULL && error[0] != '\0' && config.workers == -7);
	if (r == 0) {
		HOLDS(world.other_file || !world.nul);
		check_ranges(&config);
		HOLDS(world.raw || world.other_file || !world.twice);
		if (!world.raw && !world.other_file)
			check_loaded(&world, &config, path);
	} else if (memmem(data, size, "S3cret", 6) != NULL && world.expected[setting_number("database")].source != FROM_DEFAULT &&
		   !world.raw) {
		const char *value = arena_copy(&world.arena, world.expected[setting_number("database")].value);
		HOLDS(strstr(value, "S3cret") == NULL || strstr(error, value) == NULL);
	}
	arena_done(&world.arena);
	return 0;
}
