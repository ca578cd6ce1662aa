/*
 * pack-key.h - the key that a snapshot is encrypted and signed with, and new ones
 *
 * Passwords come from where password.h says, at last from the terminal. As soon as a key is in
 * memory the process neither dumps core nor can be looked into.
 */
#ifndef TOOLS_PACK_KEY_H
#define TOOLS_PACK_KEY_H

#include "chunkcache/keyfile.h"
#include "core/buffer.h"
#include "tools/pack-report.h"

struct pack_key {
	struct crypt *crypt;
	char created[KEYFILE_TIME_SIZE]; /* as the key file says; empty: it does not */
};

int pack_key_load(struct pack_key *key, const char *path, struct report *r, struct error *err);
void pack_key_release(struct pack_key *key);

/* The key for the owner of a master key, whose public half is in a PEM file. */
int pack_key_wrap(const struct pack_key *key, const char *pem_path, struct buffer *block,
		  struct error *err);

/* Makes a new key and puts it in a new file, which its owner alone can read. hint may be NULL.
   -EEXIST when there is such a file. */
int pack_key_create(const char *path, enum keyfile_kind kind, const char *hint, struct error *err);

#endif
