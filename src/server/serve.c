/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* `wardmote serve`: shared state, listeners, threads; then the main thread waits for signals and answers the admin listener, and drains. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "certificate.h"
#include "commands.h"
#include "connections.h"
#include "imports.h"
#include "server.h"
#include "wardmote/clock.h"
#include "wardmote/log.h"
#include "wardmote/memory.h"
#include "wardmote/resources.h"

enum {
	LISTEN_FDS_START = 3,
	KEY_CHECK_MS = 2000,
	KEY_RETRY_US = 10000000,
	SPARE_FILES = 200,
	LINGERING_FILES = 64,
	DRAIN_LOOK_US = 20000,
	ROOM_CHECK_MS = 5000
};

struct listeners {
	int public_fd, admin_fd;
	const char *public_address, *admin_address;
};

int server_reload_keys(struct server *server, struct arena *arena, const char **ret_error)
{
	struct auth_keys *keys = NULL;
	int failed = auth_keys_load(server->config->key_dir, arena, &keys, ret_error);
	if (failed == 0) {
		pthread_mutex_lock(&server->keys_lock);
		struct auth_keys *old = server->keys;
		server->keys = keys;
		pthread_mutex_unlock(&server->keys_lock);
		auth_keys_unref(old);
		atomic_fetch_add(&server->keys_generation, 1);
	}
	return failed;
}

struct auth_keys *server_keys(struct server *server)
{
	pthread_mutex_lock(&server->keys_lock);
	struct auth_keys *keys = auth_keys_ref(server->keys);
	pthread_mutex_unlock(&server->keys_lock);
	return keys;
}

/* All were checked: none has a quote. */
static void describe_settings(struct server *server)
{
	const struct config *config = server->config;
	const struct db_setting settings[SERVER_SETTINGS] = {
		{ "wardmote.timezone", config->timezone },
		{ "wardmote.idempotency_hours", arena_printf(&server->arena, "%ld", config->idempotency_hours) },
		{ "wardmote.public_url", config->public_url },
		{ "wardmote.map_extent", config->map_extent },
		{ "wardmote.account", "" }, /* who acts: nobody, until a request says otherwise for its transaction */
		{ "wardmote.partner", "" },
		{ "wardmote.rank", "0" },
		{ "wardmote.scopes", "" },
	};
	struct buffer setup = { .arena = &server->arena };
	memcpy(server->database_settings, settings, sizeof settings);
	for (size_t i = 0; i < SERVER_SETTINGS; i++)
		buffer_format(&setup, "SET %s='%s';", settings[i].name, settings[i].value);
	server->database_setup = setup.ptr;
}

int server_init(struct server *server, const struct config *config, const char **ret_error)
{
	arena_init(&server->arena);
	pthread_mutex_init(&server->keys_lock, NULL);
	document_init(&server->openapi);
	server->config = config;
	describe_settings(server);
	server->policy = (struct auth_policy){ .issuer = config->issuer, .audience = config->audience, .leeway_seconds = 30 };
	if (config->assertion_to_endpoint)
		server->policy.token_endpoint = arena_printf(&server->arena, "%s/oauth/token", config->public_url);
	int error = catalog_new(resources_all, resources_general, &server->catalog, ret_error);
	if (error < 0)
		return error;
	error = server_reload_keys(server, &server->arena, ret_error);
	if (error == 0)
		error = certificate_open(server, ret_error);
	if (error < 0)
		return error;
	server->rates = rate_table_new();
	error = server->rates == NULL ? -ENOMEM : arena_reserve_new(HTTP_RESERVE, &server->reserve);
	if (error == 0)
		error = auth_hasher_new(&server->hasher);
	if (error == 0)
		error = imports_new(server, &server->imports);
	if (error < 0) {
		*ret_error = "out of memory";
		return error;
	}
	struct problem_context nobody = { .base_url = config->public_url, .request_id = HTTP_LACKING_ID, .outcome = "unknown" };
	server->lacking =
	    problem_render(&server->arena, PROBLEM_OUTCOME_UNKNOWN, &nobody, "The server is short of memory; try again.", NULL, NULL);
	return 0;
}

void server_done(struct server *server)
{
	auth_hasher_free(server->hasher);
	imports_free(server->imports);
	http_tls_free(server->tls);
	auth_keys_unref(server->keys);
	rate_table_free(server->rates);
	catalog_free(server->catalog);
	document_done(&server->openapi);
	pthread_mutex_destroy(&server->keys_lock);
	arena_done(&server->arena);
	arena_reserve_free(server->reserve);
}

/* Sockets handed over by a service manager: the first is the public listener, a second the admin one. */
static int inherited(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	if (pid == NULL || fds == NULL || strtol(pid, NULL, 10) != (long)getpid())
		return 0;
	long n = strtol(fds, NULL, 10);
	return n < 0 || n > 2 ? 0 : (int)n;
}

