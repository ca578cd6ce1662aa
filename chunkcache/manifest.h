/*
 * manifest.h - what a snapshot consists of: index.json.blob
 *
 *     { "backup-type": .., "backup-id": .., "backup-time": .., "files": [
 *         { "filename": "root.pxar.didx", "size": .., "csum": .., "crypt-mode": .. }, .. ],
 *       "signature": .., "unprotected": { "key-fingerprint": .., .. } }
 *
 * The signature covers all but itself and what is unprotected; through the checksums of the
 * indexes it covers every byte of the backup. It is made with the key, so it can be checked by
 * who has the key, and says nothing to others.
 *
 * Threads: a manifest does not change once it is decoded and may be read from any thread.
 */
#ifndef CHUNKCACHE_MANIFEST_H
#define CHUNKCACHE_MANIFEST_H

#include "chunkcache/blob.h"
#include "chunkcache/snapshot.h"
#include "core/buffer.h"
#include "core/cleanup.h"

enum {
	MANIFEST_MAX = 8 << 20,	 /* bytes of JSON */
	MANIFEST_DEPTH_MAX = 32, /* of objects and arrays in it */
};

enum manifest_mode { MANIFEST_NONE, MANIFEST_ENCRYPT, MANIFEST_SIGN_ONLY };

struct manifest_file {
	char *name; /* as in the directory, with .didx, .fidx or .blob */
	enum manifest_mode mode;
	uint64_t size;	    /* of the archive; of a blob's file */
	struct digest csum; /* of an index's entries; of a blob's file */
};

struct manifest {
	char type[5];
	char id[SNAPSHOT_NAME_MAX + 1];
	int64_t time;
	struct manifest_file *files;
	size_t n;
	bool has_signature, has_fingerprint;
	struct digest signature;
	struct digest fingerprint; /* of the key that signed, and encrypted what is encrypted */
};

/* -EUCLEAN when it is not a manifest or says anything that cannot be right. */
int manifest_decode(struct manifest **out, const void *json, size_t n, struct error *err);

/* That of an open snapshot. -EBADMSG when its checksum is wrong. */
int manifest_read(struct manifest **out, int snapshot_dir, struct blob_context *c,
		  struct error *err);

/* An empty one for a snapshot. */
int manifest_new(struct manifest **out, const struct snapshot *s, struct error *err);
void manifest_free(struct manifest *m);
DEFINE_CLEANUP(struct manifest, manifest_free);

/* -EUCLEAN when it is not the manifest of this snapshot. */
int manifest_check_snapshot(const struct manifest *m, const struct snapshot *s, struct error *err);

enum {
	MANIFEST_VERIFIED = 0,
	MANIFEST_UNSIGNED = 1,	/* there is no signature to be checked */
	MANIFEST_UNCHECKED = 2, /* there is one, but crypt is NULL */
};

/* Holds the key and the signature against one another. -EKEYREJECTED when it is another key,
   -EBADMSG when the signature is not that of the contents. */
int manifest_verify(const struct manifest *m, const struct crypt *crypt, struct error *err);

/* -ENOKEY when the file is encrypted and crypt is NULL. */
int manifest_check_key(const struct manifest *m, const struct manifest_file *file,
		       const struct crypt *crypt, struct error *err);

/* -EBADMSG when these, found in the snapshot, are not the file's. */
int manifest_check_file(const struct manifest_file *file, const struct digest *csum, uint64_t size,
			struct error *err);

/* NULL when no file has this name. */
const struct manifest_file *manifest_find(const struct manifest *m, const char *name);

struct manifest_choice {
	const struct manifest_file *archive; /* of a split archive, the metadata */
	const struct manifest_file *payload; /* of a split archive, otherwise NULL */
};

/* What to open for a name that a user has given: with or without the ending of the index, and
   X.pxar may stand for X.mpxar and X.ppxar. -EINVAL for a name that cannot be one, -ENOENT when
   there is no such archive; the message says which there are. -EUCLEAN when the two halves of one
   differ in how they are encrypted. */
int manifest_choose(const struct manifest *m, const char *name, struct manifest_choice *choice,
		    struct error *err);

/* The files' names for a message, without the endings of the indexes; cut when they do not fit. */
const char *manifest_names(const struct manifest *m, char *text, size_t size);

/* Adds a file. -EEXIST when there is one of this name. */
int manifest_add(struct manifest *m, const char *name, enum manifest_mode mode, uint64_t size,
		 const struct digest *csum, struct error *err);

/* Sets signature and fingerprint. */
int manifest_sign(struct manifest *m, const struct crypt *crypt, struct error *err);

/* What is signed; and the whole, as the original client writes it. */
int manifest_canonical(const struct manifest *m, struct buffer *json, struct error *err);
int manifest_encode(const struct manifest *m, struct buffer *json, struct error *err);

#endif
