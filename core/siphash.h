/*
 * siphash.h - SipHash-2-4, and the hash by which goodbye tables are ordered
 *
 * The archive's key is public: equal hashes can be made on purpose, so nothing may rely on the
 * hash of a name alone.
 */
#ifndef CORE_SIPHASH_H
#define CORE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash24(uint64_t k0, uint64_t k1, const void *bytes, size_t n);

/* The hash of a name in an archive; the name comes without its NUL. */
uint64_t siphash_name(const void *name, size_t n);

#endif
