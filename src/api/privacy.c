/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The record of processing (UK GDPR article 30), as far as the descriptors know it: which fields can hold personal data, why, for how long, and who
 * sees them. In Markdown, for people. */
#include "wardmote/openapi.h"

static const char *const audience_names[] = {
	[A_PUBLIC] = "whoever sees the record",
	[A_PARTNER] = "accounts that see the record",
	[A_OWNER] = "accounts of the owner partner",
};

static void add_row(struct buffer *text, const struct shape *shape, const struct field *field, const char *list)
{
	buffer_format(text, "| %s | %s%s%s | %s%s | %s | %s | %s |\n", shape->resource->name, list == NULL ? "" : list,
		      list == NULL ? "" : ".", field->name, audience_names[field->audience], field->flags & F_LOGGED ? "; logged" : "",
		      field->doc, field->purpose, field->retention);
}

static void add_shape(struct buffer *text, const struct shape *shape)
{
	for (size_t i = 0; i < shape->n_fields; i++) {
		const struct field *field = shape->fields[i];
		if (field->flags & F_PERSONAL)
			add_row(text, shape, field, NULL);
		for (const struct field *member = field->members; member != NULL && member->name != NULL; member++)
			if (member->flags & F_PERSONAL)
				add_row(text, shape, member, field->name);
	}
}

struct slice privacy_render(struct arena *arena, const struct catalog *catalog)
{
	struct buffer text = { .arena = arena };
	buffer_text(
	    &text,
	    "# Record of processing\n\n"
	    "Fields that can hold personal data. Answers that show one are never stored by caches, their values are in no log, and\n"
	    "an erasure blanks them in the record and in its history: of accounts by `POST /v1/accounts/{id}/erasure`, of other "
	    "records by\n"
	    "`wardmote erase`. Where a field is marked as logged, another partner is shown it in one record at a time, each such read is "
	    "noted for\n"
	    "24 months (who, which record, when) and told to managers of the owner at `/v1/personal-reads`; and it is blanked by itself "
	    "when "
	    "the consent\n"
	    "ends.\n\n"
	    "| resource | field | seen by | what it is | purpose | kept |\n"
	    "|---|---|---|---|---|---|\n");
	size_t n;
	const struct shape *const *shapes = catalog_shapes(catalog, &n);
	for (size_t i = 0; i < n; i++)
		add_shape(&text, shapes[i]);
	return buffer_slice(&text);
}
