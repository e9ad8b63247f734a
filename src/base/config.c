/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "wardmote/config.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "config_check.h"
#include "wardmote/network.h"

enum setting_type { SETTING_TEXT, SETTING_NUMBER, SETTING_SWITCH };

struct setting {
	const char *name;
	enum setting_type type;
	size_t offset; /* of the member of struct config: const char *, long or bool */
	const char *initial;
	long min, max; /* SETTING_NUMBER */
	bool (*check)(const char *text); /* SETTING_TEXT; NULL: any */
	const char *allowed; /* what `check` accepts, for the message */
	bool secret;
	const char *meaning;
};

#define MEMBER(member) #member, .offset = offsetof(struct config, member)

static const struct setting settings[] = {
	{ MEMBER(listen), .initial = "127.0.0.1:8080", .check = check_address, .allowed = "host:port or [v6]:port",
	  .meaning = "address of the API; inherited sockets (LISTEN_FDS) win" },
	{ MEMBER(admin_listen), .initial = "127.0.0.1:0", .check = check_address, .allowed = "host:port or [v6]:port",
	  .meaning = "address of /livez, /readyz and /metrics; port 0 is a free one" },
	{ MEMBER(public_url), .initial = "", .check = check_url_or_empty, .allowed = "an http or https URL without a slash at its end",
	  .meaning = "absolute base of links; empty: http://<listen>, with tls_certificate https://<listen>" },
	{ MEMBER(tls_certificate), .initial = "",
	  .meaning = "file in PEM with the certificate of the API's listener, then its chain, read again on SIGHUP; empty: plain HTTP" },
	{ MEMBER(tls_key), .initial = "",
	  .meaning = "file in PEM with the private key of tls_certificate, without a pass phrase, not readable by everybody" },
	{ MEMBER(hsts_seconds), .type = SETTING_NUMBER, .initial = "31536000", .min = 0, .max = 63072000,
	  .meaning = "how long browsers are to insist on TLS (Strict-Transport-Security), where public_url is https; 0: not said" },
	{ MEMBER(database), .initial = "", .secret = true, .meaning = "libpq URI of the database, with the role that the command needs" },
	{ MEMBER(database_direct), .initial = "", .secret = true,
	  .meaning = "where database is a pooler: libpq URI of the same database without it, for the commands and the threads that hold a "
		     "session; empty: database" },
	{ MEMBER(pooler), .initial = "none", .check = check_pooler, .allowed = "none or transaction",
	  .meaning =
	      "transaction: database is a pooler in transaction mode (PgBouncer), so that nothing is prepared and no session is held" },
	{ MEMBER(transactions), .initial = "implicit", .check = check_transactions, .allowed = "implicit or explicit",
	  .meaning = "explicit: each request is sent as BEGIN, its statements, COMMIT; implicit is quicker" },
	{ MEMBER(lane_read), .type = SETTING_NUMBER, .initial = "2", .min = 1, .max = 64, .meaning = "connections per worker for reads" },
	{ MEMBER(lane_write), .type = SETTING_NUMBER, .initial = "8", .min = 1, .max = 128,
	  .meaning = "connections per worker for writes" },
	{ MEMBER(lane_heavy), .type = SETTING_NUMBER, .initial = "2", .min = 1, .max = 64,
	  .meaning = "connections per worker for long queries" },
	{ MEMBER(lane_stream), .type = SETTING_NUMBER, .initial = "2", .min = 1, .max = 64,
	  .meaning = "connections per worker for exports (limit=all), of which each holds one while it runs" },
	{ MEMBER(pipeline_depth), .type = SETTING_NUMBER, .initial = "16", .min = 1, .max = 1024,
	  .meaning = "requests in flight on one read connection" },
	{ MEMBER(queue_limit), .type = SETTING_NUMBER, .initial = "1024", .min = 1, .max = 1000000,
	  .meaning = "requests waiting in each lane of a worker; above it 503" },
	{ MEMBER(queue_wait_ms), .type = SETTING_NUMBER, .initial = "150", .min = 1, .max = 600000,
	  .meaning = "how long a read may wait for a connection before further reads get 503" },
	{ MEMBER(request_timeout_ms), .type = SETTING_NUMBER, .initial = "5000", .min = 100, .max = 600000,
	  .meaning = "deadline of an ordinary request" },
	{ MEMBER(heavy_timeout_ms), .type = SETTING_NUMBER, .initial = "30000", .min = 100, .max = 3600000,
	  .meaning = "deadline of a request in the heavy lane" },
	{ MEMBER(export_timeout_ms), .type = SETTING_NUMBER, .initial = "1800000", .min = 100, .max = 86400000,
	  .meaning = "deadline of an export, however slowly it is read" },
	{ MEMBER(workers), .type = SETTING_NUMBER, .initial = "0", .min = 0, .max = 16,
	  .meaning = "worker threads; 0: the number of cores, at most 2" },
	{ MEMBER(drain_wait_ms), .type = SETTING_NUMBER, .initial = "0", .min = 0, .max = 600000,
	  .meaning = "time between readiness off and the end of accepting, when stopping" },
	{ MEMBER(drain_timeout_ms), .type = SETTING_NUMBER, .initial = "10000", .min = 0, .max = 600000,
	  .meaning = "time that requests in flight get to finish, when stopping" },
	{ MEMBER(log_level), .initial = "info", .check = check_log_level, .allowed = "debug, info, warning or error",
	  .meaning = "least level that is logged" },
	{ MEMBER(server_timing), .type = SETTING_SWITCH, .initial = "false", .meaning = "send the Server-Timing header" },
	{ MEMBER(connection_limit), .type = SETTING_NUMBER, .initial = "20000", .min = 10, .max = 1000000,
	  .meaning = "client connections per process, lowered to what the limit of open files allows" },
	{ MEMBER(header_timeout_ms), .type = SETTING_NUMBER, .initial = "10000", .min = 100, .max = 600000,
	  .meaning = "deadline for the headers of a request" },
	{ MEMBER(body_timeout_ms), .type = SETTING_NUMBER, .initial = "30000", .min = 100, .max = 3600000,
	  .meaning = "deadline for a body or an answer of up to 1 MiB" },
	{ MEMBER(transfer_timeout_ms), .type = SETTING_NUMBER, .initial = "600000", .min = 100, .max = 86400000,
	  .meaning = "deadline for longer ones, which must also keep 16 KiB/s over any 30 s" },
	{ MEMBER(upload_timeout_ms), .type = SETTING_NUMBER, .initial = "3600000", .min = 100, .max = 86400000,
	  .meaning = "deadline for a file to import, which must keep the same rate" },
	{ MEMBER(spool_dir), .initial = "/tmp", .check = check_not_empty, .allowed = "a folder",
	  .meaning = "folder of files to import, while they are read; without names, so that none stays" },
	{ MEMBER(import_max_mb), .type = SETTING_NUMBER, .initial = "512", .min = 1, .max = 65536, .meaning = "MiB of a file to import" },
	{ MEMBER(trusted_proxies), .initial = "", .check = network_list_valid,
	  .allowed = "addresses and networks such as 10.0.0.0/8, separated by commas",
	  .meaning = "proxies whose X-Forwarded-For is believed" },
	{ MEMBER(cors_origins), .initial = "", .check = check_origins,
	  .allowed = "origins such as https://example.org, separated by commas", .meaning = "web origins whose pages may call the API" },
	{ MEMBER(key_dir), .initial = "/var/lib/wardmote/keys", .check = check_not_empty, .allowed = "a folder",
	  .meaning = "folder of the signing keys and the cursor key, read by all nodes" },
	{ MEMBER(issuer), .initial = "", .check = check_url_or_empty, .allowed = "an http or https URL without a slash at its end",
	  .meaning = "issuer of access tokens; empty: public_url" },
	{ MEMBER(audience), .initial = "", .meaning = "audience of access tokens; empty: public_url" },
	{ MEMBER(assertion_to_endpoint), .type = SETTING_SWITCH, .initial = "false",
	  .meaning = "take assertions of old clients whose aud is the URL of the token endpoint instead of the issuer" },
	{ MEMBER(access_token_seconds), .type = SETTING_NUMBER, .initial = "600", .min = 10, .max = 86400,
	  .meaning = "life of an access token" },
	{ MEMBER(refresh_token_seconds), .type = SETTING_NUMBER, .initial = "2592000", .min = 60, .max = 31536000,
	  .meaning = "life of a session's refresh token" },
	{ MEMBER(rate_anonymous), .type = SETTING_NUMBER, .initial = "600", .min = 0, .max = 10000000,
	  .meaning = "requests a minute for one address without a token; 0: no limit" },
	{ MEMBER(rate_account), .type = SETTING_NUMBER, .initial = "6000", .min = 0, .max = 10000000,
	  .meaning = "requests a minute for one account; 0: no limit" },
	{ MEMBER(idempotency_hours), .type = SETTING_NUMBER, .initial = "24", .min = 24, .max = 8760,
	  .meaning = "time that answers to an Idempotency-Key are kept" },
	{ MEMBER(timezone), .initial = "Europe/London", .check = check_timezone, .allowed = "a name of the time zone database",
	  .meaning = "time zone of civil dates" },
	{ MEMBER(map_extent), .initial = "-9,49,2.5,61", .check = check_extent_or_empty,
	  .allowed = "west,south,east,north in degrees, such as -9,49,2.5,61, or nothing",
	  .meaning = "what the installation's map shows: a boundary outside of it that lies inside with its axes changed over is refused; "
		     "empty: none is" },
	{ MEMBER(overlap_settle_seconds), .type = SETTING_NUMBER, .initial = "5", .min = 0, .max = 3600,
	  .meaning = "how long a boundary set has to rest after a change before it is compared with the others" },
	{ MEMBER(security_contact), .initial = "",
	  .meaning = "whom to tell about a vulnerability: a mailto: or https: URI for security.txt" },
};

