/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The record of processing (UK GDPR article 30), as far as the descriptors know it: which fields can hold personal data, whose, why, on what basis, for how
 * long, who sees them and what ends them; and of every other text whether somebody may be named in it. In Markdown for people, JSON and CSV for programs. */
#include <string.h>

#include "wardmote/openapi.h"

static const char *const audience_names[] = {
	[A_PUBLIC] = "whoever sees the record",
	[A_PARTNER] = "accounts that see the record",
	[A_OWNER] = "accounts of the owner partner",
};

static const char *const naming_names[] = {
	[NAMES_UNDECIDED] = "undecided",
	[NAMES_NOBODY] = "no",
	[NAMES_PERHAPS] = "perhaps",
	[NAMES_BY_ID] = "by id",
};

/* One field with all that is said of it. Texts are NULL where they do not apply. */
struct entry {
	const struct shape *shape;
	const struct field *field;
	const char *name; /* "contact", or "partners.reason" */
	const char *personal;
	const char *seen_by, *ended_by;
	const char *stored_in; /* the table of today's record and that of its earlier versions */
};

/* A column of CSV and member of JSON. */
struct column {
	const char *name;
	const char *value;
};

enum { COLUMNS = 12 };

static bool is_decided(const struct field *field)
{
	return field->flags & F_PERSONAL || field->names != NAMES_UNDECIDED || field->type == T_TEXT || field->type == T_TEXTS ||
	       field->type == T_URL || field->type == T_POINT;
}

static const char *seen_by(struct arena *arena, const struct shape *shape, const struct field *field)
{
	bool anyone = field->audience == A_PUBLIC && shape->resource->read == CALLER_ANONYMOUS;
	return arena_printf(arena, "%s%s",
			    anyone ? "whoever sees the record, without signing in where it is public" : audience_names[field->audience],
			    field->flags & F_LOGGED ? "; other partners one record at a time, and each such read is noted" : "");
}

/* A resource whose persons an operation of its own takes out; NULL: it has none. */
static const struct operation *erasure_of(const struct catalog *catalog, const struct shape *shape)
{
	static const char suffix[] = "/erasure";
	size_t n;
	const struct route *routes = catalog_routes(catalog, &n);
	for (size_t i = 0; i < n; i++) {
		const char *path = routes[i].operation->path;
		size_t len = strlen(path);
		if (routes[i].shape == shape && len >= sizeof suffix && strcmp(path + len - strlen(suffix), suffix) == 0)
			return routes[i].operation;
	}
	return NULL;
}

static const char *ended_by(struct arena *arena, const struct catalog *catalog, const struct entry *entry)
{
	const struct field *field = entry->field;
	const struct operation *erasure = erasure_of(catalog, entry->shape);
	if (erasure != NULL)
		return field->flags & F_PERSONAL ? arena_printf(arena, "%s %s", erasure->method, erasure->path) : NULL;
	if (field->type == T_POINT || field->names == NAMES_BY_ID)
		return NULL;
	return arena_printf(arena, "%swardmote erase --resource %s --fields %s", field->flags & F_LOGGED ? "the end of the consent; " : "",
			    entry->shape->resource->name, entry->name);
}

static struct entry make_entry(struct arena *arena, const struct catalog *catalog, const struct shape *shape, const struct field *field,
			       const char *list)
{
	struct entry entry = { .shape = shape, .field = field };
	const char *thing = shape->resource->thing;
	const char *column = list == NULL ? field->name : list;
	entry.name = list == NULL ? field->name : arena_printf(arena, "%s.%s", list, field->name);
	entry.personal = field->flags & F_PERSONAL ? "yes" : naming_names[field->names];
	entry.seen_by = seen_by(arena, shape, field);
	entry.ended_by = ended_by(arena, catalog, &entry);
	entry.stored_in = arena_printf(arena, "wardmote.%s.%s, history.%s.%s", thing, column, thing, column);
	return entry;
}

static void fill_columns(const struct entry *entry, struct column columns[COLUMNS])
{
	const struct field *field = entry->field;
	const struct column filled[COLUMNS] = {
		{ "resource", entry->shape->resource->name },
		{ "field", entry->name },
		{ "personal", entry->personal },
		{ "what", field->doc },
		{ "subjects", field->subjects },
		{ "purpose", field->purpose },
		{ "basis", field->basis },
		{ "seen_by", entry->seen_by },
		{ "reads_noted", field->flags & F_LOGGED ? "yes" : "no" },
		{ "stored_in", entry->stored_in },
		{ "kept", field->retention },
		{ "ended_by", entry->ended_by },
	};
	memcpy(columns, filled, sizeof filled);
}

typedef void (*entry_fn)(struct buffer *text, const struct entry *entry);

/* Calls `add` for each field of the resource that something is decided about. */
static void entries_of(struct buffer *text, const struct catalog *catalog, const struct shape *shape, entry_fn add)
{
	for (size_t i = 0; i < shape->n_fields; i++) {
		const struct field *field = shape->fields[i];
		struct entry entry = make_entry(text->arena, catalog, shape, field, NULL);
		if (is_decided(field))
			add(text, &entry);
		for (const struct field *member = field->members; member != NULL && member->name != NULL; member++) {
			entry = make_entry(text->arena, catalog, shape, member, field->name);
			if (is_decided(member))
				add(text, &entry);
		}
	}
}

