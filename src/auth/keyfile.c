/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One key, and one file of the key folder. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sodium.h>

#include "internal.h"

/* Without a callback of ours OpenSSL would ask for the password of an encrypted key on the terminal. */
static int no_password(char *buffer, int size, int writing, void *data)
{
	(void)buffer, (void)size, (void)writing, (void)data;
	return -1;
}

static int coordinate(const EVP_PKEY *key, const char *name, unsigned char *ret_bytes)
{
	BIGNUM *number = NULL;
	if (EVP_PKEY_get_bn_param(key, name, &number) != 1)
		return -EINVAL;
	int written = BN_bn2binpad(number, ret_bytes, COORDINATE_LEN);
	BN_free(number);
	return written == COORDINATE_LEN ? 0 : -EINVAL;
}

/* RFC 7638: SHA-256 of the required members of the JWK in lexicographic order. */
static void thumbprint(struct auth_key *key)
{
	char x[KID_TEXT], y[KID_TEXT], members[160];
	base64url_encode(x, sizeof(x), key->x, sizeof(key->x));
	base64url_encode(y, sizeof(y), key->y, sizeof(key->y));
	int len = snprintf(members, sizeof(members), "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", x, y);
	unsigned char hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256(hash, (const unsigned char *)members, (unsigned long long)len);
	base64url_encode(key->kid, sizeof(key->kid), hash, sizeof(hash));
}

static int render(BIO *bio, char *ret_text)
{
	int len = BIO_read(bio, ret_text, PEM_MAX);
	if (len <= 0 || len >= PEM_MAX)
		return -EINVAL;
	ret_text[len] = '\0';
	return 0;
}

static int render_private(EVP_PKEY *key, struct auth_key *ret_key)
{
	BIO *private = BIO_new(BIO_s_secmem());
	bool written = private != NULL && PEM_write_bio_PKCS8PrivateKey(private, key, NULL, NULL, 0, NULL, NULL) == 1;
	int r = written && render(private, ret_key->private_pem) == 0 ? 0 : -EINVAL;
	BIO_free(private);
	return r;
}

static const char *fault_of(EVP_PKEY *key)
{
	char curve[32];
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC)
		return "is not an elliptic-curve key";
	if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, curve, sizeof(curve), NULL) != 1 ||
	    strcmp(curve, "prime256v1") != 0)
		return "is not on the curve P-256";
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
	bool good = context != NULL && EVP_PKEY_check(context) == 1;
	EVP_PKEY_CTX_free(context);
	return good ? NULL : "is not a valid key";
}

static int adopt(EVP_PKEY *key, struct auth_key *ret_key, const char **ret_why)
{
	*ret_why = fault_of(key);
	if (*ret_why != NULL)
		return -EINVAL;
	if (coordinate(key, OSSL_PKEY_PARAM_EC_PUB_X, ret_key->x) != 0 || coordinate(key, OSSL_PKEY_PARAM_EC_PUB_Y, ret_key->y) != 0 ||
	    render_private(key, ret_key) != 0) {
		*ret_why = "cannot be taken apart";
		return -EINVAL;
	}
	thumbprint(ret_key);
	return 0;
}

int keyfile_parse(struct slice pem, struct auth_key *ret_key, const char **ret_why)
{
	ERR_clear_error();
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	BIO_free(bio);
	int r = -EINVAL;
	if (key == NULL)
		*ret_why = "holds no unencrypted private key";
	else
		r = adopt(key, ret_key, ret_why);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return r;
}

int keyfile_generate(struct auth_key *ret_key)
{
	const char *why;
	ERR_clear_error();
	EVP_PKEY *key = EVP_EC_gen("P-256");
	int r = key != NULL && adopt(key, ret_key, &why) == 0 ? 0 : -EIO;
	EVP_PKEY_free(key);
	ERR_clear_error();
	return r;
}

static int read_all(int fd, char *ret_text, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = read(fd, ret_text + done, size - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? -EIO : -errno;
		done += (size_t)n;
	}
	return 0;
}

int keyfile_read(int folder, const char *name, size_t max, struct arena *arena, struct slice *ret_text, int64_t *ret_modified,
		 const char **ret_error)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		int r = -errno;
		*ret_error = arena_printf(arena, "%s: %s", name, strerror(-r));
		return r;
	}
	struct stat status;
	int r = fstat(fd, &status) == 0 ? 0 : -errno;
	const char *fault = r != 0 ? strerror(-r) : NULL;
	if (fault == NULL && !S_ISREG(status.st_mode))
		fault = "is not a regular file";
	else if (fault == NULL && (status.st_mode & 0177) != 0)
		fault = "must have mode 0600: others may not read it";
	else if (fault == NULL && (status.st_size <= 0 || (size_t)status.st_size > max))
		fault = "is empty or too long";
	if (fault == NULL) {
		char *text = arena_alloc(arena, (size_t)status.st_size + 1);
		r = read_all(fd, text, (size_t)status.st_size);
		fault = r == 0 ? NULL : strerror(-r);
		*ret_text = (struct slice){ text, (size_t)status.st_size };
		*ret_modified = status.st_mtim.tv_sec;
	}
	close(fd);
	if (fault == NULL)
		return 0;
	*ret_error = arena_printf(arena, "%s %s", name, fault);
	return r != 0 ? r : -EINVAL;
}

static int write_all(int fd, struct slice text)
{
	for (size_t done = 0; done < text.len;) {
		ssize_t n = write(fd, text.ptr + done, text.len - done);
		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return fsync(fd) == 0 ? 0 : -errno;
}

int keyfile_write(int folder, const char *name, struct slice text)
{
	/* Linked to its name only when it is whole: another process that reads the folder never sees half a key. */
	char draft[32];
	snprintf(draft, sizeof(draft), ".draft-%08x%08x", randombytes_random(), randombytes_random());
	int fd = openat(folder, draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int r = write_all(fd, text);
	close(fd);
	if (r == 0 && linkat(folder, draft, folder, name, 0) != 0)
		r = -errno;
	if (unlinkat(folder, draft, 0) != 0 && r == 0)
		r = -errno;
	if (r == 0 && fsync(folder) != 0)
		r = -errno;
	return r;
}
