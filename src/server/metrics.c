/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "certificate.h"
#include "server.h"
#include "wardmote/clock.h"
#include "wardmote/log.h"

static const int statuses[METRIC_STATUSES] = { 200, 201, 202, 204, 304, 400, 401, 403, 404, 405, 406, 408, 409, 412,
					       413, 414, 415, 422, 428, 429, 431, 500, 501, 503, 504, 505, 0 };
static const double bounds[METRIC_BUCKETS - 1] = { 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5 };

/* Those that the gate knows. */
static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" };
enum { METHODS = sizeof methods / sizeof *methods };

size_t metrics_unmatched(size_t routes, struct slice method)
{
	size_t i = METHODS - 1;
	while (i > 0 && !slice_is(method, methods[i]))
		i--;
	return routes + i;
}

int metrics_init(struct metrics *metrics, size_t routes)
{
	metrics->n_routes = routes + METHODS;
	metrics->routes = calloc(metrics->n_routes, sizeof *metrics->routes);
	return metrics->routes == NULL ? -ENOMEM : 0;
}

void metrics_done(struct metrics *metrics)
{
	free(metrics->routes);
	metrics->routes = NULL;
}

static void add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void metrics_count(struct metrics *metrics, size_t route, int status, int64_t microseconds)
{
	struct route_metrics *row = &metrics->routes[route < metrics->n_routes ? route : metrics->n_routes - 1];
	size_t i = 0;
	while (i < METRIC_STATUSES - 1 && statuses[i] != status && statuses[i] != 0)
		i++;
	add(&row->statuses[i], 1);
	size_t bucket = 0;
	while (bucket < METRIC_BUCKETS - 1 && (double)microseconds > bounds[bucket] * 1e6)
		bucket++;
	add(&row->buckets[bucket], 1);
	add(&row->microseconds, microseconds > 0 ? (uint64_t)microseconds : 0);
	if (status == 429)
		add(&metrics->limited, 1);
	if (status == 503)
		add(&metrics->shed, 1);
}

static void head(struct buffer *out, const char *name, const char *type, const char *help)
{
	buffer_format(out, "# HELP wardmote_%s %s\n# TYPE wardmote_%s %s\n", name, help, name, type);
}

static uint64_t sum_status(const struct server *server, size_t route, size_t status)
{
	uint64_t sum = 0;
	for (size_t w = 0; w < server->n_workers; w++)
		sum += get(&server->workers[w]->metrics.routes[route].statuses[status]);
	return sum;
}

static void labels(const struct server *server, size_t route, const char **ret_method, const char **ret_path)
{
	size_t n;
	const struct route *routes = catalog_routes(server->catalog, &n);
	*ret_method = route < n ? routes[route].operation->method : methods[route - n];
	*ret_path = route < n ? routes[route].operation->path : METRICS_UNMATCHED;
}

static void requests(struct buffer *out, const struct server *server, size_t n_routes)
{
	head(out, "http_requests_total", "counter", "Requests by route and status.");
	for (size_t r = 0; r < n_routes; r++) {
		const char *method, *path;
		labels(server, r, &method, &path);
		for (size_t s = 0; s < METRIC_STATUSES; s++) {
			uint64_t sum = sum_status(server, r, s);
			if (sum > 0)
				buffer_format(out, "wardmote_http_requests_total{method=\"%s\",route=\"%s\",code=\"%d\"} %" PRIu64 "\n",
					      method, path, statuses[s], sum);
		}
	}
}

