/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "dev.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "account.h"
#include "commands.h"
#include "migrate.h"
#include "process.h"
#include "wardmote/clock.h"
#include "wardmote/http.h"

static const char usage[] =
    "wardmote dev [--port 8080] [--data var/dev] [--sample norwich|places|demo|none] [--sample-dir DIR] [--SETTING VALUE]...";

/* The host of the sample's partnership; its own record is in the sample. */
static const char host_partner[] = "Norwich City Council", host_kind[] = "council";

/* The folders of each sample, in the order in which they are loaded. */
static const struct sample {
	const char *name, *folders[4];
} samples[] = {
	{ "none", { NULL } },
	{ "norwich", { "norwich" } },
	{ "places", { "norwich", "north-west-leicestershire", "durham" } },
	{ "demo", { "norwich", "demo" } },
};

enum { READY_SECONDS = 30, READY_POLL_MS = 25, READY_TRY_MS = 1000, SERVER_STOP_MS = 20000 };

struct options {
	const char *port, *data, *sample, *sample_dir;
	char **settings; /* for the server; NULL-terminated */
};

/* --- options --- */

static const struct sample *find_sample(const char *name)
{
	for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
		if (strcmp(samples[i].name, name) == 0)
			return &samples[i];
	}
	return NULL;
}

static int parse_options(struct arena *arena, int argc, char **argv, struct options *ret_options, const char **ret_error)
{
	struct options options = { 0 };
	const struct command_option known[] = {
		{ .name = "port", .ret_value = &options.port },
		{ .name = "data", .ret_value = &options.data },
		{ .name = "sample", .ret_value = &options.sample },
		{ .name = "sample-dir", .ret_value = &options.sample_dir },
	};
	struct config config;
	int status = config_load(&config, arena, argc, argv, &options.settings, ret_error);
	if (status == 0)
		status = command_options(arena, options.settings, known, sizeof known / sizeof *known, ret_error);
	if (status < 0)
		return status;
	options.port = options.port == NULL ? "8080" : options.port;
	options.data = options.data == NULL ? "var/dev" : options.data;
	options.sample = options.sample == NULL ? "norwich" : options.sample;
	options.sample_dir = options.sample_dir == NULL ? WARDMOTE_SAMPLE_DIR : options.sample_dir;
	if (strspn(options.port, "0123456789") != strlen(options.port) || strlen(options.port) > 5 ||
	    strtol(options.port, NULL, 10) > 65535)
		*ret_error = "--port: a number up to 65535 is expected";
	else if (find_sample(options.sample) == NULL)
		*ret_error = "--sample: norwich, places, demo or none is expected";
	else {
		*ret_options = options;
		return 0;
	}
	return -EINVAL;
}

/* The settings among the arguments go on to the server as they are. */
static char **keep_settings(struct arena *arena, int argc, char **argv)
{
	static const char *const own[] = { "--port", "--data", "--sample", "--sample-dir" };
	char **settings = arena_alloc(arena, ((size_t)argc + 1) * sizeof *settings);
	size_t n = 0;
	for (int i = 0; i < argc; i++) {
		bool ours = false;
		for (size_t k = 0; k < sizeof own / sizeof *own; k++)
			ours = ours || slice_is((struct slice){ argv[i], strcspn(argv[i], "=") }, own[k]);
		if (!ours)
			settings[n++] = argv[i];
		else if (strchr(argv[i], '=') == NULL)
			i++;
	}
	return settings;
}

/* --- ports --- */

/* The server gets them when all else is there: nobody can take the ports meanwhile. */
static int take_ports(struct dev *dev, const struct options *options)
{
	const char *address, *admin_address;
	int status = http_listen(arena_printf(dev->arena, "127.0.0.1:%s", options->port), dev->arena, &dev->listeners[0], &address);
	if (status < 0)
		return dev_fail(dev, status, "port %s: %s (choose another with --port)", options->port, strerror(-status));
	status = http_listen("127.0.0.1:0", dev->arena, &dev->listeners[1], &admin_address);
	if (status < 0)
		return dev_fail(dev, status, "no free port: %s", strerror(-status));
	dev->state.url = arena_printf(dev->arena, "http://%s", address);
	dev->state.admin_url = arena_printf(dev->arena, "http://%s", admin_address);
	return 0;
}

