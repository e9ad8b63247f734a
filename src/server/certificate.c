/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "certificate.h"

#include <inttypes.h>

#include "wardmote/clock.h"
#include "wardmote/log.h"

enum { DAY_SECONDS = 86400, WARN_DAYS = 14 };

static struct http_tls_settings files_of(const struct config *config)
{
	return (struct http_tls_settings){ config->tls_certificate, config->tls_key };
}

/* What is wrong with its dates; NULL: nothing. */
static const char *fault_of(const struct http_tls_state *state, struct arena *arena)
{
	int64_t now = clock_wall_seconds(), left = state->not_after - now;
	if (now < state->not_before)
		return "is not valid yet";
	if (left <= 0)
		return "has expired";
	return left < WARN_DAYS * DAY_SECONDS ? arena_printf(arena, "expires in %" PRId64 " days", left / DAY_SECONDS) : NULL;
}

/* Clients that look at the dates will refuse it; that is no reason for us not to start. */
static void tell_dates(const struct server *server, struct arena *arena)
{
	struct http_tls_state state;
	http_tls_state(server->tls, &state);
	const char *fault = fault_of(&state, arena);
	if (fault != NULL)
		log_message(LOG_LEVEL_WARNING, "the certificate needs to be renewed", "error",
			    arena_printf(arena, "%s %s", server->config->tls_certificate, fault));
}

int certificate_open(struct server *server, const char **ret_error)
{
	struct http_tls_settings files = files_of(server->config);
	if (files.certificate[0] == '\0')
		return 0;
	const char *error = NULL;
	int failed = http_tls_new(&files, &server->arena, &server->tls, &error);
	if (failed == 0)
		tell_dates(server, &server->arena);
	else
		*ret_error = arena_printf(&server->arena, "TLS: %s", error);
	return failed;
}

bool certificate_reload(struct server *server)
{
	const char *error = NULL;
	struct arena arena;
	if (server->tls == NULL)
		return true;
	arena_init_reserved(&arena, server->reserve);
	bool good = http_tls_reload(server->tls, &arena, &error) == 0;
	if (good)
		log_message(LOG_LEVEL_INFO, "certificate loaded", NULL, NULL);
	else
		log_message(LOG_LEVEL_ERROR, "certificate not loaded, the old one stays", "error", error);
	tell_dates(server, &arena);
	arena_done(&arena);
	return good;
}

void certificate_metrics(struct buffer *out, const struct server *server)
{
	struct http_tls_state state;
	if (server->tls == NULL)
		return;
	http_tls_state(server->tls, &state);
	buffer_format(
	    out,
	    "# HELP wardmote_tls_certificate_not_after_timestamp_seconds When the listener's certificate expires, in seconds since 1970.\n"
	    "# TYPE wardmote_tls_certificate_not_after_timestamp_seconds gauge\n"
	    "wardmote_tls_certificate_not_after_timestamp_seconds %" PRId64 "\n"
	    "# HELP wardmote_tls_handshakes_total Handshakes of TLS by what became of them.\n"
	    "# TYPE wardmote_tls_handshakes_total counter\n"
	    "wardmote_tls_handshakes_total{result=\"done\"} %" PRIu64 "\n"
	    "wardmote_tls_handshakes_total{result=\"failed\"} %" PRIu64 "\n",
	    state.not_after, state.handshakes, state.failed);
}

void certificate_look(struct doctor *doctor)
{
	static const char check[] = "certificate", renew[] = "renew it, then SIGHUP";
	struct http_tls_settings files = files_of(doctor->config);
	struct http_tls *tls = NULL;
	const char *error = NULL;
	if (files.certificate[0] == '\0')
		return;
	if (http_tls_new(&files, doctor->arena, &tls, &error) < 0) {
		doctor_add(doctor, check, DOCTOR_FAIL, "mend tls_certificate and tls_key", "%s", error);
		return;
	}
	struct http_tls_state state;
	http_tls_state(tls, &state);
	http_tls_free(tls);
	const char *fault = fault_of(&state, doctor->arena);
	int64_t now = clock_wall_seconds();
	bool valid = now >= state.not_before && now < state.not_after;
	if (fault == NULL)
		doctor_add(doctor, check, DOCTOR_OK, NULL, "%s and its key fit, for %" PRId64 " days still", files.certificate,
			   (state.not_after - now) / DAY_SECONDS);
	else
		doctor_add(doctor, check, valid ? DOCTOR_WARN : DOCTOR_FAIL, renew, "%s %s", files.certificate, fault);
}