static void durations(struct buffer *out, const struct server *server, size_t n_routes)
{
	head(out, "http_request_duration_seconds", "histogram", "Time from complete headers to the end of the answer.");
	for (size_t r = 0; r < n_routes; r++) {
		uint64_t buckets[METRIC_BUCKETS] = { 0 }, count = 0, microseconds = 0;
		for (size_t w = 0; w < server->n_workers; w++) {
			const struct route_metrics *row = &server->workers[w]->metrics.routes[r];
			for (size_t b = 0; b < METRIC_BUCKETS; b++)
				buckets[b] += get(&row->buckets[b]);
			microseconds += get(&row->microseconds);
		}
		const char *method, *path;
		labels(server, r, &method, &path);
		for (size_t b = 0; b < METRIC_BUCKETS; b++)
			count += buckets[b];
		if (count == 0)
			continue;
		uint64_t below = 0;
		for (size_t b = 0; b < METRIC_BUCKETS; b++) {
			below += buckets[b];
			char bound[24] = "+Inf";
			if (b < METRIC_BUCKETS - 1)
				snprintf(bound, sizeof bound, "%g", bounds[b]);
			buffer_format(out,
				      "wardmote_http_request_duration_seconds_bucket{method=\"%s\",route=\"%s\",le=\"%s\"} %" PRIu64 "\n",
				      method, path, bound, below);
		}
		buffer_format(out,
			      "wardmote_http_request_duration_seconds_sum{method=\"%s\",route=\"%s\"} %.6f\n"
			      "wardmote_http_request_duration_seconds_count{method=\"%s\",route=\"%s\"} %" PRIu64 "\n",
			      method, path, (double)microseconds / 1e6, method, path, count);
	}
}

static void value(struct buffer *out, const char *name, const char *type, const char *help, uint64_t number)
{
	head(out, name, type, help);
	buffer_format(out, "wardmote_%s %" PRIu64 "\n", name, number);
}

static void database(struct buffer *out, const struct db_stats *stats)
{
	static const char *const lanes[LANES] = { "read", "write", "heavy", "stream" };
	static const char *const names[] = { "db_queued_jobs", "db_in_flight_jobs", "db_connections" };
	const size_t *const rows[] = { stats->queued, stats->in_flight, stats->connected };
	for (size_t i = 0; i < 3; i++) {
		head(out, names[i], "gauge", "By lane.");
		for (size_t lane = 0; lane < LANES; lane++)
			buffer_format(out, "wardmote_%s{lane=\"%s\"} %zu\n", names[i], lanes[lane], rows[i][lane]);
	}
	value(out, "db_jobs_total", "counter", "Segments queued.", stats->jobs);
	value(out, "db_errors_total", "counter", "Segments that failed.", stats->errors);
	value(out, "db_retries_total", "counter", "Segments sent again.", stats->retries);
	value(out, "db_outcome_unknown_total", "counter", "Writes whose outcome was lost.", stats->unknown);
	value(out, "db_connections_lost_total", "counter", "Connections lost.", stats->lost);
	value(out, "db_prepares_total", "counter", "Statements prepared.", stats->prepares);
	value(out, "db_mismatches_total", "counter", "Results that did not match the FIFO: must stay 0.", stats->mismatches);
}

static void waits(struct buffer *out, const struct db_stats *stats)
{
	static const char *const lanes[LANES] = {
		[LANE_READ] = "read", [LANE_WRITE] = "write", [LANE_HEAVY] = "heavy", [LANE_STREAM] = "stream"
	};
	head(out, "db_wait_seconds", "histogram", "Time that a segment waited for a connection of its lane.");
	for (size_t lane = 0; lane < LANES; lane++) {
		uint64_t below = 0;
		for (size_t b = 0; b < DB_WAITS; b++) {
			char bound[24] = "+Inf";
			below += stats->waits[lane][b];
			if (b < DB_WAITS - 1)
				snprintf(bound, sizeof bound, "%g", (double)db_wait_bounds_us[b] / 1e6);
			buffer_format(out, "wardmote_db_wait_seconds_bucket{lane=\"%s\",le=\"%s\"} %" PRIu64 "\n", lanes[lane], bound,
				      below);
		}
		buffer_format(out,
			      "wardmote_db_wait_seconds_sum{lane=\"%s\"} %.6f\nwardmote_db_wait_seconds_count{lane=\"%s\"} %" PRIu64 "\n",
			      lanes[lane], (double)stats->waited_us[lane] / 1e6, lanes[lane], below);
	}
}

