/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The conditions by place that several lists offer with the same words. */
#ifndef WARDMOTE_RESOURCES_BY_PLACE_H
#define WARDMOTE_RESOURCES_BY_PLACE_H

enum { RADIUS_MAX_METRES = 50000, POSTCODE_MIN = 5, POSTCODE_MAX = 8 };

#define RADIUS_CLAUSE                                                                                                                      \
	{                                                                                                                                  \
		.name = "radius", .type = T_INT, .min = 1, .max = RADIUS_MAX_METRES, .needs = "near",                                      \
		.doc = "How near, in metres: 1 to 50,000.", .example = "1000"                                                              \
	}

/* The localities of every boundary set at a place, so that one question finds the records of all partners; SQL over @, the value of the clause. */
#define LOCALITIES_AT_POINT "(SELECT wardmote.localities_at(wardmote.position(@)))"
#define LOCALITIES_AT_POSTCODE "(SELECT wardmote.localities_at(wardmote.postcode_point(@)))"
#define LOCALITIES_NEAR "(SELECT wardmote.localities_near(wardmote.position(@), @radius::float8))"
#define LOCALITIES_IN_BOX "(SELECT wardmote.localities_meeting(wardmote.box(@)))"

/* How exactly the localities that a filter names are meant. */
extern const char *const locality_matches[];
extern const char matched_localities_schema[];
#define MATCH_CLAUSE(things)                                                                                                               \
	{                                                                                                                                  \
		.name = "match", .type = T_ENUM, .values = locality_matches, .widens = "locality_ids",                                     \
		.sql = "CASE WHEN wardmote.may_read('localities') THEN wardmote.sharing(@) ELSE @ END", .neutral = "exact",                \
		.shows = "matched_localities",                                                                                             \
		.shows_sql = "CASE WHEN wardmote.may_read('localities') THEN wardmote.matched(r.locality_ids, (SELECT "                    \
			     "wardmote.matches(@))) ELSE '[]' END",                                                                        \
		.shows_schema = matched_localities_schema,                                                                                 \
		.doc = "How the localities of `locality_ids` are meant. exact: " things                                                    \
		       " that name one of them. overlap: also those that name what "                                                       \
		       "one of them is a part of, or a part of it, or a locality of another boundary set that shares at least a "          \
		       "hundredth of "                                                                                                     \
		       "either's area with it; `matched_localities` then says in each which, and how much. They may have 5,000 parts "     \
		       "and lead to 20,000 localities altogether, else 400 `too_many`. A token with scopes "                               \
		       "needs `localities:read` for that, or it is as exact.",                                                             \
		.example = "overlap"                                                                                                       \
	}

#endif
