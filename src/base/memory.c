/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "wardmote/memory.h"

#include <malloc.h>
#include <stdlib.h>

/* A block of its own from here on, given back when it is freed; and what may lie free at the end of a heap. */
enum { OWN_BLOCK = 256 << 10, FREE_AT_END = 1 << 20 };

/* What is worth keeping, and what one thread may keep. */
enum { SPARE_MIN = 128 << 10, SPARE_MAX = 2 << 20 };

static _Thread_local void *spare;

/* The libraries' hooks take no context, and a failure concerns the thread that it befell. */
static _Thread_local uint64_t lacks;

void memory_start(void)
{
	mallopt(M_MMAP_THRESHOLD, OWN_BLOCK);
	mallopt(M_TRIM_THRESHOLD, FREE_AT_END);
	/* Small blocks are joined with their neighbours at once: else each block of some kilobytes, of which a request takes several, sweeps them all. */
	mallopt(M_MXFAST, 0);
}

void *memory_alloc(size_t size)
{
	void *memory = malloc(size);
	if (memory == NULL && size > 0)
		lacks++;
	return memory;
}

void *memory_realloc(void *memory, size_t size)
{
	void *moved = realloc(memory, size);
	if (moved == NULL && size > 0)
		lacks++;
	return moved;
}

uint64_t memory_lacks(void)
{
	return lacks;
}

void *memory_take(size_t size, size_t *ret_size)
{
	void *memory = spare;
	size_t spare_size = malloc_usable_size(spare);
	/* Not one of far more than is wanted: who reads slowly would hold it. */
	if (size >= SPARE_MIN && size <= spare_size && spare_size / 2 <= size)
		spare = NULL;
	else
		memory = malloc(size);
	*ret_size = memory == NULL ? 0 : size < SPARE_MIN ? size : malloc_usable_size(memory);
	return memory;
}

void memory_give(void *memory)
{
	size_t size = malloc_usable_size(memory);
	if (size >= SPARE_MIN && size <= SPARE_MAX && malloc_usable_size(spare) < size) {
		memory_rest();
		spare = memory;
	} else {
		free(memory);
	}
}

void memory_rest(void)
{
	free(spare);
	spare = NULL;
}
