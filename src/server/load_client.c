/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The loader's connection: one libcurl handle, one request at a time, each with a token of the identity that asks. */
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "load.h"
#include "wardmote/clock.h"

enum {
	ANSWER_MAX = 32 << 20,
	ATTEMPTS = 6,
	RETRY_AFTER_MAX = 5, /* seconds */
	TOKEN_MARGIN = 60, /* seconds before its end in which a token is not used any more */
};

struct load_client {
	CURL *curl;
	char *url;
};

struct received {
	char *ptr;
	size_t len, capacity;
	struct load_answer *answer;
};

void *load_need(void *made)
{
	if (made != NULL)
		return made;
	fputs("wardmote load: out of memory\n", stderr);
	exit(EXIT_FAILURE);
}

static void wipe(char **secret)
{
	if (*secret != NULL)
		explicit_bzero(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}

void load_identity_done(struct load_identity *identity)
{
	wipe(&identity->client_secret);
	wipe(&identity->token);
	free(identity->client_id);
	free(identity->account_id);
	*identity = (struct load_identity){ 0 };
}

void load_answer_done(struct load_answer *answer)
{
	json_decref(answer->body);
	*answer = (struct load_answer){ 0 };
}

static size_t on_body(char *data, size_t size, size_t n, void *context)
{
	struct received *received = context;
	size_t more = size * n;
	if (more > ANSWER_MAX - received->len)
		return 0;
	if (received->len + more > received->capacity) {
		received->capacity = 2 * (received->len + more);
		received->ptr = load_need(realloc(received->ptr, received->capacity));
	}
	memcpy(received->ptr + received->len, data, more);
	received->len += more;
	return more;
}

/* The value of a header line when it has this name, else NULL; `*ret_len` without the spaces around it. */
static const char *header_value(const char *line, size_t len, const char *name, size_t *ret_len)
{
	size_t at = strlen(name);
	if (len <= at || line[at] != ':' || strncasecmp(line, name, at) != 0)
		return NULL;
	for (at++; at < len && line[at] == ' ';)
		at++;
	while (len > at && strchr(" \r\n", line[len - 1]) != NULL)
		len--;
	*ret_len = len - at;
	return line + at;
}

static size_t on_header(char *line, size_t size, size_t n, void *context)
{
	struct load_answer *answer = ((struct received *)context)->answer;
	size_t len = size * n, value_len = 0;
	const char *value = header_value(line, len, "ETag", &value_len);
	if (value != NULL && value_len < sizeof(answer->etag)) {
		memcpy(answer->etag, value, value_len);
		answer->etag[value_len] = '\0';
	}
	value = header_value(line, len, "Retry-After", &value_len);
	if (value != NULL)
		answer->retry_after = strtol(value, NULL, 10);
	return len;
}

struct load_client *load_client_new(const char *url)
{
	struct load_client *client = load_need(calloc(1, sizeof(*client)));
	size_t len = strlen(url);
	len -= len > 0 && url[len - 1] == '/';
	client->url = load_need(strndup(url, len));
	client->curl = load_need(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_easy_init() : NULL);
	return client;
}

void load_client_free(struct load_client *client)
{
	if (client == NULL)
		return;
	curl_easy_cleanup(client->curl);
	curl_global_cleanup();
	free(client->url);
	free(client);
}

char *load_client_escape(struct load_client *client, struct arena *arena, const char *text)
{
	char *escaped = load_need(curl_easy_escape(client->curl, text, 0));
	char *copy = arena_copy(arena, slice_of(escaped));
	curl_free(escaped);
	return copy;
}

static void pause_seconds(long seconds)
{
	nanosleep(&(struct timespec){ .tv_sec = seconds }, NULL); /* no signal of ours ends it early */
}

/* Performs what is set on the handle and reads the answer. */
static int perform(struct load_client *client, struct arena *arena, const char *target, struct curl_slist *headers,
		   struct load_answer *ret_answer)
{
	struct load_answer answer = { 0 };
	struct received received = { .answer = &answer };
	char reason[CURL_ERROR_SIZE] = "";
	CURL *curl = client->curl;
	curl_easy_setopt(curl, CURLOPT_URL, arena_printf(arena, "%s%s", client->url, target));
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 120L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "wardmote-load/" WARDMOTE_VERSION);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &received);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, &received);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
	CURLcode code = curl_easy_perform(curl);
	if (code != CURLE_OK) {
		fprintf(stderr, "wardmote load: %s: %s\n", client->url, reason[0] != '\0' ? reason : curl_easy_strerror(code));
		free(received.ptr);
		return -EIO;
	}
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
	answer.body = received.len == 0 ? NULL : json_loadb(received.ptr, received.len, 0, NULL);
	if (received.ptr != NULL)
		explicit_bzero(received.ptr, received.len); /* it may show a secret */
	free(received.ptr);
	*ret_answer = answer;
	return 0;
}

static struct curl_slist *header_add(struct curl_slist *headers, const char *line)
{
	struct curl_slist *longer = curl_slist_append(headers, line);
	if (longer == NULL)
		curl_slist_free_all(headers);
	return load_need(longer);
}

