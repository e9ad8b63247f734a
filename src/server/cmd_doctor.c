/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdarg.h>
#include <stdio.h>

#include "commands.h"
#include "doctor.h"

static const char usage[] =
    "wardmote doctor [--json]   (with the settings and the role of `wardmote serve`; ends with 1 when something has failed)";

static const char *const level_names[] = { [DOCTOR_OK] = "ok", [DOCTOR_WARN] = "warn", [DOCTOR_FAIL] = "fail" };

void doctor_add(struct doctor *doctor, const char *check, enum doctor_level level, const char *mend, const char *format, ...)
{
	struct doctor_finding *finding = arena_alloc(doctor->arena, sizeof *finding);
	va_list arguments;
	va_start(arguments, format);
	char text[1024]; /* what is longer is cut: a finding is one line for people */
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	for (char *at = text; (at = strpbrk(at, "\n\t")) != NULL;)
		*at = ' ';
	*finding =
	    (struct doctor_finding){ .check = check, .level = level, .text = arena_copy(doctor->arena, slice_of(text)), .mend = mend };
	*doctor->next = finding;
	doctor->next = &finding->next;
}

static bool has_failed(const struct doctor *doctor)
{
	bool failed = false;
	for (const struct doctor_finding *finding = doctor->first; finding != NULL; finding = finding->next)
		failed |= finding->level == DOCTOR_FAIL;
	return failed;
}

static void print_lines(const struct doctor *doctor)
{
	for (const struct doctor_finding *finding = doctor->first; finding != NULL; finding = finding->next) {
		printf("%-4s  %-12s  %s\n", level_names[finding->level], finding->check, finding->text);
		if (finding->mend != NULL)
			printf("%20smend: %s\n", "", finding->mend);
	}
}

static void add_member(struct buffer *out, const char *name, const char *value)
{
	buffer_format(out, "\"%s\":", name);
	if (value == NULL)
		buffer_text(out, "null");
	else
		buffer_json(out, slice_of(value));
}

static void print_json(const struct doctor *doctor)
{
	struct buffer out = { .arena = doctor->arena };
	buffer_format(&out, "{\"healthy\":%s,\"findings\":[", has_failed(doctor) ? "false" : "true");
	for (const struct doctor_finding *finding = doctor->first; finding != NULL; finding = finding->next) {
		buffer_text(&out, finding == doctor->first ? "{" : ",{");
		add_member(&out, "check", finding->check);
		buffer_text(&out, ",");
		add_member(&out, "level", level_names[finding->level]);
		buffer_text(&out, ",");
		add_member(&out, "finding", finding->text);
		buffer_text(&out, ",");
		add_member(&out, "mend", finding->mend);
		buffer_text(&out, "}");
	}
	buffer_text(&out, "]}");
	puts(out.ptr);
}

static int examine(const struct config *config, struct arena *arena, bool json)
{
	struct doctor doctor = { .arena = arena, .config = config };
	doctor.next = &doctor.first;
	doctor_look_at_host(&doctor);
	doctor_look_at_database(&doctor);
	if (json)
		print_json(&doctor);
	else
		print_lines(&doctor);
	return has_failed(&doctor) ? EXIT_FAILURE : EXIT_SUCCESS;
}

int cmd_doctor(int argc, char **argv)
{
	struct arena arena;
	struct config config;
	char **rest;
	const char *error = NULL;
	bool json = false;
	const struct command_option options[] = { { .name = "json", .ret_given = &json } };
	arena_init(&arena);
	int status = config_load(&config, &arena, argc - 1, argv + 1, &rest, &error);
	if (status == 0)
		status = command_options(&arena, rest, options, 1, &error);
	if (status == 0 && config.database[0] == '\0') {
		error = "the database is not set: give --database URI, or WARDMOTE_DATABASE in the environment";
		status = -1;
	}
	int code = status < 0 ? command_misused(usage, error) : examine(&config, &arena, json);
	arena_done(&arena);
	return code;
}