enum { N_SETTINGS = sizeof settings / sizeof *settings };
_Static_assert((int)N_SETTINGS <= (int)CONFIG_SETTINGS_MAX, "struct config has an origin for each setting");

/* A value as found, before it is understood. */
struct candidate {
	const char *value;
	const char *origin; /* for people: "--listen", "WARDMOTE_LISTEN", "/etc/wardmote.conf line 3", "default" */
};

struct loader {
	struct arena *arena;
	const char **ret_error;
	struct candidate found[N_SETTINGS];
};

static int refuse(struct loader *loader, const char *message)
{
	*loader->ret_error = message;
	return -EINVAL;
}

/* The setting with this name, where `dash` stands for '_' and case is as in `upper`; -1 when there is none. */
static int find_setting(struct slice name, char dash, bool upper)
{
	for (int i = 0; i < N_SETTINGS; i++) {
		const char *own = settings[i].name;
		size_t at = 0;
		for (; at < name.len && own[at] != '\0'; at++) {
			char c = own[at] == '_' ? dash : own[at];
			if (upper && c >= 'a' && c <= 'z')
				c = (char)(c - 'a' + 'A');
			if (c != name.ptr[at])
				break;
		}
		if (at == name.len && own[at] == '\0')
			return i;
	}
	return -1;
}

