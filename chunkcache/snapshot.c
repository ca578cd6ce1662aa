#define _GNU_SOURCE
#include "chunkcache/snapshot.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "chunkcache/file.h"
#include "core/cleanup.h"

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

bool snapshot_name_is_safe(const char *name, size_t len)
{
	if (!len || len > SNAPSHOT_NAME_MAX || !is_word(name[0]))
		return false;
	for (size_t i = 1; i < len; i++)
		if (!is_word(name[i]) && name[i] != '.' && name[i] != '-')
			return false;
	return true;
}

bool snapshot_type_is_known(const char *type)
{
	return !strcmp(type, "vm") || !strcmp(type, "ct") || !strcmp(type, "host");
}

static int digits(const char *text, int n)
{
	int value = 0;

	for (int i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + text[i] - '0';
	}
	return value;
}

bool snapshot_parse_time(const char *text, size_t len, int64_t *time)
{
	char again[SNAPSHOT_TIME_SIZE];
	struct tm tm = { 0 };
	int64_t t;

	if (len != SNAPSHOT_TIME_SIZE - 1)
		return false;
	tm.tm_year = digits(text, 4) - 1900;
	tm.tm_mon = digits(text + 5, 2) - 1;
	tm.tm_mday = digits(text + 8, 2);
	tm.tm_hour = digits(text + 11, 2);
	tm.tm_min = digits(text + 14, 2);
	tm.tm_sec = digits(text + 17, 2);
	t = (int64_t)timegm(&tm);
	if (t < 1)
		return false;
	/* Neither a date that timegm() had to put right nor another separator comes out as it was.
	 */
	snapshot_format_time(t, again);
	if (memcmp(text, again, len) != 0)
		return false;
	*time = t;
	return true;
}

