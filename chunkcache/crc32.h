/*
 * crc32.h - the checksum of blobs: CRC-32 as in IEEE 802.3, zlib and zip
 *
 * Threads: may be called from any thread.
 */
#ifndef CHUNKCACHE_CRC32_H
#define CHUNKCACHE_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of some bytes followed by n more, from that of the former: 0 for none. */
uint32_t crc32_add(uint32_t crc, const void *bytes, size_t n);

/* The same without the processor's help, which crc32_add() uses where there is any. */
uint32_t crc32_add_portable(uint32_t crc, const void *bytes, size_t n);

#endif