/* Reads a small text file whole; NULL with errno when it cannot. */
static char *read_small(struct arena *arena, const char *path)
{
	enum { LIMIT = 65536 };
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return NULL;
	char *text = arena_alloc(arena, LIMIT + 1);
	size_t len = fread(text, 1, LIMIT + 1, file);
	/* behind a NUL nothing would be read: the file is a binary one, or in UTF-16 */
	int error = ferror(file) != 0 ? EIO : len > LIMIT ? EFBIG : memchr(text, '\0', len) != NULL ? EILSEQ : 0;
	fclose(file);
	if (error != 0) {
		errno = error;
		return NULL;
	}
	text[len] = '\0';
	return text;
}

static struct slice trim(struct slice text)
{
	while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
		text.ptr++, text.len--;
	while (text.len > 0 && strchr(" \t\r\n", text.ptr[text.len - 1]) != NULL)
		text.len--;
	return text;
}

static int load_line(struct loader *loader, const char *path, int number, struct slice line)
{
	const char *equals = memchr(line.ptr, '=', line.len);
	if (equals == NULL)
		return refuse(loader, arena_printf(loader->arena, "%s line %d: expected `name = value`", path, number));
	struct slice name = trim((struct slice){ line.ptr, (size_t)(equals - line.ptr) });
	struct slice value = trim((struct slice){ equals + 1, line.len - (size_t)(equals + 1 - line.ptr) });
	int row = find_setting(name, '_', false);
	if (row < 0)
		return refuse(loader, arena_printf(loader->arena, "%s line %d: `%.*s` is not a setting (see `wardmote config`)", path,
						   number, (int)name.len, name.ptr));
	if (loader->found[row].value != NULL)
		return refuse(loader, arena_printf(loader->arena, "%s line %d: %s is set twice", path, number, settings[row].name));
	loader->found[row] =
	    (struct candidate){ arena_copy(loader->arena, value), arena_printf(loader->arena, "%s line %d", path, number) };
	return 0;
}

