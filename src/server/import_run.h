/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* An import under way, for import_run.c and the readers of its kinds of files. */
#ifndef WARDMOTE_SERVER_IMPORT_RUN_H
#define WARDMOTE_SERVER_IMPORT_RUN_H

#include "imports.h"

struct run {
	struct imports *imports;
	struct import_place *place;
	struct db_session *session;
	struct arena arena; /* what lives as long as the import */
	const char *const *settings; /* the texts of enum setting; NULL: not set */
	struct arena batch_arena;
	struct buffer batch; /* rows as the elements of a JSON array */
	size_t n_batch;
	const char *outcome, *reason; /* why it came to nothing; NULL: it did not */
	int64_t touched_us;
};

/* What the statement that noted the import wrote into its settings for us. */
enum setting { SET_KIND, SET_CODE, SET_NAME, SET_PARENT, SET_POPULATION, SET_SRID, SET_COLUMNS, SET_REQUIRED, SETTINGS };

/* Notes the first reason; false, for the caller to return. */
bool run_fail(struct run *run, const char *outcome, const char *reason);
bool run_short_of_memory(struct run *run);

/* A row of the batch: its number, then members, then the end, which sends the batch when it is full. */
void run_row(struct run *run, long n);
void run_member(struct run *run, const char *name, const char *value); /* NULL is left out */
bool run_row_end(struct run *run);

/* How a kind of file is cut. */
struct reader {
	void *scan;
	int (*feed)(void *scan, struct slice piece);
	int (*end)(void *scan);
	const char *(*fault)(const void *scan, struct arena *arena);
};
/* The whole file through a reader, and the last batch. */
bool run_read(struct run *run, const struct reader *reader);

bool import_features(struct run *run);
bool import_table(struct run *run);

#endif
