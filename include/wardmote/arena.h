/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* An arena owns all short-lived memory of one request (or one command). The first 8 KiB lie inline, chunks follow;
 * everything is freed at once. Not for sharing between threads.
 *
 * An allocation never fails in the middle of a step, where nobody could do better than to give up. When the machine has no memory, an arena with a
 * reserve takes from that and remembers it: its owner asks arena_lacking() where a step ends, and refuses. An arena without a reserve (start-up,
 * subcommands) ends the process with a message. Sizes that a client controls are bounded before they come here. */
#ifndef WARDMOTE_ARENA_H
#define WARDMOTE_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "wardmote/slice.h"

enum { ARENA_INLINE = 8192 };

struct arena_chunk;

/* Address space set aside at the start for arenas of one thread. It costs no memory until it is used, and gives it back when the last chunk is. */
struct arena_reserve;
/* 0 or -ENOMEM. */
int arena_reserve_new(size_t size, struct arena_reserve **ret_reserve);
/* After all arenas that took from it. */
void arena_reserve_free(struct arena_reserve *reserve);
/* Bytes that are left. */
size_t arena_reserve_room(const struct arena_reserve *reserve);

struct arena {
	char *next;
	char *end;
	struct arena_chunk *chunks;
	struct arena_reserve *reserve; /* NULL: none */
	bool lacking;
	_Alignas(16) char space[ARENA_INLINE];
};

void arena_init(struct arena *arena);
void arena_init_reserved(struct arena *arena, struct arena_reserve *reserve);
/* Frees all chunks; the arena may be initialised again. Accepts a zeroed arena. */
void arena_done(struct arena *arena);
/* Zeroed memory aligned to 16 bytes; never NULL. */
void *arena_alloc(struct arena *arena, size_t size);
/* Memory was short: what was made since may say the wrong thing, and must not be acted on. */
static inline bool arena_lacking(const struct arena *arena)
{
	return arena->lacking;
}
/* Something else that belongs to the same step could not be made for want of memory: a library returned nothing and set errno to ENOMEM. */
static inline void arena_lack(struct arena *arena)
{
	arena->lacking = true;
}
/* A NUL-terminated copy. */
char *arena_copy(struct arena *arena, struct slice text);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A text that grows in an arena. Zero-initialise it with its arena; `ptr` is always NUL-terminated after the first
 * addition. */
struct buffer {
	struct arena *arena;
	char *ptr;
	size_t len;
	size_t capacity;
};

void buffer_add(struct buffer *buffer, struct slice text);
void buffer_text(struct buffer *buffer, const char *text);
void buffer_format(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_vformat(struct buffer *buffer, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
/* Adds a JSON string with its quotes; control characters, quotes and backslashes are escaped. */
void buffer_json(struct buffer *buffer, struct slice text);
static inline struct slice buffer_slice(const struct buffer *buffer)
{
	return (struct slice){ buffer->ptr == NULL ? "" : buffer->ptr, buffer->len };
}

#endif
