/*
 * options.h - the command line, in all its spellings
 *
 * One table (options.c) holds every option; from it come `--key value`, `--key=value`, the short
 * letters, `-o key=value`, and --help. Names may be written with '_' for '-', as mount(8) users
 * expect of allow_other. The last of repeated options counts, but for --store, which adds up.
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

/* When a chunk is held against its digest; its checksum or tag always is. */
enum options_verify {
	OPTIONS_VERIFY_ONCE,
	OPTIONS_VERIFY_ALWAYS,
	OPTIONS_VERIFY_CRC,
};

enum { OPTIONS_STORES_MAX = 8 };

struct options {
	/* What is mounted, as given: didx if there is one; otherwise TYPE/ID/TIME/NAME if there are
	   stores; otherwise a file. NULL with unmount. */
	const char *archive;
	const char *mountpoint;
	const char *payload; /* NULL: beside the archive */
	bool metadata_only;
	const char *didx;
	const char *payload_didx; /* NULL: beside didx */
	const char *stores[OPTIONS_STORES_MAX];
	size_t n_stores; /* 0: the archive is a plain file */
	const char *ns;	 /* NULL: the root */
	const char *keyfile;
	int keyfd; /* -1: none */
	bool require_encryption, require_signature;
	enum options_verify verify;
	uint64_t cache_bytes; /* 0: as much as suits the machine */
	unsigned timeout_s;
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
