/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The limit of the database: the segments that the server sends, through the same module (lanes, pipelines, one Sync each) and without HTTP:
 *
 *   driver URI SEGMENTS TABLE LANE CONNECTIONS DEPTH IN_FLIGHT SECONDS FIRST
 *
 * SEGMENTS is a file of JSON, [{"acts", "write", "records", "answer", "steps": [{"text", "parameters": [text or null]}]}], which take turns. In a parameter `{n}` stands for the
 * number of the segment (the first is FIRST), `{1}` to `{9}` for columns of a row of TABLE ("" for none; template.h). IN_FLIGHT segments are kept under way (0: as
 * many as connections hold).
 * Prints one JSON object: segments a second, outcomes, latency. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "histogram.h"
#include "template.h"
#include "wardmote/arena.h"
#include "wardmote/clock.h"
#include "wardmote/db.h"
#include "wardmote/hash.h"

enum { OUTCOMES = DB_UNKNOWN + 1, READY_MS = 10000, PARAMETERS_MAX = 64 };

struct driver;

struct segment {
	bool write, acts;
	bool records; /* its answer is rows of records, not the uniform row */
	size_t answer, n_steps;
	struct {
		const char *text;
		uint64_t hash;
		size_t n_parameters;
		struct template parameters[PARAMETERS_MAX];
		bool null[PARAMETERS_MAX];
	} steps[DB_STEPS_MAX];
};

/* One place under way. */
struct slot {
	struct db_job job;
	struct driver *driver;
	struct arena arena;
	const char *parameters[DB_STEPS_MAX][PARAMETERS_MAX];
	int64_t begun_us;
};

struct driver {
	struct db_pool *pool;
	struct db_fence fence;
	enum lane lane;
	struct segment *segments;
	size_t n_segments;
	struct table table;
	uint64_t number;
	int64_t begun_us, ends_us;
	uint64_t outcomes[OUTCOMES], refused, errors; /* rows with a status from 400 on */
	size_t under_way;
	struct histogram latency;
};

static void fail(const char *what)
{
	fprintf(stderr, "driver: %s\n", what);
	exit(EXIT_FAILURE);
}

static void read_step(const json_t *json, struct segment *segment, size_t at)
{
	const json_t *parameters = json_object_get(json, "parameters");
	segment->steps[at].text = json_string_value(json_object_get(json, "text"));
	segment->steps[at].hash = hash_bytes(segment->steps[at].text, strlen(segment->steps[at].text));
	segment->steps[at].n_parameters = json_array_size(parameters);
	for (size_t i = 0; i < segment->steps[at].n_parameters && i < PARAMETERS_MAX; i++) {
		const json_t *value = json_array_get(parameters, i);
		segment->steps[at].null[i] = json_is_null(value);
		if (json_is_string(value))
			template_parse(json_string_value(value), json_string_length(value), &segment->steps[at].parameters[i]);
	}
}

static void read_segments(struct driver *driver, const char *path)
{
	json_error_t error;
	const json_t *all = json_load_file(path, 0, &error);
	driver->n_segments = json_array_size(all);
	driver->segments = calloc(driver->n_segments + 1, sizeof *driver->segments);
	if (driver->n_segments == 0 || driver->segments == NULL)
		fail(all == NULL ? error.text : "no segment");
	for (size_t i = 0; i < driver->n_segments; i++) {
		const json_t *json = json_array_get(all, i), *steps = json_object_get(json, "steps");
		struct segment *segment = &driver->segments[i];
		segment->write = json_is_true(json_object_get(json, "write"));
		segment->acts = json_is_true(json_object_get(json, "acts"));
		segment->records = json_is_true(json_object_get(json, "records"));
		segment->answer = (size_t)json_integer_value(json_object_get(json, "answer"));
		segment->n_steps = json_array_size(steps);
		if (segment->n_steps > DB_STEPS_MAX)
			fail("too many steps");
		for (size_t n = 0; n < segment->n_steps; n++)
			read_step(json_array_get(steps, n), segment, n);
	}
}

/* A parameter with its placeholders filled in. */
static const char *fill(struct slot *slot, const struct template *template, uint64_t number)
{
	if (template_is_constant(template))
		return template->pieces[0].text;
	char *text = arena_alloc(&slot->arena, template->len + template->n * 256);
	text[template_fill(template, &slot->driver->table, number, text, template->len + template->n * 256 - 1)] = '\0';
	return text;
}

static void done(struct db_job *job, const struct db_result *result);

