/*
 * pack-options.h - the command line of pxar-pack
 */
#ifndef TOOLS_PACK_OPTIONS_H
#define TOOLS_PACK_OPTIONS_H

#include "chunkcache/keyfile.h"
#include "chunkcache/snapshot.h"
#include "tools/pattern.h"

/* One of three things is to be done: an archive, a snapshot if there is a store, a key if there
   is the name for one. */
struct options {
	const char *source, *output; /* output: of an archive */
	const char *store;
	const char *snapshot, *ns;	     /* as given; NULL: not */
	struct snapshot id;		     /* what they mean */
	const char *archive;		     /* its name in the snapshot, without endings */
	const char *owner;		     /* of the backup group; NULL: root@pam, or as it is */
	const char *keyfile, *master_pubkey; /* NULL: none */
	uint64_t chunk_size;		     /* on average */
	bool create_store, no_compress;
	const char *create_key;
	enum keyfile_kind kdf;
	const char *hint;    /* NULL: none */
	const char *prelude; /* a file with the PRELUDE to store; NULL: what the excludes make */
	bool split, force, quiet;
	bool one_file_system;
	bool skip_nodump;
	bool exclude_files; /* .pxarexclude counts */
	struct pattern_list excludes;
};

/* 0; 1 when help or version was asked for and printed; -EINVAL and others, with err set. */
enum { OPTIONS_PRINTED = 1 };
int options_parse(struct options *o, int argc, char **argv, struct error *err);
void options_release(struct options *o);

#endif
