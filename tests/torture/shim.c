/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Preloaded into the server: counts its allocations and system calls and fails those that a test asks for, once or from then on. The test commands it
 * through a shared file (TORTURE_SHIM names it; shim.py has the same layout). Only calls of the thread that is asked for count, so that the k-th call
 * of a request is the same call each time. It allocates nothing itself. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FRAMES = 24, SITES = 8 };

enum kind {
	ALLOCATE,
	MMAP,
	READ,
	WRITE,
	SEND,
	RECV,
	SENDMSG,
	ACCEPT,
	EPOLL_ADD,
	EPOLL_WAIT,
	SOCKET,
	CONNECT,
	OPEN,
	CLOSE,
	FSTAT,
	FCNTL,
	POLL,
	SOCKOPT,
	SHUTDOWN,
	GETSOCKNAME,
	GETRANDOM,
	KINDS,
};

struct control {
	_Atomic uint32_t armed;
	_Atomic uint32_t kinds; /* bits */
	_Atomic uint32_t forever;
	_Atomic int32_t error; /* errno; 0: short, one byte is moved */
	_Atomic uint64_t at; /* the call that fails, from 1; 0: none */
	_Atomic uint64_t count;
	_Atomic uint64_t failures;
	_Atomic int64_t blocks, bytes; /* allocated and not freed, of all threads */
	char thread[16];
	_Atomic uint32_t n_sites;
	uint32_t n_frames[SITES];
	uint64_t base; /* where the program was loaded */
	void *frames[SITES][FRAMES];
};

static struct control early;
static struct control *control = &early;
static __thread __attribute__((tls_model("initial-exec"))) bool inside;

/* What dlsym itself allocates before we know the real functions. */
static _Alignas(16) char bootstrap[65536];
static size_t bootstrap_used;

static bool is_bootstrap(const void *memory)
{
	return (const char *)memory >= bootstrap && (const char *)memory < bootstrap + sizeof bootstrap;
}

static void *bootstrap_allocate(size_t size)
{
	size_t rounded = (size + 31) & ~(size_t)15;
	if (bootstrap_used + rounded > sizeof bootstrap)
		abort();
	void *memory = bootstrap + bootstrap_used;
	bootstrap_used += rounded;
	return memory;
}

static struct {
	bool ready, looking;
	void *(*malloc)(size_t);
	void *(*calloc)(size_t, size_t);
	void *(*realloc)(void *, size_t);
	void (*free)(void *);
	int (*posix_memalign)(void **, size_t, size_t);
	void *(*aligned_alloc)(size_t, size_t);
	size_t (*usable)(void *);
	void *(*mmap)(void *, size_t, int, int, int, off_t);
	ssize_t (*read)(int, void *, size_t);
	ssize_t (*write)(int, const void *, size_t);
	ssize_t (*pwritev2)(int, const struct iovec *, int, off_t, int);
	ssize_t (*send)(int, const void *, size_t, int);
	ssize_t (*recv)(int, void *, size_t, int);
	ssize_t (*sendmsg)(int, const struct msghdr *, int);
	int (*accept4)(int, struct sockaddr *, socklen_t *, int);
	int (*epoll_ctl)(int, int, int, struct epoll_event *);
	int (*epoll_wait)(int, struct epoll_event *, int, int);
	int (*socket)(int, int, int);
	int (*connect)(int, const struct sockaddr *, socklen_t);
	int (*open)(const char *, int, ...);
	int (*openat)(int, const char *, int, ...);
	int (*close)(int);
	int (*fstat)(int, struct stat *);
	int (*fcntl)(int, int, ...);
	int (*poll)(struct pollfd *, nfds_t, int);
	int (*getsockopt)(int, int, int, void *, socklen_t *);
	int (*setsockopt)(int, int, int, const void *, socklen_t);
	int (*shutdown)(int, int);
	int (*getsockname)(int, struct sockaddr *, socklen_t *);
	ssize_t (*getrandom)(void *, size_t, unsigned);
} real;

static void *look_up(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);
	if (found == NULL)
		abort();
	return found;
}

static bool find_real(void)
{
	if (real.ready)
		return true;
	if (real.looking)
		return false;
	real.looking = true;
#define FIND(name) *(void **)&real.name = look_up(#name)
	FIND(malloc);
	FIND(calloc);
	FIND(realloc);
	FIND(free);
	FIND(posix_memalign);
	FIND(aligned_alloc);
	FIND(mmap);
	FIND(read);
	FIND(write);
	FIND(pwritev2);
	FIND(send);
	FIND(recv);
	FIND(sendmsg);
	FIND(accept4);
	FIND(epoll_ctl);
	FIND(epoll_wait);
	FIND(socket);
	FIND(connect);
	FIND(open);
	FIND(openat);
	FIND(close);
	FIND(fstat);
	FIND(fcntl);
	FIND(poll);
	FIND(getsockopt);
	FIND(setsockopt);
	FIND(shutdown);
	FIND(getsockname);
	FIND(getrandom);
	*(void **)&real.usable = look_up("malloc_usable_size");
	real.ready = true;
	return true;
}

