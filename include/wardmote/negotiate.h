/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Header fields that choose: Accept, Content-Type, If-Match and If-None-Match, and the ETags they name. Pure text. */
#ifndef WARDMOTE_NEGOTIATE_H
#define WARDMOTE_NEGOTIATE_H

#include "wardmote/arena.h"
#include "wardmote/operation.h"
#include "wardmote/sql.h"

/* --- what goes out --- */

/* The format to answer in, of those that `offered` has (bits 1 << enum format; JSON is always one of them). A suffix ("csv", "geojson"; NULL: none) wins over
 * Accept. An absent or empty Accept is JSON. The highest quality wins, then the range that comes first in Accept, then JSON, GeoJSON, CSV.
 * 0, or -ENOTSUP: 406 (with a suffix that is not offered: 404). */
int negotiate_format(struct slice accept, const char *suffix, unsigned offered, enum format *ret_format);
/* May the answer be of this one type (with its parameters)? What ends in +json is also offered as application/json. 0, or -ENOTSUP: 406. */
int negotiate_media(struct arena *arena, struct slice accept, const char *media);
/* Content-Type of an answer in this format. */
const char *negotiate_type(enum format format);

/* --- what comes in --- */

/* Is this Content-Type good for a body of this kind? Its only parameter may be charset=utf-8. 0, or -ENOTSUP: 415. */
int negotiate_body(enum body_kind kind, struct slice content_type);
/* For Accept-Post and Accept-Patch; NULL for BODY_NONE. */
const char *negotiate_accepted(enum body_kind kind);

/* --- entity tags --- */

enum { TAGS_MAX = 32 };

struct tag {
	struct slice text; /* between the quotes */
	bool weak;
};

/* If-Match or If-None-Match. */
struct tags {
	bool any; /* "*" */
	struct tag rows[TAGS_MAX];
	size_t n;
};

/* "<version>-<16 hex>" with its quotes for a record, "<16 hex>" for a list (version NULL). The version is a number; after a failover of the database
 * ".<timeline>" follows, since a former primary may have counted a version that was lost with it. */
const char *etag_compose(struct arena *arena, const char *version, uint64_t hash);
/* 0; -EINVAL: not a list of entity tags (400); -E2BIG: more than TAGS_MAX of them (400). */
int tags_parse(struct slice field, struct tags *ret_tags);
/* If-None-Match: does an entry name this ETag (with its quotes; weak comparison)? "*" names every one. */
bool tags_match(const struct tags *tags, const char *etag);
/* If-Match, as the version that a statement expects: NULL for "*"; "0", which no record has, when no strong tag of the list names a version. All tags of
 * one version are as good as one. -E2BIG: they name several versions (400). */
int tags_version(struct arena *arena, const struct tags *tags, const char **ret_version);

#endif