static int open_listeners(struct server *server, struct listeners *listeners, const char **ret_error)
{
	int n = inherited();
	listeners->public_fd = LISTEN_FDS_START;
	listeners->public_address = listeners->admin_address = "(inherited)";
	int error = 0;
	if (n < 1)
		error = http_listen(server->config->listen, &server->arena, &listeners->public_fd, &listeners->public_address);
	if (error < 0) {
		*ret_error = arena_printf(&server->arena, "cannot listen on %s: %s", server->config->listen, strerror(-error));
		return error;
	}
	listeners->admin_fd = LISTEN_FDS_START + 1;
	if (n < 2)
		error = http_listen(server->config->admin_listen, &server->arena, &listeners->admin_fd, &listeners->admin_address);
	if (error < 0)
		*ret_error = arena_printf(&server->arena, "cannot listen on %s: %s", server->config->admin_listen, strerror(-error));
	return error;
}

static void raise_file_limit(void)
{
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit); /* fails for a bad address alone; no process may open files without a limit */
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* What is left of the file limit after the database, the admin listener, lingering sockets and some spare, shared among the workers. */
static long connections_each(const struct config *config, size_t n_workers)
{
	struct rlimit limit;
	long each = config->connection_limit / (long)n_workers;
	getrlimit(RLIMIT_NOFILE, &limit);
	long left = (long)limit.rlim_cur - config_connections(config) - SPARE_FILES - LINGERING_FILES * (long)n_workers;
	long most = left / (long)n_workers;
	return most < 10 ? 10 : each < most ? each : most;
}

