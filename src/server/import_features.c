/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Boundaries: each feature of a collection is checked by itself and becomes a row of the batch, or a reject with its reasons. */
#include <stdlib.h>

#include "import_run.h"
#include "wardmote/features.h"

enum { FEATURES_MAX = 1 << 24, DETAILS_MAX = 5 };

struct reading {
	struct run *run;
	struct feature_mapping mapping;
	long n; /* features so far */
};

static void add_faults(struct run *run, const struct faults *faults)
{
	struct buffer detail = { .arena = &run->batch_arena };
	for (size_t i = 0; i < faults->n && i < DETAILS_MAX; i++) {
		const struct fault *fault = &faults->rows[i];
		buffer_format(&detail, "%s%s%s%s", i > 0 ? " " : "", fault->name, fault->name[0] == '\0' ? "" : ": ", fault->detail);
	}
	run_member(run, "reason", faults->rows[0].code);
	run_member(run, "detail", detail.ptr);
}

static bool take_feature(void *context, struct slice bytes)
{
	struct reading *reading = context;
	struct run *run = reading->run;
	struct arena arena;
	struct feature_row row;
	if (reading->n == FEATURES_MAX)
		return run_fail(run, "rejected", "A document has at most 16,777,216 features.");
	arena_init_reserved(&arena, run->imports->reserve);
	struct faults faults = { .arena = &arena };
	int r = feature_read(&arena, bytes, &reading->mapping, &row, &faults);
	run_row(run, ++reading->n);
	run_member(run, "code", row.code);
	if (r == 0) {
		run_member(run, "name", row.name);
		run_member(run, "parent", row.parent);
		run_member(run, "population", row.population);
		buffer_text(&run->batch, ",\"geometry\":");
		buffer_add(&run->batch, row.geometry);
	} else {
		add_faults(run, &faults);
	}
	bool good = !arena_lacking(&arena) || run_short_of_memory(run);
	arena_done(&arena);
	return good && run_row_end(run);
}

static int feed(void *scan, struct slice piece)
{
	return features_feed(scan, piece);
}

static int end(void *scan)
{
	return features_end(scan);
}

static const char *fault(const void *scan, struct arena *arena)
{
	return features_fault(scan, arena);
}

bool import_features(struct run *run)
{
	const char *const *settings = run->settings;
	struct reading reading = { .run = run,
				   .mapping = { .srid = (int)strtol(settings[SET_SRID], NULL, 10),
						.code = settings[SET_CODE],
						.name = settings[SET_NAME],
						.parent = settings[SET_PARENT],
						.population = settings[SET_POPULATION] } };
	struct features *scan = features_new(reading.mapping.srid, take_feature, &reading);
	if (scan == NULL)
		return run_short_of_memory(run);
	const struct reader reader = { scan, feed, end, fault };
	bool good = run_read(run, &reader);
	features_free(scan);
	return good;
}