static void process(struct buffer *out)
{
	long resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	if (file != NULL) {
		long pages;
		if (fscanf(file, "%ld %ld", &pages, &resident) != 2)
			resident = 0;
		fclose(file);
	}
	buffer_format(out,
		      "# HELP process_resident_memory_bytes Resident memory.\n# TYPE process_resident_memory_bytes gauge\n"
		      "process_resident_memory_bytes %ld\n",
		      resident * sysconf(_SC_PAGESIZE));
}

struct slice metrics_render(struct arena *arena, struct server *server)
{
	struct buffer out = { .arena = arena };
	size_t n_routes = server->n_workers == 0 ? 0 : server->workers[0]->metrics.n_routes;
	requests(&out, server, n_routes);
	durations(&out, server, n_routes);
	struct db_stats total = { 0 };
	uint64_t hits = 0, misses = 0, refused = 0, active = 0, limited = 0, shed = 0, exports = 0, cut = 0, bytes = 0;
	for (size_t w = 0; w < server->n_workers; w++) {
		struct worker *worker = server->workers[w];
		pthread_mutex_lock(&worker->stats_lock);
		struct db_stats stats = worker->db_stats;
		hits += worker->token_hits;
		misses += worker->token_misses;
		pthread_mutex_unlock(&worker->stats_lock);
		for (size_t lane = 0; lane < LANES; lane++) {
			total.queued[lane] += stats.queued[lane];
			total.in_flight[lane] += stats.in_flight[lane];
			total.connected[lane] += stats.connected[lane];
			total.waited_us[lane] += stats.waited_us[lane];
			for (size_t b = 0; b < DB_WAITS; b++)
				total.waits[lane][b] += stats.waits[lane][b];
		}
		total.jobs += stats.jobs;
		total.errors += stats.errors;
		total.retries += stats.retries;
		total.unknown += stats.unknown;
		total.lost += stats.lost;
		total.prepares += stats.prepares;
		total.mismatches += stats.mismatches;
		refused += get(&worker->metrics.refused);
		limited += get(&worker->metrics.limited);
		shed += get(&worker->metrics.shed);
		exports += get(&worker->metrics.exports);
		cut += get(&worker->metrics.exports_cut);
		bytes += get(&worker->metrics.export_bytes);
		active += atomic_load(&worker->active);
	}
	database(&out, &total);
	waits(&out, &total);
	value(&out, "token_cache_hits_total", "counter", "Tokens found verified.", hits);
	value(&out, "token_cache_misses_total", "counter", "Tokens that had to be verified.", misses);
	value(&out, "http_refused_total", "counter", "Requests refused by the HTTP gate.", refused);
	value(&out, "http_rate_limited_total", "counter", "Requests answered with 429.", limited);
	value(&out, "http_shed_total", "counter", "Requests answered with 503.", shed);
	value(&out, "exports_total", "counter", "Lists that were asked for whole (limit=all) and begun.", exports);
	value(&out, "exports_cut_total", "counter", "Of these, those that ended before their last row, whoever ended them.", cut);
	value(&out, "export_bytes_total", "counter", "Bytes of their bodies.", bytes);
	value(&out, "http_in_flight_requests", "gauge", "Requests being answered.", active);
	value(&out, "log_dropped_lines_total", "counter", "Log lines lost because the sink was full.", log_dropped());
	head(&out, "feed_lag_seconds", "gauge", "Age of the oldest change that may have no position in the feed yet.");
	buffer_format(&out, "wardmote_feed_lag_seconds %.3f\n", (double)(clock_monotonic_us() - atomic_load(&server->sequenced_us)) / 1e6);
	value(&out, "overlaps_pending", "gauge", "Pairs of boundary sets that are still to be compared.",
	      (uint64_t)atomic_load(&server->overlaps_pending));
	head(&out, "overlap_seconds", "gauge", "What comparing the last pair of boundary sets took in this process.");
	buffer_format(&out, "wardmote_overlap_seconds %.6f\n", (double)atomic_load(&server->overlap_us) / 1e6);
	certificate_metrics(&out, server);
	process(&out);
	return buffer_slice(&out);
}
