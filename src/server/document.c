/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "wardmote/auth.h"
#include "wardmote/openapi.h"

extern const char openapi_text[];
extern const size_t openapi_text_len;

/* Copies the document with `base` for each mark, or only counts when `to` is NULL. The length. */
static size_t fill(char *to, struct slice base)
{
	const char *from = openapi_text, *end = openapi_text + openapi_text_len, *mark;
	size_t len = 0, mark_len = strlen(OPENAPI_BASE_MARK);
	while ((mark = memmem(from, (size_t)(end - from), OPENAPI_BASE_MARK, mark_len)) != NULL) {
		size_t before = (size_t)(mark - from);
		if (to != NULL) {
			memcpy(to + len, from, before);
			memcpy(to + len + before, base.ptr, base.len);
		}
		len += before + base.len;
		from = mark + mark_len;
	}
	if (to != NULL)
		memcpy(to + len, from, (size_t)(end - from));
	return len + (size_t)(end - from);
}

char *document_fill(const char *base_url, size_t *ret_len)
{
	struct slice base = slice_of(base_url);
	*ret_len = fill(NULL, base);
	char *text = calloc(1, *ret_len);
	if (text != NULL)
		fill(text, base);
	return text;
}

void document_init(struct document *document)
{
	*document = (struct document){ 0 };
	pthread_mutex_init(&document->lock, NULL);
}

void document_done(struct document *document)
{
	free(document->text);
	pthread_mutex_destroy(&document->lock);
}

int document_take(struct document *document, const char *base_url, struct slice *ret_text, const char **ret_etag)
{
	pthread_mutex_lock(&document->lock);
	if (document->text == NULL) {
		document->text = document_fill(base_url, &document->len);
		struct slice text = { document->text, document->text == NULL ? 0 : document->len };
		snprintf(document->etag, sizeof document->etag, "\"%016llx\"", (unsigned long long)auth_hash(&text, 1));
	}
	pthread_mutex_unlock(&document->lock);
	*ret_text = (struct slice){ document->text, document->len };
	*ret_etag = document->etag;
	return document->text == NULL ? -ENOMEM : 0;
}