static int load_file(struct loader *loader, const char *path)
{
	const char *text = read_small(loader->arena, path);
	if (text == NULL)
		return refuse(loader, arena_printf(loader->arena, "cannot read the settings file %s: %s", path, strerror(errno)));
	for (int number = 1; *text != '\0'; number++) {
		size_t len = strcspn(text, "\n");
		struct slice line = trim((struct slice){ text, len });
		if (line.len > 0 && line.ptr[0] != '#') {
			int status = load_line(loader, path, number, line);
			if (status < 0)
				return status;
		}
		text += len + (text[len] == '\n');
	}
	return 0;
}

/* A secret may lie in a file of its own: WARDMOTE_DATABASE_FILE. */
static int load_secret_file(struct loader *loader, int row, const char *variable, const char *path)
{
	char *text = read_small(loader->arena, path);
	if (text == NULL)
		return refuse(loader, arena_printf(loader->arena, "cannot read %s, named by %s: %s", path, variable, strerror(errno)));
	struct slice value = trim(slice_of(text));
	if (value.len > 0) /* one that is empty sets nothing */
		loader->found[row] = (struct candidate){ arena_copy(loader->arena, value), variable };
	return 0;
}

static bool is_reserved(struct slice name)
{
	return slice_is(name, "CONFIG") || slice_is(name, "BIN") || slice_is(name, "CLIENT_SECRET") || slice_is(name, "SEED") ||
	       slice_is(name, "LONG") || (name.len >= 5 && memcmp(name.ptr, "TEST_", 5) == 0);
}

static int load_variable(struct loader *loader, const char *variable)
{
	static const char prefix[] = "WARDMOTE_", suffix[] = "_FILE";
	const size_t prefix_len = sizeof prefix - 1, suffix_len = sizeof suffix - 1;
	size_t len = strcspn(variable, "=");
	if (len <= prefix_len || strncmp(variable, prefix, prefix_len) != 0)
		return 0;
	struct slice name = { variable + prefix_len, len - prefix_len };
	if (is_reserved(name))
		return 0;
	const char *full = arena_copy(loader->arena, (struct slice){ variable, len });
	const char *value = variable + len + (variable[len] == '=');
	int row = find_setting(name, '_', true);
	if (row >= 0) {
		loader->found[row] = (struct candidate){ value, full };
		return 0;
	}
	if (name.len > suffix_len && memcmp(name.ptr + name.len - suffix_len, suffix, suffix_len) == 0) {
		name.len -= suffix_len;
		row = find_setting(name, '_', true);
		if (row >= 0 && settings[row].secret)
			return load_secret_file(loader, row, full, value);
	}
	return refuse(loader, arena_printf(loader->arena, "%s in the environment is not a setting (see `wardmote config`)", full));
}

/* The value of the flag argv[*at], which is `--name VALUE` or `--name=VALUE`; advances *at past a separate value. NULL when there is none. */
static const char *flag_value(int argc, char **argv, int *at)
{
	const char *equals = strchr(argv[*at], '=');
	if (equals != NULL)
		return equals + 1;
	return *at + 1 < argc ? argv[++*at] : NULL;
}

