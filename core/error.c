#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, int code, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if (code > 0)
		code = -code;
	if (!err)
		return code;
	errno = saved; /* for %m */
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	err->code = code;
	return code;
}

int error_wrap(struct error *err, const char *fmt, ...)
{
	char context[sizeof(err->text)];
	size_t cause, room, n;
	va_list ap;

	if (!err)
		return -EIO;
	va_start(ap, fmt);
	vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);

	cause = strlen(err->text);
	room = sizeof(err->text) - 1 - cause;
	if (room < 3)
		return err->code;
	n = strlen(context);
	if (n > room - 2)
		n = room - 2;
	memmove(err->text + n + 2, err->text, cause + 1);
	memcpy(err->text, context, n);
	memcpy(err->text + n, ": ", 2);
	return err->code;
}

const char *error_name(char *text, size_t size, const void *bytes, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *b = bytes;
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		if (at + 8 > size) { /* room for one escape, the ellipsis and the end */
			memcpy(text + at, "...", 3);
			at += 3;
			break;
		}
		if (b[i] >= 0x20 && b[i] < 0x7f && b[i] != '\\') {
			text[at++] = (char)b[i];
			continue;
		}
		text[at++] = '\\';
		text[at++] = 'x';
		text[at++] = hex[b[i] >> 4];
		text[at++] = hex[b[i] & 15];
	}
	text[at] = '\0';
	return text;
}
