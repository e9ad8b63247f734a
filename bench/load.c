/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Requests at a fixed rate, whatever the answers do: load [-t TABLE] [-n FIRST] ADDRESS PORT RATE SECONDS CONNECTIONS FILE...
 *
 * A request has a moment at which it is due. Its latency counts from there, also when it had to wait for a free connection: a server that stops for a second
 * cannot hide that by not being asked (co-ordinated omission). RATE 0: each connection asks again when it has its answer, which finds the capacity.
 * A FILE holds one request: `METHOD TARGET`, header fields, an empty line, the body; several take turns. `{n}` stands for the number of the request (the first is
 * FIRST, or 0), `{1}` to `{9}` for the columns of a row of TABLE (template.h); `16:FILE` is as good as naming it 16 times. Prints one JSON object: counts by
 * status, latency of the good answers, of each FILE's and of those that were shed, good answers in each tenth of a second. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "histogram.h"
#include "template.h"

enum { FILES_MAX = 16, TURNS_MAX = 256, TEXT_MAX = 32 << 10, HEAD_MAX = 8 << 10, CODES = 600, SLOTS_MAX = 36000, SLOT_US = 100000 };
enum { GIVE_UP_US = 15000000, PORTS_EACH = 20000 };
struct connection {
	int fd; /* -1: not open */
	bool busy;
	bool waits; /* for EPOLLOUT */
	bool close; /* after this answer */
	bool retry_after;
	size_t sent, n_out, n_head;
	int status; /* 0: the head is not complete */
	int request; /* its FILE */
	uint64_t left; /* of the body */
	int64_t due_us;
	char *out;
	char head[HEAD_MAX];
};

struct load {
	struct sockaddr_in to;
	double rate;
	int64_t begun_us, ends_us;
	long n_connections;
	struct connection *connections;
	long *idle, n_idle; /* a stack: few connections are used when few suffice */
	long *closed, n_closed;
	struct request {
		struct template head, body;
		struct histogram good;
	} requests[FILES_MAX];
	int n_requests;
	unsigned char turns[TURNS_MAX]; /* whose turn it is */
	uint64_t n_turns;
	struct table table;
	int epoll;
	uint64_t started, number, in_flight, unsent;
	uint64_t codes[CODES], broken, late, without_retry_after;
	struct histogram good, shed;
	uint32_t slots[SLOTS_MAX];
};

static int64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void fail(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* --- requests --- */

/* The head as it goes over the wire, but for the length of its body: LF becomes CR LF. */
static char *wire_head(const char *text, const char *end, size_t *ret_len)
{
	static const char version[] = " HTTP/1.1\r\nHost: load\r\n";
	const char *line = strchr(text, '\n');
	char *head = malloc((size_t)(end - text) * 2 + sizeof version);
	if (head == NULL)
		fail("request");
	char *at = mempcpy(mempcpy(head, text, (size_t)(line - text)), version, sizeof version - 1);
	for (const char *from = line + 1; from <= end; from++) {
		if (*from == '\n')
			*at++ = '\r';
		*at++ = *from;
	}
	*ret_len = (size_t)(at - head);
	return head;
}

static void read_request(const char *path, struct request *ret_request)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, TEXT_MAX / 2);
	if (file == NULL || text == NULL)
		fail(path);
	char *end = fread(text, 1, TEXT_MAX / 2 - 1, file) == 0 ? NULL : strstr(text, "\n\n");
	if (end == NULL) {
		errno = EINVAL;
		fail(path);
	}
	fclose(file);
	size_t len;
	const char *head = wire_head(text, end < strchr(text, '\n') + 1 ? end - 1 : end, &len);
	template_parse(head, len, &ret_request->head);
	template_parse(end + 2, strlen(end + 2), &ret_request->body);
}

/* FILE or TURNS:FILE. */
static void add_request(struct load *load, const char *argument)
{
	char *path;
	unsigned long turns = strtoul(argument, &path, 10);
	bool weighed = path != argument && *path == ':';
	read_request(weighed ? path + 1 : argument, &load->requests[load->n_requests]);
	for (unsigned long i = 0; i < (weighed ? turns : 1) && load->n_turns < TURNS_MAX; i++)
		load->turns[load->n_turns++] = (unsigned char)load->n_requests;
	load->n_requests++;
}

