/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* ES256 (RFC 7518 section 3.4): ECDSA on P-256 with SHA-256, r and s side by side. The only algorithm of our own keys. */
#include <errno.h>
#include <stdlib.h>

#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "internal.h"
#include "wardmote/memory.h"

enum { DER_MAX = 80 };

static bool to_pair(const unsigned char *der, size_t len, unsigned char *ret_signature)
{
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);
	bool good = pair != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(pair), ret_signature, COORDINATE_LEN) == COORDINATE_LEN &&
		    BN_bn2binpad(ECDSA_SIG_get0_s(pair), ret_signature + COORDINATE_LEN, COORDINATE_LEN) == COORDINATE_LEN;
	ECDSA_SIG_free(pair);
	return good;
}

static EVP_PKEY *private_key(const struct auth_key *key)
{
	BIO *bio = BIO_new_mem_buf(key->private_pem, -1);
	EVP_PKEY *parsed = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t) "");
	BIO_free(bio);
	return parsed;
}

int sign_es256(const struct auth_key *key, struct slice text, unsigned char ret_signature[SIGNATURE_LEN])
{
	unsigned char der[DER_MAX];
	size_t len = sizeof(der);
	uint64_t lacks = memory_lacks();
	ERR_clear_error();
	EVP_PKEY *parsed = private_key(key);
	EVP_MD_CTX *context = parsed == NULL ? NULL : EVP_MD_CTX_new();
	bool good = context != NULL && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, parsed) == 1 &&
		    EVP_DigestSign(context, der, &len, (const unsigned char *)text.ptr, text.len) == 1 && to_pair(der, len, ret_signature);
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(parsed);
	ERR_clear_error();
	/* The key is good, or it had not been loaded: what fails here fails for want of memory. */
	return good && memory_lacks() == lacks ? 0 : -ENOMEM;
}

static void *crypto_alloc(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return memory_alloc(size);
}

static void *crypto_realloc(void *memory, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return memory_realloc(memory, size);
}

static void crypto_free(void *memory, const char *file, int line)
{
	(void)file, (void)line;
	free(memory);
}

void auth_start(void)
{
	(void)CRYPTO_set_mem_functions(crypto_alloc, crypto_realloc, crypto_free); /* refused only when OpenSSL is in use already */
}