static void release_ports(struct dev *dev)
{
	for (size_t i = 0; i < 2; i++) {
		if (dev->listeners[i] >= 0)
			close(dev->listeners[i]);
		dev->listeners[i] = -1;
	}
}

/* --- database, keys and account --- */

static int make_keys(struct dev *dev)
{
	const char *folder = arena_printf(dev->arena, "%s/keys", dev->folder);
	const char *error = NULL;
	if (mkdir(folder, 0700) != 0 && errno != EEXIST)
		return dev_fail(dev, -errno, "cannot make %s: %s", folder, strerror(errno));
	int status = key_ensure(folder, dev->arena, &error);
	return status < 0 ? dev_fail(dev, status, "%s", error) : 0;
}

static int make_account(struct dev *dev, struct db_session *owner)
{
	const struct account_request request = { .partner = host_partner, .kind = host_kind, .name = "Development administrator" };
	struct account_made made;
	if (dev->state.client_id != NULL && dev->state.client_secret != NULL)
		return 0;
	const char *error = NULL;
	int status = account_create(owner, dev->arena, &request, &made, &error);
	if (status < 0)
		return dev_fail(dev, status, "cannot make the administrator's account: %s", error);
	dev->state.client_id = made.client_id;
	dev->state.client_secret = made.secret;
	return dev_save(dev); /* at once: the secret is known nowhere else */
}

static int prepare_database(struct dev *dev)
{
	const char *error = NULL;
	struct db_session *owner = NULL;
	if (db_session_new(dev->state.database_owner, dev->arena, &owner, &error) < 0)
		return dev_fail(dev, -ECONNREFUSED, "%s", error);
	int status = migrate_run(owner, dev->arena, stdout, &error);
	if (status < 0)
		dev_fail(dev, status, "migrate: %s", error);
	else
		status = make_account(dev, owner);
	db_session_free(owner);
	return status;
}

/* --- the server --- */

static const char *self(struct dev *dev)
{
	char path[4096];
	ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
	return len <= 0 ? "wardmote" : arena_copy(dev->arena, (struct slice){ path, (size_t)len });
}

static int start_server(struct dev *dev, char *const *settings)
{
	enum { ARGUMENTS_MAX = 128, OWN = 10 };
	const char *argv[ARGUMENTS_MAX] = {
		self(dev),        "serve",
		"--listen",       dev->state.url + strlen("http://"),
		"--admin-listen", dev->state.admin_url + strlen("http://"),
		"--public-url",   dev->state.url,
		"--key-dir",      arena_printf(dev->arena, "%s/keys", dev->folder),
	};
	for (size_t i = 0; settings[i] != NULL; i++) {
		if (i + OWN + 1 >= ARGUMENTS_MAX)
			return dev_fail(dev, -E2BIG, "too many settings");
		argv[OWN + i] = settings[i];
	}
	/* Not as a flag: it holds a password, and anybody may read a process's arguments. */
	const char *const environment[] = { arena_printf(dev->arena, "WARDMOTE_DATABASE=%s", dev->state.database), "WARDMOTE_DATABASE_FILE",
					    NULL };
	int log = dev_log(dev, "server.log");
	if (log < 0)
		return log;
	int status = process_start(
	    &(struct process_options){
		.argv = argv, .output = log, .environment = environment, .listeners = dev->listeners, .end_signal = SIGTERM },
	    &dev->server);
	close(log);
	release_ports(dev);
	return status < 0 ? dev_fail(dev, status, "cannot start the server: %s", strerror(-status)) : 0;
}

