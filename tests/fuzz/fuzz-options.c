/*
 * fuzz-options.c - command lines, one word a line
 *
 * Whatever is accepted keeps its promises: numbers are in range, and libfuse finds the archive's
 * name in its options, whole, and no other option than those that were meant.
 */
#define FUSE_USE_VERSION 314
#define _GNU_SOURCE
#include <fuse_opt.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS_MAX = 64 };

static void require(bool condition)
{
	if (!condition)
		abort();
}

struct seen {
	char *fsname, *subtype;
};

static int see_other(void *data, const char *arg, int key, struct fuse_args *args)
{
	static const char *const meant[] = {
		"ro", "nosuid", "nodev", "default_permissions", "allow_other", "noexec",
	};

	(void)data;
	(void)key;
	(void)args;
	for (size_t i = 0; i < sizeof(meant) / sizeof(*meant); i++)
		if (strcmp(arg, meant[i]) == 0)
			return 0;
	abort();
}

static void check_fuse_options(const struct options *o)
{
	static const struct fuse_opt fields[] = {
		{ "fsname=%s", offsetof(struct seen, fsname), 0 },
		{ "subtype=%s", offsetof(struct seen, subtype), 0 },
		FUSE_OPT_END,
	};
	char program[] = "x", option[] = "-o";
	char *argv[] = { program, option, o->fuse_options, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	char *resolved = realpath(o->archive, NULL);
	struct seen seen = { 0 };

	require(fuse_opt_parse(&args, &seen, fields, see_other) == 0);
	require(strcmp(seen.fsname, resolved ? resolved : o->archive) == 0);
	require(strcmp(seen.subtype, "pxar") == 0);
	fuse_opt_free_args(&args);
	free(seen.fsname);
	free(seen.subtype);
	free(resolved);
}

static void check(const struct options *o)
{
	require(o->threads >= 1 && o->threads <= 64);
	require(o->scan_wait_ms <= 3600000);
	require(o->dir_cache_bytes >= 1 << 20);
	require(o->mountpoint && *o->mountpoint);
	require(o->unmount == !o->archive);
	require(!o->debug || o->foreground);
	if (!o->unmount)
		check_fuse_options(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char program[] = "pxar-mount", *argv[WORDS_MAX + 2] = { program };
	char *words = malloc(size + 1), *rest = words;
	struct error err = { 0 };
	struct options o;
	int argc = 1, r;

	if (!words)
		return 0;
	if (size)
		memcpy(words, data, size);
	words[size] = '\0';
	while (argc <= WORDS_MAX && rest)
		argv[argc++] = strsep(&rest, "\n");
	r = options_parse(&o, argc, argv, &err);
	if (r == 0)
		check(&o);
	else if (r < 0)
		require(*err.text && !strchr(err.text, '\n'));
	else
		require(o.help || o.version);
	options_release(&o);
	free(words);
	return 0;
}
