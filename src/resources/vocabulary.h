/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Closed lists that more than one resource uses, and the lengths that they agree on. Only for the descriptors in this folder. */
#ifndef WARDMOTE_RESOURCES_VOCABULARY_H
#define WARDMOTE_RESOURCES_VOCABULARY_H

#include "wardmote/resource.h"

/* The number of rows of an array, for `n_fields`. */
#define ROWS(array) (sizeof(array) / sizeof(*(array)))

enum {
	NAME_MAX_CHARS = 200, /* names and titles */
	CODE_MAX_CHARS = 100, /* codes of lists, sets and scales */
	LINE_MAX_CHARS = 500, /* one sentence */
	TEXT_MAX_CHARS = 4000, /* a few paragraphs */
	LOCALITIES_MAX = 500, /* items of locality_ids: a city by its small areas */
	COMMUNITIES_MAX = 100,
};

/* How exactly a source gives a date: the date stored is the first day of the month or year. */
extern const char *const date_precisions[];

#endif