static bool flag_is(const char *argument, const char *flag)
{
	size_t len = strlen(flag);
	return strncmp(argument, flag, len) == 0 && (argument[len] == '\0' || argument[len] == '=');
}

static int load_flags(struct loader *loader, int argc, char **argv, char **rest, bool keep_rest)
{
	bool given[N_SETTINGS] = { false }, has_file = false;
	size_t n_rest = 0;
	for (int i = 0; i < argc; i++) {
		const char *argument = argv[i];
		bool is_flag = strncmp(argument, "--", 2) == 0 && argument[2] != '\0';
		struct slice name = { argument + 2, is_flag ? strcspn(argument + 2, "=") : 0 };
		int row = is_flag ? find_setting(name, '-', false) : -1;
		if (row < 0 && is_flag && flag_is(argument, "--config")) {
			if (flag_value(argc, argv, &i) == NULL || has_file)
				return refuse(loader, has_file ? "--config is given twice" : "--config needs a value");
			has_file = true;
			continue;
		}
		if (row < 0 && !keep_rest)
			return refuse(loader, arena_printf(loader->arena, "unknown argument %.*s (see `wardmote config`)",
							   (int)strcspn(argument, "="), argument));
		if (row < 0) {
			rest[n_rest++] = argv[i];
			continue;
		}
		const char *origin = arena_printf(loader->arena, "--%.*s", (int)name.len, name.ptr);
		const char *value = flag_value(argc, argv, &i);
		if (value == NULL || given[row])
			return refuse(loader,
				      arena_printf(loader->arena, value == NULL ? "%s needs a value" : "%s is given twice", origin));
		given[row] = true;
		loader->found[row] = (struct candidate){ value, origin };
	}
	return 0;
}

static const char *find_config_file(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (flag_is(argv[i], "--config"))
			return flag_value(argc, argv, &i);
	return getenv("WARDMOTE_CONFIG");
}

static bool parse_number(const char *text, long min, long max, long *ret_number)
{
	char *end;
	errno = 0;
	long number = strtol(text, &end, 10);
	if (*text == '\0' || strspn(text, "-0123456789") != strlen(text) || *end != '\0' || errno != 0 || number < min || number > max)
		return false;
	*ret_number = number;
	return true;
}

static int apply(struct loader *loader, const struct setting *setting, const struct candidate *candidate, struct config *config)
{
	char *member = (char *)config + setting->offset;
	const char *value = candidate->value;
	const char *allowed = setting->allowed;
	bool good = false;
	switch (setting->type) {
	case SETTING_TEXT:
		good = setting->check == NULL || setting->check(value);
		*(const char **)(void *)member = value;
		break;
	case SETTING_NUMBER:
		good = parse_number(value, setting->min, setting->max, (long *)(void *)member);
		allowed = arena_printf(loader->arena, "a whole number from %ld to %ld", setting->min, setting->max);
		break;
	case SETTING_SWITCH:
		good = strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
		*(bool *)(void *)member = strcmp(value, "true") == 0;
		allowed = "true or false";
		break;
	}
	if (good)
		return 0;
	return refuse(loader,
		      arena_printf(loader->arena, "%s (from %s): %s%s%sexpected %s", setting->name, candidate->origin,
				   setting->secret ? "" : "`", setting->secret ? "" : value, setting->secret ? "" : "`: ", allowed));
}

/* Values that follow from others. */
static void derive(struct config *config, struct arena *arena)
{
	if (config->public_url[0] == '\0')
		config->public_url = arena_printf(arena, "%s://%s", config->tls_certificate[0] == '\0' ? "http" : "https", config->listen);
	if (config->database_direct[0] == '\0')
		config->database_direct = config->database;
	if (config->issuer[0] == '\0')
		config->issuer = config->public_url;
	if (config->audience[0] == '\0')
		config->audience = config->public_url;
	if (config->workers == 0) {
		long cores = sysconf(_SC_NPROCESSORS_ONLN);
		config->workers = cores >= 2 ? 2 : 1;
	}
}

