/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What each connection is set to: once for its session, or, where a pooler in transaction mode is in between, so that the next segment may run on another
 * backend, by the first statement of each segment and for its transaction alone. */
#include <stdio.h>
#include <stdlib.h>

#include "internal.h"

/* Those of every lane. */
static const struct db_setting common[] = {
	{ "TimeZone", "UTC" },    { "DateStyle", "ISO, YMD" },        { "search_path", "pg_catalog, public" },          { "jit", "off" },
	{ "lock_timeout", "2s" }, { "client_min_messages", "error" }, { "idle_in_transaction_session_timeout", "30s" }, { 0 },
};

/* One plan for all values, made once: of a statement that is prepared. One made anew is made for the values at hand anyway. */
static const struct db_setting planned_once[] = { { "plan_cache_mode", "force_generic_plan" },
						  { "max_parallel_workers_per_gather", "0" },
						  { 0 } };
static const struct db_setting planned_each[] = { { "plan_cache_mode", "force_custom_plan" },
						  { "max_parallel_workers_per_gather", "0" },
						  { 0 } };
static const struct db_setting not_parallel[] = { { "max_parallel_workers_per_gather", "0" }, { 0 } };
/* A statement that would write fails in every lane but that of writes. There nothing is said of it: the database may be one that takes none just now. */
static const struct db_setting reads[] = { { "default_transaction_read_only", "on" }, { 0 } };
static const struct db_setting reads_now[] = { { "transaction_read_only", "on" }, { 0 } }; /* of a transaction that has begun */
static const struct db_setting nothing[] = { { 0 } };

static const struct db_setting *of_lane(enum lane lane, bool pooled)
{
	if (lane == LANE_HEAVY)
		return not_parallel;
	if (lane == LANE_STREAM)
		return planned_each;
	return pooled ? not_parallel : planned_once;
}

/* The backend of an export looks whether somebody is still there, where its system can tell. */
#define LOOK_FOR_CLIENT ";DO $$BEGIN SET client_connection_check_interval='1s';EXCEPTION WHEN others THEN END$$"

static void append(FILE *out, const struct db_setting *settings, const char *form)
{
	for (const struct db_setting *setting = settings; setting->name != NULL; setting++)
		fprintf(out, form, setting->name, setting->value);
}

/* No name and no value has a quote or a backslash: they are the tables' above or were checked when they were read. */
static char *render(const struct db_settings *settings, enum lane lane, const char *begin, const char *form, const char *end)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	if (out == NULL)
		return NULL;
	char patience[24];
	snprintf(patience, sizeof patience, "%ld", settings->statement_timeout_ms[lane]);
	const struct db_setting own[] = { { "statement_timeout", patience }, { 0 } };
	fputs(begin, out);
	append(out, common, form);
	append(out, own, form);
	if (lane != LANE_WRITE)
		append(out, settings->pooled ? reads_now : reads, form);
	append(out, of_lane(lane, settings->pooled), form);
	append(out, settings->session == NULL ? nothing : settings->session, form);
	fputs(end, out);
	bool whole = ferror(out) == 0;
	if (fclose(out) != 0 || !whole) {
		free(text);
		return NULL;
	}
	return text;
}

char *settings_of_session(const struct db_settings *settings, enum lane lane)
{
	return render(settings, lane, fence_no_question, ",set_config('%s','%s',false)", lane == LANE_STREAM ? LOOK_FOR_CLIENT : "");
}

char *settings_of_transaction(const struct db_settings *settings, enum lane lane, const char *question, const char *source)
{
	return render(settings, lane, question, ",set_config('%s','%s',true)", source);
}