static void begin(struct slot *slot)
{
	struct driver *driver = slot->driver;
	arena_done(&slot->arena);
	arena_init(&slot->arena);
	uint64_t number = driver->number++;
	const struct segment *segment = &driver->segments[number % driver->n_segments];
	slot->job = (struct db_job){ .lane = driver->lane, .done = done };
	slot->job.write = segment->write;
	slot->job.acts = segment->acts;
	slot->job.records = segment->records;
	slot->job.answer = segment->answer;
	slot->job.n_steps = segment->n_steps;
	for (size_t i = 0; i < segment->n_steps; i++) {
		size_t n = segment->steps[i].n_parameters;
		for (size_t p = 0; p < n; p++)
			slot->parameters[i][p] = segment->steps[i].null[p] ? NULL : fill(slot, &segment->steps[i].parameters[p], number);
		slot->job.steps[i] = (struct db_step){ segment->steps[i].text, n, slot->parameters[i], segment->steps[i].hash };
	}
	slot->begun_us = clock_monotonic_us();
	slot->job.deadline_us = slot->begun_us + 60000000;
	if (db_enqueue(driver->pool, &slot->job) == 0)
		driver->under_way++;
	else
		driver->refused++;
}

static void done(struct db_job *job, const struct db_result *result)
{
	struct slot *slot = (struct slot *)(void *)job;
	struct driver *driver = slot->driver;
	int64_t now_us = clock_monotonic_us();
	driver->under_way--;
	bool none = job->records && result->outcome == DB_ROW && db_result_extent(result->owner).rows == 0;
	driver->outcomes[none ? DB_NO_ROW : result->outcome]++;
	driver->errors += result->outcome == DB_ROW && result->status >= 400;
	histogram_add(&driver->latency, now_us - slot->begun_us);
	db_result_release(result->owner);
	if (now_us < driver->ends_us)
		begin(slot);
}

static void wait_once(struct driver *driver)
{
	struct pollfd fd = { .fd = db_pool_fd(driver->pool), .events = POLLIN };
	poll(&fd, 1, db_pool_timeout(driver->pool));
	db_pool_run(driver->pool);
}

static void connect_all(struct driver *driver, size_t connections)
{
	int64_t until_us = clock_monotonic_us() + INT64_C(1000) * READY_MS;
	struct db_stats stats = { .jobs = 0 };
	while (stats.connected[driver->lane] < connections) {
		if (clock_monotonic_us() > until_us)
			fail("the database does not answer");
		wait_once(driver);
		db_pool_stats(driver->pool, &stats);
	}
}

static void report(const struct driver *driver)
{
	static const char *const names[] = { "row", "no_row", "no_actor", "error", "timeout", "busy", "unavailable", "unknown" };
	double seconds = (double)(driver->ends_us - driver->begun_us) / 1e6;
	printf("{\"seconds\":%.3f,\"per_second\":%.1f,\"refused\":%" PRIu64 ",\"errors\":%" PRIu64 ",", seconds,
	       (double)driver->latency.n / seconds, driver->refused, driver->errors);
	for (int i = 0; i < OUTCOMES; i++)
		printf("\"%s\":%" PRIu64 ",", names[i], driver->outcomes[i]);
	histogram_print("latency", &driver->latency);
	puts("}");
}

int main(int argc, char **argv)
{
	static struct driver driver;
	static const struct db_setting session[] = { { "wardmote.timezone", "Europe/London" },
						     { "wardmote.idempotency_hours", "24" },
						     { 0 } };
	static const char *const lanes[LANES] = {
		[LANE_READ] = "read", [LANE_WRITE] = "write", [LANE_HEAVY] = "heavy", [LANE_STREAM] = "stream"
	};
	if (argc != 10)
		fail("usage: driver URI SEGMENTS TABLE LANE CONNECTIONS DEPTH IN_FLIGHT SECONDS FIRST");
	for (int lane = 0; lane < LANES; lane++) {
		if (strcmp(argv[4], lanes[lane]) == 0)
			driver.lane = (enum lane)lane;
	}
	long connections = strtol(argv[5], NULL, 10), depth = strtol(argv[6], NULL, 10), in_flight = strtol(argv[7], NULL, 10);
	read_segments(&driver, argv[2]);
	table_read(argv[3], &driver.table);
	driver.number = strtoull(argv[9], NULL, 10);
	struct db_settings settings = { .uri = argv[1], .fence = &driver.fence, .queue_limit = 100000, .session = session };
	for (int lane = 0; lane < LANES; lane++) {
		settings.connections[lane] = lane == (int)driver.lane ? connections : 0;
		settings.depth[lane] = depth;
		settings.statement_timeout_ms[lane] = 60000;
	}
	if (db_pool_new(&settings, &driver.pool) < 0)
		fail("out of memory");
	connect_all(&driver, (size_t)connections);
	size_t n = in_flight > 0 ? (size_t)in_flight : (size_t)(connections * depth);
	struct slot *slots = calloc(n, sizeof *slots);
	if (slots == NULL)
		fail("out of memory");
	driver.begun_us = clock_monotonic_us();
	driver.ends_us = driver.begun_us + (int64_t)(strtod(argv[8], NULL) * 1e6);
	for (size_t i = 0; i < n; i++) {
		slots[i].driver = &driver;
		arena_init(&slots[i].arena);
		begin(&slots[i]);
	}
	while (driver.under_way > 0)
		wait_once(&driver);
	report(&driver);
	return EXIT_SUCCESS;
}
