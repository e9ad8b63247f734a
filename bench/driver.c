/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The limit of the database: the segments that the server sends, through the same module (lanes, pipelines, one Sync each) and without HTTP:
 *
 *   driver URI SEGMENTS VALUES LANE CONNECTIONS DEPTH IN_FLIGHT SECONDS SEED
 *
 * SEGMENTS is a file of JSON, [{"acts", "write", "answer", "steps": [{"text", "parameters": [text or null]}]}], which take turns. In a parameter `{value}` stands
 * for a line of VALUES drawn anew for each segment, `{n}` for a number of its own. IN_FLIGHT segments are kept under way (0: as many as connections hold).
 * Prints one JSON object: segments a second, outcomes, latency. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "histogram.h"
#include "wardmote/arena.h"
#include "wardmote/clock.h"
#include "wardmote/db.h"

enum { OUTCOMES = DB_UNKNOWN + 1, READY_MS = 10000, PARAMETERS_MAX = 64, VALUE_MAX = 256 };

struct driver;

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
	json_t *segments;
	char **values;
	size_t n_values;
	uint64_t random, number;
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

static uint64_t draw(struct driver *driver)
{
	uint64_t x = driver->random;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return driver->random = x;
}

/* A parameter with its placeholders filled in. */
static const char *fill(struct slot *slot, const char *text, const char *value, uint64_t number)
{
	if (strchr(text, '{') == NULL)
		return text;
	struct buffer out = { .arena = &slot->arena };
	for (const char *at = text; *at != '\0';) {
		if (strncmp(at, "{value}", 7) == 0) {
			buffer_text(&out, value);
			at += 7;
		} else if (strncmp(at, "{n}", 3) == 0) {
			buffer_format(&out, "%" PRIu64, number);
			at += 3;
		} else {
			buffer_format(&out, "%c", *at++);
		}
	}
	return out.ptr;
}

static void done(struct db_job *job, const struct db_result *result);

static void begin(struct slot *slot)
{
	struct driver *driver = slot->driver;
	arena_done(&slot->arena);
	arena_init(&slot->arena);
	uint64_t number = driver->number++;
	const char *value = driver->n_values == 0 ? "" : driver->values[draw(driver) % driver->n_values];
	const json_t *segment = json_array_get(driver->segments, number % json_array_size(driver->segments));
	const json_t *steps = json_object_get(segment, "steps");
	slot->job = (struct db_job){ .lane = driver->lane, .done = done };
	slot->job.write = json_is_true(json_object_get(segment, "write"));
	slot->job.acts = json_is_true(json_object_get(segment, "acts"));
	slot->job.answer = (size_t)json_integer_value(json_object_get(segment, "answer"));
	slot->job.n_steps = json_array_size(steps);
	for (size_t i = 0; i < slot->job.n_steps; i++) {
		const json_t *step = json_array_get(steps, i), *parameters = json_object_get(step, "parameters");
		size_t n = json_array_size(parameters);
		for (size_t p = 0; p < n; p++) {
			const char *text = json_string_value(json_array_get(parameters, p));
			slot->parameters[i][p] = text == NULL ? NULL : fill(slot, text, value, number);
		}
		slot->job.steps[i] = (struct db_step){ json_string_value(json_object_get(step, "text")), n, slot->parameters[i] };
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
	driver->outcomes[result->outcome]++;
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

static void read_values(struct driver *driver, const char *path)
{
	size_t capacity = 0;
	char line[VALUE_MAX];
	FILE *file = fopen(path, "r");
	if (file == NULL)
		fail(path);
	while (fgets(line, sizeof line, file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (driver->n_values == capacity) {
			capacity = capacity == 0 ? 1024 : capacity * 2;
			driver->values = realloc(driver->values, capacity * sizeof *driver->values);
		}
		if (driver->values == NULL || (driver->values[driver->n_values++] = strdup(line)) == NULL)
			fail("out of memory");
	}
	fclose(file);
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
	static const char *const lanes[LANES] = { [LANE_READ] = "read", [LANE_WRITE] = "write", [LANE_HEAVY] = "heavy" };
	if (argc != 10)
		fail("usage: driver URI SEGMENTS VALUES LANE CONNECTIONS DEPTH IN_FLIGHT SECONDS SEED");
	for (int lane = 0; lane < LANES; lane++) {
		if (strcmp(argv[4], lanes[lane]) == 0)
			driver.lane = (enum lane)lane;
	}
	long connections = strtol(argv[5], NULL, 10), depth = strtol(argv[6], NULL, 10), in_flight = strtol(argv[7], NULL, 10);
	json_error_t error;
	driver.segments = json_load_file(argv[2], 0, &error);
	if (json_array_size(driver.segments) == 0)
		fail(error.text);
	read_values(&driver, argv[3]);
	driver.random = strtoull(argv[9], NULL, 10) * 2654435761u + 88172645463325252u;
	struct db_settings settings = { .uri = argv[1],
					.fence = &driver.fence,
					.queue_limit = 100000,
					.setup = "SET wardmote.timezone='Europe/London';SET wardmote.idempotency_hours='24';" };
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
