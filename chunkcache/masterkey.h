/*
 * masterkey.h - a backup's key, encrypted for whoever keeps an RSA key in a safe
 *
 * rsa-encrypted.key.blob holds one RSA block (PKCS#1 v1.5), in it the key file of the backup's key
 * without a password. The keys are PEM: public as SubjectPublicKeyInfo, private as PKCS#8 or
 * PKCS#1, encrypted or not.
 */
#ifndef CHUNKCACHE_MASTERKEY_H
#define CHUNKCACHE_MASTERKEY_H

#include "chunkcache/keyfile.h"
#include "core/buffer.h"

enum { MASTERKEY_MAX = 64 << 10 }; /* bytes of PEM */

/* Encrypts the key for the owner of a public key; created as in struct keyfile_options. -EUCLEAN
   when pem is no RSA public key; -EMSGSIZE when that is too small. */
int masterkey_wrap(struct buffer *block, const void *pem, size_t pem_n, const struct crypt *crypt,
		   const char *created, struct error *err);

/* The key file in a block, which needs no password. password is that of the private key, or NULL.
   -EUCLEAN when pem is no RSA private key, -EKEYREJECTED when its password is wrong or missing;
   -EBADMSG when the block was not made for it, whatever may be wrong with it. */
int masterkey_unwrap(struct keyfile **out, const void *pem, size_t pem_n,
		     const struct secret_bytes *password, const void *block, size_t block_n,
		     struct error *err);

#endif
