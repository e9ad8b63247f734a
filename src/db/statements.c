/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The cache of prepared statements of one connection: text -> name, bounded, least recently used out. */
#include <stdlib.h>

#include "internal.h"

/* Eight bytes a step: statement texts are kilobytes long and looked up at each request. Not for hostile input: texts are our own. */
static uint64_t hash_text(const char *text, size_t len)
{
	uint64_t hash = 0x9e3779b97f4a7c15u ^ len;
	while (len >= 8) {
		uint64_t word;
		memcpy(&word, text, 8);
		hash = (hash ^ word) * 0xff51afd7ed558ccdu;
		hash ^= hash >> 32;
		text += 8;
		len -= 8;
	}
	uint64_t tail = 0;
	memcpy(&tail, text, len);
	hash = (hash ^ tail) * 0xc4ceb9fe1a85ec53u;
	return hash ^ (hash >> 29);
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

struct prepared *statements_find(struct statements *statements, const char *text)
{
	size_t slot = slot_of(statements, hash_text(text, strlen(text)), text);
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
	struct prepared *row = statements_find(statements, text);
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

struct prepared *statements_add(struct statements *statements, const char *text, unsigned *ret_victim)
{
	*ret_victim = 0;
	char *copy = strdup(text);
	if (copy == NULL)
		return NULL;
	struct prepared *row = row_to_use(statements, ret_victim);
	row->text = copy;
	row->hash = hash_text(text, strlen(text));
	row->used = ++statements->clock;
	row->number = ++statements->next_number;
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