static void each_entry(struct buffer *text, const struct catalog *catalog, entry_fn add)
{
	size_t n;
	const struct shape *const *shapes = catalog_shapes(catalog, &n);
	for (size_t i = 0; i < n; i++)
		entries_of(text, catalog, shapes[i], add);
}

/* --- Markdown --- */

static void add_row(struct buffer *text, const struct entry *entry)
{
	const struct field *field = entry->field;
	if (field->flags & F_PERSONAL)
		buffer_format(text, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", entry->shape->resource->name, entry->name,
			      field->doc, field->subjects, field->purpose, field->basis, entry->seen_by, field->retention, entry->ended_by);
}

static void add_free_text(struct buffer *text, const struct entry *entry)
{
	if (entry->field->names == NAMES_PERHAPS && !(entry->field->flags & F_PERSONAL))
		buffer_format(text, "%s%s", text->len == 0 ? "" : ", ", entry->name);
}

static void add_free_texts(struct buffer *text, const struct catalog *catalog)
{
	size_t n;
	const struct shape *const *shapes = catalog_shapes(catalog, &n);
	for (size_t i = 0; i < n; i++) {
		struct buffer names = { .arena = text->arena };
		entries_of(&names, catalog, shapes[i], add_free_text);
		if (names.len > 0)
			buffer_format(text, "| %s | %s |\n", shapes[i]->resource->name, names.ptr);
	}
}

static struct slice render_markdown(struct buffer *text, const struct catalog *catalog)
{
	buffer_text(
	    text,
	    "# Record of processing\n\n"
	    "Fields that can hold personal data. Answers that show one are never stored by caches, and their values are in no log. Each "
	    "is\n"
	    "also in the earlier versions of its record (`history`), until what is named last ends it there too. Where reads are noted,\n"
	    "another partner is shown the field in one record at a time; who read which record when is kept for 24 months and told to\n"
	    "managers of the owner at `/v1/personal-reads`. The lawful basis is what the model supposes: the controller confirms it.\n\n"
	    "| resource | field | what it is | whose | purpose | basis | seen by | kept | ended by |\n"
	    "|---|---|---|---|---|---|---|---|---|\n");
	each_entry(text, catalog, add_row);
	buffer_text(text, "\n## Free words\n\n"
			  "Texts and points about something else, into which a person may get by mistake. Their owner mends the record; "
			  "`wardmote erase` takes\n"
			  "a text out of the earlier versions. `POST /v1/personal-data/searches` looks through all of them. What is not "
			  "listed here or above is\n"
			  "a number, a date, a code, a reference, or the name of a place or body.\n\n| resource | fields |\n|---|---|\n");
	add_free_texts(text, catalog);
	return buffer_slice(text);
}

/* --- JSON and CSV --- */

static void add_object(struct buffer *text, const struct entry *entry)
{
	struct column columns[COLUMNS];
	fill_columns(entry, columns);
	buffer_text(text, text->ptr[text->len - 1] == '[' ? "\n" : ",\n");
	for (int i = 0; i < COLUMNS; i++) {
		buffer_format(text, "%s\"%s\":", i == 0 ? "{" : ",", columns[i].name);
		if (columns[i].value == NULL)
			buffer_text(text, "null");
		else
			buffer_json(text, slice_of(columns[i].value));
	}
	buffer_text(text, "}");
}

static struct slice render_json(struct buffer *text, const struct catalog *catalog)
{
	buffer_text(text, "{\"fields\":[");
	each_entry(text, catalog, add_object);
	buffer_text(text, "\n]}");
	return buffer_slice(text);
}

static void add_cell(struct buffer *text, const char *value)
{
	buffer_text(text, "\"");
	for (const char *at = value == NULL ? "" : value; *at != '\0'; at++)
		buffer_add(text, (struct slice){ *at == '"' ? "\"\"" : at, *at == '"' ? 2 : 1 });
	buffer_text(text, "\"");
}

static void add_line(struct buffer *text, const struct entry *entry)
{
	struct column columns[COLUMNS];
	fill_columns(entry, columns);
	for (int i = 0; i < COLUMNS; i++) {
		buffer_text(text, i == 0 ? "" : ",");
		add_cell(text, columns[i].value);
	}
	buffer_text(text, "\r\n");
}

static struct slice render_csv(struct buffer *text, const struct catalog *catalog)
{
	buffer_text(text, "resource,field,personal,what,subjects,purpose,basis,seen_by,reads_noted,stored_in,kept,ended_by\r\n");
	each_entry(text, catalog, add_line);
	return buffer_slice(text);
}

struct slice privacy_render(struct arena *arena, const struct catalog *catalog, enum privacy_format format)
{
	struct buffer text = { .arena = arena };
	switch (format) {
	case PRIVACY_JSON:
		return render_json(&text, catalog);
	case PRIVACY_CSV:
		return render_csv(&text, catalog);
	case PRIVACY_TEXT:
		break;
	}
	return render_markdown(&text, catalog);
}
