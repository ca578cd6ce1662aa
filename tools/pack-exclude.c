#include "tools/pack-exclude.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { EXCLUDE_FILE_MAX = 1 << 20 };

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

static int add_line(struct pattern_list *list, const char *line, size_t n, size_t base,
		    const char *path, struct report *r, struct error *err)
{
	int result;

	while (n && is_blank(*line)) {
		line++;
		n--;
	}
	while (n && is_blank(line[n - 1]))
		n--;
	if (!n || *line == '#')
		return 0;
	result = pattern_list_add(list, line, n, base, err);
	if (result >= 0 || result == -ENOMEM)
		return result;
	report_warn(r, path, "a line is no pattern: %s", err->text);
	return 0;
}

/* All of it, as long as it is a regular file of a sane size. */
static int slurp(int fd, struct buffer *text, struct error *err)
{
	char piece[4096];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "stat: %m");
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL, "no regular file");
	while ((n = read(fd, piece, sizeof(piece))) > 0) {
		buffer_add(text, piece, (size_t)n);
		if (text->len > EXCLUDE_FILE_MAX)
			return error_set(err, EFBIG, "more than %d bytes", EXCLUDE_FILE_MAX);
	}
	return n < 0 ? error_set(err, errno, "read: %m") : buffer_finish(text, err);
}

int exclude_read(struct pattern_list *list, int dir_fd, size_t base, const char *path,
		 struct report *r, struct error *err)
{
	CLEANUP(buffer_release) struct buffer text = { 0 };
	CLEANUP(closep) int fd = -1;
	const char *line, *end, *newline;
	int result;

	fd = openat(dir_fd, ".pxarexclude",
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	result = fd < 0 ? error_set(err, errno, "open: %m") : slurp(fd, &text, err);
	if (result == -ENOMEM)
		return result;
	if (result < 0) {
		report_warn(r, path, "patterns not honoured: %s", err->text);
		return 0;
	}
	line = (const char *)text.bytes;
	end = line + text.len;
	for (; line < end; line = newline + 1) {
		newline = memchr(line, '\n', (size_t)(end - line));
		if (!newline)
			newline = end;
		result = add_line(list, line, (size_t)(newline - line), base, path, r, err);
		if (result < 0)
			return result;
	}
	return 0;
}

static void print_escaped(struct buffer *out, uint8_t c)
{
	static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
	const char *at = c ? strchr(plain, c) : NULL;
	char text[8];

	if (at) {
		buffer_add(out, "\\", 1);
		buffer_add(out, &letter[at - plain], 1);
	} else if (c < 0x20) {
		buffer_add(out, text, (size_t)snprintf(text, sizeof(text), "\\u%04x", c));
	} else {
		buffer_add(out, &c, 1);
	}
}

void exclude_print_json(const struct pattern_list *list, struct buffer *out)
{
	static const char begin[] = "{\"exclude-patterns\":\"", end[] = "\"}";
	CLEANUP(buffer_release) struct buffer lines = { 0 };

	pattern_list_print(list, &lines);
	out->failed |= lines.failed;
	buffer_add(out, begin, sizeof(begin) - 1);
	for (size_t i = 0; i < lines.len; i++)
		print_escaped(out, lines.bytes[i]);
	buffer_add(out, end, sizeof(end) - 1);
}

/* How many bytes a character has that begins so, and its least value, so that none is longer
   than it need be; 0: none begins so. */
static size_t sequence(unsigned char c, uint32_t *value, uint32_t *least)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} forms[] = {
		{ 0x80, 0, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 }
	};

	for (size_t i = 0; i < 4; i++) {
		if ((c & forms[i].mask) != forms[i].lead)
			continue;
		*value = c & (uint32_t)~forms[i].mask & 0xff;
		*least = forms[i].least;
		return i + 1;
	}
	return 0;
}

bool exclude_is_utf8(const char *text)
{
	uint32_t value = 0, least = 0;

	while (*text) {
		size_t n = sequence((unsigned char)*text++, &value, &least);

		if (!n)
			return false;
		while (--n) {
			if ((*text & 0xc0) != 0x80)
				return false;
			value = value << 6 | (*text++ & 0x3f);
		}
		if (value < least || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
			return false;
	}
	return true;
}
