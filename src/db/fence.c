/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who answers on a fresh connection? A standby, or a former primary that came back after a failover (its timeline is older than one that was seen), gets
 * nothing of us; and no write goes to a server that takes none, or where commits wait for a standby that is away: each would leave one more backend waiting. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* After a restore timelines may begin again: the era, which `wardmote restored` sets for the database, makes them later than all before (wardmote.era()). */
#define TIMELINE                                                                                                                           \
	"CASE WHEN pg_is_in_recovery() THEN '' ELSE (('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint "            \
	"+ coalesce(nullif(current_setting('wardmote.era', true), '')::bigint, 0))::text END"
#define READ_ONLY "current_setting('transaction_read_only') = 'on'"
#define COMMITS_WAIT                                                                                                                       \
	"EXISTS (SELECT FROM pg_stat_activity WHERE usename = current_user AND wait_event = 'SyncRep' "                                    \
	"AND query_start < clock_timestamp() - interval '4 seconds')"

const char fence_question[] = "SELECT " TIMELINE ", " READ_ONLY ", " COMMITS_WAIT;
/* It fails by itself on a server of the past, and on a standby, which has no timeline: then nothing of the segment is done there. */
const char fence_short_question[] =
    "SELECT timeline, " READ_ONLY ", false, CASE WHEN coalesce(nullif(timeline, ''), '0')::bigint < $1::bigint THEN "
    "('no primary: its timeline is <' || timeline || '>, seen was ' || $1::bigint)::integer END";
const char fence_short_source[] = " FROM (SELECT " TIMELINE " AS timeline) AS server";
const char fence_no_question[] = "SELECT NULL";

bool fence_is_past(const struct db_fence *fence, uint32_t timeline)
{
	return timeline != 0 && timeline < atomic_load(&fence->timeline);
}

static void raise_to(struct db_fence *fence, uint32_t timeline)
{
	uint32_t known = atomic_load(&fence->timeline);
	while (known < timeline && !atomic_compare_exchange_weak(&fence->timeline, &known, timeline))
		continue;
}

void fence_name(const struct db_fence *fence, char *ret_name, size_t size)
{
	snprintf(ret_name, size, "%" PRIu32, (uint32_t)atomic_load(&fence->timeline));
}

bool fence_refused(const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	return sqlstate != NULL && strcmp(sqlstate, "22P02") == 0;
}

/* Some services keep these functions to themselves. */
static bool cannot_tell(const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	return sqlstate != NULL && (strcmp(sqlstate, "42501") == 0 || strcmp(sqlstate, "42883") == 0 || strcmp(sqlstate, "0A000") == 0);
}

enum standing fence_judge(struct db_fence *fence, const PGresult *result, uint32_t *ret_timeline)
{
	*ret_timeline = 0;
	if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1) {
		bool silent = cannot_tell(result);
		if (silent)
			atomic_store(&fence->silent, true);
		return silent ? STANDING_GOOD : STANDING_UNTOLD;
	}
	const char *timeline = PQgetvalue(result, 0, 0);
	if (timeline[0] == '\0')
		return STANDING_STANDBY;
	*ret_timeline = (uint32_t)strtoul(timeline, NULL, 10);
	raise_to(fence, *ret_timeline);
	if (fence_is_past(fence, *ret_timeline))
		return STANDING_PAST;
	if (PQgetvalue(result, 0, 1)[0] == 't')
		return STANDING_READ_ONLY;
	return PQgetvalue(result, 0, 2)[0] == 't' ? STANDING_WAITING : STANDING_GOOD;
}

const char *standing_text(enum standing standing)
{
	static const char *const texts[] = {
		[STANDING_GOOD] = "it takes writes",
		[STANDING_UNTOLD] = "it did not say who it is",
		[STANDING_STANDBY] = "it is a standby",
		[STANDING_PAST] = "it is on an older timeline than one that was seen: a former primary",
		[STANDING_READ_ONLY] = "it takes no writes",
		[STANDING_WAITING] = "commits wait there for a standby that is away",
	};
	return texts[standing];
}
