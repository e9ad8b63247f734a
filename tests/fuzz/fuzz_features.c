/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A document cut into features means the same wherever it was cut into pieces; and what jansson takes for a FeatureCollection is cut into the very features that
 * jansson finds. What is passed over need not be JSON, so the other way round nothing is claimed but for the features' number. */
#include "fuzz.h"

#include <jansson.h>
#include <string.h>

#include "wardmote/features.h"
#include "wardmote/query.h"

enum { FEATURES_MAX = 1000 };

struct seen {
	struct arena arena;
	struct buffer bytes;
	size_t ends[FEATURES_MAX];
	size_t n;
};

static bool note(void *context, struct slice bytes)
{
	struct seen *seen = context;
	buffer_add(&seen->bytes, bytes);
	if (seen->n < FEATURES_MAX)
		seen->ends[seen->n] = seen->bytes.len;
	return ++seen->n < FEATURES_MAX;
}

/* Fed in pieces of this length. */
static int feed(struct seen *seen, struct slice text, size_t length)
{
	*seen = (struct seen){ 0 };
	arena_init(&seen->arena);
	seen->bytes.arena = &seen->arena;
	struct features *scan = features_new(SRID_WGS84, note, seen);
	HOLDS(scan != NULL);
	int r = 0;
	for (size_t at = 0; r == 0 && at < text.len; at += length)
		r = features_feed(scan, (struct slice){ text.ptr + at, length < text.len - at ? length : text.len - at });
	if (r == 0)
		r = features_end(scan);
	features_free(scan);
	return r;
}

static bool is_collection(const json_t *tree)
{
	const char *type = json_string_value(json_object_get(tree, "type"));
	const json_t *features = json_object_get(tree, "features");
	if (type == NULL || strcmp(type, "FeatureCollection") != 0 || !json_is_array(features) || json_object_get(tree, "crs") != NULL)
		return false;
	for (size_t i = 0; i < json_array_size(features); i++) {
		if (!json_is_object(json_array_get(features, i)))
			return false;
	}
	return true;
}

static void compare(const struct seen *seen, const json_t *features)
{
	HOLDS(seen->n == json_array_size(features));
	for (size_t i = 0, start = 0; i < seen->n; start = seen->ends[i++]) {
		json_t *tree = json_loadb(seen->bytes.ptr + start, seen->ends[i] - start, 0, NULL);
		HOLDS(tree != NULL && json_equal(tree, json_array_get(features, i)));
		json_decref(tree);
	}
}

static void read_all(const struct seen *seen)
{
	static const struct feature_mapping mapping = { SRID_WGS84, "code", "name", "up", "people" };
	for (size_t i = 0, start = 0; i < seen->n && i < FEATURES_MAX; start = seen->ends[i++]) {
		struct arena arena;
		arena_init(&arena);
		struct faults faults = { .arena = &arena };
		struct feature_row row;
		struct slice bytes = { seen->bytes.ptr + start, seen->ends[i] - start };
		if (feature_read(&arena, bytes, &mapping, &row, &faults) == 0) {
			json_t *tree = json_loadb(bytes.ptr, bytes.len, 0, NULL);
			HOLDS(tree != NULL && row.code != NULL && row.name != NULL && row.geometry.len > 0 && faults.n == 0);
			json_decref(tree);
		} else {
			HOLDS(faults.n > 0);
		}
		arena_done(&arena);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { (const char *)data, size };
	static struct seen whole, cut;
	int r = feed(&whole, text, size + 1), r_cut = feed(&cut, text, 1);
	HOLDS(r == r_cut && whole.n == cut.n && whole.bytes.len == cut.bytes.len);
	HOLDS(whole.bytes.len == 0 || memcmp(whole.bytes.ptr, cut.bytes.ptr, whole.bytes.len) == 0);
	read_all(&whole);
	json_t *tree = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
	/* jansson goes deeper, and knows no bound to the number of features */
	if (is_collection(tree) && json_array_size(json_object_get(tree, "features")) < FEATURES_MAX && r == 0)
		compare(&whole, json_object_get(tree, "features"));
	if (is_collection(tree) && size < 100)
		HOLDS(r == 0);
	json_decref(tree);
	arena_done(&whole.arena);
	arena_done(&cut.arena);
	return 0;
}