static void note_site(void)
{
	uint32_t site = atomic_fetch_add(&control->n_sites, 1);
	if (site >= SITES)
		return;
	control->n_frames[site] = (uint32_t)backtrace(control->frames[site], FRAMES);
}

static bool wrong_thread(void)
{
	char name[16] = "";
	if (control->thread[0] == '\0')
		return false;
	prctl(PR_GET_NAME, name);
	return strncmp(name, control->thread, sizeof name) != 0;
}

/* Is this call to fail? errno is then set. */
static bool fails(enum kind kind)
{
	if (atomic_load_explicit(&control->armed, memory_order_relaxed) == 0 || (control->kinds & 1u << kind) == 0 || inside ||
	    wrong_thread())
		return false;
	uint64_t n = atomic_fetch_add(&control->count, 1) + 1, at = control->at;
	if (at == 0 || n < at || (n > at && control->forever == 0))
		return false;
	atomic_fetch_add(&control->failures, 1);
	inside = true;
	note_site();
	inside = false;
	errno = control->error;
	return true;
}

__attribute__((constructor)) static void start(void)
{
	void *frames[4];
	find_real();
	backtrace(frames, 4); /* loads what it needs now, not under a failure */
	const char *path = getenv("TORTURE_SHIM");
	int fd = path == NULL ? -1 : real.open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	void *memory = real.mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	real.close(fd);
	if (memory == MAP_FAILED)
		return;
	struct control *shared = memory;
	memset(shared, 0, sizeof *shared);
	control = shared;
}

/* --- memory --- */

/* Nothing is counted before the start: then AddressSanitizer, which may stand behind us, is not ready to be asked for a block's size. */
static bool started(void)
{
	return control != &early;
}

static void *counted(void *memory)
{
	if (memory != NULL && started()) {
		atomic_fetch_add_explicit(&control->blocks, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&control->bytes, (int64_t)real.usable(memory), memory_order_relaxed);
	}
	return memory;
}

static void uncounted(void *memory)
{
	if (!started())
		return;
	atomic_fetch_sub_explicit(&control->blocks, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&control->bytes, (int64_t)real.usable(memory), memory_order_relaxed);
}

void *malloc(size_t size)
{
	if (!find_real())
		return bootstrap_allocate(size);
	return fails(ALLOCATE) ? NULL : counted(real.malloc(size));
}

void *calloc(size_t n, size_t size)
{
	if (!find_real())
		return bootstrap_allocate(n * size);
	return fails(ALLOCATE) ? NULL : counted(real.calloc(n, size));
}

void *realloc(void *memory, size_t size)
{
	if (memory == NULL)
		return malloc(size);
	if (!find_real() || is_bootstrap(memory)) {
		void *copy = malloc(size);
		size_t left = (size_t)(bootstrap + sizeof bootstrap - (char *)memory);
		return copy == NULL ? NULL : memcpy(copy, memory, size < left ? size : left);
	}
	if (fails(ALLOCATE))
		return NULL;
	if (!started())
		return real.realloc(memory, size);
	int64_t before = (int64_t)real.usable(memory);
	void *moved = real.realloc(memory, size);
	if (moved != NULL)
		atomic_fetch_add_explicit(&control->bytes, (int64_t)real.usable(moved) - before, memory_order_relaxed);
	else if (size == 0)
		atomic_fetch_sub_explicit(&control->blocks, 1, memory_order_relaxed),
		    atomic_fetch_sub_explicit(&control->bytes, before, memory_order_relaxed);
	return moved;
}

void free(void *memory)
{
	if (memory == NULL || is_bootstrap(memory) || !find_real())
		return;
	uncounted(memory);
	real.free(memory);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t size)
{
	if (!find_real() || fails(ALLOCATE))
		return ENOMEM;
	int error = real.posix_memalign(ret_memory, alignment, size);
	if (error == 0)
		counted(*ret_memory);
	return error;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	if (!find_real() || fails(ALLOCATE))
		return NULL;
	return counted(real.aligned_alloc(alignment, size));
}

void *memalign(size_t alignment, size_t size)
{
	return aligned_alloc(alignment, size);
}

void *mmap(void *address, size_t len, int protection, int flags, int fd, off_t offset)
{
	if (!find_real())
		abort();
	return fails(MMAP) ? MAP_FAILED : real.mmap(address, len, protection, flags, fd, offset);
}

void *mmap64(void *address, size_t len, int protection, int flags, int fd, off_t offset)
{
	return mmap(address, len, protection, flags, fd, offset);
}

/* --- system calls --- */

/* A call that fails, or with error 0 moves one byte. */
#define PARTLY(kind, len)                                                                                                                  \
	do {                                                                                                                               \
		find_real();                                                                                                               \
		if (fails(kind)) {                                                                                                         \
			if (control->error != 0)                                                                                           \
				return -1;                                                                                                 \
			(len) = (len) > 1 ? 1 : (len);                                                                                     \
		}                                                                                                                          \
	} while (0)

