/*
 * main.c - options -> open -> mount -> tear down
 */
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "daemon/background.h"
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

static int open_fs(struct fs **out, const struct options *o, struct error *err)
{
	struct archive *archive;
	int r;

	r = archive_open(&archive, o->archive, o->payload, o->metadata_only, err);
	if (r < 0)
		return r;
	r = fs_new(out, archive, o->dir_cache_bytes, o->scan != OPTIONS_SCAN_OFF, err);
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
	CLEANUP(fs_freep) struct fs *fs = NULL;
	int r;

	r = mountpoint_check(o->mountpoint, &mountpoint, err);
	if (!r)
		r = size_pool(o->threads, err);
	if (!r)
		r = open_fs(&fs, o, err);
	if (r < 0)
		return r;
	return loop_run(&(struct loop_mount){ .fs = fs,
					      .mountpoint = mountpoint,
					      .fuse_options = o->fuse_options,
					      .debug = o->debug,
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
