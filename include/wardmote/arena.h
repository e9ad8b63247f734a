/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* An arena owns all short-lived memory of one request (or one command). The first 4 KiB lie inline, chunks follow;
 * everything is freed at once. Sizes that a client controls are bounded before they come here, so an allocation
 * that fails is the machine's fault: it ends the process with a message. Not for sharing between threads. */
#ifndef WARDMOTE_ARENA_H
#define WARDMOTE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "wardmote/slice.h"

enum { ARENA_INLINE = 4096 };

struct arena_chunk;

struct arena {
	char *next;
	char *end;
	struct arena_chunk *chunks;
	_Alignas(16) char space[ARENA_INLINE];
};

void arena_init(struct arena *arena);
/* Frees all chunks; the arena may be initialised again. Accepts a zeroed arena. */
void arena_done(struct arena *arena);
/* Zeroed memory aligned to 16 bytes; never NULL. */
void *arena_alloc(struct arena *arena, size_t size);
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