#define WHOLLY(kind)                                                                                                                       \
	do {                                                                                                                               \
		find_real();                                                                                                               \
		if (fails(kind))                                                                                                           \
			return -1;                                                                                                         \
	} while (0)

ssize_t read(int fd, void *buffer, size_t len)
{
	PARTLY(READ, len);
	return real.read(fd, buffer, len);
}

ssize_t write(int fd, const void *buffer, size_t len)
{
	PARTLY(WRITE, len);
	return real.write(fd, buffer, len);
}

ssize_t pwritev2(int fd, const struct iovec *parts, int n, off_t offset, int flags)
{
	find_real();
	if (!fails(WRITE))
		return real.pwritev2(fd, parts, n, offset, flags);
	return control->error != 0 || n < 1 ? -1 : real.write(fd, parts[0].iov_base, parts[0].iov_len > 1 ? 1 : parts[0].iov_len);
}

ssize_t send(int fd, const void *buffer, size_t len, int flags)
{
	PARTLY(SEND, len);
	return real.send(fd, buffer, len, flags);
}

ssize_t recv(int fd, void *buffer, size_t len, int flags)
{
	PARTLY(RECV, len);
	return real.recv(fd, buffer, len, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	find_real();
	if (!fails(SENDMSG))
		return real.sendmsg(fd, message, flags);
	if (control->error != 0 || message->msg_iovlen == 0)
		return -1;
	return real.send(fd, message->msg_iov[0].iov_base, message->msg_iov[0].iov_len > 1 ? 1 : message->msg_iov[0].iov_len, flags);
}

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	WHOLLY(ACCEPT);
	return real.accept4(fd, address, len, flags);
}

/* To take a descriptor out cannot fail, and libmicrohttpd rightly ends the process where it does. */
int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	find_real();
	if (operation != EPOLL_CTL_DEL && fails(EPOLL_ADD))
		return -1;
	return real.epoll_ctl(epoll, operation, fd, event);
}

int epoll_wait(int epoll, struct epoll_event *events, int n, int timeout)
{
	WHOLLY(EPOLL_WAIT);
	return real.epoll_wait(epoll, events, n, timeout);
}

int socket(int domain, int type, int protocol)
{
	WHOLLY(SOCKET);
	return real.socket(domain, type, protocol);
}

int connect(int fd, const struct sockaddr *address, socklen_t len)
{
	WHOLLY(CONNECT);
	return real.connect(fd, address, len);
}

#define MODE(flags, last)                                                                                                                  \
	mode_t mode = 0;                                                                                                                   \
	if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                                             \
		va_list arguments;                                                                                                         \
		va_start(arguments, last);                                                                                                 \
		mode = va_arg(arguments, mode_t);                                                                                          \
		va_end(arguments);                                                                                                         \
	}

int open(const char *path, int flags, ...)
{
	MODE(flags, flags)
	WHOLLY(OPEN);
	return real.open(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	MODE(flags, flags)
	WHOLLY(OPEN);
	return real.open(path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
	MODE(flags, flags)
	WHOLLY(OPEN);
	return real.openat(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...)
{
	MODE(flags, flags)
	WHOLLY(OPEN);
	return real.openat(folder, path, flags, mode);
}

/* The descriptor is gone, as Linux has it, whatever is returned. */
int close(int fd)
{
	find_real();
	int result = real.close(fd);
	return fails(CLOSE) ? -1 : result;
}

int fstat(int fd, struct stat *status)
{
	WHOLLY(FSTAT);
	return real.fstat(fd, status);
}

int fstat64(int fd, struct stat64 *status)
{
	WHOLLY(FSTAT);
	return real.fstat(fd, (struct stat *)status);
}

int fcntl(int fd, int command, ...)
{
	va_list arguments;
	va_start(arguments, command);
	void *argument = va_arg(arguments, void *);
	va_end(arguments);
	WHOLLY(FCNTL);
	return real.fcntl(fd, command, argument);
}

int fcntl64(int fd, int command, ...)
{
	va_list arguments;
	va_start(arguments, command);
	void *argument = va_arg(arguments, void *);
	va_end(arguments);
	WHOLLY(FCNTL);
	return real.fcntl(fd, command, argument);
}

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	WHOLLY(POLL);
	return real.poll(fds, n, timeout);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	WHOLLY(SOCKOPT);
	return real.getsockopt(fd, level, name, value, len);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	WHOLLY(SOCKOPT);
	return real.setsockopt(fd, level, name, value, len);
}

int shutdown(int fd, int how)
{
	WHOLLY(SHUTDOWN);
	return real.shutdown(fd, how);
}

int getsockname(int fd, struct sockaddr *address, socklen_t *len)
{
	WHOLLY(GETSOCKNAME);
	return real.getsockname(fd, address, len);
}

ssize_t getrandom(void *buffer, size_t len, unsigned flags)
{
	WHOLLY(GETRANDOM);
	return real.getrandom(buffer, len, flags);
}
