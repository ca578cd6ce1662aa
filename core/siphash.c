#include "core/siphash.h"

/* The first 16 bytes of SHA-1("PROXMOX ARCHIVE FORMAT"), as two big-endian numbers. */
#define NAME_K0 UINT64_C(0x83ac3f1cfbb450db)
#define NAME_K1 UINT64_C(0xaa4f1b6879369fbd)

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void rounds(uint64_t v[4], unsigned n)
{
	while (n--) {
		v[0] += v[1];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[0] = rotate(v[0], 32);
		v[2] += v[3];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

static uint64_t word(const uint8_t *b, size_t n)
{
	uint64_t m = 0;

	while (n-- > 0)
		m = m << 8 | b[n];
	return m;
}

uint64_t siphash24(uint64_t k0, uint64_t k1, const void *bytes, size_t n)
{
	const uint8_t *b = bytes;
	uint64_t v[4] = { k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
			  k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573) };
	uint64_t last = (uint64_t)n << 56;

	for (; n >= 8; n -= 8, b += 8) {
		uint64_t m = word(b, 8);

		v[3] ^= m;
		rounds(v, 2);
		v[0] ^= m;
	}
	last |= word(b, n);
	v[3] ^= last;
	rounds(v, 2);
	v[0] ^= last;
	v[2] ^= 0xff;
	rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t siphash_name(const void *name, size_t n)
{
	return siphash24(NAME_K0, NAME_K1, name, n);
}
