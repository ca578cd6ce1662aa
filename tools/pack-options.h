/*
 * pack-options.h - the command line of pxar-pack
 */
#ifndef TOOLS_PACK_OPTIONS_H
#define TOOLS_PACK_OPTIONS_H

#include "tools/pattern.h"

struct options {
	const char *source, *output;
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
