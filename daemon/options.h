/*
 * options.h - the command line, in all its spellings
 *
 * One table (options.c) holds every option; from it come `--key value`, `--key=value`, the short
 * letters, `-o key=value`, and --help. Names may be written with '_' for '-', as mount(8) users
 * expect of allow_other. The last of repeated options counts.
 *
 * In the value of -o a comma is written "\," and a backslash "\\". Generic words of mount(8) are
 * accepted there, so that fstab's "defaults" works; noexec is honoured, what would weaken
 * ro,nosuid,nodev is overruled, the rest means nothing here. Other unknown words are refused.
 *
 * Ownership: strings are borrowed from argv or owned by the struct; options_release() frees.
 */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/error.h"

/* Exit statuses of pxar-mount; 0 is success. */
enum {
	OPTIONS_EXIT_FAILED = 1, /* the mount was refused or failed */
	OPTIONS_EXIT_USAGE = 2,	 /* the command line makes no sense */
};

enum options_scan {
	OPTIONS_SCAN_AUTO,
	OPTIONS_SCAN_WAIT,
	OPTIONS_SCAN_OFF,
};

struct options {
	const char *archive; /* as given; NULL with unmount */
	const char *mountpoint;
	const char *payload; /* NULL: beside the archive */
	bool metadata_only;
	bool foreground;
	bool debug; /* implies foreground and the highest log level */
	bool verbose;
	int log_level; /* enum log_level */
	bool pxar_xattrs;
	bool unmount;
	bool help, version;
	bool allow_other;
	bool noexec;
	unsigned threads;
	enum options_scan scan;
	unsigned scan_wait_ms;
	uint64_t dir_cache_bytes;
	char *fuse_options; /* what follows libfuse's -o; NULL with unmount */

	char **owned; /* values that -o unescaped */
	size_t n_owned;
};

/* Fills o, which need not be initialised and is to be released in every case. 0; 1 when --help
   (o->help) or --version was asked for and the rest was not looked at; < 0 with a sentence that
   ends in the hint at --help. */
int options_parse(struct options *o, int argc, char **argv, struct error *err);
void options_release(struct options *o);

void options_print_help(FILE *out);
void options_print_version(FILE *out);

#endif
