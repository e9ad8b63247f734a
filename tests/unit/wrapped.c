/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "wrapped.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sodium.h>

#include "wardmote/memory.h"

static struct {
	const char *only;
	atomic_long left; /* below 0: not armed, or past */
	int error;
	bool forever;
	atomic_bool hit;
} plan = { .left = -1 };

void wrapped_arm(const char *only, long calls, int error, bool forever)
{
	plan.only = only;
	plan.error = error;
	plan.forever = forever;
	plan.hit = false;
	plan.left = calls;
}

bool wrapped_disarm(void)
{
	plan.left = -1;
	plan.forever = false;
	return plan.hit;
}

static bool fails(const char *name)
{
	if (plan.only != NULL && strcmp(plan.only, name) != 0)
		return false;
	if (plan.left < 0 && !(plan.forever && plan.hit))
		return false;
	if (plan.left >= 0 && atomic_fetch_sub(&plan.left, 1) > 0)
		return false;
	plan.hit = true;
	errno = plan.error;
	return true;
}

/* A function that gives `failed` when it is its turn. */
#define WRAP(type, name, failed, parameters, arguments)                                                                                    \
	type __real_##name parameters;                                                                                                     \
	type __wrap_##name parameters;                                                                                                     \
	type __wrap_##name parameters                                                                                                      \
	{                                                                                                                                  \
		return fails(#name) ? (failed) : __real_##name arguments;                                                                  \
	}

/* open and openat: the mode is there where it is needed. */
#define WRAP_OPEN(name, parameters, arguments)                                                                                             \
	int __real_##name parameters;                                                                                                      \
	int __wrap_##name parameters;                                                                                                      \
	int __wrap_##name parameters                                                                                                       \
	{                                                                                                                                  \
		va_list list;                                                                                                              \
		va_start(list, flags);                                                                                                     \
		mode_t mode = (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;                                                           \
		va_end(list);                                                                                                              \
		return fails(#name) ? -1 : __real_##name arguments;                                                                        \
	}

WRAP_OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
WRAP_OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
WRAP_OPEN(openat, (int folder, const char *path, int flags, ...), (folder, path, flags, mode))
WRAP_OPEN(openat64, (int folder, const char *path, int flags, ...), (folder, path, flags, mode))
WRAP(int, fstat, -1, (int fd, struct stat *status), (fd, status))
WRAP(int, fstat64, -1, (int fd, struct stat *status), (fd, status))
WRAP(ssize_t, read, plan.error == 0 ? 0 : -1, (int fd, void *bytes, size_t size), (fd, bytes, size))
WRAP(ssize_t, write, -1, (int fd, const void *bytes, size_t size), (fd, bytes, size))
WRAP(int, fsync, -1, (int fd), (fd))
WRAP(int, linkat, -1, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags))
WRAP(int, unlinkat, -1, (int folder, const char *name, int flags), (folder, name, flags))
WRAP(int, flock, -1, (int fd, int operation), (fd, operation))
WRAP(int, mkdir, -1, (const char *path, mode_t mode), (path, mode))
WRAP(DIR *, fdopendir, NULL, (int fd), (fd))
WRAP(struct dirent *, readdir, NULL, (DIR * dir), (dir))
WRAP(struct dirent *, readdir64, NULL, (DIR * dir), (dir))
WRAP(void *, calloc, NULL, (size_t n, size_t size), (n, size))
WRAP(int, pthread_create, EAGAIN, (pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context),
     (thread, attributes, run, context))
WRAP(int, sodium_init, -1, (void), ())
WRAP(int, crypto_pwhash_str_alg, -1,
     (char *text, const char *password, unsigned long long len, unsigned long long passes, size_t memory, int algorithm),
     (text, password, len, passes, memory, algorithm))
WRAP(int, crypto_pwhash_str_verify, -1, (const char *text, const char *password, unsigned long long len), (text, password, len))
WRAP(BIO *, BIO_new, NULL, (const BIO_METHOD *method), (method))
WRAP(BIO *, BIO_new_mem_buf, NULL, (const void *bytes, int len), (bytes, len))
/* With errno 0 it fills all that there is room for. */
WRAP(int, BIO_read, plan.error == 0 ? size : -1, (BIO * bio, void *bytes, int size), (bio, bytes, size))
WRAP(int, BN_bn2binpad, -1, (const BIGNUM *number, unsigned char *bytes, int size), (number, bytes, size))
WRAP(int, EVP_PKEY_get_bn_param, 0, (const EVP_PKEY *key, const char *name, BIGNUM **number), (key, name, number))
WRAP(int, EVP_PKEY_get_utf8_string_param, 0, (const EVP_PKEY *key, const char *name, char *text, size_t size, size_t *len),
     (key, name, text, size, len))
WRAP(EVP_PKEY_CTX *, EVP_PKEY_CTX_new, NULL, (EVP_PKEY * key, ENGINE *engine), (key, engine))
WRAP(int, EVP_PKEY_check, 0, (EVP_PKEY_CTX * context), (context))
WRAP(EVP_PKEY *, PEM_read_bio_PrivateKey, NULL, (BIO * bio, EVP_PKEY **key, pem_password_cb *password, void *context),
     (bio, key, password, context))
WRAP(int, PEM_write_bio_PKCS8PrivateKey, 0,
     (BIO * bio, const EVP_PKEY *key, const EVP_CIPHER *cipher, const char *text, int len, pem_password_cb *password, void *context),
     (bio, key, cipher, text, len, password, context))
WRAP(EVP_MD_CTX *, EVP_MD_CTX_new, NULL, (void), ())
WRAP(int, EVP_DigestSignInit, 0, (EVP_MD_CTX * context, EVP_PKEY_CTX **key, const EVP_MD *digest, ENGINE *engine, EVP_PKEY *with),
     (context, key, digest, engine, with))
WRAP(int, EVP_DigestSign, 0, (EVP_MD_CTX * context, unsigned char *signature, size_t *len, const unsigned char *text, size_t text_len),
     (context, signature, len, text, text_len))
WRAP(ECDSA_SIG *, d2i_ECDSA_SIG, NULL, (ECDSA_SIG * *signature, const unsigned char **bytes, long len), (signature, bytes, len))
WRAP(int, EVP_PKEY_fromdata_init, 0, (EVP_PKEY_CTX * context), (context))
WRAP(int, EVP_PKEY_fromdata, 0, (EVP_PKEY_CTX * context, EVP_PKEY **key, int selection, OSSL_PARAM parameters[]),
     (context, key, selection, parameters))
WRAP(int, EVP_DigestVerifyInit, 0, (EVP_MD_CTX * context, EVP_PKEY_CTX **key, const EVP_MD *digest, ENGINE *engine, EVP_PKEY *with),
     (context, key, digest, engine, with))
WRAP(int, EVP_DigestVerify, 0,
     (EVP_MD_CTX * context, const unsigned char *signature, size_t len, const unsigned char *text, size_t text_len),
     (context, signature, len, text, text_len))
WRAP(int, ECDSA_SIG_set0, 0, (ECDSA_SIG * pair, BIGNUM *r, BIGNUM *s), (pair, r, s))
WRAP(int, i2d_ECDSA_SIG, 0, (const ECDSA_SIG *pair, unsigned char **der), (pair, der))
/* Memory has been short since the last look. */
WRAP(uint64_t, memory_lacks, __real_memory_lacks() + 1, (void), ())

EVP_PKEY *__real_EVP_PKEY_Q_keygen(OSSL_LIB_CTX *library, const char *properties, const char *type, ...);
EVP_PKEY *__wrap_EVP_PKEY_Q_keygen(OSSL_LIB_CTX *library, const char *properties, const char *type, ...);
EVP_PKEY *__wrap_EVP_PKEY_Q_keygen(OSSL_LIB_CTX *library, const char *properties, const char *type, ...)
{
	va_list list;
	va_start(list, type);
	const char *curve = va_arg(list, const char *);
	va_end(list);
	return fails("EVP_PKEY_Q_keygen") ? NULL : __real_EVP_PKEY_Q_keygen(library, properties, type, curve);
}
