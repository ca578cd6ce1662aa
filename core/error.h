/*
 * error.h - what failed, with its story
 *
 * The check that fails writes the sentence, with the numbers; callers put before it where they
 * were. An error lives on the stack of whoever wants to know; no function keeps a pointer to it.
 * When room runs out the context is cut, never the cause.
 *
 * Codes, all negative: -EUCLEAN malformed, -EBADMSG checksum or tag mismatch, -EIO unreadable,
 * otherwise the errno of what happened.
 */
#ifndef CORE_ERROR_H
#define CORE_ERROR_H

#include <errno.h>
#include <stddef.h>

struct error {
	int code; /* 0 or a negative errno */
	char text[480];
};

/* Both return the negative code, so that a check is one statement. err may be NULL, but then
   error_wrap() does not know the code any more and says -EIO. */
int error_set(struct error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "context: " before the text; only called with an error that is set. */
int error_wrap(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Copies n raw bytes, such as a file name, printably into text: \xNN for what is not ASCII. */
const char *error_name(char *text, size_t size, const void *bytes, size_t n);

#endif
