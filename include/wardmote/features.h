/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A GeoJSON FeatureCollection of any length, fed in pieces and cut into its features. Only the document's own members are looked at while cutting; each
 * feature is then read by itself under the caps of a body, so that memory does not depend on the length of the whole. */
#ifndef WARDMOTE_FEATURES_H
#define WARDMOTE_FEATURES_H

#include "wardmote/problem.h"

enum {
	FEATURE_MAX = 16 << 20, /* bytes of one feature */
	FEATURE_PROPERTIES_MAX = 1 << 20, /* of one without its geometry */
	FEATURE_CODE_MAX = 100, /* characters, as a locality's code and name have */
	FEATURE_NAME_MAX = 200,
};

/* One feature's text; `bytes` is empty when it was longer than FEATURE_MAX. False: no more. */
typedef bool (*feature_fn)(void *context, struct slice bytes);

struct features;

/* NULL: no memory. `srid` is that of the coordinates (wardmote/query.h: SRID_*). `emit` is called with each feature in the order of the document. */
struct features *features_new(int srid, feature_fn emit, void *context);
void features_free(struct features *scan);
/* Takes the next piece. 0; -EINVAL: this is no FeatureCollection, and features_fault says why; -ECANCELED: `emit` wants no more; -ENOMEM. After any of
 * these no further piece may come. */
int features_feed(struct features *scan, struct slice piece);
/* The document is over: 0, or -EINVAL when it ends too early or lacks something. */
int features_end(struct features *scan);
/* One sentence for people, with the place where there is one; in the arena. */
const char *features_fault(const struct features *scan, struct arena *arena);

/* Which properties hold what; NULL: none does. */
struct feature_mapping {
	int srid; /* of the coordinates */
	const char *code, *name; /* must be there */
	const char *parent, *population;
};

struct feature_row {
	const char *code, *name, *parent; /* texts; a number in the document is written as text */
	const char *population; /* digits; NULL: none */
	struct slice geometry; /* GeoJSON, checked; a view of the feature */
};

/* Reads one feature: 0, or -EINVAL when faults were added. What could be told of it is in *ret_row in either case, so that a refusal can name its code. */
int feature_read(struct arena *arena, struct slice bytes, const struct feature_mapping *mapping, struct feature_row *ret_row,
		 struct faults *faults);

#endif
