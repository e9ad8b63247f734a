/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* jansson drops characters of what it parses when it cannot get memory, and says nothing; OpenSSL says anything. They are given these functions, and who
 * calls them compares memory_lacks() before and after. Arenas see to themselves. */
#ifndef WARDMOTE_MEMORY_H
#define WARDMOTE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Once, before any thread. glibc learns from the first long body that is freed to keep such memory for the next one; a server gives it back. */
void memory_start(void);
/* As malloc and realloc; free is free. */
void *memory_alloc(size_t size);
void *memory_realloc(void *memory, size_t size);
/* How often these two have failed on this thread. */
uint64_t memory_lacks(void);

/* A block that lives as long as a long answer is on its way: the next one of the same thread gets it as it is, with the pages that the kernel has given for it already, which
 * cost more than what is written into them. As malloc; *ret_size: how much of it may be used. memory_give and free both take it back. */
void *memory_take(size_t size, size_t *ret_size);
void memory_give(void *memory);
/* Lets go what this thread keeps for the next one. */
void memory_rest(void);

#endif