static bool answers(CURL *curl)
{
	long status = 0;
	return curl_easy_perform(curl) == CURLE_OK && curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK && status == 200;
}

static size_t ignore(char *bytes, size_t size, size_t n, void *context)
{
	(void)bytes, (void)context;
	return size * n;
}

static int wait_until_ready(struct dev *dev)
{
	CURL *curl = curl_easy_init();
	if (curl == NULL)
		return dev_fail(dev, -ENOMEM, "out of memory");
	curl_easy_setopt(curl, CURLOPT_URL, arena_printf(dev->arena, "%s/readyz", dev->state.admin_url));
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)READY_TRY_MS);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
	int64_t deadline = clock_monotonic_us() + READY_SECONDS * INT64_C(1000000);
	int status = 0;
	while (status == 0 && !answers(curl)) {
		int exit_status;
		status = process_wait(dev->server, dev->stop_fd, clock_monotonic_us() + READY_POLL_MS * 1000, &exit_status);
		if (status == 0) {
			dev->server = 0;
			dev_show_log(dev, "server.log");
			status = dev_fail(dev, -EIO, "the server ended while it started");
		} else if (status == -ETIMEDOUT && clock_monotonic_us() < deadline) {
			status = 0;
		} else if (status != -EINTR) {
			dev_show_log(dev, "server.log");
			status = dev_fail(dev, status, "the server was not ready after %d s", READY_SECONDS);
		}
	}
	curl_easy_cleanup(curl);
	return status;
}

/* --- the sample --- */

static bool is_part(const char *folder, const struct sample *sample)
{
	for (size_t i = 0; sample != NULL && sample->folders[i] != NULL; i++) {
		if (strcmp(sample->folders[i], folder) == 0)
			return true;
	}
	return false;
}

/* Whether one of the samples loaded before ("places demo") has this folder in it. */
static bool is_loaded(const struct dev *dev, const char *folder)
{
	const char *at = dev->state.sample == NULL ? "" : dev->state.sample;
	for (; *at != '\0'; at += strspn(at, " ")) {
		size_t len = strcspn(at, " ");
		if (is_part(folder, find_sample(arena_copy(dev->arena, (struct slice){ at, len }))))
			return true;
		at += len;
	}
	return false;
}

static int load_sample(struct dev *dev, const struct options *options)
{
	enum { FIXED = 6 };
	const struct sample *sample = find_sample(options->sample);
	const char *argv[FIXED + 5] = { self(dev), "load", "--url", dev->state.url, "--client-id", dev->state.client_id };
	bool loaded = true;
	for (size_t i = 0; sample->folders[i] != NULL; i++) {
		argv[FIXED + i] = arena_printf(dev->arena, "%s/%s", options->sample_dir, sample->folders[i]);
		loaded = loaded && is_loaded(dev, sample->folders[i]);
	}
	if (loaded)
		return 0;
	const char *const environment[] = { arena_printf(dev->arena, "WARDMOTE_CLIENT_SECRET=%s", dev->state.client_secret), NULL };
	printf("loading the sample %s\n", sample->name);
	int status = process_run(&(struct process_options){ .argv = argv, .output = -1, .environment = environment, .end_signal = SIGTERM },
				 dev->stop_fd);
	if (status < 0)
		return status == -EINTR ? status : dev_fail(dev, status, "the sample could not be loaded");
	bool more = dev->state.sample != NULL && strcmp(dev->state.sample, "norwich") != 0;
	dev->state.sample = more ? arena_printf(dev->arena, "%s %s", dev->state.sample, sample->name) : sample->name;
	return dev_save(dev);
}

/* --- the whole --- */

/* In single quotes for a shell. */
static const char *quoted(struct dev *dev, const char *text)
{
	struct buffer out = { .arena = dev->arena };
	buffer_text(&out, "'");
	for (; *text != '\0'; text++)
		buffer_add(&out, *text == '\'' ? SLICE("'\\''") : (struct slice){ text, 1 });
	buffer_text(&out, "'");
	return out.ptr;
}

