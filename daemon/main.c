/*
 * main.c - options -> open -> mount -> tear down
 */
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "chunkcache/password.h"
#include "daemon/background.h"
#include "daemon/datastore.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/mountpoint.h"
#include "daemon/options.h"

struct main {
	struct options options;
	struct background background;
};

static int mount_answers(void *arg, struct error *err)
{
	struct main *m = arg;
	int r = background_ready(&m->background, err);

	if (!r)
		log_info("%s is mounted on %s", m->options.archive, m->options.mountpoint);
	return r;
}

/* libuv reads the size of its pool from the environment when the pool is first used. */
static int size_pool(unsigned threads, struct error *err)
{
	char text[16];
	int r;

	snprintf(text, sizeof(text), "%u", threads);
	r = uv_os_setenv("UV_THREADPOOL_SIZE", text);
	return r < 0 ? error_set(err, r, "threads: %s", uv_strerror(r)) : 0;
}

static int open_archive(struct archive **out, const struct options *o, struct loop *loop,
			struct error *err)
{
	static const enum reader_verify verify[] = {
		[OPTIONS_VERIFY_ONCE] = READER_VERIFY_ONCE,
		[OPTIONS_VERIFY_ALWAYS] = READER_VERIFY_ALWAYS,
		[OPTIONS_VERIFY_CRC] = READER_VERIFY_CRC,
	};

	if (!o->n_stores) {
		password_forget();
		return archive_open(out, o->archive, o->payload, o->metadata_only, err);
	}
	return archive_open_datastore(out,
				      &(struct datastore_spec){
					      .didx = o->didx,
					      .payload_didx = o->payload_didx,
					      .snapshot = o->archive,
					      .ns = o->ns,
					      .stores = o->stores,
					      .n_stores = o->n_stores,
					      .metadata_only = o->metadata_only,
					      .require_signature = o->require_signature,
					      .require_encryption = o->require_encryption,
					      .keyfile = o->keyfile,
					      .keyfd = o->keyfd,
					      .cache_bytes = o->cache_bytes,
					      .verify = verify[o->verify],
					      .pool = loop_pool(loop),
					      .ahead_max = o->threads,
				      },
				      err);
}

/* The walk is not worth decoding every chunk of an archive for it, unless it is asked for. */
static bool wants_scan(const struct options *o, const struct archive *archive)
{
	if (o->scan == OPTIONS_SCAN_AUTO && archive->datastore)
		return datastore_is_cheap_to_walk(archive->datastore);
	return o->scan != OPTIONS_SCAN_OFF;
}

static int open_fs(struct fs **out, const struct options *o, struct loop *loop, struct error *err)
{
	struct archive *archive;
	int r;

	r = open_archive(&archive, o, loop, err);
	if (r < 0)
		return r;
	r = fs_new(out, archive, o->dir_cache_bytes, wants_scan(o, archive), err);
	if (r < 0)
		return r;
	(*out)->pxar_xattrs = o->pxar_xattrs;
	if (o->scan == OPTIONS_SCAN_WAIT)
		scan_wait_end((*out)->scan);
	else
		scan_wait((*out)->scan, o->scan_wait_ms);
	return 0;
}

static int mount_archive(struct main *m, struct error *err)
{
	const struct options *o = &m->options;
	CLEANUP(freep) char *mountpoint = NULL;
	CLEANUP(loop_freep) struct loop *loop = NULL;
	CLEANUP(fs_freep) struct fs *fs = NULL;
	int r;

	r = mountpoint_check(o->mountpoint, &mountpoint, err);
	if (!r)
		r = size_pool(o->threads, err);
	if (!r)
		r = loop_new(&loop, err);
	if (!r)
		r = open_fs(&fs, o, loop, err);
	if (r < 0)
		return r;
	return loop_run(loop,
			&(struct loop_mount){ .fs = fs,
					      .mountpoint = mountpoint,
					      .fuse_options = o->fuse_options,
					      .debug = o->debug,
					      .timeout_ms = o->timeout_s * 1000,
					      .ready = mount_answers,
					      .arg = m },
			err);
}

static int run(struct main *m, struct error *err)
{
	const struct options *o = &m->options;
	int r;

	if (o->unmount)
		return mountpoint_unmount(o->mountpoint, err);
	if (!o->foreground) {
		r = background_start(&m->background, err);
		if (r < 0)
			return r;
	}
	return mount_archive(m, err);
}

int main(int argc, char **argv)
{
	struct main m = { 0 };
	struct error err = { 0 };
	int status = 0, r;

	background_sanitize_fds();
	log_open(LOG_TO_STDERR, LOG_LEVEL_INFO);
	r = options_parse(&m.options, argc, argv, &err);
	if (r > 0 && m.options.help) {
		options_print_help(stdout);
	} else if (r > 0) {
		options_print_version(stdout);
	} else if (r < 0) {
		status = background_fail(&m.background, &err, OPTIONS_EXIT_USAGE);
	} else {
		log_open(LOG_TO_STDERR, (enum log_level)m.options.log_level);
		if (run(&m, &err) < 0)
			status = background_fail(&m.background, &err, OPTIONS_EXIT_FAILED);
	}
	options_release(&m.options);
	log_close();
	return status;
}
