/*
 * keyfile.h - a key in a file: JSON, of which members that are not known are ignored
 *
 *     { "kdf": null | { "Scrypt": { "n": .., "r": .., "p": .., "salt": .. } }
 *                   | { "PBKDF2": { "iter": .., "salt": .. } },
 *       "created": .., "modified": .., "data": .., "fingerprint": .., "hint": .. }
 *
 * data and salts are base64. Without a kdf data is the key; otherwise IV, tag and the key encrypted
 * with what the kdf makes of a password.
 *
 * Error texts contain nothing of keys and passwords. The first use makes jansson cleanse the
 * memory that it frees, in the whole program: it should come before there are other threads.
 */
#ifndef CHUNKCACHE_KEYFILE_H
#define CHUNKCACHE_KEYFILE_H

#include "chunkcache/crypt.h"
#include "chunkcache/secret.h"

enum {
	KEYFILE_MAX = 64 << 10,	  /* bytes of JSON */
	KEYFILE_PASSWORD_MIN = 5, /* bytes */
	KEYFILE_SCRYPT_P_MAX = 16,
	KEYFILE_PBKDF2_MAX = 100000000, /* iterations */
	KEYFILE_TIME_SIZE = 26,		/* 2021-03-09T12:00:00+01:00 and a NUL */
};

/* What scrypt may need: 128 * n * r bytes of memory, p times over. */
#define KEYFILE_SCRYPT_MAX (UINT64_C(1) << 30)

enum keyfile_kind { KEYFILE_NONE, KEYFILE_SCRYPT, KEYFILE_PBKDF2 };

/* How a password becomes a key. */
struct keyfile_kdf {
	enum keyfile_kind kind;
	uint64_t n, r, p; /* of scrypt */
	uint64_t iter;	  /* of PBKDF2 */
};

struct keyfile;

/* -EUCLEAN when it is malformed, or its kdf would take too much memory or time. */
int keyfile_decode(struct keyfile **out, const void *json, size_t n, struct error *err);
void keyfile_free(struct keyfile *k);
DEFINE_CLEANUP(struct keyfile, keyfile_free);

/* A file: whatever secret_read() reads. -EPERM when others may write to it: they could have put
   their own key there. exposed: they may read it, which deserves a warning. */
int keyfile_read(struct keyfile **out, const char *path, bool *exposed, struct error *err);
int keyfile_read_fd(struct keyfile **out, int fd, bool *exposed, struct error *err);

bool keyfile_needs_password(const struct keyfile *k);

/* What its owner is to be reminded with, as it is in the file: to be escaped before it is shown.
   NULL if there is none. */
const char *keyfile_hint(const struct keyfile *k);

/* Which key it says it holds; NULL if it does not say. */
const struct digest *keyfile_fingerprint(const struct keyfile *k);
const struct keyfile_kdf *keyfile_kdf(const struct keyfile *k);

/* When the key was made, as text. */
const char *keyfile_created(const struct keyfile *k);

/* The key. password is NULL for none. -ENOKEY when one is needed; -EKEYREJECTED when it is wrong,
   or the key is not the one that the fingerprint names. */
int keyfile_unlock(struct crypt **out, const struct keyfile *k, const struct secret_bytes *password,
		   struct error *err);

struct keyfile_options {
	enum keyfile_kind kind;
	const struct secret_bytes *password; /* unless kind is KEYFILE_NONE */
	const char *hint;		     /* UTF-8 without control characters; NULL: none */
	const char *created;		     /* RFC 3339, as are in other key files; NULL: now */
	const char *modified;		     /* likewise */
};

/* The JSON of a new key file, as the original client writes it. -EINVAL when the options make no
   sense. */
int keyfile_encode(struct secret_bytes **json, const struct crypt *crypt,
		   const struct keyfile_options *options, struct error *err);

#endif
