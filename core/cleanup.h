/*
 * cleanup.h - ownership that can be seen
 *
 * CLEANUP(f) calls f(&variable) when the variable leaves its scope, so that every early return
 * is right by construction. TAKE(p) is the one expression in which ownership leaves a scope:
 * it yields the pointer and leaves NULL behind. DEFINE_CLEANUP makes f out of a free function.
 */
#ifndef CORE_CLEANUP_H
#define CORE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(f) __attribute__((cleanup(f)))

#define TAKE(p)                                    \
	({                                         \
		__typeof__(p) *taken_at_ = &(p);   \
		__typeof__(p) taken_ = *taken_at_; \
		*taken_at_ = NULL;                 \
		taken_;                            \
	})

/* Defines f##p(T **), which calls f on what the variable holds; f must accept NULL. */
#define DEFINE_CLEANUP(T, f)            \
	static inline void f##p(T **at) \
	{                               \
		f(*at);                 \
	}                               \
	struct cleanup_needs_a_semicolon_

static inline void freep(void *at)
{
	free(*(void **)at);
}

static inline void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Like TAKE for a file descriptor: what stays behind is -1. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#endif