static void make_request(struct load *load, struct connection *connection)
{
	uint64_t number = load->number++;
	connection->request = load->turns[number % load->n_turns];
	const struct request *request = &load->requests[connection->request];
	char body[TEXT_MAX / 2];
	size_t n_body = template_fill(&request->body, &load->table, number, body, sizeof body);
	size_t n = template_fill(&request->head, &load->table, number, connection->out, TEXT_MAX / 4);
	if (n_body > 0)
		n += (size_t)snprintf(connection->out + n, 64, "Content-Length: %zu\r\n", n_body);
	memcpy(connection->out + n, "\r\n", 2);
	memcpy(connection->out + n + 2, body, n_body);
	connection->n_out = n + 2 + n_body;
	connection->sent = connection->n_head = 0;
	connection->status = 0;
	connection->close = connection->retry_after = false;
}

/* --- connections --- */

static void watch(struct load *load, struct connection *connection, int how, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u64 = (uint64_t)(connection - load->connections) };
	if (epoll_ctl(load->epoll, how, connection->fd, &event) != 0)
		fail("epoll_ctl");
}

static bool open_connection(struct load *load, struct connection *connection)
{
	int on = 1;
	long index = connection - load->connections;
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001u + (uint32_t)(index / PORTS_EACH)) };
	connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (connection->fd < 0)
		fail("socket");
	setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(connection->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	if ((ntohl(load->to.sin_addr.s_addr) >> 24 == 127 && bind(connection->fd, (struct sockaddr *)&from, sizeof from) != 0) ||
	    (connect(connection->fd, (struct sockaddr *)&load->to, sizeof load->to) != 0 && errno != EINPROGRESS)) {
		close(connection->fd);
		connection->fd = -1;
		return false;
	}
	connection->waits = true;
	watch(load, connection, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
	return true;
}

static void drop(struct load *load, struct connection *connection)
{
	close(connection->fd);
	connection->fd = -1;
	load->closed[load->n_closed++] = connection - load->connections;
}

static void finish(struct load *load, struct connection *connection)
{
	int64_t now = now_us(), taken = now - connection->due_us;
	load->codes[connection->status]++;
	if (connection->status < 400) {
		histogram_add(&load->good, taken);
		histogram_add(&load->requests[connection->request].good, taken);
		int64_t slot = (now - load->begun_us) / SLOT_US;
		load->slots[slot < SLOTS_MAX ? slot : SLOTS_MAX - 1]++;
	} else if (connection->status == 503 || connection->status == 429) {
		histogram_add(&load->shed, taken);
		load->without_retry_after += !connection->retry_after;
	}
	connection->busy = false;
	load->in_flight--;
	if (connection->close)
		drop(load, connection);
	else
		load->idle[load->n_idle++] = connection - load->connections;
}

/* The connection ended: in the middle of a request that one has no answer. */
static void lose(struct load *load, struct connection *connection)
{
	if (connection->busy) {
		connection->busy = false;
		load->in_flight--;
		load->broken++;
		drop(load, connection);
		return;
	}
	long index = connection - load->connections, at = 0;
	while (at < load->n_idle && load->idle[at] != index)
		at++;
	if (at < load->n_idle)
		load->idle[at] = load->idle[--load->n_idle];
	drop(load, connection);
}

static void push(struct load *load, struct connection *connection)
{
	while (connection->sent < connection->n_out) {
		ssize_t n = send(connection->fd, connection->out + connection->sent, connection->n_out - connection->sent, MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) {
			if (!connection->waits)
				watch(load, connection, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
			connection->waits = true;
			return;
		}
		if (n < 0) {
			lose(load, connection);
			return;
		}
		connection->sent += (size_t)n;
	}
	if (connection->waits)
		watch(load, connection, EPOLL_CTL_MOD, EPOLLIN);
	connection->waits = false;
}

/* The head is in connection->head up to `end`. */
static void read_head(struct connection *connection, char *end)
{
	*end = '\0';
	connection->status = 1;
	sscanf(connection->head, "HTTP/1.1 %d", &connection->status);
	if (connection->status < 100 || connection->status >= CODES)
		connection->status = 1;
	connection->left = 0;
	for (char *line = strstr(connection->head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n")) {
		if (strncasecmp(line + 2, "Content-Length:", 15) == 0)
			connection->left = strtoull(line + 17, NULL, 10);
		else if (strncasecmp(line + 2, "Connection: close", 17) == 0)
			connection->close = true;
		else if (strncasecmp(line + 2, "Retry-After:", 12) == 0)
			connection->retry_after = true;
	}
	if (connection->status == 204 || connection->status == 304)
		connection->left = 0;
}

/* What was received, of which some may be body. */
static void take(struct connection *connection, const char *data, size_t n)
{
	if (connection->status != 0) {
		connection->left -= n < connection->left ? n : connection->left;
		return;
	}
	size_t room = HEAD_MAX - 1 - connection->n_head;
	size_t part = n < room ? n : room;
	memcpy(connection->head + connection->n_head, data, part);
	connection->n_head += part;
	char *end = memmem(connection->head, connection->n_head, "\r\n\r\n", 4);
	if (end == NULL)
		return;
	size_t body = connection->n_head - (size_t)(end + 4 - connection->head) + (n - part);
	read_head(connection, end);
	connection->left -= body < connection->left ? body : connection->left;
}

static void handle(struct load *load, struct connection *connection, uint32_t events)
{
	static char data[64 << 10];
	if (connection->fd < 0)
		return;
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
		ssize_t n = recv(connection->fd, data, sizeof data, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != ENOTCONN)) {
			lose(load, connection);
			return;
		}
		if (n > 0 && connection->busy)
			take(connection, data, (size_t)n);
		if (n > 0 && connection->busy && connection->status != 0 && connection->left == 0) {
			finish(load, connection);
			return;
		}
	}
	if ((events & EPOLLOUT) && connection->waits)
		push(load, connection);
}

/* --- the run --- */

/* A free connection, or NULL. */
static struct connection *free_connection(struct load *load)
{
	if (load->n_idle > 0)
		return &load->connections[load->idle[--load->n_idle]];
	if (load->n_closed == 0)
		return NULL;
	struct connection *connection = &load->connections[load->closed[--load->n_closed]];
	if (open_connection(load, connection))
		return connection;
	load->closed[load->n_closed++] = connection - load->connections;
	return NULL;
}

static bool begin(struct load *load, int64_t due_us)
{
	struct connection *connection = free_connection(load);
	if (connection == NULL)
		return false;
	make_request(load, connection);
	connection->busy = true;
	connection->due_us = due_us;
	load->in_flight++;
	push(load, connection);
	return true;
}

static int64_t due_at(const struct load *load, uint64_t index)
{
	return load->begun_us + (int64_t)((double)index * 1e6 / load->rate);
}

static void begin_due(struct load *load, int64_t now)
{
	if (now >= load->ends_us)
		return;
	if (load->rate <= 0) {
		while (begin(load, now))
			load->started++;
		return;
	}
	while (due_at(load, load->started) <= now && begin(load, due_at(load, load->started)))
		load->started++;
}

/* Until the next request is due; when all connections are busy, or none will be, until something happens. */
static struct timespec patience(const struct load *load, int64_t now)
{
	int64_t left = SLOT_US / 10;
	bool may_begin = load->rate > 0 && now < load->ends_us && load->n_idle + load->n_closed > 0;
	if (may_begin && due_at(load, load->started) - now < left)
		left = due_at(load, load->started) - now;
	return (struct timespec){ .tv_nsec = left < 0 ? 0 : left * 1000 };
}

static void give_up_late(struct load *load, int64_t now)
{
	for (long i = 0; i < load->n_connections; i++) {
		struct connection *connection = &load->connections[i];
		if (connection->busy && now - connection->due_us > GIVE_UP_US) {
			load->late++;
			load->broken--; /* lose counts it there */
			lose(load, connection);
		}
	}
}

static void run(struct load *load)
{
	enum { EVENTS = 256 };
	struct epoll_event events[EVENTS];
	int64_t looked_us = 0, now = now_us();
	while (now < load->ends_us || load->in_flight > 0) {
		begin_due(load, now);
		struct timespec left = patience(load, now);
		int n = epoll_pwait2(load->epoll, events, EVENTS, &left, NULL);
		for (int i = 0; i < n; i++)
			handle(load, &load->connections[events[i].data.u64], events[i].events);
		now = now_us();
		if (now - looked_us > SLOT_US) {
			looked_us = now;
			give_up_late(load, now);
		}
	}
	for (uint64_t index = load->started; load->rate > 0 && due_at(load, index) < load->ends_us; index++)
		load->unsent++;
}

static void report(const struct load *load)
{
	const char *separator = "";
	double seconds = (double)(load->ends_us - load->begun_us) / 1e6;
	printf("{\"seconds\":%.3f,\"rate\":%.1f,\"started\":%" PRIu64 ",\"unsent\":%" PRIu64 ",\"broken\":%" PRIu64 ",\"late\":%" PRIu64
	       ",\"without_retry_after\":%" PRIu64 ",",
	       seconds, load->rate, load->started, load->unsent, load->broken, load->late, load->without_retry_after);
	histogram_print("good", &load->good);
	putchar(',');
	histogram_print("shed", &load->shed);
	for (int i = 0; i < load->n_requests; i++) {
		fputs(i == 0 ? ",\"each\":[{" : "},{", stdout);
		histogram_print("good", &load->requests[i].good);
	}
	printf("}],\"statuses\":{");
	for (int code = 0; code < CODES; code++) {
		if (load->codes[code] == 0)
			continue;
		printf("%s\"%d\":%" PRIu64, separator, code, load->codes[code]);
		separator = ",";
	}
	printf("},\"good_each_tenth\":[");
	size_t slots = (size_t)(seconds * 10);
	for (size_t slot = 0; slot < slots && slot < SLOTS_MAX; slot++)
		printf("%s%u", slot == 0 ? "" : ",", load->slots[slot]);
	printf("]}\n");
}

static void prepare(struct load *load)
{
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	load->epoll = epoll_create1(EPOLL_CLOEXEC);
	load->connections = calloc((size_t)load->n_connections, sizeof *load->connections);
	load->idle = calloc((size_t)load->n_connections, sizeof *load->idle);
	load->closed = calloc((size_t)load->n_connections, sizeof *load->closed);
	if (load->epoll < 0 || load->connections == NULL || load->idle == NULL || load->closed == NULL)
		fail("start");
	for (long i = load->n_connections - 1; i >= 0; i--) {
		load->connections[i].fd = -1;
		load->connections[i].out = malloc(TEXT_MAX);
		load->closed[load->n_closed++] = i;
	}
}

int main(int argc, char **argv)
{
	struct load *load = calloc(1, sizeof *load);
	const char *table = NULL;
	for (int option; load != NULL && (option = getopt(argc, argv, "+t:n:")) != -1;) {
		if (option == 't')
			table = optarg;
		else if (option == 'n')
			load->number = strtoull(optarg, NULL, 10);
	}
	argv += optind - 1;
	argc -= optind - 1;
	if (argc < 7 || argc - 6 > FILES_MAX || load == NULL || inet_pton(AF_INET, argv[1], &load->to.sin_addr) != 1) {
		fprintf(stderr, "usage: load [-t TABLE] [-n FIRST] ADDRESS PORT RATE SECONDS CONNECTIONS FILE...\n");
		return EXIT_FAILURE;
	}
	load->to.sin_family = AF_INET;
	load->to.sin_port = htons((uint16_t)strtol(argv[2], NULL, 10));
	load->rate = strtod(argv[3], NULL);
	load->n_connections = strtol(argv[5], NULL, 10);
	table_read(table, &load->table);
	for (int i = 6; i < argc; i++)
		add_request(load, argv[i]);
	prepare(load);
	load->begun_us = now_us();
	load->ends_us = load->begun_us + (int64_t)(strtod(argv[4], NULL) * 1e6);
	run(load);
	report(load);
	return EXIT_SUCCESS;
}
