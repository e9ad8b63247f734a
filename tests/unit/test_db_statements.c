/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The cache of prepared statements against a plain model of it, and the queues of jobs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../src/db/internal.h"

enum { TEXTS = 3 * STATEMENTS_MAX, TURNS = 20000 };

/* Texts of all lengths around the words that the hash reads; many differ in their last byte only. */
static const char *text_of(char *text, size_t size, int n)
{
	snprintf(text, size, "SELECT %.*s%d", n % 17, "xxxxxxxxxxxxxxxx", n);
	return text;
}

static struct statements *statements_new(void)
{
	struct statements *statements = calloc(1, sizeof *statements);
	assert_non_null(statements);
	return statements;
}

static void statements_end(struct statements *statements)
{
	statements_clear(statements);
	assert_null(statements->rows[0].text);
	free(statements);
}

static void add(struct statements *statements, int n, unsigned *ret_number, unsigned *ret_victim)
{
	char text[64];
	struct prepared *row = statements_add(statements, text_of(text, sizeof text, n), 0, ret_victim);
	assert_non_null(row);
	*ret_number = row->number;
}

static void test_the_least_recently_used_goes(void **state)
{
	(void)state;
	char text[64];
	unsigned number, victim, numbers[STATEMENTS_MAX + 2];
	struct statements *statements = statements_new();
	for (int i = 0; i < STATEMENTS_MAX; i++) {
		add(statements, i, &numbers[i], &victim);
		assert_int_equal(victim, 0);
	}
	/* The first was used again: the second is the oldest now. */
	assert_non_null(statements_find(statements, text_of(text, sizeof text, 0), 0));
	add(statements, STATEMENTS_MAX, &number, &victim);
	assert_int_equal(victim, numbers[1]);
	assert_null(statements_find(statements, text_of(text, sizeof text, 1), 0));
	assert_int_equal(statements_find(statements, text_of(text, sizeof text, 0), 0)->number, numbers[0]);
	/* A name is never given twice: the server may still have the old one under it. */
	for (int i = 0; i < STATEMENTS_MAX; i++)
		assert_int_not_equal(number, numbers[i]);
	/* Room that was made is used before anything has to go. */
	statements_remove(statements, text_of(text, sizeof text, 7));
	statements_remove(statements, "SELECT nothing that is there");
	add(statements, STATEMENTS_MAX + 1, &number, &victim);
	assert_int_equal(victim, 0);
	statements_end(statements);
}

/* Where the model has text n: its number, or 0. */
struct model {
	unsigned number[TEXTS];
	long used[TEXTS];
	size_t n;
};

static int oldest(const struct model *model)
{
	int found = -1;
	for (int i = 0; i < TEXTS; i++) {
		if (model->number[i] != 0 && (found < 0 || model->used[i] < model->used[found]))
			found = i;
	}
	return found;
}

static void step(struct statements *statements, struct model *model, int n, bool drop, long turn)
{
	char text[64];
	unsigned victim = 0;
	const struct prepared *row = statements_find(statements, text_of(text, sizeof text, n), 0);
	assert_int_equal(row == NULL ? 0 : row->number, model->number[n]);
	if (row != NULL && drop) {
		statements_remove(statements, text);
		model->number[n] = 0;
		model->n--;
		return;
	}
	model->used[n] = turn;
	if (row != NULL)
		return;
	int gone = model->n == STATEMENTS_MAX ? oldest(model) : -1;
	add(statements, n, &model->number[n], &victim);
	assert_int_equal(victim, gone < 0 ? 0 : model->number[gone]);
	if (gone >= 0)
		model->number[gone] = 0;
	else
		model->n++;
	assert_int_equal(statements->n, model->n);
}

static void test_it_is_as_its_model(void **state)
{
	(void)state;
	struct statements *statements = statements_new();
	struct model *model = calloc(1, sizeof *model);
	assert_non_null(model);
	uint32_t random = 1;
	for (long turn = 1; turn <= TURNS; turn++) {
		random = random * 1664525u + 1013904223u;
		/* Phases in which nearly all fits, and in which nothing does. */
		int range = (turn / 2000) % 2 == 0 ? STATEMENTS_MAX + 5 : TEXTS;
		step(statements, model, (int)((random >> 8) % (unsigned)range), (random >> 28) == 0, turn);
	}
	free(model);
	statements_end(statements);
}

static void test_queues_keep_their_order(void **state)
{
	(void)state;
	struct job_queue queue = { 0 };
	struct db_job jobs[4] = { 0 };
	assert_null(queue_pop(&queue));
	queue_push_front(&queue, &jobs[1]); /* into an empty one */
	queue_push(&queue, &jobs[2]);
	queue_push(&queue, &jobs[3]);
	queue_push_front(&queue, &jobs[0]);
	assert_int_equal(queue.n, 4);
	for (size_t i = 0; i < 4; i++)
		assert_ptr_equal(queue_pop(&queue), &jobs[i]);
	assert_null(queue_pop(&queue));
	assert_null(queue.last);
	queue_push(&queue, &jobs[2]);
	assert_ptr_equal(queue_pop(&queue), &jobs[2]);
	assert_int_equal(queue.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_least_recently_used_goes),
		cmocka_unit_test(test_it_is_as_its_model),
		cmocka_unit_test(test_queues_keep_their_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
