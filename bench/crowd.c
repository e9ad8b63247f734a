/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A crowd that stays: crowd ADDRESS PORT CONNECTIONS FILE. It opens connections, and where FILE is not "-" each asks once what the file says (a GET, as load
 * reads it) and must be answered with 200. Then it prints `ready`, and ends with its standard input; one that was closed meanwhile makes it end with 1.
 * (Who says nothing has until header_timeout_ms.) */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { AT_ONCE = 100, SOURCES = 200, REQUEST_MAX = 8 << 10, ANSWER_MAX = 256 << 10 };

static void fail(const char *what)
{
	fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* Sources of their own in 127/8: an address has fewer ports than there may be connections. */
static int open_one(const struct sockaddr_in *to, long index)
{
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010001u + (uint32_t)(index % SOURCES)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	if (fd < 0)
		fail("socket");
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (bind(fd, (const struct sockaddr *)&from, sizeof from) != 0)
		fail("bind");
	if (connect(fd, (const struct sockaddr *)to, sizeof *to) != 0)
		fail("connect");
	return fd;
}

/* The lines of the file with the line ends of HTTP. */
static size_t read_request(const char *path, char *out, size_t room)
{
	char text[REQUEST_MAX / 2];
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		fail(path);
	size_t len = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[len] = '\0';
	char *line_end = strchr(text, '\n');
	if (line_end == NULL)
		fail("no request in the file");
	*line_end = '\0';
	int n = snprintf(out, room, "%s HTTP/1.1\r\nHost: crowd\r\n", text);
	for (char *line = line_end + 1; *line != '\0' && *line != '\n'; line = line_end + 1) {
		line_end = line + strcspn(line, "\n");
		if (*line_end == '\0')
			fail("the head does not end");
		*line_end = '\0';
		n += snprintf(out + n, room - (size_t)n, "%s\r\n", line);
	}
	return (size_t)(n + snprintf(out + n, room - (size_t)n, "\r\n"));
}

static void take_answer(int fd, char *answer)
{
	size_t len = 0, whole = SIZE_MAX;
	while (len < whole) {
		ssize_t got = recv(fd, answer + len, ANSWER_MAX - 1 - len, 0);
		if (got <= 0)
			fail("no answer");
		len += (size_t)got;
		answer[len] = '\0';
		const char *end = strstr(answer, "\r\n\r\n");
		const char *length = strcasestr(answer, "\r\nContent-Length: ");
		if (end != NULL && (length == NULL || length > end))
			fail("an answer without its length");
		if (end != NULL)
			whole = (size_t)(end + 4 - answer) + strtoul(length + strlen("\r\nContent-Length: "), NULL, 10);
	}
	if (strncmp(answer, "HTTP/1.1 200 ", 13) != 0) {
		fprintf(stderr, "crowd: %.400s\n", answer);
		exit(EXIT_FAILURE);
	}
}

static void ask_each(const int *fds, long n, const char *request, size_t len)
{
	static char answer[ANSWER_MAX];
	for (long i = 0; i < n; i++) {
		if (send(fds[i], request, len, MSG_NOSIGNAL) != (ssize_t)len)
			fail("send");
	}
	for (long i = 0; i < n; i++)
		take_answer(fds[i], answer);
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	if (argc != 5 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: crowd ADDRESS PORT CONNECTIONS FILE|-\n");
		return EXIT_FAILURE;
	}
	to.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
	long count = strtol(argv[3], NULL, 10);
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	char request[REQUEST_MAX];
	size_t len = strcmp(argv[4], "-") == 0 ? 0 : read_request(argv[4], request, sizeof request);
	int *fds = calloc(count < 1 ? 1 : (size_t)count, sizeof *fds);
	if (fds == NULL)
		fail("memory");
	for (long i = 0; i < count; i += AT_ONCE) {
		long n = count - i < AT_ONCE ? count - i : AT_ONCE;
		for (long k = 0; k < n; k++)
			fds[i + k] = open_one(&to, i + k);
		if (len > 0)
			ask_each(fds + i, n, request, len);
	}
	puts("ready");
	fflush(stdout);
	char byte;
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	for (long i = 0; i < count; i++) {
		if (recv(fds[i], &byte, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN)
			fail("a connection did not stay");
	}
	return EXIT_SUCCESS;
}