int config_load(struct config *config, struct arena *arena, int argc, char **argv, char ***ret_rest, const char **ret_error)
{
	struct loader loader = { .arena = arena, .ret_error = ret_error };
	char **rest = arena_alloc(arena, ((size_t)argc + 1) * sizeof *rest);
	const char *file = find_config_file(argc, argv);
	int status = file == NULL ? 0 : load_file(&loader, file);
	for (char **variable = environ; status == 0 && *variable != NULL; variable++)
		status = load_variable(&loader, *variable);
	if (status == 0)
		status = load_flags(&loader, argc, argv, rest, ret_rest != NULL);

	struct config loaded = { 0 };
	for (int i = 0; status == 0 && i < N_SETTINGS; i++) {
		if (loader.found[i].value == NULL)
			loader.found[i] = (struct candidate){ settings[i].initial, "default" };
		loaded.origins[i] = loader.found[i].origin;
		status = apply(&loader, &settings[i], &loader.found[i], &loaded);
	}
	if (status < 0)
		return status;
	loaded.pooled = strcmp(loaded.pooler, "transaction") == 0;
	loaded.bracketed = strcmp(loaded.transactions, "explicit") == 0;
	if (loaded.pooled && loaded.database_direct[0] == '\0')
		return refuse(&loader, "pooler: `transaction`: database_direct must be set too: the commands and the threads that hold a "
				       "session go past the pooler");
	if ((loaded.tls_certificate[0] == '\0') != (loaded.tls_key[0] == '\0'))
		return refuse(&loader, "tls_certificate and tls_key go together: one of them is not set");
	derive(&loaded, arena);
	*config = loaded;
	if (ret_rest != NULL)
		*ret_rest = rest;
	return 0;
}

static void print_value(const struct setting *setting, const struct config *config, FILE *out)
{
	const char *member = (const char *)config + setting->offset;
	switch (setting->type) {
	case SETTING_TEXT: {
		const char *text = *(const char *const *)(const void *)member;
		fputs(setting->secret && text[0] != '\0' ? "(set)" : text, out);
		break;
	}
	case SETTING_NUMBER:
		fprintf(out, "%ld", *(const long *)(const void *)member);
		break;
	case SETTING_SWITCH:
		fputs(*(const bool *)(const void *)member ? "true" : "false", out);
		break;
	}
}

void config_print(const struct config *config, FILE *out)
{
	for (int i = 0; i < N_SETTINGS; i++) {
		const struct setting *setting = &settings[i];
		fprintf(out, "%s = ", setting->name);
		print_value(setting, config, out);
		fprintf(out, "\n    from %s; default %s; %s\n", config->origins[i],
			setting->initial[0] == '\0' ? "empty" : setting->initial, setting->meaning);
	}
}

void config_print_template(FILE *out)
{
	for (int i = 0; i < N_SETTINGS; i++) {
		const struct setting *setting = &settings[i];
		fprintf(out, "\n# %s\n#%s =%s%s\n", setting->meaning, setting->name, setting->initial[0] == '\0' ? "" : " ",
			setting->initial);
	}
}

static void print_allowed(const struct setting *setting, FILE *out)
{
	if (setting->type == SETTING_NUMBER)
		fprintf(out, "; %ld to %ld.", setting->min, setting->max);
	else if (setting->type == SETTING_SWITCH)
		fputs("; true or false.", out);
	else if (setting->allowed != NULL)
		fprintf(out, "; %s.", setting->allowed);
	else
		fputc('.', out);
}

void config_print_roff(FILE *out)
{
	for (int i = 0; i < N_SETTINGS; i++) {
		const struct setting *setting = &settings[i];
		fprintf(out, ".TP\n.B %s\n%s", setting->name, setting->meaning);
		print_allowed(setting, out);
		if (setting->secret)
			fputs(" Secret: it is never shown, and may lie in a file of its own.", out);
		if (setting->initial[0] != '\0')
			fprintf(out, " Default: %s.", setting->initial);
		fputc('\n', out);
	}
}

long config_connections(const struct config *config)
{
	return config->workers * (config->lane_read + config->lane_write + config->lane_heavy + config->lane_stream) + CONFIG_BACKGROUND;
}

long config_direct_connections(const struct config *config)
{
	return config->pooled ? CONFIG_BACKGROUND : config_connections(config);
}
