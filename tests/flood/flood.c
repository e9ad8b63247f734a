/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Thousands of clients that nobody wants, in one thread: flood ADDRESS PORT CONNECTIONS MODE [interval_ms=N] [reopen=A_SECOND] [sources=N] [target=/path]
 * [field='Name: value'] [size=BYTES]. It prints what it has seen, as one line of JSON, for each line that it reads, and ends at the end of its input.
 *
 *   idle      connects and says nothing          head      a head that never ends, a byte an interval
 *   full      one whole request, then nothing    body      a body of `size` that never ends, a byte an interval
 *   read      takes a byte of the answer an interval, through a window of 2 kB
 *   huge      a body of `size` as fast as it goes, by its Content-Length      chunked    the same in chunks without an end */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <netinet/tcp.h>

enum { TICK_MS = 5, OPEN_AT_ONCE = 100, HEAD_MAX = 2048, TIMES_MAX = 1 << 20, CODES = 600, PUMP = 16 << 10, WINDOW = 2048 };

enum mode { IDLE, FULL, HEAD, BODY, READ, HUGE_BODY, CHUNKED, MODES };
static const char *const mode_names[MODES] = { "idle", "full", "head", "body", "read", "huge", "chunked" };

struct client {
	int fd; /* -1: not open */
	bool connected;
	bool answered;
	int64_t asked_us; /* when its request was complete, or the connection open */
	int64_t bytes;
	char status[16]; /* the first bytes of the answer */
	size_t n_status;
};

struct flood {
	enum mode mode;
	struct sockaddr_in to;
	long count, interval_ms, sources, size;
	long reopen; /* at most so many a second */
	const char *target;
	const char *field;
	char first[HEAD_MAX];
	size_t n_first;
	struct client *clients;
	int epoll;
	long open, next_to_open, cursor, turn;
	/* what was seen */
	long opened, failed, closed, reset;
	int64_t bytes;
	long codes[CODES];
	long retry_after;
	uint32_t *times_us;
	size_t n_times;
};

static int64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void fail(const char *what)
{
	fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static void make_first(struct flood *flood)
{
	const char *field = flood->field == NULL ? "" : flood->field;
	const char *end = flood->field == NULL ? "" : "\r\n";
	int n = 0;
	switch (flood->mode) {
	case IDLE:
	case MODES:
		break;
	case FULL:
	case READ:
		n = snprintf(flood->first, HEAD_MAX, "GET %s HTTP/1.1\r\nHost: flood\r\n%s%s\r\n", flood->target, field, end);
		break;
	case HEAD:
		n = snprintf(flood->first, HEAD_MAX, "GET %s HTTP/1.1\r\nHost: flood\r\n%s%sX-Slow: ", flood->target, field, end);
		break;
	case BODY:
	case HUGE_BODY:
		n = snprintf(flood->first, HEAD_MAX, "POST %s HTTP/1.1\r\nHost: flood\r\n%s%sContent-Length: %ld\r\n\r\n", flood->target,
			     field, end, flood->size);
		break;
	case CHUNKED:
		n = snprintf(flood->first, HEAD_MAX, "POST %s HTTP/1.1\r\nHost: flood\r\n%s%sTransfer-Encoding: chunked\r\n\r\n",
			     flood->target, field, end);
		break;
	}
	flood->n_first = n < 0 || n >= HEAD_MAX ? 0 : (size_t)n;
}

/* Each source is an address of its own in 127/8, so that what is counted by address is not what ends the flood. */
static void bind_source(const struct flood *flood, int fd, long index)
{
	uint32_t number = (uint32_t)(index % flood->sources);
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f640000u + (number / 250 << 8) + number % 250 + 1) };
	int on = 1;
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&from, sizeof from) != 0)
		fail("bind");
}