static int token_request(struct load_client *client, struct arena *arena, const struct load_identity *identity,
			 struct load_answer *ret_answer)
{
	struct curl_slist *headers = header_add(NULL, "Content-Type: application/x-www-form-urlencoded");
	headers = header_add(headers, "Accept: application/json");
	curl_easy_reset(client->curl);
	curl_easy_setopt(client->curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
	curl_easy_setopt(client->curl, CURLOPT_USERNAME, identity->client_id);
	curl_easy_setopt(client->curl, CURLOPT_PASSWORD, identity->client_secret);
	curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, "grant_type=client_credentials");
	int r = perform(client, arena, "/oauth/token", headers, ret_answer);
	curl_slist_free_all(headers);
	return r;
}

static int token_renew(struct load_client *client, struct arena *arena, struct load_identity *identity)
{
	struct load_answer answer = { 0 };
	int64_t asked = clock_monotonic_us();
	int r = token_request(client, arena, identity, &answer);
	if (r < 0)
		return r;
	const char *token = NULL;
	json_int_t seconds = 0;
	if (answer.status == 200 && json_unpack(answer.body, "{s:s, s:I}", "access_token", &token, "expires_in", &seconds) == 0) {
		wipe(&identity->token);
		identity->token = load_need(strdup(token));
		identity->renew_at = asked + (seconds > 2 * TOKEN_MARGIN ? seconds - TOKEN_MARGIN : seconds / 2) * 1000000;
	} else {
		fprintf(stderr, "wardmote load: no token for client %s: ", identity->client_id);
		load_answer_print(&answer, stderr);
		r = -EACCES;
	}
	load_answer_done(&answer);
	return r;
}

static int send_once(struct load_client *client, struct arena *arena, const struct load_identity *identity,
		     const struct load_request *request, struct slice body, struct load_answer *ret_answer)
{
	struct curl_slist *headers = header_add(NULL, arena_printf(arena, "Authorization: Bearer %s", identity->token));
	headers = header_add(headers, "Accept: application/json");
	headers = header_add(headers, "Expect:");
	if (request->if_match != NULL)
		headers = header_add(headers, arena_printf(arena, "If-Match: %s", request->if_match));
	if (request->idempotency_key != NULL)
		headers = header_add(headers, arena_printf(arena, "Idempotency-Key: %s", request->idempotency_key));
	curl_easy_reset(client->curl);
	if (request->prefer != NULL)
		headers = header_add(headers, arena_printf(arena, "Prefer: %s", request->prefer));
	if (body.ptr != NULL) {
		headers = header_add(headers, arena_printf(arena, "Content-Type: %s", request->media_type));
		curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
		curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, body.ptr);
	}
	curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, request->method);
	int r = perform(client, arena, request->target, headers, ret_answer);
	curl_slist_free_all(headers);
	return r;
}

static bool is_busy(const struct load_answer *answer)
{
	return answer->status == 429 || answer->status == 503;
}

int load_client_call(struct load_client *client, struct load_identity *identity, const struct load_request *request,
		     struct load_answer *ret_answer)
{
	struct arena arena;
	arena_init(&arena);
	/* Fifteen digits print a coordinate as it was read; jansson's default of seventeen adds a tail of noise. */
	char *body = request->body == NULL ? NULL : load_need(json_dumps(request->body, JSON_COMPACT | JSON_REAL_PRECISION(15)));
	struct slice bytes = request->text.ptr != NULL ? request->text : slice_of(body);
	int r = 0;
	for (int attempt = 1;; attempt++) {
		if (identity->token == NULL || clock_monotonic_us() >= identity->renew_at)
			r = token_renew(client, &arena, identity);
		struct load_answer answer = { 0 };
		if (r == 0)
			r = send_once(client, &arena, identity, request, bytes, &answer);
		if (r < 0)
			break;
		if (!is_busy(&answer) || attempt == ATTEMPTS) {
			*ret_answer = answer;
			break;
		}
		pause_seconds(answer.retry_after < 1 ? 1 : answer.retry_after > RETRY_AFTER_MAX ? RETRY_AFTER_MAX : answer.retry_after);
		load_answer_done(&answer);
	}
	free(body);
	arena_done(&arena);
	return r;
}

static const char *member_text(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

void load_answer_print(const struct load_answer *answer, FILE *out)
{
	/* Problems have title and detail, OAuth's own errors error and error_description. */
	const char *title = member_text(answer->body, "title"), *detail = member_text(answer->body, "detail");
	if (title == NULL)
		title = member_text(answer->body, "error");
	if (detail == NULL)
		detail = member_text(answer->body, "error_description");
	fprintf(out, "%ld %s%s%s\n", answer->status, title == NULL ? "without a problem document" : title, detail == NULL ? "" : ": ",
		detail == NULL ? "" : detail);
	const json_t *errors = json_object_get(answer->body, "errors");
	for (size_t i = 0; i < json_array_size(errors); i++) {
		const json_t *error = json_array_get(errors, i);
		const char *place = member_text(error, "pointer");
		if (place == NULL)
			place = member_text(error, "parameter");
		if (place == NULL)
			place = member_text(error, "header");
		const char *code = member_text(error, "code"), *why = member_text(error, "detail");
		fprintf(out, "  %s: %s: %s\n", place == NULL ? "(request)" : place, code == NULL ? "?" : code, why == NULL ? "" : why);
	}
}
