/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The limit of HTTP: libmicrohttpd in the loop that the server has, and nothing else: bare PORT WORKERS FILE
 *
 * FILE is an answer as the server gave it (status, header fields, empty line, body); every request gets it, as a response of its own. Workers share one
 * listening socket on 127.0.0.1. Ends with its standard input. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

enum { FIELDS_MAX = 32, WORKERS_MAX = 16, TEXT_MAX = 16 << 20, CONNECTION_MEMORY = 36 << 10, CONNECTIONS = 20000 };

struct field {
	const char *name, *value;
};

struct answer {
	unsigned status;
	struct field fields[FIELDS_MAX];
	size_t n_fields;
	char *body;
	size_t body_len;
	int listen_fd;
};

static void fail(const char *what)
{
	fprintf(stderr, "bare: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* What the library makes itself is left out. */
static bool is_ours(const char *name)
{
	static const char *const made[] = { "date", "content-length", "connection" };
	for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
		if (strcasecmp(name, made[i]) == 0)
			return false;
	}
	return true;
}

static void read_answer(const char *path, struct answer *answer)
{
	char *text = malloc(TEXT_MAX);
	FILE *file = fopen(path, "rb");
	if (text == NULL || file == NULL)
		fail(path);
	size_t len = fread(text, 1, TEXT_MAX - 1, file);
	fclose(file);
	text[len] = '\0';
	char *line = text;
	answer->status = (unsigned)strtoul(line, NULL, 10);
	line = strchr(line, '\n');
	while (line != NULL && line[1] != '\n') {
		char *name = line + 1, *colon = strchr(name, ':');
		line = strchr(name, '\n');
		if (colon == NULL || line == NULL || answer->n_fields == FIELDS_MAX)
			break;
		*colon = *line = '\0';
		if (is_ours(name))
			answer->fields[answer->n_fields++] = (struct field){ name, colon + 1 + strspn(colon + 1, " ") };
	}
	if (line == NULL)
		fail(path);
	answer->body = line + 2;
	answer->body_len = len - (size_t)(answer->body - text);
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
			      const char *data, size_t *size, void **seen)
{
	(void)url, (void)method, (void)version, (void)data;
	const struct answer *answer = context;
	if (*seen == NULL) { /* the head; the answer follows the body, as in the server */
		*seen = context;
		return MHD_YES;
	}
	if (*size > 0) {
		*size = 0;
		return MHD_YES;
	}
	struct MHD_Response *response = MHD_create_response_from_buffer(answer->body_len, answer->body, MHD_RESPMEM_PERSISTENT);
	for (size_t i = 0; i < answer->n_fields; i++)
		MHD_add_response_header(response, answer->fields[i].name, answer->fields[i].value);
	enum MHD_Result result = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

static void *work(void *context)
{
	struct answer *answer = context;
	struct MHD_Daemon *daemon =
	    MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handle, answer, MHD_OPTION_LISTEN_SOCKET,
			     answer->listen_fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
			     (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
	if (daemon == NULL)
		fail("start");
	int loop = epoll_create1(EPOLL_CLOEXEC), inner = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	struct epoll_event event = { .events = EPOLLIN };
	if (loop < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, inner, &event) != 0)
		fail("epoll");
	for (;;) {
		epoll_wait(loop, &event, 1, 1000);
		MHD_run(daemon);
	}
	return NULL;
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1024) != 0)
		fail("listen");
	return fd;
}

int main(int argc, char **argv)
{
	static struct answer answer;
	if (argc != 4) {
		fprintf(stderr, "usage: bare PORT WORKERS FILE\n");
		return EXIT_FAILURE;
	}
	long workers = strtol(argv[2], NULL, 10);
	read_answer(argv[3], &answer);
	answer.listen_fd = listen_on((uint16_t)strtoul(argv[1], NULL, 10));
	for (long i = 0; i < workers && i < WORKERS_MAX; i++) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, work, &answer) != 0)
			fail("thread");
	}
	puts("ready");
	fflush(stdout);
	char byte;
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return EXIT_SUCCESS;
}