static void open_one(struct flood *flood, long index)
{
	struct client *client = &flood->clients[index];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		fail("socket");
	int window = WINDOW, on = 1;
	if (flood->mode == READ)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	bind_source(flood, fd, index);
	*client = (struct client){ .fd = fd };
	if (connect(fd, (struct sockaddr *)&flood->to, sizeof flood->to) != 0 && errno != EINPROGRESS) {
		flood->failed++;
		close(fd);
		client->fd = -1;
		return;
	}
	struct epoll_event event = { .events = EPOLLOUT, .data.u64 = (uint64_t)index };
	if (epoll_ctl(flood->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		fail("epoll_ctl");
}

static void watch(struct flood *flood, long index, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u64 = (uint64_t)index };
	epoll_ctl(flood->epoll, EPOLL_CTL_MOD, flood->clients[index].fd, &event);
}

static void end_one(struct flood *flood, long index, bool reset)
{
	struct client *client = &flood->clients[index];
	if (client->connected) {
		flood->open--;
		*(reset ? &flood->reset : &flood->closed) += 1;
	} else {
		flood->failed++;
	}
	close(client->fd);
	client->fd = -1;
}

static void note_answer(struct flood *flood, struct client *client)
{
	int code = 0;
	client->answered = true;
	if (sscanf(client->status, "HTTP/1.1 %d", &code) != 1 || code < 0 || code >= CODES)
		code = 0;
	flood->codes[code]++;
	if (flood->n_times < TIMES_MAX)
		flood->times_us[flood->n_times++] = (uint32_t)(now_us() - client->asked_us);
}

static void take(struct flood *flood, struct client *client, const char *data, size_t n)
{
	size_t room = sizeof client->status - 1 - client->n_status;
	size_t part = n < room ? n : room;
	memcpy(client->status + client->n_status, data, part);
	client->n_status += part;
	if (!client->answered && client->n_status >= 12)
		note_answer(flood, client);
	if (memmem(data, n, "Retry-After", 11) != NULL)
		flood->retry_after++;
}

static void pump(struct flood *flood, long index)
{
	static const char zeros[PUMP] = { 0 };
	struct client *client = &flood->clients[index];
	char chunk[PUMP + 16];
	const char *data = zeros;
	size_t n = sizeof zeros;
	if (flood->mode == CHUNKED) {
		/* All chunks are equally long: what the kernel did not take whole goes on at its place. */
		n = (size_t)snprintf(chunk, sizeof chunk, "%x\r\n", PUMP);
		memset(chunk + n, ' ', PUMP);
		memcpy(chunk + n + PUMP, "\r\n", 2);
		n += PUMP + 2;
		data = chunk;
	}
	size_t at = flood->mode == CHUNKED ? (size_t)(client->bytes % (int64_t)n) : 0;
	ssize_t sent = send(client->fd, data + at, n - at, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN) {
		watch(flood, index, EPOLLIN); /* what was answered is still to be read */
		return;
	}
	client->bytes += sent > 0 ? sent : 0;
	flood->bytes += sent > 0 ? sent : 0;
	if (flood->mode == HUGE_BODY && client->bytes >= flood->size)
		watch(flood, index, EPOLLIN);
}

static void begin_one(struct flood *flood, long index)
{
	struct client *client = &flood->clients[index];
	int error = 0;
	socklen_t len = sizeof error;
	getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		end_one(flood, index, true);
		return;
	}
	client->connected = true;
	flood->open++;
	flood->opened++;
	client->asked_us = now_us();
	if (flood->n_first > 0 && send(client->fd, flood->first, flood->n_first, MSG_NOSIGNAL) < 0) {
		end_one(flood, index, true);
		return;
	}
	bool pumps = flood->mode == HUGE_BODY || flood->mode == CHUNKED;
	watch(flood, index, flood->mode == READ ? 0 : pumps ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void handle(struct flood *flood, long index, uint32_t events)
{
	struct client *client = &flood->clients[index];
	char data[4096];
	if (client->fd < 0)
		return;
	if (!client->connected) {
		begin_one(flood, index);
		return;
	}
	if (flood->mode == READ && (events & (EPOLLHUP | EPOLLERR))) {
		end_one(flood, index, true);
		return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		ssize_t got = recv(client->fd, data, sizeof data, 0);
		if (got == 0 || (got < 0 && errno != EAGAIN)) {
			end_one(flood, index, got < 0);
			return;
		}
		if (got > 0)
			take(flood, client, data, (size_t)got);
	}
	if (events & EPOLLOUT)
		pump(flood, index);
}

/* The next byte of one client. */
static void dribble(struct flood *flood, long index)
{
	struct client *client = &flood->clients[index];
	char byte;
	if (client->fd < 0 || !client->connected)
		return;
	if (flood->mode == HEAD || flood->mode == BODY) {
		if (send(client->fd, "a", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1)
			flood->bytes++;
	} else if (flood->mode == READ) {
		ssize_t got = recv(client->fd, &byte, 1, MSG_DONTWAIT);
		if (got == 1)
			take(flood, client, &byte, 1);
		else if (got == 0 || (got < 0 && errno != EAGAIN))
			end_one(flood, index, got < 0);
	}
}

static void tick(struct flood *flood)
{
	for (int n = 0; n < OPEN_AT_ONCE && flood->next_to_open < flood->count; n++)
		open_one(flood, flood->next_to_open++);
	long again = flood->next_to_open < flood->count ? 0 : flood->reopen * TICK_MS / 1000;
	for (long looked = 0; again > 0 && looked < flood->count; looked++) {
		flood->turn = (flood->turn + 1) % flood->count;
		if (flood->clients[flood->turn].fd >= 0)
			continue;
		open_one(flood, flood->turn);
		again--;
	}
	/* All of them once an interval, evenly. */
	long end = (long)(now_us() / 1000 % flood->interval_ms * flood->count / flood->interval_ms);
	for (; flood->cursor != end; flood->cursor = (flood->cursor + 1) % flood->count)
		dribble(flood, flood->cursor);
}

static int compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
	return left < right ? -1 : left > right;
}

static void report(struct flood *flood)
{
	uint32_t *times = flood->times_us;
	size_t n = flood->n_times;
	qsort(times, n, sizeof *times, compare);
	printf("{\"open\":%ld,\"opened\":%ld,\"failed\":%ld,\"closed\":%ld,\"reset\":%ld,\"bytes\":%" PRId64
	       ",\"retry_after\":%ld,\"answers\":%zu,"
	       "\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"statuses\":{",
	       flood->open, flood->opened, flood->failed, flood->closed, flood->reset, flood->bytes, flood->retry_after, n,
	       n == 0 ? 0 : times[n / 2] / 1e3, n == 0 ? 0 : times[n * 99 / 100] / 1e3, n == 0 ? 0 : times[n - 1] / 1e3);
	const char *separator = "";
	for (int code = 0; code < CODES; code++) {
		if (flood->codes[code] == 0)
			continue;
		printf("%s\"%d\":%ld", separator, code, flood->codes[code]);
		separator = ",";
	}
	printf("}}\n");
	fflush(stdout);
}

/* False at the end of the input. */
static bool obey(struct flood *flood)
{
	char line[64];
	ssize_t got = read(STDIN_FILENO, line, sizeof line);
	if (got > 0)
		report(flood);
	return got > 0 || (got < 0 && errno == EAGAIN);
}

static void run(struct flood *flood)
{
	enum { STDIN = UINT32_MAX, EVENTS = 512 };
	struct epoll_event input = { .events = EPOLLIN, .data.u64 = STDIN };
	if (epoll_ctl(flood->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) != 0)
		fail("standard input");
	int64_t ticked_us = 0;
	for (;;) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(flood->epoll, events, EVENTS, TICK_MS);
		for (int i = 0; i < n; i++) {
			if (events[i].data.u64 != STDIN)
				handle(flood, (long)events[i].data.u64, events[i].events);
			else if (!obey(flood))
				return;
		}
		if (now_us() - ticked_us >= TICK_MS * 1000) {
			ticked_us = now_us();
			tick(flood);
		}
	}
}

static void set_option(struct flood *flood, const char *text)
{
	const char *equals = strchr(text, '=');
	const char *value = equals == NULL ? "" : equals + 1;
	size_t n = equals == NULL ? 0 : (size_t)(equals - text);
	if (strncmp(text, "interval_ms", n) == 0)
		flood->interval_ms = strtol(value, NULL, 10);
	else if (strncmp(text, "reopen", n) == 0)
		flood->reopen = strtol(value, NULL, 10);
	else if (strncmp(text, "sources", n) == 0)
		flood->sources = strtol(value, NULL, 10);
	else if (strncmp(text, "target", n) == 0)
		flood->target = value;
	else if (strncmp(text, "field", n) == 0)
		flood->field = value;
	else
		flood->size = strtol(value, NULL, 10);
}

int main(int argc, char **argv)
{
	struct flood flood = { .interval_ms = 10000, .sources = 250, .target = "/v1/me", .size = 60000, .to.sin_family = AF_INET };
	if (argc < 5 || inet_pton(AF_INET, argv[1], &flood.to.sin_addr) != 1) {
		fprintf(stderr, "usage: flood ADDRESS PORT CONNECTIONS MODE [NAME=VALUE]...\n");
		return EXIT_FAILURE;
	}
	flood.to.sin_port = htons((uint16_t)strtol(argv[2], NULL, 10));
	flood.count = strtol(argv[3], NULL, 10);
	while (flood.mode < MODES && strcmp(mode_names[flood.mode], argv[4]) != 0)
		flood.mode++;
	for (int i = 5; i < argc; i++)
		set_option(&flood, argv[i]);
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	make_first(&flood);
	flood.clients = calloc((size_t)flood.count, sizeof *flood.clients);
	flood.times_us = calloc(TIMES_MAX, sizeof *flood.times_us);
	flood.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (flood.mode == MODES || flood.count < 1 || flood.clients == NULL || flood.times_us == NULL || flood.epoll < 0)
		return EXIT_FAILURE;
	for (long i = 0; i < flood.count; i++)
		flood.clients[i].fd = -1;
	fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
	run(&flood);
	return EXIT_SUCCESS;
}
