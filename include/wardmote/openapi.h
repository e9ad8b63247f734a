/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The OpenAPI 3.1 document, derived from the catalog. */
#ifndef WARDMOTE_OPENAPI_H
#define WARDMOTE_OPENAPI_H

#include "wardmote/catalog.h"

/* In the document that is made with the program: stands for the base URL. */
#define OPENAPI_BASE_MARK "http://base.invalid"

/* The document as JSON, members in a stable order; `base_url` is the public base (no slash at its end). */
struct slice openapi_render(struct arena *arena, const struct catalog *catalog, const char *base_url, const char *version);
/* The record of processing: every field that can hold personal data, with purpose, basis, retention, audience; and what is decided about every other text. */
enum privacy_format { PRIVACY_TEXT, PRIVACY_JSON, PRIVACY_CSV };
struct slice privacy_render(struct arena *arena, const struct catalog *catalog, enum privacy_format format);

#endif
