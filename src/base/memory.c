/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "wardmote/memory.h"

#include <stdlib.h>

/* The libraries' hooks take no context, and a failure concerns the thread that it befell. */
static _Thread_local uint64_t lacks;

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
