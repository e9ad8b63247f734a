/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <sys/resource.h>
#include <sys/stat.h>

#include "certificate.h"
#include "doctor.h"
#include "wardmote/auth.h"
#include "wardmote/network.h"

/* Is the host of this address or URL ("127.0.0.1:8080", "http://[::1]:8080") on this machine? */
static bool is_local(const char *address)
{
	const char *scheme_end = strstr(address, "://");
	const char *host = scheme_end == NULL ? address : scheme_end + 3;
	if (host[0] == '[')
		return network_list_has("::1", (struct slice){ host + 1, strcspn(host + 1, "]") });
	struct slice name = { host, strcspn(host, ":/") };
	return slice_is(name, "localhost") || network_list_has("127.0.0.0/8", name);
}

/* One row: what is seen in a setting, and what it means. */
struct concern {
	bool holds;
	const char *text, *mend;
};

static bool files_are_short(const struct config *config)
{
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_max <= (rlim_t)config->connection_limit;
}

static void look_at_settings(struct doctor *doctor)
{
	const struct config *config = doctor->config;
	bool tls = config->tls_certificate[0] != '\0';
	bool https = strncmp(config->public_url, "https:", 6) == 0;
	const struct concern concerns[] = {
		{ !https && tls, "the listener speaks TLS, but public_url is not https: links and tokens name another server",
		  "give public_url the https URL" },
		{ !https && !tls && !is_local(config->public_url), "public_url is not https: tokens cross the network in plain text",
		  "set tls_certificate, or put a proxy that ends TLS before the server; and give the https URL" },
		{ is_local(config->public_url) && !is_local(config->listen),
		  "public_url names this machine: links lead elsewhere for others", "set public_url to what clients call the server" },
		{ https && !tls && config->trusted_proxies[0] == '\0', "no proxy is trusted: all clients behind it share one limit",
		  "set trusted_proxies to the addresses of what ends TLS" },
		{ !is_local(config->admin_listen), "admin_listen can be reached from elsewhere: /metrics asks for no token",
		  "bind it to a loopback address, or let a firewall guard it" },
		{ config->rate_anonymous == 0 || config->rate_account == 0, "a rate limit is off", "set rate_anonymous and rate_account" },
		{ config->heavy_timeout_ms < config->request_timeout_ms, "long queries get less time than ordinary ones",
		  "raise heavy_timeout_ms above request_timeout_ms" },
		{ config->security_contact[0] == '\0', "nobody is named for security.txt", "set security_contact" },
		{ files_are_short(config), "the limit of open files is below connection_limit",
		  "raise it (LimitNOFILE), or lower connection_limit" },
	};
	const size_t n = sizeof concerns / sizeof *concerns;
	size_t held = 0;
	for (size_t i = 0; i < n; i++) {
		if (!concerns[i].holds)
			continue;
		held++;
		doctor_add(doctor, "settings", DOCTOR_WARN, concerns[i].mend, "%s", concerns[i].text);
	}
	if (held == 0)
		doctor_add(doctor, "settings", DOCTOR_OK, NULL, "%zu things that often go wrong do not", n);
}

static void look_at_keys(struct doctor *doctor)
{
	const char *folder = doctor->config->key_dir, *error = NULL;
	struct auth_keys *keys = NULL;
	struct stat status;
	if (stat(folder, &status) == 0 && (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		doctor_add(doctor, "key folder", DOCTOR_FAIL, arena_printf(doctor->arena, "chmod 0700 %s", folder),
			   "others may put keys into %s", folder);
	/* Files that others may read, and folders without a key, are refused here. */
	if (auth_keys_load(folder, doctor->arena, &keys, &error) < 0)
		doctor_add(doctor, "key folder", DOCTOR_FAIL, "chmod 0600 the files; `wardmote key create` makes what is missing", "%s",
			   error);
	else
		doctor_add(doctor, "key folder", DOCTOR_OK, NULL, "%s holds signing keys and the cursor key, for the server alone", folder);
	auth_keys_unref(keys);
}

void doctor_look_at_host(struct doctor *doctor)
{
	look_at_settings(doctor);
	look_at_keys(doctor);
	certificate_look(doctor);
}
