/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "wardmote/arena.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "format.h"

#if defined(__SANITIZE_ADDRESS__)
#define POISONING 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONING 1
#endif
#endif
#ifdef POISONING
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

enum { CHUNK = 16384, ALIGNMENT = 16 };

struct arena_chunk {
	struct arena_chunk *next;
	struct arena_reserve *reserve; /* where it came from; NULL: malloc */
	size_t size;
	_Alignas(ALIGNMENT) char space[];
};

struct arena_reserve {
	char *space;
	size_t size, used, chunks;
};

int arena_reserve_new(size_t size, struct arena_reserve **ret_reserve)
{
	struct arena_reserve *reserve = calloc(1, sizeof *reserve);
	if (reserve == NULL)
		return -ENOMEM;
	reserve->size = size;
	reserve->space = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (reserve->space == MAP_FAILED) {
		free(reserve);
		return -ENOMEM;
	}
	*ret_reserve = reserve;
	return 0;
}

void arena_reserve_free(struct arena_reserve *reserve)
{
	if (reserve == NULL)
		return;
	munmap(reserve->space, reserve->size);
	free(reserve);
}

size_t arena_reserve_room(const struct arena_reserve *reserve)
{
	return reserve->size - reserve->used;
}

/* The size is a multiple of the alignment. */
static struct arena_chunk *reserve_take(struct arena_reserve *reserve, size_t size)
{
	if (reserve == NULL || size > arena_reserve_room(reserve))
		return NULL;
	struct arena_chunk *chunk = (void *)(reserve->space + reserve->used);
	reserve->used += size;
	reserve->chunks++;
	chunk->reserve = reserve;
	return chunk;
}

static void reserve_give_back(struct arena_reserve *reserve)
{
	if (--reserve->chunks > 0)
		return;
	(void)madvise(reserve->space, reserve->used, MADV_DONTNEED); /* else it stays resident, no worse */
	reserve->used = 0;
}

void arena_init(struct arena *arena)
{
	arena_init_reserved(arena, NULL);
}

void arena_init_reserved(struct arena *arena, struct arena_reserve *reserve)
{
	arena->next = arena->space;
	arena->end = arena->space + ARENA_INLINE;
	arena->chunks = NULL;
	arena->reserve = reserve;
	arena->lacking = false;
	ASAN_POISON_MEMORY_REGION(arena->space, ARENA_INLINE);
}

void arena_done(struct arena *arena)
{
	while (arena->chunks != NULL) {
		struct arena_chunk *chunk = arena->chunks;
		arena->chunks = chunk->next;
		ASAN_UNPOISON_MEMORY_REGION(chunk->space, chunk->size);
		if (chunk->reserve != NULL)
			reserve_give_back(chunk->reserve);
		else
			free(chunk);
	}
	ASAN_UNPOISON_MEMORY_REGION(arena->space, ARENA_INLINE);
	arena->next = NULL;
	arena->end = NULL;
}

__attribute__((noreturn)) static void give_up(size_t size)
{
	fprintf(stderr, "wardmote: out of memory (%zu bytes)\n", size);
	abort();
}

static void arena_grow(struct arena *arena, size_t size)
{
	size_t space = size > CHUNK ? size : CHUNK;
	struct arena_chunk *chunk = space > SIZE_MAX / 2 ? NULL : malloc(sizeof *chunk + space);
	if (chunk != NULL) {
		chunk->reserve = NULL;
	} else {
		arena->lacking = true;
		chunk = space > SIZE_MAX / 2 ? NULL : reserve_take(arena->reserve, sizeof *chunk + space);
	}
	if (chunk == NULL)
		give_up(size);
	chunk->next = arena->chunks;
	chunk->size = space;
	arena->chunks = chunk;
	arena->next = chunk->space;
	arena->end = chunk->space + space;
	ASAN_POISON_MEMORY_REGION(chunk->space, space);
}

