/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "load.h"

enum { SECRET_MAX = 512 };

static const char USAGE[] =
    "usage: wardmote load --url URL --client-id ID [--client-secret-file FILE] DIR...\n"
    "\n"
    "Stores the records of DIR/*.json, in the order of the file names, through the API of the server at URL. Loading them again changes "
    "nothing.\n"
    "The first record that the server refuses ends the run. docs/sample.md describes the files.\n"
    "\n"
    "  --url URL                  base of the server, for example http://127.0.0.1:8080\n"
    "  --client-id ID             a service account that may write what the files hold\n"
    "  --client-secret-file FILE  its secret; without this option it is taken from the environment, WARDMOTE_CLIENT_SECRET\n";

struct options {
	const char *url, *client_id, *secret_file;
	char **folders; /* ended by NULL */
};

static int fail(const char *path, const char *why)
{
	fprintf(stderr, "wardmote load: %s: %s\n", path, why);
	return -EINVAL;
}

static int read_secret_file(const char *path, char **ret_secret)
{
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return fail(path, strerror(errno));
	char line[SECRET_MAX] = "";
	bool read = fgets(line, sizeof(line), file) != NULL;
	fclose(file);
	line[strcspn(line, "\r\n")] = '\0';
	if (!read || line[0] == '\0')
		return fail(path, "the file holds no secret");
	*ret_secret = load_need(strdup(line));
	explicit_bzero(line, sizeof(line));
	return 0;
}

static int read_secret(const struct options *options, char **ret_secret)
{
	if (options->secret_file != NULL)
		return read_secret_file(options->secret_file, ret_secret);
	const char *secret = getenv("WARDMOTE_CLIENT_SECRET");
	if (secret == NULL || secret[0] == '\0')
		return fail("--client-secret-file", "missing, and so is WARDMOTE_CLIENT_SECRET");
	*ret_secret = load_need(strdup(secret));
	return 0;
}

static bool is_match(const json_t *match)
{
	for (size_t i = 0; i < json_array_size(match); i++) {
		const json_t *names = json_array_get(match, i);
		if (json_array_size(names) == 0)
			return false;
		for (size_t k = 0; k < json_array_size(names); k++) {
			if (!json_is_string(json_array_get(names, k)))
				return false;
		}
	}
	return json_array_size(match) > 0;
}

static int parse_file(const char *path, json_t *tree, struct load_file *ret_file, json_t **ret_records)
{
	struct load_file file = { .path = path };
	json_t *records = NULL, *about = NULL;
	json_error_t error;
	if (json_unpack_ex(tree, &error, JSON_STRICT, "{s:s, s?o, s?o, s?s, s?o, s:o}", "resource", &file.resource, "about", &about,
			   "match", &file.match, "as", &file.as, "defaults", &file.defaults, "records", &records) != 0)
		return fail(path, error.text);
	if (!json_is_array(records))
		return fail(path, "records is not an array");
	if (file.match != NULL && !is_match(file.match))
		return fail(path, "match is not an array of arrays of field names");
	if (file.defaults != NULL && !json_is_object(file.defaults))
		return fail(path, "defaults is not an object");
	*ret_file = file;
	*ret_records = records;
	return 0;
}

static int load_records(struct load_run *run, const struct load_file *file, json_t *records)
{
	size_t counts[LOAD_OUTCOMES] = { 0 };
	for (size_t i = 0; i < json_array_size(records); i++) {
		enum load_outcome outcome = LOAD_PRESENT;
		int r = load_record(run, file, json_array_get(records, i), &outcome);
		if (r < 0)
			return r;
		counts[outcome]++;
	}
	printf("%-21s %4zu created, %4zu present, %2zu completed   %s\n", file->resource, counts[LOAD_CREATED], counts[LOAD_PRESENT],
	       counts[LOAD_COMPLETED], file->path);
	return 0;
}

static int load_path(struct load_run *run, const char *path)
{
	json_error_t error;
	json_t *tree = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (tree == NULL) {
		fprintf(stderr, "wardmote load: %s:%d: %s\n", path, error.line, error.text);
		return -EINVAL;
	}
	struct load_file file;
	json_t *records, *import = json_object_get(tree, "import");
	if (import != NULL) {
		int imported = load_import(run, path, import);
		json_decref(tree);
		return imported;
	}
	int r = parse_file(path, tree, &file, &records);
	if (r == 0)
		r = load_records(run, &file, records);
	json_decref(tree);
	return r;
}

static int is_json(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);
	return len > 5 && entry->d_name[0] != '.' && strcmp(entry->d_name + len - 5, ".json") == 0;
}

static int load_folder(struct load_run *run, const char *folder)
{
	struct dirent **entries = NULL;
	int n = scandir(folder, &entries, is_json, alphasort);
	if (n < 0)
		return fail(folder, strerror(errno));
	int r = n == 0 ? fail(folder, "has no .json file") : 0;
	struct arena arena;
	arena_init(&arena);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = load_path(run, arena_printf(&arena, "%s/%s", folder, entries[i]->d_name));
		free(entries[i]);
	}
	free(entries);
	arena_done(&arena);
	return r;
}

static void run_done(struct load_run *run)
{
	for (size_t i = 0; i < run->n_made; i++) {
		free(run->made[i].key);
		load_identity_done(&run->made[i].identity);
	}
	load_identity_done(&run->own);
	json_decref(run->ids);
	load_client_free(run->client);
}

static int load_all(const struct options *options)
{
	struct load_run run = { .ids = load_need(json_object()) };
	run.own.client_id = load_need(strdup(options->client_id));
	int r = read_secret(options, &run.own.client_secret);
	if (r == 0)
		run.client = load_client_new(options->url);
	for (char **folder = options->folders; r == 0 && *folder != NULL; folder++)
		r = load_folder(&run, *folder);
	run_done(&run);
	return r;
}

/* 0, or -EINVAL when the command line is not one that makes sense. */
static int parse_options(int argc, char **argv, struct options *ret_options)
{
	enum { URL = 1, CLIENT_ID, SECRET_FILE };
	static const struct option known[] = {
		{ "url", required_argument, NULL, URL },
		{ "client-id", required_argument, NULL, CLIENT_ID },
		{ "client-secret-file", required_argument, NULL, SECRET_FILE },
		{ 0 },
	};
	struct options options = { 0 };
	optind = 1;
	for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (option == URL)
			options.url = optarg;
		else if (option == CLIENT_ID)
			options.client_id = optarg;
		else if (option == SECRET_FILE)
			options.secret_file = optarg;
		else
			return -EINVAL;
	}
	options.folders = argv + optind;
	if (options.url == NULL || options.client_id == NULL || options.folders[0] == NULL)
		return -EINVAL;
	*ret_options = options;
	return 0;
}

int cmd_load(int argc, char **argv)
{
	struct options options;
	if (parse_options(argc, argv, &options) < 0) {
		fputs(USAGE, stderr);
		return EXIT_USAGE;
	}
	return load_all(&options) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
