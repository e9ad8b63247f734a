/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The OpenAPI document of this program. It was rendered when the program was built (tools/describe.c); what is left is to put the server's address in, at
 * the first request for it: few ever ask, and it is a megabyte. */
#ifndef WARDMOTE_SERVER_DOCUMENT_H
#define WARDMOTE_SERVER_DOCUMENT_H

#include <pthread.h>

#include "wardmote/slice.h"

struct document {
	pthread_mutex_t lock; /* guards what follows until it is made; then it stays */
	char *text;
	size_t len;
	char etag[24];
};

void document_init(struct document *document);
void document_done(struct document *document);
/* For any thread. 0 or -ENOMEM. */
int document_take(struct document *document, const char *base_url, struct slice *ret_text, const char **ret_etag);
/* malloc'ed; NULL: no memory. */
char *document_fill(const char *base_url, size_t *ret_len);

#endif
