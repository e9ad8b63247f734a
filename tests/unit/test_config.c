/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "wardmote/config.h"

/* One load: NULL-terminated flags in, values or a message out. */
struct load {
	struct arena arena;
	struct config config;
	char **rest;
	const char *error;
	int status;
};

static void load_flags(struct load *load, bool keep_rest, char **flags)
{
	int n = 0;
	while (flags[n] != NULL)
		n++;
	arena_init(&load->arena);
	load->error = NULL;
	load->status = config_load(&load->config, &load->arena, n, flags, keep_rest ? &load->rest : NULL, &load->error);
}

#define LOAD(load, ...) load_flags((load), false, (char *[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

static void assert_refused(struct load *load, const char *part)
{
	assert_int_not_equal(load->status, 0);
	assert_non_null(load->error);
	if (strstr(load->error, part) == NULL)
		fail_msg("`%s` is not in: %s", part, load->error);
	arena_done(&load->arena);
}

static int clean(void **state)
{
	(void)state;
	unsetenv("WARDMOTE_LOG_LEVEL");
	unsetenv("WARDMOTE_CONFIG");
	unsetenv("WARDMOTE_DATABASE");
	unsetenv("WARDMOTE_DATABASE_FILE");
	unsetenv("WARDMOTE_NONSENSE");
	return 0;
}