void *arena_alloc(struct arena *arena, size_t size)
{
	size_t rounded = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	if (rounded < size)
		abort();
	if (arena->next == NULL || (size_t)(arena->end - arena->next) < rounded)
		arena_grow(arena, rounded);
	void *memory = arena->next;
	arena->next += rounded;
	ASAN_UNPOISON_MEMORY_REGION(memory, size);
	memset(memory, 0, size);
	return memory;
}

char *arena_copy(struct arena *arena, struct slice text)
{
	char *copy = arena_alloc(arena, text.len + 1);
	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	return copy;
}

/* By way of printf itself. */
__attribute__((format(printf, 2, 0), nonnull(2))) static char *print(struct arena *arena, const char *format, va_list args, size_t *ret_len)
{
	va_list again;
	va_copy(again, args);
	/* Formats with numbered arguments make it allocate. */
	int len = vsnprintf(NULL, 0, format, args);
	char *text = arena_alloc(arena, len < 0 ? 1 : (size_t)len + 1);
	bool whole = len >= 0 && vsnprintf(text, (size_t)len + 1, format, again) == len;
	va_end(again);
	if (!whole && arena->reserve == NULL)
		give_up(strlen(format));
	if (!whole) {
		arena->lacking = true;
		text[0] = '\0';
	}
	if (ret_len != NULL)
		*ret_len = whole ? (size_t)len : 0;
	return text;
}

__attribute__((format(printf, 2, 0), nonnull(2))) static char *arena_vprintf(struct arena *arena, const char *format, va_list args)
{
	struct format_parts parts;
	if (!format_split(&parts, format, args))
		return print(arena, format, args, NULL);
	char *text = arena_alloc(arena, parts.len + 1);
	format_join(&parts, text);
	return text;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = arena_vprintf(arena, format, args);
	va_end(args);
	return text;
}

static void buffer_reserve(struct buffer *buffer, size_t extra)
{
	if (extra > SIZE_MAX / 4 || buffer->len > SIZE_MAX / 4)
		abort();
	size_t need = buffer->len + extra + 1;
	if (need <= buffer->capacity)
		return;
	size_t capacity = buffer->capacity == 0 ? 256 : buffer->capacity * 2;
	if (capacity < need)
		capacity = need;
	char *grown = arena_alloc(buffer->arena, capacity);
	if (buffer->len > 0)
		memcpy(grown, buffer->ptr, buffer->len);
	buffer->ptr = grown;
	buffer->capacity = capacity;
}

void buffer_add(struct buffer *buffer, struct slice text)
{
	buffer_reserve(buffer, text.len);
	if (text.len > 0)
		memcpy(buffer->ptr + buffer->len, text.ptr, text.len);
	buffer->len += text.len;
	buffer->ptr[buffer->len] = '\0';
}

void buffer_text(struct buffer *buffer, const char *text)
{
	buffer_add(buffer, slice_of(text));
}

void buffer_vformat(struct buffer *buffer, const char *format, va_list args)
{
	struct format_parts parts;
	if (!format_split(&parts, format, args)) {
		size_t len = 0;
		const char *text = print(buffer->arena, format, args, &len);
		buffer_add(buffer, (struct slice){ text, len });
		return;
	}
	buffer_reserve(buffer, parts.len);
	format_join(&parts, buffer->ptr + buffer->len);
	buffer->len += parts.len;
	buffer->ptr[buffer->len] = '\0';
}

void buffer_format(struct buffer *buffer, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	buffer_vformat(buffer, format, args);
	va_end(args);
}

void buffer_json(struct buffer *buffer, struct slice text)
{
	buffer_add(buffer, SLICE("\""));
	size_t plain = 0;
	if (text.ptr == NULL)
		text = SLICE("");
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
			continue;
		buffer_add(buffer, (struct slice){ text.ptr + plain, i - plain });
		if (c == '"' || c == '\\')
			buffer_format(buffer, "\\%c", c);
		else
			buffer_format(buffer, "\\u%04x", c);
		plain = i + 1;
	}
	buffer_add(buffer, (struct slice){ text.ptr + plain, text.len - plain });
	buffer_add(buffer, SLICE("\""));
}