void snapshot_format_time(int64_t time, char text[SNAPSHOT_TIME_SIZE])
{
	time_t t = (time_t)time;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(text, SNAPSHOT_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* Copies the component that text begins with, and returns what follows it; "" at the end, NULL
   when there is none or it does not fit. */
static const char *take_component(const char *text, char *component, size_t size)
{
	size_t len = strcspn(text, "/");

	if (!snapshot_name_is_safe(text, len) || len >= size)
		return NULL;
	memcpy(component, text, len);
	component[len] = '\0';
	return text[len] ? text + len + 1 : text + len;
}

static int parse_namespace(struct snapshot *s, const char *ns, struct error *err)
{
	char component[SNAPSHOT_NAME_MAX + 1], text[128];
	const char *rest = ns;
	int depth = 0;

	if (strlen(ns) > SNAPSHOT_NS_MAX)
		return error_set(err, EINVAL, "a namespace of %zu bytes: it has at most %d",
				 strlen(ns), SNAPSHOT_NS_MAX);
	while (*rest) {
		rest = take_component(rest, component, sizeof(component));
		if (!rest || (!*rest && ns[strlen(ns) - 1] == '/'))
			return error_set(err, EINVAL, "'%s' is not a namespace",
					 error_name(text, sizeof(text), ns, strlen(ns)));
		depth++;
	}
	if (depth > SNAPSHOT_NS_DEPTH)
		return error_set(err, EINVAL, "the namespace is %d deep: at most %d are possible",
				 depth, SNAPSHOT_NS_DEPTH);
	strcpy(s->ns, ns);
	return 0;
}

int snapshot_parse(struct snapshot *s, const char *ns, const char *text, const char **rest,
		   struct error *err)
{
	const char *id, *time, *slash;
	char shown[128];
	size_t len;
	int r;

	*s = (struct snapshot){ .time = SNAPSHOT_LATEST };
	r = parse_namespace(s, ns ? ns : "", err);
	if (r < 0)
		return r;
	error_name(shown, sizeof(shown), text, strlen(text));
	id = take_component(text, s->type, sizeof(s->type));
	if (!id || !snapshot_type_is_known(s->type))
		return error_set(err, EINVAL, "'%s': a snapshot is vm, ct or host/ID/TIME", shown);
	time = take_component(id, s->id, sizeof(s->id));
	if (!time)
		return error_set(err, EINVAL, "'%s': no backup ID after the type", shown);
	slash = strchr(time, '/');
	len = slash ? (size_t)(slash - time) : strlen(time);
	if ((len != 6 || memcmp(time, "latest", 6) != 0) &&
	    !snapshot_parse_time(time, len, &s->time))
		return error_set(err, EINVAL,
				 "'%s': the time is written YYYY-MM-DDTHH:MM:SSZ, or latest",
				 shown);
	*rest = slash ? slash + 1 : time + len;
	return 0;
}

/* The path of the group: all but the time. */
static size_t group_path(const struct snapshot *s, char path[SNAPSHOT_PATH_SIZE])
{
	char component[SNAPSHOT_NAME_MAX + 1];
	const char *rest = s->ns;
	size_t n = 0;

	while (*rest) {
		rest = take_component(rest, component, sizeof(component));
		n += (size_t)snprintf(path + n, SNAPSHOT_PATH_SIZE - n, "ns/%s/", component);
	}
	n += (size_t)snprintf(path + n, SNAPSHOT_PATH_SIZE - n, "%s/%s", s->type, s->id);
	return n;
}

void snapshot_path(const struct snapshot *s, char path[SNAPSHOT_PATH_SIZE])
{
	size_t n = group_path(s, path);

	path[n++] = '/';
	snapshot_format_time(s->time, path + n);
}

void snapshot_text(const struct snapshot *s, char text[SNAPSHOT_PATH_SIZE])
{
	char time[SNAPSHOT_TIME_SIZE] = "latest";

	if (s->time != SNAPSHOT_LATEST)
		snapshot_format_time(s->time, time);
	snprintf(text, SNAPSHOT_PATH_SIZE, "%s/%s/%s", s->type, s->id, time);
}

int snapshot_open_base(int *out, const char *path, struct error *err)
{
	CLEANUP(closep) int fd = -1;
	struct stat st = { 0 };

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, errno, "open %s: %m", path);
	if (fstatat(fd, ".chunks", &st, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
		return error_set(err, errno, "%s/.chunks: %m", path);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, EMEDIUMTYPE,
				 "%s is not a datastore: it has no directory .chunks", path);
	*out = take_fd(&fd);
	return 0;
}

/* 1 when there is no manifest below the directory. */
static int find_manifest(int dirfd, const char *path, struct error *err)
{
	CLEANUP(closep) int fd = -1;
	struct stat st;
	int r;

	r = file_open(&fd, dirfd, path, O_PATH, err);
	if (r < 0)
		return r == -ENOENT || r == -ENOTDIR ? 1 : r;
	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "stat %s: %m", path);
	return S_ISREG(st.st_mode) ? 0 : error_set(err, EUCLEAN, "%s: not a regular file", path);
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int scan_group(DIR *dir, struct snapshot *s, struct error *err)
{
	char path[SNAPSHOT_TIME_SIZE + sizeof(SNAPSHOT_MANIFEST)];
	struct dirent *d;
	int64_t time;
	int r;

	while ((errno = 0, d = readdir(dir))) {
		if (!snapshot_parse_time(d->d_name, strlen(d->d_name), &time) || time <= s->time)
			continue;
		snprintf(path, sizeof(path), "%.20s/%s", d->d_name, SNAPSHOT_MANIFEST);
		r = find_manifest(dirfd(dir), path, err);
		if (r < 0)
			return r;
		if (r == 0)
			s->time = time;
	}
	return errno ? error_set(err, errno, "%m") : 0;
}

static int open_group(int *out, int base, const struct snapshot *s, struct error *err)
{
	char path[SNAPSHOT_PATH_SIZE];
	int r;

	group_path(s, path);
	r = file_open(out, base, path, O_RDONLY | O_DIRECTORY, err);
	if (r == -ENOENT)
		return error_set(err, ENOENT, "the datastore has no backup group %s", path);
	return r;
}

int snapshot_find_latest(int base, struct snapshot *s, struct error *err)
{
	CLEANUP(closep) int fd = -1;
	CLEANUP(closedirp) DIR *dir = NULL;
	int r;

	if (s->time != SNAPSHOT_LATEST)
		return 0;
	r = open_group(&fd, base, s, err);
	if (r < 0)
		return r;
	dir = fdopendir(fd);
	if (!dir)
		return error_set(err, errno, "list %s/%s: %m", s->type, s->id);
	take_fd(&fd);
	r = scan_group(dir, s, err);
	if (r < 0)
		return error_wrap(err, "list %s/%s", s->type, s->id);
	if (s->time == SNAPSHOT_LATEST)
		return error_set(err, ENOENT, "%s/%s has no finished snapshot", s->type, s->id);
	return 0;
}

int snapshot_open(int *out, int base, const struct snapshot *s, struct error *err)
{
	CLEANUP(closep) int group = -1;
	CLEANUP(closep) int fd = -1;
	char time[SNAPSHOT_TIME_SIZE];
	int r;

	snapshot_format_time(s->time, time);
	r = open_group(&group, base, s, err);
	if (r < 0)
		return r;
	r = file_open(&fd, group, time, O_RDONLY | O_DIRECTORY, err);
	if (r == -ENOENT)
		return error_set(err, ENOENT, "no snapshot %s/%s/%s", s->type, s->id, time);
	if (r == 0)
		r = find_manifest(fd, SNAPSHOT_MANIFEST, err);
	if (r == 1)
		return error_set(err, ENODATA,
				 "snapshot %s/%s/%s is not finished: it has no manifest", s->type,
				 s->id, time);
	if (r < 0) {
		error_wrap(err, "snapshot %s/%s/%s", s->type, s->id, time);
		return r;
	}
	*out = take_fd(&fd);
	return 0;
}
