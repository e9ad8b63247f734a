/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Preloaded into the real program (own_calls.py): the k-th call that the program itself makes of a function that can fail does fail, be it of the C library or of
 * the libraries beside it. What these libraries call in turn is left alone (shim.c fails that), so few calls are left and each can have its turn. They are told
 * apart by their return addresses, one for each place in the program; their calls are counted, so that a test can have one call of each place fail.
 *
 * All functions here are forwarded alike: none takes more than eight words, or has a number with a point. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

typedef uintptr_t word;

enum { PLACES_MAX = 4096 };
enum group { SYSTEM = 1, MEMORY = 2, DATABASE = 4, HTTP = 8, ZLIB = 16, JSON = 32, CURL = 64 };

struct control {
	_Atomic uint32_t armed;
	_Atomic uint32_t groups;
	_Atomic uint64_t at; /* the call that fails, from 1; 0: none */
	_Atomic uint64_t count;
	_Atomic uint64_t failures;
	_Atomic uint64_t only; /* calls from this place alone are counted; 0: all */
	char name[32]; /* of the function that failed last */
	struct {
		_Atomic uint64_t place, count;
	} places[PLACES_MAX]; /* that were counted: open addressing */
};

extern char *program_invocation_short_name;
int strcmp(const char *a, const char *b);
char *strncpy(char *to, const char *from, size_t size);
char *getenv(const char *name);
int atexit(void (*function)(void));
size_t strlen(const char *text);
long syscall(long number, ...);

static struct control *control;
static uintptr_t text_start, text_end, base;
static _Thread_local bool inside;

/* The program is the first object. */
static int find_text(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size, (void)context;
	base = info->dlpi_addr;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		if (header->p_type == PT_LOAD && (header->p_flags & PF_X) != 0) {
			text_start = base + header->p_vaddr;
			text_end = text_start + header->p_memsz;
		}
	}
	return 1;
}

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("TORTURE_CALLS");
	if (path == NULL || strcmp(program_invocation_short_name, "wardmote") != 0)
		return;
	dl_iterate_phdr(find_text, NULL);
	int fd = (int)syscall(SYS_openat, -100, path, 02);
	long memory = syscall(SYS_mmap, NULL, sizeof(struct control), 3L, 1L, (long)fd, 0L);
	syscall(SYS_close, fd);
	if (memory > 0 || memory < -4095)
		control = (struct control *)memory;
}

/* What the run of a program for its coverage writes at its end is to be whole. */
static void stop(void)
{
	control->armed = 0;
}

static void note(uint64_t place)
{
	for (uint64_t i = place % PLACES_MAX;; i = (i + 1) % PLACES_MAX) {
		uint64_t known = 0;
		if (atomic_compare_exchange_strong(&control->places[i].place, &known, place) || known == place) {
			atomic_fetch_add(&control->places[i].count, 1);
			return;
		}
	}
}

static bool fails(const char *name, unsigned group, const void *from)
{
	uintptr_t place = (uintptr_t)from;
	if (control == NULL || inside || place < text_start || place >= text_end)
		return false;
	if (control->armed == 0 || (control->groups & group) == 0 || (control->only != 0 && control->only != place - base))
		return false;
	uint64_t n = atomic_fetch_add(&control->count, 1) + 1;
	note(place - base);
	if (control->at != n)
		return false;
	inside = true;
	atomic_fetch_add(&control->failures, 1);
	strncpy(control->name, name, sizeof control->name - 1);
	atexit(stop);
	inside = false;
	errno = (group & (MEMORY | DATABASE)) != 0 ? ENOMEM : EIO;
	return true;
}

typedef word function(word, word, word, word, word, word, word, word);

static char early[4096]; /* what dlsym allocates */
static size_t early_used;

static function *real(function **known, const char *name)
{
	if (*known == NULL)
		*known = (function *)dlsym(RTLD_NEXT, name);
	return *known;
}