/* A file with this text, deleted by the caller. */
static void write_file(char *path, const char *text)
{
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void defaults_are_complete(void **state)
{
	(void)state;
	struct load load;
	LOAD(&load);
	assert_int_equal(load.status, 0);
	assert_string_equal(load.config.listen, "127.0.0.1:8080");
	assert_string_equal(load.config.public_url, "http://127.0.0.1:8080");
	assert_string_equal(load.config.issuer, "http://127.0.0.1:8080");
	assert_string_equal(load.config.audience, "http://127.0.0.1:8080");
	assert_in_range(load.config.workers, 1, 2);
	assert_true(config_connections(&load.config) <= 40);
	assert_int_equal(config_connections(&load.config), load.config.workers * 14 + CONFIG_BACKGROUND);
	assert_string_equal(load.config.map_extent, "-9,49,2.5,61");
	arena_done(&load.arena);
}

static void flag_beats_environment_beats_file_beats_default(void **state)
{
	(void)state;
	struct load load;
	char path[] = "/tmp/wardmote-config-XXXXXX";
	write_file(path, "# a comment\n\n  log_level = warning \nworkers=3\r\nlane_read = 5\n");
	setenv("WARDMOTE_CONFIG", path, 1);
	LOAD(&load);
	assert_string_equal(load.config.log_level, "warning");
	arena_done(&load.arena);
	setenv("WARDMOTE_LOG_LEVEL", "error", 1);
	LOAD(&load, "--workers", "4");
	unlink(path);
	assert_int_equal(load.status, 0);
	assert_string_equal(load.config.log_level, "error");
	assert_int_equal(load.config.workers, 4);
	assert_int_equal(load.config.lane_read, 5);
	assert_int_equal(load.config.lane_write, 8);
	arena_done(&load.arena);
}

static void both_forms_of_a_flag_are_read(void **state)
{
	(void)state;
	struct load load;
	LOAD(&load, "--admin-listen=[::1]:9090", "--server-timing", "true");
	assert_int_equal(load.status, 0);
	assert_string_equal(load.config.admin_listen, "[::1]:9090");
	assert_true(load.config.server_timing);
	arena_done(&load.arena);
}

static void unknown_names_are_refused(void **state)
{
	(void)state;
	struct load load;
	char path[] = "/tmp/wardmote-config-XXXXXX";
	LOAD(&load, "--nonsense", "1");
	assert_refused(&load, "--nonsense");
	LOAD(&load, "--admin_listen", "127.0.0.1:1");
	assert_refused(&load, "--admin_listen");
	setenv("WARDMOTE_NONSENSE", "1", 1);
	LOAD(&load);
	assert_refused(&load, "WARDMOTE_NONSENSE");
	unsetenv("WARDMOTE_NONSENSE");
	write_file(path, "workers = 1\nnonsense = 1\n");
	LOAD(&load, "--config", path);
	unlink(path);
	assert_refused(&load, "line 2");
}

static void bad_values_name_their_origin_and_what_is_allowed(void **state)
{
	(void)state;
	struct load load;
	LOAD(&load, "--workers", "17");
	assert_refused(&load, "workers (from --workers): `17`: expected a whole number from 0 to 16");
	LOAD(&load, "--workers", "2x");
	assert_refused(&load, "expected a whole number");
	LOAD(&load, "--workers", " 2");
	assert_refused(&load, "expected a whole number");
	LOAD(&load, "--workers", "");
	assert_refused(&load, "expected a whole number");
	LOAD(&load, "--workers", "99999999999999999999");
	assert_refused(&load, "expected a whole number");
	LOAD(&load, "--server-timing", "yes");
	assert_refused(&load, "true or false");
	LOAD(&load, "--idempotency-hours", "23");
	assert_refused(&load, "from 24 to");
	setenv("WARDMOTE_LOG_LEVEL", "loud", 1);
	LOAD(&load);
	assert_refused(&load, "log_level (from WARDMOTE_LOG_LEVEL): `loud`: expected debug, info, warning or error");
}

static void incomplete_and_repeated_flags_are_refused(void **state)
{
	(void)state;
	struct load load;
	LOAD(&load, "--workers");
	assert_refused(&load, "--workers needs a value");
	LOAD(&load, "--workers", "1", "--workers=1");
	assert_refused(&load, "--workers is given twice");
	LOAD(&load, "--config", "/nonexistent/wardmote.conf");
	assert_refused(&load, "/nonexistent/wardmote.conf");
	LOAD(&load, "--config");
	assert_refused(&load, "--config needs a value");
	LOAD(&load, "--config", "/dev/null", "--config=/dev/null");
	assert_refused(&load, "--config is given twice");
}

static void a_binary_file_is_refused(void **state)
{
	(void)state;
	struct load load;
	char path[] = "/tmp/wardmote-config-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	/* the line behind the NUL would be passed over */
	assert_int_equal(write(fd, "workers = 1\0\nlane_read = 9\n", 27), 27);
	close(fd);
	LOAD(&load, "--config", path);
	unlink(path);
	assert_refused(&load, path);
}

static void text_settings_are_checked(void **state)
{
	(void)state;
	static const char *const bad[][2] = {
		{ "--listen", "8080" },
		{ "--listen", "127.0.0.1" },
		{ "--listen", "127.0.0.1:65536" },
		{ "--listen", "127.0.0.1:80x" },
		{ "--listen", "::1:80" },
		{ "--listen", "[::1]80" },
		{ "--public-url", "ftp://example.org" },
		{ "--public-url", "https://example.org/" },
		{ "--public-url", "https://example.org/?a" },
		{ "--public-url", "https://" },
		{ "--cors-origins", "https://example.org/app" },
		{ "--cors-origins", "https://example.org," },
		{ "--cors-origins", "*" },
		{ "--timezone", "../etc/passwd" },
		{ "--timezone", "" },
		{ "--key-dir", "" },
		{ "--map-extent", "-9,49,2.5" },
		{ "--map-extent", "-9,49,2.5,61,0" },
		{ "--map-extent", "-9,49,2.5,61," },
		{ "--map-extent", "-9, 49,2.5,61" },
		{ "--map-extent", "-9,49,,61" },
		{ "--map-extent", "-9,61,2.5,49" },
		{ "--map-extent", "-181,49,2.5,61" },
		{ "--map-extent", "-9,49,2.5,91" },
		{ "--map-extent", "2.5,49,2.5,61" },
		{ "--map-extent", "-9,49,2-5,61" },
		{ "--map-extent", "-9,49,1e1,61" },
		{ "--map-extent", "-9,49,nan,61" },
		{ "--map-extent", "0.00000000000000000000,49,2.5,61" },
		{ "--map-extent", "-9,49,2.5,61';DROP" },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct load load;
		LOAD(&load, (char *)(uintptr_t)bad[i][0], (char *)(uintptr_t)bad[i][1]);
		assert_refused(&load, "expected");
	}
	struct load load;
	LOAD(&load, "--cors-origins", "https://example.org,http://localhost:3000", "--public-url", "https://example.org/wardmote",
	     "--listen", "[::]:80", "--map-extent", "170,-20.5,-170,-10");
	assert_int_equal(load.status, 0);
	assert_string_equal(load.config.map_extent, "170,-20.5,-170,-10");
	arena_done(&load.arena);
	LOAD(&load, "--map-extent", "");
	assert_int_equal(load.status, 0);
	arena_done(&load.arena);
}

static void secrets_are_not_shown(void **state)
{
	(void)state;
	static const char secret[] = "postgresql://u:hunter2@h/d";
	struct load load;
	char path[] = "/tmp/wardmote-secret-XXXXXX";
	write_file(path, "postgresql://u:hunter2@h/d\n");
	setenv("WARDMOTE_DATABASE_FILE", path, 1);
	LOAD(&load);
	unlink(path);
	assert_int_equal(load.status, 0);
	assert_string_equal(load.config.database, secret);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	config_print(&load.config, out);
	fclose(out);
	assert_null(strstr(text, "hunter2"));
	assert_non_null(strstr(text, "database = (set)\n    from WARDMOTE_DATABASE_FILE"));
	assert_non_null(strstr(text, "workers = "));
	free(text);
	arena_done(&load.arena);
	setenv("WARDMOTE_DATABASE_FILE", "/nonexistent/secret", 1);
	LOAD(&load);
	assert_refused(&load, "WARDMOTE_DATABASE_FILE");
}

static void other_arguments_are_left_to_the_command(void **state)
{
	(void)state;
	struct load load;
	load_flags(&load, true, (char *[]){ "create", "--workers", "2", "--partner", "A", NULL });
	assert_int_equal(load.status, 0);
	assert_string_equal(load.rest[0], "create");
	assert_string_equal(load.rest[1], "--partner");
	assert_string_equal(load.rest[2], "A");
	assert_null(load.rest[3]);
	arena_done(&load.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(defaults_are_complete, clean),
		cmocka_unit_test_setup(flag_beats_environment_beats_file_beats_default, clean),
		cmocka_unit_test_setup(both_forms_of_a_flag_are_read, clean),
		cmocka_unit_test_setup(unknown_names_are_refused, clean),
		cmocka_unit_test_setup(bad_values_name_their_origin_and_what_is_allowed, clean),
		cmocka_unit_test_setup(incomplete_and_repeated_flags_are_refused, clean),
		cmocka_unit_test_setup(a_binary_file_is_refused, clean),
		cmocka_unit_test_setup(text_settings_are_checked, clean),
		cmocka_unit_test_setup(secrets_are_not_shown, clean),
		cmocka_unit_test_setup(other_arguments_are_left_to_the_command, clean),
	};
	return cmocka_run_group_tests(tests, NULL, clean);
}