/* The folder's own time changes with each key that is added or dropped. */
static int64_t folder_changed_at(const char *folder)
{
	struct stat status;
	return stat(folder, &status) == 0 ? (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec : 0;
}

static bool reload(struct server *server)
{
	const char *error = NULL;
	struct arena arena;
	arena_init_reserved(&arena, server->reserve);
	bool loaded = server_reload_keys(server, &arena, &error) == 0;
	if (loaded)
		log_message(LOG_LEVEL_INFO, "keys loaded", NULL, NULL);
	else
		log_message(LOG_LEVEL_ERROR, "keys not loaded, the old ones stay", "error", error);
	arena_done(&arena);
	return loaded;
}

static void set_log_level(const struct config *config)
{
	enum log_level level = LOG_LEVEL_INFO;
	log_level_parse(config->log_level, &level); /* is one of the levels: the setting was checked */
	log_set_level(level);
}

/* Of the settings only the log level may change while the server runs: the others are const for all threads. */
static bool reload_log_level(const struct server *server)
{
	struct arena arena;
	struct config config;
	const char *error = NULL;
	arena_init_reserved(&arena, server->reserve);
	bool loaded = config_load(&config, &arena, server->argc, server->argv, NULL, &error) == 0;
	if (loaded)
		set_log_level(&config);
	else
		log_message(LOG_LEVEL_ERROR, "settings not read again", "error", error);
	arena_done(&arena);
	return loaded;
}

static int64_t oldest_beat(const struct server *server)
{
	int64_t oldest_us = INT64_MAX;
	for (size_t i = 0; i < server->n_workers; i++) {
		int64_t beat_us = atomic_load_explicit(&server->workers[i]->beat_us, memory_order_relaxed);
		oldest_us = beat_us < oldest_us ? beat_us : oldest_us;
	}
	return oldest_us;
}

enum { OLD_LOG_LEVEL = 1, OLD_KEYS = 2, OLD_CERTIFICATE = 4 };

/* What a supervisor is told of a server that serves. */
#define OLD_STAYS "serving; could not be read, so the old stays: "
static const char *const serving[] = {
	[0] = "serving",
	[OLD_LOG_LEVEL] = OLD_STAYS "log level",
	[OLD_KEYS] = OLD_STAYS "keys",
	[OLD_LOG_LEVEL | OLD_KEYS] = OLD_STAYS "log level, keys",
	[OLD_CERTIFICATE] = OLD_STAYS "certificate",
	[OLD_LOG_LEVEL | OLD_CERTIFICATE] = OLD_STAYS "log level, certificate",
	[OLD_KEYS | OLD_CERTIFICATE] = OLD_STAYS "keys, certificate",
	[OLD_LOG_LEVEL | OLD_KEYS | OLD_CERTIFICATE] = OLD_STAYS "log level, keys, certificate",
};

static unsigned reload_at_signal(struct server *server)
{
	notify_reloading(&server->notifier);
	return (reload_log_level(server) ? 0 : OLD_LOG_LEVEL) | (certificate_reload(server) ? 0 : OLD_CERTIFICATE);
}

/* Until SIGTERM or SIGINT. */
static void wait_for_stop(struct server *server, struct admin *admin, int signals)
{
	int64_t folder = folder_changed_at(server->config->key_dir), failed_us = 0;
	unsigned old_settings = 0, told = 0;
	for (;;) {
		struct pollfd fds[] = { { .fd = signals, .events = POLLIN }, { .fd = admin_fd(admin), .events = POLLIN } };
		int timeout = admin_timeout(admin);
		poll(fds, 2, timeout < 0 || timeout > KEY_CHECK_MS ? KEY_CHECK_MS : timeout);
		admin_run(admin);
		notify_alive(&server->notifier, oldest_beat(server), clock_monotonic_us());
		int64_t now = folder_changed_at(server->config->key_dir);
		struct signalfd_siginfo info = { 0 };
		bool signalled = (fds[0].revents & POLLIN) && read(signals, &info, sizeof info) == (ssize_t)sizeof info;
		if (signalled && info.ssi_signo != SIGHUP)
			return;
		if (signalled)
			old_settings = reload_at_signal(server);
		/* What failed may have been the machine's fault, of a moment. */
		int64_t now_us = clock_monotonic_us();
		if (signalled || now != folder || (failed_us != 0 && now_us - failed_us > KEY_RETRY_US))
			failed_us = reload(server) ? 0 : now_us;
		unsigned state = old_settings | (failed_us == 0 ? 0 : OLD_KEYS);
		if (signalled)
			notify_ready(&server->notifier, serving[state]);
		else if (state != told)
			notify_status(&server->notifier, serving[state]);
		told = state;
		folder = now;
	}
}

/* While draining: answers the admin listener for at most so long. True when another signal says: now. */
static bool attend(struct admin *admin, int signals, int64_t most_us)
{
	struct pollfd fds[] = { { .fd = signals, .events = POLLIN }, { .fd = admin == NULL ? -1 : admin_fd(admin), .events = POLLIN } };
	poll(fds, 2, (int)(most_us / 1000 + 1));
	if (admin != NULL)
		admin_run(admin);
	struct signalfd_siginfo info = { 0 };
	return (fds[0].revents & POLLIN) && read(signals, &info, sizeof info) == (ssize_t)sizeof info && info.ssi_signo != SIGHUP;
}

static bool all_finished(struct server *server)
{
	for (size_t i = 0; i < server->n_workers; i++) {
		if (!atomic_load(&server->workers[i]->finished))
			return false;
	}
	return true;
}

/* Not ready at once, stopping after `wait_ms`: who sends us requests is to notice first. */
static void drain(struct server *server, struct admin *admin, int signals, long wait_ms)
{
	log_message(LOG_LEVEL_INFO, "draining", NULL, NULL);
	notify_stopping(&server->notifier, (wait_ms + server->config->drain_timeout_ms) * 1000);
	atomic_store(&server->draining, true);
	int64_t left_us, until_us = clock_monotonic_us() + wait_ms * 1000;
	bool now = false;
	while (!now && (left_us = until_us - clock_monotonic_us()) > 0)
		now = attend(admin, signals, left_us);
	atomic_store(&server->stop_deadline_us, clock_monotonic_us() + (now ? 0 : server->config->drain_timeout_ms * 1000));
	atomic_store(&server->stopping, true);
	for (size_t i = 0; i < server->n_workers; i++)
		worker_wake(server->workers[i]);
	while (!all_finished(server)) {
		if (attend(admin, signals, DRAIN_LOOK_US))
			atomic_store(&server->stop_deadline_us, clock_monotonic_us());
	}
	for (size_t i = 0; i < server->n_workers; i++)
		worker_join(server->workers[i]);
	server->n_workers = 0;
}

/* Somebody between us and the database could read it all, or be taken for it. */
static void warn_of_path(const struct db_session *session, struct arena *arena)
{
	struct db_path path;
	db_session_path(session, arena, &path);
	if (!path.local && strcmp(path.sslmode, "verify-full") != 0)
		log_message(LOG_LEVEL_WARNING, "the database is on another machine and nothing makes sure which: use sslmode=verify-full",
			    "sslmode", path.sslmode);
}

/* A database that does not answer is no reason not to start: the server waits for it. */
static int check_room(struct server *server, const char **ret_error)
{
	struct db_session *session = NULL;
	const char *error = NULL, *fault = NULL;
	long left = 0;
	int connected = db_session_new(server->config->database_direct, &server->arena, &session, &error);
	if (connected == 0)
		db_session_limit(session, ROOM_CHECK_MS, -1);
	if (connected == 0 && connections_left(session, &server->arena, &left, &error) == 0)
		fault = connections_fault(server->config, left, &server->arena);
	else
		log_message(LOG_LEVEL_WARNING, "whether the database has room for our connections is not known", "error", error);
	if (connected == 0)
		warn_of_path(session, &server->arena);
	if (error == NULL)
		server->first_session = session;
	else
		db_session_free(session);
	if (fault == NULL)
		return 0;
	*ret_error = arena_printf(&server->arena, "%s: lower workers or lane_*, or raise max_connections", fault);
	return -EUSERS;
}

/* The threads beside the workers, each with a database connection of its own (CONFIG_BACKGROUND). Each ends when `stop_fd` becomes readable. */
static int (*const starters[])(struct server *server, pthread_t *ret_thread, int stop_fd) = {
	jobs_start,
	background_start,
	imports_start,
};
_Static_assert(sizeof starters / sizeof *starters == (size_t)CONFIG_BACKGROUND, "connections are counted for each of them");

struct background {
	int stop_fd;
	pthread_t threads[CONFIG_BACKGROUND];
	size_t n;
};

static int start_background(struct server *server, struct background *background)
{
	for (int error; background->n < (size_t)CONFIG_BACKGROUND; background->n++) {
		error = starters[background->n](server, &background->threads[background->n], background->stop_fd);
		if (error < 0)
			return error;
	}
	return 0;
}

static void stop_background(struct background *background)
{
	uint64_t one = 1;
	if (background->n > 0 && write(background->stop_fd, &one, sizeof one) == (ssize_t)sizeof one)
		while (background->n > 0)
			pthread_join(background->threads[--background->n], NULL);
	if (background->stop_fd >= 0)
		close(background->stop_fd);
}

static int start_threads(struct server *server, const struct listeners *listeners, struct background *background)
{
	size_t n = (size_t)server->config->workers;
	server->n_workers = n;
	server->connections_each = connections_each(server->config, n);
	for (size_t i = 0; i < n; i++) {
		int error = worker_start(server, i, listeners->public_fd);
		if (error < 0) {
			server->n_workers = i;
			return error;
		}
	}
	return start_background(server, background);
}

static int block_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static int run(struct server *server, int signals, const char **ret_error)
{
	struct listeners listeners = { .public_fd = -1, .admin_fd = -1 };
	int error = open_listeners(server, &listeners, ret_error);
	if (error < 0)
		return error;
	struct background background = { .stop_fd = eventfd(0, EFD_CLOEXEC) };
	struct admin *admin = NULL;
	error = background.stop_fd < 0 ? -errno : admin_new(server, listeners.admin_fd, &admin);
	if (error == 0)
		error = start_threads(server, &listeners, &background);
	if (error == 0) {
		struct log_line line;
		log_begin(&line, LOG_LEVEL_INFO, "listening");
		log_text(&line, "address", listeners.public_address);
		log_text(&line, "admin_address", listeners.admin_address);
		log_text(&line, "protocol", server->tls == NULL ? "http" : "https");
		log_text(&line, "version", WARDMOTE_VERSION);
		log_int(&line, "workers", (int64_t)server->n_workers);
		log_int(&line, "database_connections", config_connections(server->config));
		log_int(&line, "background_connections", CONFIG_BACKGROUND);
		log_end(&line);
		notify_ready(&server->notifier, serving[0]);
		wait_for_stop(server, admin, signals);
	}
	drain(server, admin, signals, error == 0 ? server->config->drain_wait_ms : 0);
	stop_background(&background);
	admin_free(admin);
	close(listeners.public_fd);
	close(listeners.admin_fd);
	if (error < 0)
		*ret_error = strerror(-error);
	return error;
}

int serve_run(const struct config *config, int argc, char **argv)
{
	struct server *server = calloc(1, sizeof *server);
	if (server == NULL) {
		fputs("wardmote: out of memory\n", stderr);
		return 1;
	}
	server->argc = argc;
	server->argv = argv;
	set_log_level(config);
	auth_start();
	memory_start();
	json_set_alloc_funcs(memory_alloc, free);
	/* Before any thread: each inherits the mask, and hashes of object keys cannot be foreseen. */
	int signals = block_signals();
	notify_open(&server->notifier);
	json_object_seed(0);
	raise_file_limit();
	const char *error = "no signals can be received";
	int failed = signals < 0 ? signals : server_init(server, config, &error);
	if (failed == 0)
		failed = check_room(server, &error);
	if (failed == 0)
		failed = run(server, signals, &error);
	if (failed < 0)
		fprintf(stderr, "wardmote: %s\n", error);
	else
		log_message(LOG_LEVEL_INFO, "stopped", NULL, NULL);
	db_session_free(server->first_session);
	server_done(server);
	notify_close(&server->notifier);
	free(server);
	if (signals >= 0)
		close(signals);
	return failed < 0 ? 1 : 0;
}
