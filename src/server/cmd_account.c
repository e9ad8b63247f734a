/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "account.h"
#include "commands.h"

static const char usage[] =
    "wardmote account create --partner NAME --kind KIND (--service NAME | --login LOGIN --name NAME) --database URI\n"
    "       (URI of the role wardmote_owner; prints the account and, this once, its secret as JSON)";

static void print_member(struct buffer *out, const char *name, const char *value)
{
	if (value == NULL)
		return;
	buffer_text(out, out->len == 0 ? "{" : ",");
	buffer_json(out, slice_of(name));
	buffer_text(out, ":");
	buffer_json(out, slice_of(value));
}

static void print_made(struct arena *arena, const struct account_made *made)
{
	struct buffer out = { .arena = arena };
	bool service = made->client_id != NULL;
	print_member(&out, "partner_id", made->partner_id);
	print_member(&out, "account_id", made->account_id);
	print_member(&out, "client_id", made->client_id);
	print_member(&out, service ? "client_secret" : "code", made->secret);
	printf("%s}\n", out.ptr);
}

static int run_create(const struct config *config, struct arena *arena, const struct account_request *request)
{
	const char *error = NULL;
	struct db_session *session = NULL;
	struct account_made made;
	int status = command_session(config, arena, &session, &error);
	if (status == 0)
		status = account_create(session, arena, request, &made, &error);
	db_session_free(session);
	if (status < 0)
		return command_fail("account create", error);
	print_made(arena, &made);
	return EXIT_SUCCESS;
}

static int parse_create(struct arena *arena, char **rest, struct account_request *ret_request, const char **ret_error)
{
	const char *service = NULL;
	struct account_request request = { 0 };
	const struct command_option options[] = {
		{ .name = "partner", .ret_value = &request.partner }, { .name = "kind", .ret_value = &request.kind },
		{ .name = "login", .ret_value = &request.login },     { .name = "name", .ret_value = &request.name },
		{ .name = "service", .ret_value = &service },
	};
	int status = command_options(arena, rest, options, sizeof options / sizeof *options, ret_error);
	if (status < 0)
		return status;
	bool person = request.login != NULL && request.name != NULL && service == NULL;
	bool program = request.login == NULL && request.name == NULL && service != NULL;
	if (request.partner == NULL || request.kind == NULL || (!person && !program)) {
		*ret_error = "the partner, its kind, and either a service or a person's login and name are needed";
		return -EINVAL;
	}
	if (program)
		request.name = service;
	*ret_request = request;
	return 0;
}

int cmd_account(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "create") != 0)
		return command_misused(usage, "account knows one thing to do: create");
	struct arena arena;
	struct config config;
	struct account_request request;
	char **rest;
	const char *error = NULL;
	arena_init(&arena);
	int status = config_load(&config, &arena, argc - 2, argv + 2, &rest, &error);
	if (status == 0)
		status = parse_create(&arena, rest, &request, &error);
	int code = status < 0 ? command_misused(usage, error) : run_create(&config, &arena, &request);
	arena_done(&arena);
	return code;
}