#define EIGHT word a, word b, word c, word d, word e, word f, word g, word h
#define CALL(name, group, failed)                                                                                                          \
	word name(EIGHT);                                                                                                                  \
	word name(EIGHT)                                                                                                                   \
	{                                                                                                                                  \
		static function *known;                                                                                                    \
		if (fails(#name, group, __builtin_return_address(0)))                                                                      \
			return (word)(failed);                                                                                             \
		return real(&known, #name)(a, b, c, d, e, f, g, h);                                                                        \
	}

/* It is done, and fails all the same. */
#define DONE(name, group, failed)                                                                                                          \
	word name(EIGHT);                                                                                                                  \
	word name(EIGHT)                                                                                                                   \
	{                                                                                                                                  \
		static function *known;                                                                                                    \
		bool failing = fails(#name, group, __builtin_return_address(0));                                                           \
		word result = real(&known, #name)(a, b, c, d, e, f, g, h);                                                                 \
		return failing ? (word)(failed) : result;                                                                                  \
	}

/* Files of counters are opened and locked by what the compiler added. */
static bool is_counter(const char *path)
{
	size_t len = strlen(path);
	return len > 5 && strcmp(path + len - 5, ".gcda") == 0;
}

#define OPEN(name)                                                                                                                         \
	word name(EIGHT);                                                                                                                  \
	word name(EIGHT)                                                                                                                   \
	{                                                                                                                                  \
		static function *known;                                                                                                    \
		if (!is_counter((const char *)a) && fails(#name, SYSTEM, __builtin_return_address(0)))                                     \
			return (word)-1;                                                                                                   \
		return real(&known, #name)(a, b, c, d, e, f, g, h);                                                                        \
	}

#define CONTROL(name)                                                                                                                      \
	word name(EIGHT);                                                                                                                  \
	word name(EIGHT)                                                                                                                   \
	{                                                                                                                                  \
		static function *known;                                                                                                    \
		if (b != 6 && b != 7 && fails(#name, SYSTEM, __builtin_return_address(0))) /* F_SETLK, F_SETLKW */                         \
			return (word)-1;                                                                                                   \
		return real(&known, #name)(a, b, c, d, e, f, g, h);                                                                        \
	}

/* --- memory --- */

word calloc(EIGHT);
word calloc(EIGHT)
{
	static function *known;
	static bool looking;
	if (known == NULL && looking) {
		void *memory = early + early_used;
		early_used += (a * b + 15) & ~(word)15;
		return early_used <= sizeof early ? (word)memory : 0;
	}
	looking = true;
	if (fails("calloc", MEMORY, __builtin_return_address(0)))
		return 0;
	return real(&known, "calloc")(a, b, c, d, e, f, g, h);
}

CALL(realloc, MEMORY, 0)
CALL(strdup, MEMORY, 0)
CALL(strndup, MEMORY, 0)
CALL(mmap, MEMORY, -1)
CALL(mmap64, MEMORY, -1)
CALL(open_memstream, MEMORY, 0)

/* --- the kernel and the C library --- */

/* The stream remembers it, as the C library has it (_IO_ERR_SEEN). */
word fputs(EIGHT);
word fputs(EIGHT)
{
	static function *known;
	if (!fails("fputs", SYSTEM, __builtin_return_address(0)))
		return real(&known, "fputs")(a, b, c, d, e, f, g, h);
	*(int *)b |= 0x20;
	return (word)-1;
}

OPEN(open)
OPEN(open64)
CALL(openat64, SYSTEM, -1)
CONTROL(fcntl)
CONTROL(fcntl64)
DONE(close, SYSTEM, -1)
CALL(access, SYSTEM, -1)
CALL(bind, SYSTEM, -1)
CALL(chown, SYSTEM, -1)
CALL(dup2, SYSTEM, -1)
CALL(epoll_create1, SYSTEM, -1)
CALL(epoll_ctl, SYSTEM, -1)
CALL(eventfd, SYSTEM, -1)
CALL(execvp, SYSTEM, -1)
CALL(fgets, SYSTEM, 0)
CALL(flock, SYSTEM, -1)
CALL(fopen, SYSTEM, 0)
CALL(fopen64, SYSTEM, 0)
CALL(fork, SYSTEM, -1)
CALL(fseek, SYSTEM, -1)
CALL(fstat64, SYSTEM, -1)
CALL(fsync, SYSTEM, -1)
CALL(getaddrinfo, SYSTEM, -10)
CALL(getnameinfo, SYSTEM, -10)
CALL(getpwnam, SYSTEM, 0)
CALL(getpwuid, SYSTEM, 0)
CALL(getrandom, SYSTEM, -1)
CALL(getsockname, SYSTEM, -1)
CALL(getsockopt, SYSTEM, -1)
CALL(glob64, SYSTEM, 1)
CALL(initgroups, SYSTEM, -1)
CALL(ioctl, SYSTEM, -1)
CALL(lchown, SYSTEM, -1)
CALL(linkat, SYSTEM, -1)
CALL(listen, SYSTEM, -1)
CALL(lseek64, SYSTEM, -1)
CALL(lstat64, SYSTEM, -1)
CALL(madvise, SYSTEM, -1)
CALL(memfd_create, SYSTEM, -1)
CALL(mkdir, SYSTEM, -1)
CALL(mkdtemp, SYSTEM, 0)
CALL(nanosleep, SYSTEM, -1)
CALL(poll, SYSTEM, -1)
CALL(pthread_create, SYSTEM, EAGAIN)
CALL(read, SYSTEM, -1)
CALL(readlink, SYSTEM, -1)
CALL(realpath, SYSTEM, 0)
CALL(recv, SYSTEM, -1)
CALL(rename, SYSTEM, -1)
CALL(scandir64, SYSTEM, -1)
CALL(send, SYSTEM, -1)
CALL(setgid, SYSTEM, -1)
CALL(setsockopt, SYSTEM, -1)
CALL(setuid, SYSTEM, -1)
CALL(shutdown, SYSTEM, -1)
CALL(signalfd, SYSTEM, -1)
CALL(sigprocmask, SYSTEM, -1)
CALL(socket, SYSTEM, -1)
CALL(stat64, SYSTEM, -1)
CALL(unlink, SYSTEM, -1)
CALL(waitpid, SYSTEM, -1)
CALL(write, SYSTEM, -1)

/* --- the libraries beside it --- */

CALL(PQconnectPoll, DATABASE, 0)
CALL(PQconnectStartParams, DATABASE, 0)
CALL(PQconninfo, DATABASE, 0)
CALL(PQconninfoParse, DATABASE, 0)
CALL(PQconsumeInput, DATABASE, 0)
CALL(PQenterPipelineMode, DATABASE, 0)
CALL(PQexec, DATABASE, 0)
CALL(PQexecParams, DATABASE, 0)
CALL(PQflush, DATABASE, -1)
CALL(PQgetResult, DATABASE, 0)
CALL(PQpipelineSync, DATABASE, 0)
CALL(PQsendPipelineSync, DATABASE, 0)
CALL(PQsendPrepare, DATABASE, 0)
CALL(PQsendQuery, DATABASE, 0)
CALL(PQsendQueryParams, DATABASE, 0)
CALL(PQsendQueryPrepared, DATABASE, 0)
CALL(PQsetnonblocking, DATABASE, -1)

CALL(MHD_add_response_header, HTTP, 0)
CALL(MHD_create_response_from_buffer, HTTP, 0)
CALL(MHD_create_response_from_iovec, HTTP, 0)
CALL(MHD_get_daemon_info, HTTP, 0)
CALL(MHD_queue_response, HTTP, 0)

void *MHD_start_daemon(unsigned flags, uint16_t port, void *apc, void *apc_context, void *handler, void *context, ...);
void *MHD_start_daemon(unsigned flags, uint16_t port, void *apc, void *apc_context, void *handler, void *context, ...)
{
	if (fails("MHD_start_daemon", HTTP, __builtin_return_address(0)))
		return NULL;
	void *(*start_va)(unsigned, uint16_t, void *, void *, void *, void *, va_list);
	*(void **)&start_va = dlsym(RTLD_NEXT, "MHD_start_daemon_va");
	va_list options;
	va_start(options, context);
	void *daemon = start_va(flags, port, apc, apc_context, handler, context, options);
	va_end(options);
	return daemon;
}

CALL(deflate, ZLIB, -5)
CALL(deflateInit2_, ZLIB, -4)
CALL(deflateParams, ZLIB, -5)
CALL(deflateReset, ZLIB, -2)

/* What is given away is released also where it cannot be taken: the library does that where there is nothing to put it into. */
#define TAKES(name)                                                                                                                        \
	word name(EIGHT);                                                                                                                  \
	word name(EIGHT)                                                                                                                   \
	{                                                                                                                                  \
		static function *known;                                                                                                    \
		bool failing = fails(#name, JSON, __builtin_return_address(0));                                                            \
		return real(&known, #name)(failing ? 0 : a, b, c, d, e, f, g, h);                                                          \
	}

TAKES(json_array_append_new)
TAKES(json_object_set_new)
CALL(json_array, JSON, 0)
CALL(json_copy, JSON, 0)
CALL(json_dumps, JSON, 0)
CALL(json_object, JSON, 0)
CALL(json_string, JSON, 0)

CALL(curl_easy_escape, CURL, 0)
CALL(curl_easy_getinfo, CURL, 48)
CALL(curl_easy_init, CURL, 0)
CALL(curl_easy_perform, CURL, 7)
CALL(curl_global_init, CURL, 2)
CALL(curl_slist_append, CURL, 0)
