/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Passwords: argon2id takes tens of milliseconds and 19 MiB, so one helper thread does one after the other, and a worker never waits. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <sodium.h>

#include "internal.h"

enum { WAITING_MAX = 16, PASSES = 2, MEMORY = 19 << 20 };

_Static_assert(crypto_pwhash_STRBYTES <= sizeof(((struct auth_hash_job *)0)->hash), "a hash fits its job");

/* First in, first out. */
struct queue {
	struct auth_hash_job *first, **end;
};

struct auth_hasher {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct queue waiting, finished;
	size_t n_waiting;
	bool stopping;
};

static void queue_init(struct queue *queue)
{
	queue->first = NULL;
	queue->end = &queue->first;
}

static void queue_put(struct queue *queue, struct auth_hash_job *job)
{
	job->next = NULL;
	*queue->end = job;
	queue->end = &job->next;
}

/* Takes out the job that *link points to. */
static struct auth_hash_job *queue_take(struct queue *queue, struct auth_hash_job **link)
{
	struct auth_hash_job *job = *link;
	*link = job->next;
	if (queue->end == &job->next)
		queue->end = link;
	job->next = NULL;
	return job;
}

static void hash(struct auth_hash_job *job)
{
	if (job->stored != NULL) {
		errno = 0;
		int r = crypto_pwhash_str_verify(job->stored, job->password.ptr, job->password.len);
		/* The library says EINVAL of a wrong password, and of nothing else: without memory it fails alike. */
		job->result = r == 0 ? AUTH_HASH_MATCH : errno == EINVAL ? AUTH_HASH_MISMATCH : AUTH_HASH_FAILED;
		return;
	}
	int r = crypto_pwhash_str_alg(job->hash, job->password.ptr, job->password.len, PASSES, MEMORY, crypto_pwhash_ALG_ARGON2ID13);
	job->result = r == 0 ? AUTH_HASH_MADE : AUTH_HASH_FAILED;
}

static void *work(void *context)
{
	struct auth_hasher *hasher = context;
	pthread_setname_np(pthread_self(), "hasher");
	pthread_mutex_lock(&hasher->lock);
	while (!hasher->stopping) {
		if (hasher->waiting.first == NULL) {
			pthread_cond_wait(&hasher->changed, &hasher->lock);
			continue;
		}
		struct auth_hash_job *job = queue_take(&hasher->waiting, &hasher->waiting.first);
		hasher->n_waiting--;
		int wake_fd = job->wake_fd;
		pthread_mutex_unlock(&hasher->lock);
		hash(job);
		pthread_mutex_lock(&hasher->lock);
		queue_put(&hasher->finished, job);
		/* An eventfd: fails only when its counter is full, and then its worker is awake anyway. */
		(void)!write(wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	}
	pthread_mutex_unlock(&hasher->lock);
	return NULL;
}

int auth_hasher_new(struct auth_hasher **ret_hasher)
{
	if (sodium_init() < 0)
		return -EIO;
	struct auth_hasher *hasher = calloc(1, sizeof(*hasher));
	if (hasher == NULL)
		return -ENOMEM;
	queue_init(&hasher->waiting);
	queue_init(&hasher->finished);
	pthread_mutex_init(&hasher->lock, NULL);
	pthread_cond_init(&hasher->changed, NULL);
	int r = pthread_create(&hasher->thread, NULL, work, hasher);
	if (r != 0) {
		pthread_cond_destroy(&hasher->changed);
		pthread_mutex_destroy(&hasher->lock);
		free(hasher);
		return -r;
	}
	*ret_hasher = hasher;
	return 0;
}

void auth_hasher_free(struct auth_hasher *hasher)
{
	if (hasher == NULL)
		return;
	pthread_mutex_lock(&hasher->lock);
	hasher->stopping = true;
	pthread_cond_signal(&hasher->changed);
	pthread_mutex_unlock(&hasher->lock);
	pthread_join(hasher->thread, NULL);
	pthread_cond_destroy(&hasher->changed);
	pthread_mutex_destroy(&hasher->lock);
	free(hasher);
}

int auth_hasher_submit(struct auth_hasher *hasher, struct auth_hash_job *job)
{
	pthread_mutex_lock(&hasher->lock);
	int r = hasher->n_waiting < WAITING_MAX ? 0 : -EAGAIN;
	if (r == 0) {
		queue_put(&hasher->waiting, job);
		hasher->n_waiting++;
		pthread_cond_signal(&hasher->changed);
	}
	pthread_mutex_unlock(&hasher->lock);
	return r;
}

struct auth_hash_job *auth_hasher_take(struct auth_hasher *hasher, int wake_fd)
{
	struct auth_hash_job *job = NULL;
	pthread_mutex_lock(&hasher->lock);
	struct auth_hash_job **link = &hasher->finished.first;
	while (*link != NULL && (*link)->wake_fd != wake_fd)
		link = &(*link)->next;
	if (*link != NULL)
		job = queue_take(&hasher->finished, link);
	pthread_mutex_unlock(&hasher->lock);
	return job;
}

const char *auth_hasher_decoy(void)
{
	/* Made once with the parameters above from 32 random bytes that nobody kept. */
	return "$argon2id$v=19$m=19456,t=2,p=1$R4zG22uGhnnt2TLW6mfMpg$bnbnTwAESAYl9uyCnBlXjL0f1tdLm00U/M5VJLlKjVg";
}
