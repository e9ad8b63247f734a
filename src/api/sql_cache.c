/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Texts of statements that were made before. A text depends on the form of a call: which operation, for what kind of caller, in which format, and which
 * clauses there are; values are parameters. Forms are compared whole: the text of another one would answer another question. */
#include <errno.h>
#include <stdlib.h>

#include "sql_internal.h"
#include "wardmote/hash.h"

enum { BUCKETS = 256, TEXT_PART = 8 /* a text larger than this part of the whole would push out too many others */ };

struct sql_text {
	struct sql_cache *cache; /* NULL: it was dropped, and goes with its last user */
	struct sql_text *next; /* in its bucket */
	struct sql_text *newer, *older; /* by last use */
	size_t users;
	uint64_t hash, form_hash;
	struct sql_form form;
	size_t size; /* of text, with its NUL */
	char text[];
};

struct sql_cache {
	struct sql_text *buckets[BUCKETS];
	struct sql_text *newest, *oldest;
	size_t bytes, bytes_max;
};

int sql_cache_new(size_t bytes_max, struct sql_cache **ret_cache)
{
	struct sql_cache *cache = calloc(1, sizeof *cache);
	if (cache == NULL)
		return -ENOMEM;
	cache->bytes_max = bytes_max;
	*ret_cache = cache;
	return 0;
}

static void unlink_use(struct sql_cache *cache, struct sql_text *text)
{
	*(text->newer != NULL ? &text->newer->older : &cache->newest) = text->older;
	*(text->older != NULL ? &text->older->newer : &cache->oldest) = text->newer;
}

static void link_newest(struct sql_cache *cache, struct sql_text *text)
{
	text->newer = NULL;
	text->older = cache->newest;
	*(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = text;
	cache->newest = text;
}

static void drop(struct sql_cache *cache, struct sql_text *text)
{
	struct sql_text **at = &cache->buckets[text->form_hash % BUCKETS];
	while (*at != text)
		at = &(*at)->next;
	*at = text->next;
	unlink_use(cache, text);
	cache->bytes -= sizeof *text + text->size;
	text->cache = NULL;
	if (text->users == 0)
		free(text);
}

void sql_cache_free(struct sql_cache *cache)
{
	while (cache != NULL && cache->oldest != NULL)
		drop(cache, cache->oldest);
	free(cache);
}

static size_t form_size(const struct sql_form *form)
{
	return form->n_words * sizeof form->words[0];
}

static void hold(struct sql_text *text, struct statement *statement)
{
	text->users++;
	statement->text = text->text;
	statement->hash = text->hash;
	statement->held = text;
}

bool sql_cache_find(struct sql_cache *cache, const struct sql_form *form, struct statement *statement)
{
	uint64_t hash = hash_bytes(form->words, form_size(form));
	struct sql_text *text = cache->buckets[hash % BUCKETS];
	while (text != NULL && (text->form_hash != hash || text->form.n_words != form->n_words ||
				memcmp(text->form.words, form->words, form_size(form)) != 0))
		text = text->next;
	if (text == NULL)
		return false;
	unlink_use(cache, text);
	link_newest(cache, text);
	hold(text, statement);
	return true;
}

void sql_cache_add(struct sql_cache *cache, const struct sql_form *form, struct slice bytes, struct statement *statement)
{
	size_t size = sizeof(struct sql_text) + bytes.len + 1;
	struct sql_text *text = size > cache->bytes_max / TEXT_PART ? NULL : malloc(size);
	if (text == NULL)
		return;
	*text = (struct sql_text){ .cache = cache, .form = *form, .size = bytes.len + 1 };
	memcpy(text->text, bytes.ptr, bytes.len + 1);
	text->hash = hash_bytes(bytes.ptr, bytes.len);
	text->form_hash = hash_bytes(form->words, form_size(form));
	struct sql_text **bucket = &cache->buckets[text->form_hash % BUCKETS];
	text->next = *bucket;
	*bucket = text;
	link_newest(cache, text);
	cache->bytes += size;
	while (cache->bytes > cache->bytes_max)
		drop(cache, cache->oldest);
	hold(text, statement);
}

void sql_release(struct statement *statement)
{
	struct sql_text *text = statement->held;
	if (text == NULL)
		return;
	statement->held = NULL;
	statement->text = NULL;
	if (--text->users == 0 && text->cache == NULL)
		free(text);
}

/* Pointers stand for what they point at: descriptors outlive the cache. */
static void add_word(struct sql_form *form, uint64_t word)
{
	form->words[form->n_words++] = word;
}

void sql_form_of(const struct call *call, struct sql_form *ret_form)
{
	const struct query *query = &call->query;
	const bool clauses[] = { query->all,
				 query->descending,
				 query->search != NULL,
				 query->bbox[0] != NULL,
				 query->as_of != NULL,
				 query->keys[0] != NULL,
				 query->dry_run,
				 call->create_only,
				 call->known_version != NULL,
				 call->idempotency_key != NULL };
	uint64_t bits = 0;
	for (size_t i = 0; i < sizeof clauses / sizeof *clauses; i++)
		bits |= (uint64_t)clauses[i] << i;
	uint64_t conditions = 0;
	for (size_t i = 0; i < CLAUSES_MAX; i++)
		conditions |= (uint64_t)(query->clauses[i] != NULL) << i;
	ret_form->n_words = 0;
	add_word(ret_form, (uintptr_t)call->route);
	add_word(ret_form, bits | (uint64_t)call->caller << 16 | (uint64_t)call->format << 24 | (uint64_t)query->count << 32);
	add_word(ret_form, (uint64_t)query->srid | (uint64_t)query->geometry << 32);
	add_word(ret_form, query->fields);
	add_word(ret_form, query->include);
	add_word(ret_form, (uintptr_t)query->sort);
	add_word(ret_form, conditions);
	for (size_t i = 0; i < query->n_filters; i++) {
		add_word(ret_form, (uintptr_t)query->filters[i].field);
		add_word(ret_form, (uint64_t)query->filters[i].op | (uint64_t)sql_has_parameter(&query->filters[i]) << 8);
	}
}