static void print_welcome(struct dev *dev)
{
	const char *url = dev->state.url;
	printf("\nWardmote runs at %s (admin listener: %s)\n", url, dev->state.admin_url);
	printf("Credentials of its administrator: %s/dev.json; log: %s/server.log\n\nTry in another terminal:\n\n", dev->folder,
	       dev->folder);
	printf("curl '%s/v1/localities?limit=3&fields=code,name'\n\n", url);
	printf("curl -H 'Accept: text/csv' '%s/v1/risks?fields=code,title,score'\n\n", url);
	printf("curl -H \"Authorization: Bearer $(curl -s -K %s -d grant_type=client_credentials %s/oauth/token |"
	       " sed 's/.*\"access_token\": *\"\\([^\"]*\\)\".*/\\1/')\" %s/v1/me\n\n",
	       quoted(dev, arena_printf(dev->arena, "%s/admin.curl", dev->folder)), url, url);
	printf("Ctrl-C stops it; the data stays.\n");
	fflush(stdout);
}

static int start_all(struct dev *dev, const struct options *options)
{
	int status = take_ports(dev, options);
	if (status == 0)
		status = dev_cluster_prepare(dev);
	if (status == 0)
		status = dev_cluster_start(dev);
	if (status == 0)
		status = prepare_database(dev);
	if (status == 0)
		status = make_keys(dev);
	if (status == 0)
		status = start_server(dev, options->settings);
	if (status == 0)
		status = wait_until_ready(dev);
	if (status == 0)
		status = load_sample(dev, options);
	return status;
}

/* Until we are told to stop (0), or one of the two ends by itself. */
static int watch(struct dev *dev)
{
	for (;;) {
		int exit_status;
		int64_t soon = clock_monotonic_us() + 1000000;
		int status = process_wait(dev->server, dev->stop_fd, soon, &exit_status);
		if (status == -EINTR)
			return 0;
		if (status == 0) {
			dev->server = 0;
			dev_show_log(dev, "server.log");
			return dev_fail(dev, -EIO, "the server ended with status %d", exit_status);
		}
		if (process_wait(dev->postgres, -1, 0, &exit_status) == 0) {
			dev->postgres = 0;
			dev_show_log(dev, "postgres.log");
			return dev_fail(dev, -EIO, "PostgreSQL ended with status %d", exit_status);
		}
	}
}

static void stop_all(struct dev *dev)
{
	if (dev->server > 0)
		process_end(dev->server, SIGTERM, SERVER_STOP_MS);
	release_ports(dev);
	dev_cluster_stop(dev);
	if (dev->lock > 0)
		close(dev->lock);
	if (dev->stop_fd > 0)
		close(dev->stop_fd);
}

static int run(struct arena *arena, const struct options *options)
{
	struct dev dev = { .arena = arena, .stop_fd = process_stop_fd(), .listeners = { -1, -1 } };
	setvbuf(stdout, NULL, _IOLBF, 0);
	int status =
	    dev.stop_fd < 0 ? dev_fail(&dev, dev.stop_fd, "no signals: %s", strerror(-dev.stop_fd)) : dev_open(&dev, options->data);
	if (status == 0)
		status = start_all(&dev, options);
	if (status == 0) {
		print_welcome(&dev);
		status = watch(&dev);
	}
	if (status == -EINTR || status == 0)
		puts("stopping");
	stop_all(&dev);
	return status < 0 && status != -EINTR ? command_fail("dev", dev.error) : EXIT_SUCCESS;
}

int cmd_dev(int argc, char **argv)
{
	struct arena arena;
	struct options options;
	const char *error = NULL;
	arena_init(&arena);
	int code;
	if (parse_options(&arena, argc - 1, argv + 1, &options, &error) < 0) {
		code = command_misused(usage, error);
	} else {
		options.settings = keep_settings(&arena, argc - 1, argv + 1);
		code = run(&arena, &options);
	}
	arena_done(&arena);
	return code;
}
