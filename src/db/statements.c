/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The cache of prepared statements of one connection: text -> name, bounded, least recently used out. */
#include <stdio.h>
#include <stdlib.h>

#include "internal.h"
#include "wardmote/hash.h"

static uint64_t hash_of(const char *text, uint64_t hash)
{
	return hash != 0 ? hash : hash_bytes(text, strlen(text));
}

static size_t slot_of(const struct statements *statements, uint64_t hash, const char *text)
{
	size_t slot = hash % STATEMENT_SLOTS;
	while (statements->slots[slot] != 0) {
		const struct prepared *row = &statements->rows[statements->slots[slot] - 1];
		if (row->hash == hash && strcmp(row->text, text) == 0)
			return slot;
		slot = (slot + 1) % STATEMENT_SLOTS;
	}
	return slot;
}

struct prepared *statements_find(struct statements *statements, const char *text, uint64_t hash)
{
	size_t slot = slot_of(statements, hash_of(text, hash), text);
	if (statements->slots[slot] == 0)
		return NULL;
	struct prepared *row = &statements->rows[statements->slots[slot] - 1];
	row->used = ++statements->clock;
	return row;
}

static void slots_rebuild(struct statements *statements)
{
	memset(statements->slots, 0, sizeof statements->slots);
	for (size_t i = 0; i < STATEMENTS_MAX; i++) {
		const struct prepared *row = &statements->rows[i];
		if (row->text != NULL)
			statements->slots[slot_of(statements, row->hash, row->text)] = (short)(i + 1);
	}
}

static void row_free(struct statements *statements, struct prepared *row)
{
	free(row->text);
	*row = (struct prepared){ 0 };
	statements->n--;
	slots_rebuild(statements);
}

void statements_remove(struct statements *statements, const char *text)
{
	struct prepared *row = statements_find(statements, text, 0);
	if (row != NULL)
		row_free(statements, row);
}

static struct prepared *row_to_use(struct statements *statements, unsigned *ret_victim)
{
	struct prepared *oldest = NULL;
	for (size_t i = 0; i < STATEMENTS_MAX; i++) {
		struct prepared *row = &statements->rows[i];
		if (row->text == NULL)
			return row;
		if (oldest == NULL || row->used < oldest->used)
			oldest = row;
	}
	*ret_victim = oldest->number;
	row_free(statements, oldest);
	return oldest;
}

struct prepared *statements_add(struct statements *statements, const char *text, uint64_t hash, unsigned *ret_victim)
{
	*ret_victim = 0;
	char *copy = strdup(text);
	if (copy == NULL)
		return NULL;
	struct prepared *row = row_to_use(statements, ret_victim);
	row->text = copy;
	row->hash = hash_of(text, hash);
	row->used = ++statements->clock;
	row->number = ++statements->next_number;
	snprintf(row->name, sizeof row->name, "w%u", row->number);
	statements->n++;
	statements->slots[slot_of(statements, row->hash, row->text)] = (short)(row - statements->rows + 1);
	return row;
}

void statements_clear(struct statements *statements)
{
	for (size_t i = 0; i < STATEMENTS_MAX; i++)
		free(statements->rows[i].text);
	*statements = (struct statements){ 0 };
}
