/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Arenas with and without memory: malloc, calloc and mmap of src/base come here first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wardmote/arena.h"
#include "wardmote/memory.h"

static bool lacking;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_mmap(void *address, size_t len, int protection, int flags, int fd, off_t offset);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_mmap(void *address, size_t len, int protection, int flags, int fd, off_t offset);
/* How the first is called where offsets have 64 bits. */
void *__real_mmap64(void *address, size_t len, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *address, size_t len, int protection, int flags, int fd, off_t offset);

void *__wrap_malloc(size_t size)
{
	return lacking ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return lacking ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return lacking ? NULL : __real_realloc(memory, size);
}

void *__wrap_mmap(void *address, size_t len, int protection, int flags, int fd, off_t offset)
{
	return lacking ? MAP_FAILED : __real_mmap(address, len, protection, flags, fd, offset);
}

void *__wrap_mmap64(void *address, size_t len, int protection, int flags, int fd, off_t offset)
{
	return lacking ? MAP_FAILED : __real_mmap64(address, len, protection, flags, fd, offset);
}

enum { RESERVE = 1 << 20 };

static void a_reserve_is_made_or_not(void **state)
{
	(void)state;
	struct arena_reserve *reserve = NULL;
	lacking = true;
	assert_int_equal(arena_reserve_new(RESERVE, &reserve), -ENOMEM);
	lacking = false;
	assert_null(reserve);
	assert_int_equal(arena_reserve_new(SIZE_MAX / 2, &reserve), -ENOMEM); /* more than there are addresses */
	assert_null(reserve);
	arena_reserve_free(reserve);
}

static void a_lack_is_covered_by_the_reserve_and_remembered(void **state)
{
	(void)state;
	struct arena_reserve *reserve;
	struct arena one, two;
	assert_int_equal(arena_reserve_new(RESERVE, &reserve), 0);
	assert_int_equal(arena_reserve_room(reserve), RESERVE);
	arena_init_reserved(&one, reserve);
	arena_init_reserved(&two, reserve);
	memset(arena_alloc(&one, 100000), 1, 100000);
	assert_false(arena_lacking(&one));
	assert_int_equal(arena_reserve_room(reserve), RESERVE);
	lacking = true;
	char *text = arena_alloc(&one, 100000);
	for (size_t i = 0; i < 100000; i++)
		assert_int_equal(text[i], 0);
	memset(text, 1, 100000);
	arena_alloc(&two, 200000);
	lacking = false;
	assert_true(arena_lacking(&one) && arena_lacking(&two));
	size_t room = arena_reserve_room(reserve);
	assert_in_range(room, RESERVE - 400000, RESERVE - 300000);
	arena_done(&one); /* the other one still uses it */
	assert_int_equal(arena_reserve_room(reserve), room);
	arena_done(&two);
	assert_int_equal(arena_reserve_room(reserve), RESERVE);
	/* what was used is as good as new */
	arena_init_reserved(&one, reserve);
	lacking = true;
	text = arena_alloc(&one, 300000);
	lacking = false;
	for (size_t i = 0; i < 300000; i++)
		assert_int_equal(text[i], 0);
	arena_done(&one);
	arena_reserve_free(reserve);
}

/* In a process of its own: how it ended, and what it said. */
static int status_of(void (*step)(void), char *ret_said, size_t size)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDERR_FILENO);
		signal(SIGABRT, SIG_DFL);
		step();
		_exit(0);
	}
	close(ends[1]);
	ssize_t len = read(ends[0], ret_said, size - 1);
	ret_said[len < 0 ? 0 : len] = '\0';
	close(ends[0]);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void lack_without_a_reserve(void)
{
	struct arena arena;
	arena_init(&arena);
	lacking = true;
	arena_alloc(&arena, 50000);
}

static void lack_beyond_the_reserve(void)
{
	struct arena arena;
	struct arena_reserve *reserve;
	if (arena_reserve_new(RESERVE, &reserve) != 0)
		_exit(1);
	arena_init_reserved(&arena, reserve);
	lacking = true;
	arena_alloc(&arena, RESERVE);
}

static void ask_for_more_than_there_is(void)
{
	struct arena arena;
	arena_init(&arena);
	arena_alloc(&arena, SIZE_MAX - 100);
}

static void without_memory_and_reserve_it_ends_with_a_message(void **state)
{
	(void)state;
	static void (*const steps[])(void) = { lack_without_a_reserve, lack_beyond_the_reserve, ask_for_more_than_there_is };
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		char said[256];
		int status = status_of(steps[i], said, sizeof said);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
		assert_non_null(strstr(said, "wardmote: out of memory ("));
	}
}

static void texts_grow_and_are_escaped(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	struct buffer text = { .arena = &arena };
	assert_string_equal(buffer_slice(&text).ptr, "");
	buffer_json(&text, (struct slice){ NULL, 0 });
	buffer_json(&text, SLICE("a\"b\\c\x01\x7f\n\xc3\xa4"));
	assert_string_equal(text.ptr, "\"\"\"a\\\"b\\\\c\\u0001\\u007f\\u000a\xc3\xa4\"");
	size_t before = text.len;
	for (int i = 0; i < 3000; i++)
		buffer_format(&text, "%05d", i);
	assert_int_equal(text.len, before + 15000);
	assert_string_equal(text.ptr + text.len - 10, "0299802999");
	arena_done(&arena);
}

static void lacks_of_the_libraries_are_counted(void **state)
{
	(void)state;
	uint64_t before = memory_lacks();
	void *memory = memory_alloc(10);
	memory = memory_realloc(memory, 20);
	assert_non_null(memory);
	assert_int_equal(memory_lacks(), before);
	lacking = true;
	assert_null(memory_alloc(10));
	assert_null(memory_realloc(memory, 30));
	assert_int_equal(memory_lacks(), before + 2);
	assert_null(memory_alloc(0)); /* nothing was asked for */
	assert_null(memory_realloc(NULL, 0));
	assert_int_equal(memory_lacks(), before + 2);
	lacking = false;
	free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reserve_is_made_or_not),
		cmocka_unit_test(a_lack_is_covered_by_the_reserve_and_remembered),
		cmocka_unit_test(without_memory_and_reserve_it_ends_with_a_message),
		cmocka_unit_test(texts_grow_and_are_escaped),
		cmocka_unit_test(lacks_of_the_libraries_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
