/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Files of `wardmote load` that stand for an import: another file goes to the server as it is. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "load.h"

enum { FILE_MAX = 512 << 20, POLLS = 1800, SHOWN_MAX = 10 };

struct work {
	struct load_run *run;
	const char *path; /* of the file of `wardmote load` */
	struct arena *arena;
};

static int complain(const struct work *work, const char *why)
{
	fprintf(stderr, "wardmote load: %s: %s\n", work->path, why);
	return -EINVAL;
}

/* The id of "@boundary-sets/norwich", whose record an earlier file has; NULL: none has. */
static const char *id_of(const struct work *work, struct slice reference)
{
	const char *key = arena_copy(work->arena, (struct slice){ reference.ptr + 1, reference.len - 1 });
	return json_string_value(json_object_get(work->run->ids, key));
}

static struct slice segment_of(const char *text)
{
	return (struct slice){ text, strcspn(text, "/") };
}

/* The path with its references, "/v1/boundary-sets/@boundary-sets/norwich/imports", replaced by ids. */
static const char *resolve_path(const struct work *work, const char *text)
{
	struct buffer path = { .arena = work->arena };
	while (*text == '/') {
		struct slice part = segment_of(++text);
		if (part.len > 0 && part.ptr[0] == '@' && part.ptr[part.len] == '/') {
			part.len += 1 + segment_of(part.ptr + part.len + 1).len;
			const char *id = id_of(work, part);
			if (id == NULL)
				return NULL;
			buffer_format(&path, "/%s", id);
		} else {
			buffer_format(&path, "/%.*s", (int)part.len, part.ptr);
		}
		text = part.ptr + part.len;
	}
	return path.ptr;
}

static const char *target_of(const struct work *work, const char *path, json_t *query)
{
	struct buffer target = { .arena = work->arena };
	const char *resolved = resolve_path(work, path), *name;
	json_t *value;
	if (resolved == NULL)
		return NULL;
	buffer_text(&target, resolved);
	json_object_foreach(query, name, value)
	{
		const char *text = json_string_value(value);
		if (text != NULL && text[0] == '@')
			text = id_of(work, slice_of(text));
		if (text == NULL)
			return NULL;
		buffer_format(&target, "%s%s=%s", strchr(target.ptr, '?') == NULL ? "?" : "&", name,
			      load_client_escape(work->run->client, work->arena, text));
	}
	return target.ptr;
}

/* The file lies beside the one that names it. malloc'd; NULL after a message. */
static char *read_beside(const struct work *work, const char *name, size_t *ret_len)
{
	const char *slash = strrchr(work->path, '/');
	int folder = slash == NULL ? 0 : (int)(slash - work->path) + 1;
	FILE *file = fopen(arena_printf(work->arena, "%.*s%s", folder, work->path, name), "re");
	long len = -1;
	if (file != NULL && fseek(file, 0, SEEK_END) == 0)
		len = ftell(file);
	char *text = NULL;
	if (len >= 0 && len <= FILE_MAX && fseek(file, 0, SEEK_SET) == 0) {
		text = load_need(malloc((size_t)len + 1));
		*ret_len = fread(text, 1, (size_t)len, file);
	}
	if (file != NULL)
		fclose(file);
	if (text == NULL)
		complain(work, arena_printf(work->arena, "%s cannot be read, or is longer than 512 MiB", name));
	return text;
}

static const char *state_of(const struct load_answer *answer)
{
	const char *state = json_string_value(json_object_get(answer->body, "state"));
	return state == NULL ? "" : state;
}

/* Asks until the import is over. */
static int follow(const struct work *work, struct load_answer *answer)
{
	for (int i = 0; i < POLLS && (strcmp(state_of(answer), "queued") == 0 || strcmp(state_of(answer), "running") == 0); i++) {
		const char *id = json_string_value(json_object_get(answer->body, "id"));
		const struct load_request request = { .method = "GET",
						      .target = arena_printf(work->arena, "/v1/imports/%s", id == NULL ? "" : id) };
		load_answer_done(answer);
		nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
		int r = load_client_call(work->run->client, &work->run->own, &request, answer);
		if (r < 0)
			return r;
	}
	return 0;
}

static int show_rejected(const struct work *work, const json_t *import)
{
	const char *id = json_string_value(json_object_get(import, "id"));
	const struct load_request request = { .method = "GET",
					      .target = arena_printf(work->arena, "/v1/imports/%s/rejected?limit=%d", id, SHOWN_MAX) };
	struct load_answer answer = { 0 };
	fprintf(stderr, "wardmote load: %s: the import came to nothing: %s\n", work->path,
		json_string_value(json_object_get(import, "reason")));
	if (load_client_call(work->run->client, &work->run->own, &request, &answer) < 0)
		return -EIO;
	const json_t *items = json_object_get(answer.body, "items");
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *item = json_array_get(items, i);
		const char *code = json_string_value(json_object_get(item, "code"));
		fprintf(stderr, "  %" JSON_INTEGER_FORMAT " %s: %s: %s\n", json_integer_value(json_object_get(item, "n")),
			code == NULL ? "" : code, json_string_value(json_object_get(item, "reason")),
			json_string_value(json_object_get(item, "detail")));
	}
	load_answer_done(&answer);
	return -EINVAL;
}

static int settle(const struct work *work, const struct load_answer *answer)
{
	if (answer->status != 200 && answer->status != 202) {
		fprintf(stderr, "wardmote load: %s: ", work->path);
		load_answer_print(answer, stderr);
		return -EINVAL;
	}
	if (strcmp(state_of(answer), "done") != 0)
		return show_rejected(work, answer->body);
	json_int_t created = json_integer_value(json_object_get(answer->body, "created_count"));
	json_int_t updated = json_integer_value(json_object_get(answer->body, "updated_count"));
	json_int_t unchanged = json_integer_value(json_object_get(answer->body, "unchanged_count"));
	printf("%-21s %4" JSON_INTEGER_FORMAT " created, %4" JSON_INTEGER_FORMAT " present, %2" JSON_INTEGER_FORMAT " updated     %s\n",
	       "import", created, unchanged, updated, work->path);
	return 0;
}

static int send_file(const struct work *work, const struct load_request *request)
{
	struct load_answer answer = { 0 };
	int r = load_client_call(work->run->client, &work->run->own, request, &answer);
	if (r == 0)
		r = follow(work, &answer);
	if (r == 0)
		r = settle(work, &answer);
	load_answer_done(&answer);
	return r;
}

int load_import(struct load_run *run, const char *path, json_t *import)
{
	const char *target, *name, *media_type;
	json_t *query = NULL;
	json_error_t error;
	struct arena arena;
	arena_init(&arena);
	struct work work = { run, path, &arena };
	int r = 0;
	if (json_unpack_ex(import, &error, JSON_STRICT, "{s:s, s:s, s:s, s?o}", "path", &target, "file", &name, "media_type", &media_type,
			   "query", &query) != 0)
		r = complain(&work, error.text);
	if (r == 0 && (target = target_of(&work, target, query)) == NULL)
		r = complain(&work, "a reference of path or query leads to no record of an earlier file, or a value is no text");
	struct slice text = { 0 };
	char *bytes = r == 0 ? read_beside(&work, name, &text.len) : NULL;
	if (bytes != NULL) {
		text.ptr = bytes;
		const struct load_request request = {
			.method = "POST", .target = target, .text = text, .media_type = media_type, .prefer = "wait=60"
		};
		r = send_file(&work, &request);
	} else if (r == 0) {
		r = -EINVAL;
	}
	free(bytes);
	arena_done(&arena);
	return r;
}
