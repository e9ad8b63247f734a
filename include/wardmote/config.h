/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Settings come from one table: a flag (--name VALUE), else WARDMOTE_NAME in the environment, else the file (--config FILE or
 * WARDMOTE_CONFIG; lines `name = value`, # comments), else the default. An unknown flag, variable or line, or a bad value, is an error with a
 * message that names the setting, the value's origin and what is allowed; values of secret settings are never printed, and a secret can also
 * come from the file that WARDMOTE_NAME_FILE names. Variables WARDMOTE_TEST_* and WARDMOTE_BIN belong to the test suite. Adding a setting is one row in
 * src/base/config.c; its value lands in a typed member of struct config. */
#ifndef WARDMOTE_CONFIG_H
#define WARDMOTE_CONFIG_H

#include <stdio.h>

#include "wardmote/arena.h"

enum { CONFIG_SETTINGS_MAX = 64 };

/* Database connections of the threads beside the workers: one for each row of `starters` in src/server/serve.c. */
enum { CONFIG_BACKGROUND = 3 };

struct config {
	/* where it listens */
	const char *listen; /* "127.0.0.1:8080"; host:port, [v6]:port; inherited sockets (LISTEN_FDS) win */
	const char *admin_listen; /* "127.0.0.1:0" */
	const char *public_url; /* absolute base of links and issuer; default http://<listen>, with TLS https://<listen> */
	const char *tls_certificate, *tls_key; /* files in PEM: the API's listener speaks TLS; empty: it does not */
	long hsts_seconds; /* of Strict-Transport-Security, where public_url is https: 31536000; 0: not sent */
	/* database */
	const char *database; /* libpq URI of the server's role; secret */
	const char *database_direct; /* the same without the pooler that `database` is; default database; secret */
	const char *pooler, *transactions; /* none, transaction; implicit, explicit: */
	bool pooled, bracketed;
	long lane_read, lane_write, lane_heavy, lane_stream; /* connections per worker: 2, 8, 2, 2 */
	long pipeline_depth; /* requests in flight on one read connection: 16 */
	long queue_limit; /* jobs waiting in each lane of a worker: 1024; above it 503 */
	long queue_wait_ms; /* of a read: while one has waited for longer, 503: 150 */
	long request_timeout_ms; /* deadline of an ordinary request: 5000 */
	long heavy_timeout_ms; /* of the heavy lane: 30000 */
	long export_timeout_ms; /* of an export, from its statement to its last row: 1800000 */
	/* process */
	long workers; /* 0: number of cores, at most 2 unless set */
	long drain_wait_ms; /* between readiness off and closing: 0 */
	long drain_timeout_ms; /* 10000 */
	const char *log_level; /* info */
	bool server_timing;
	/* HTTP */
	long connection_limit; /* per process: 20000, lowered to what the fd limit allows */
	long header_timeout_ms; /* 10000 */
	long body_timeout_ms; /* 30000: bodies and answers up to 1 MiB */
	long transfer_timeout_ms; /* 600000: total cap for longer ones, which must also keep 16 KiB/s over any 30 s */
	long upload_timeout_ms; /* 3600000: total cap for a file to import, at the same rate */
	const char *spool_dir; /* where files to import lie while they are read: /tmp */
	long import_max_mb; /* 512 */
	const char *trusted_proxies; /* addresses and networks whose X-Forwarded-For is believed; empty: none */
	const char *cors_origins; /* comma separated exact origins; empty: none */
	/* identity */
	const char *key_dir; /* signing keys and the cursor key */
	const char *issuer; /* default public_url */
	const char *audience; /* default public_url */
	bool assertion_to_endpoint; /* clients may address assertions to the token endpoint, too: false */
	long access_token_seconds; /* 600 */
	long refresh_token_seconds; /* 30 days */
	/* limits */
	long rate_anonymous; /* requests a minute for one address: 600; 0: off */
	long rate_account; /* requests a minute for one account: 6000; 0: off */
	long idempotency_hours; /* 24 */
	const char *timezone; /* civil dates: Europe/London */
	const char *map_extent; /* "west,south,east,north" of what the installation is about: -9,49,2.5,61; empty: not known */
	long overlap_settle_seconds; /* how long a boundary set rests before it is compared with others: 5 */
	const char *security_contact; /* for security.txt: mailto: or https: URI; empty: none */
	/* where each value came from, by row of the table, for config_print */
	const char *origins[CONFIG_SETTINGS_MAX];
};

/* Reads flags (argv after the subcommand; those not in the table stay for `extra`, NULL when none may remain), environment, file and defaults.
 * 0, or -EINVAL with a message for the user in *ret_error. Strings live in the arena. */
int config_load(struct config *config, struct arena *arena, int argc, char **argv, char ***ret_rest, const char **ret_error);
/* Every setting: name, value (secrets as "(set)"), where from, default, meaning. */
void config_print(const struct config *config, FILE *out);
/* A file of settings with all of them, commented out at their defaults; and the same as a list for a manual page (man(7)). */
void config_print_template(FILE *out);
void config_print_roff(FILE *out);
/* Database connections that one process opens: workers x lanes + CONFIG_BACKGROUND. */
long config_connections(const struct config *config);
/* Those of them that the database itself sees: behind a pooler only those that go past it. */
long config_direct_connections(const struct config *config);

#endif
