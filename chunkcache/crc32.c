#include "chunkcache/crc32.h"

/*
 * Slicing: table[k][b] is what a byte b adds to the checksum once k more bytes have followed it,
 * so that 16 bytes are looked up independently of each other. It is linear in b: an entry is made
 * of those of its bits, of which each follows from the one before by a step of the division.
 */
#define ENTRY(i, b0, b1, b2, b3, b4, b5, b6, b7)                                     \
	(((i)&1 ? b0 : 0) ^ ((i)&2 ? b1 : 0) ^ ((i)&4 ? b2 : 0) ^ ((i)&8 ? b3 : 0) ^ \
	 ((i)&16 ? b4 : 0) ^ ((i)&32 ? b5 : 0) ^ ((i)&64 ? b6 : 0) ^ ((i)&128 ? b7 : 0))
#define ENTRIES4(i, ...)                                                                 \
	ENTRY(i, __VA_ARGS__), ENTRY((i) + 1, __VA_ARGS__), ENTRY((i) + 2, __VA_ARGS__), \
		ENTRY((i) + 3, __VA_ARGS__)
#define ENTRIES16(i, ...)                                                                         \
	ENTRIES4(i, __VA_ARGS__), ENTRIES4((i) + 4, __VA_ARGS__), ENTRIES4((i) + 8, __VA_ARGS__), \
		ENTRIES4((i) + 12, __VA_ARGS__)
#define ENTRIES64(i, ...)                                            \
	ENTRIES16(i, __VA_ARGS__), ENTRIES16((i) + 16, __VA_ARGS__), \
		ENTRIES16((i) + 32, __VA_ARGS__), ENTRIES16((i) + 48, __VA_ARGS__)
#define SLICE(...)                                                               \
	{                                                                        \
		ENTRIES64(0, __VA_ARGS__), ENTRIES64(64, __VA_ARGS__),           \
			ENTRIES64(128, __VA_ARGS__), ENTRIES64(192, __VA_ARGS__) \
	}

static const uint32_t table[16][256] = {
	SLICE(0x77073096, 0xee0e612c, 0x076dc419, 0x0edb8832, 0x1db71064, 0x3b6e20c8, 0x76dc4190,
	      0xedb88320),
	SLICE(0x191b3141, 0x32366282, 0x646cc504, 0xc8d98a08, 0x4ac21251, 0x958424a2, 0xf0794f05,
	      0x3b83984b),
	SLICE(0x01c26a37, 0x0384d46e, 0x0709a8dc, 0x0e1351b8, 0x1c26a370, 0x384d46e0, 0x709a8dc0,
	      0xe1351b80),
	SLICE(0xb8bc6765, 0xaa09c88b, 0x8f629757, 0xc5b428ef, 0x5019579f, 0xa032af3e, 0x9b14583d,
	      0xed59b63b),
	SLICE(0x3d6029b0, 0x7ac05360, 0xf580a6c0, 0x30704bc1, 0x60e09782, 0xc1c12f04, 0x58f35849,
	      0xb1e6b092),
	SLICE(0xcb5cd3a5, 0x4dc8a10b, 0x9b914216, 0xec53826d, 0x03d6029b, 0x07ac0536, 0x0f580a6c,
	      0x1eb014d8),
	SLICE(0xa6770bb4, 0x979f1129, 0xf44f2413, 0x33ef4e67, 0x67de9cce, 0xcfbd399c, 0x440b7579,
	      0x8816eaf2),
	SLICE(0xccaa009e, 0x4225077d, 0x844a0efa, 0xd3e51bb5, 0x7cbb312b, 0xf9766256, 0x299dc2ed,
	      0x533b85da),
	SLICE(0x177b1443, 0x2ef62886, 0x5dec510c, 0xbbd8a218, 0xacc04271, 0x82f182a3, 0xde920307,
	      0x6655004f),
	SLICE(0xefc26b3e, 0x04f5d03d, 0x09eba07a, 0x13d740f4, 0x27ae81e8, 0x4f5d03d0, 0x9eba07a0,
	      0xe6050901),
	SLICE(0xc18edfc0, 0x586cb9c1, 0xb0d97382, 0xbac3e145, 0xaef6c4cb, 0x869c8fd7, 0xd64819ef,
	      0x77e1359f),
	SLICE(0x9ba54c6f, 0xec3b9e9f, 0x03063b7f, 0x060c76fe, 0x0c18edfc, 0x1831dbf8, 0x3063b7f0,
	      0x60c76fe0),
	SLICE(0xdd96d985, 0x605cb54b, 0xc0b96a96, 0x5a03d36d, 0xb407a6da, 0xb37e4bf5, 0xbd8d91ab,
	      0xa06a2517),
	SLICE(0x9d0fe176, 0xe16ec4ad, 0x19ac8f1b, 0x33591e36, 0x66b23c6c, 0xcd6478d8, 0x41b9f7f1,
	      0x8373efe2),
	SLICE(0xb9fbdbe8, 0xa886b191, 0x8a7c6563, 0xcf89cc87, 0x44629f4f, 0x88c53e9e, 0xcafb7b7d,
	      0x4e87f0bb),
	SLICE(0xae689191, 0x87a02563, 0xd4314c87, 0x73139f4f, 0xe6273e9e, 0x173f7b7d, 0x2e7ef6fa,
	      0x5cfdedf4),
};

static uint32_t le32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	       (uint32_t)at[3] << 24;
}

/* Four bytes that k more follow in the same step. */
static uint32_t slice(size_t k, uint32_t word)
{
	return table[k + 3][word & 255] ^ table[k + 2][word >> 8 & 255] ^
	       table[k + 1][word >> 16 & 255] ^ table[k][word >> 24];
}

/* The state is the checksum, inverted. */
static uint32_t update(uint32_t state, const uint8_t *at, size_t n)
{
	for (; n >= 16; n -= 16, at += 16)
		state = slice(12, state ^ le32(at)) ^ slice(8, le32(at + 4)) ^
			slice(4, le32(at + 8)) ^ slice(0, le32(at + 12));
	for (; n; n--, at++)
		state = state >> 8 ^ table[0][(state ^ *at) & 255];
	return state;
}

uint32_t crc32_add_portable(uint32_t crc, const void *bytes, size_t n)
{
	return ~update(~crc, bytes, n);
}

#ifdef __x86_64__
#include <immintrin.h>

#define CARRYLESS __attribute__((target("pclmul")))

/* Moves x so far ahead as the factors say and adds what is there: the factors are powers of the
   variable, for the lower and the upper half, modulo the polynomial and with their bits reversed
   like everything here. */
CARRYLESS static inline __m128i fold(__m128i x, __m128i factors, __m128i there)
{
	__m128i low = _mm_clmulepi64_si128(x, factors, 0x00);
	__m128i high = _mm_clmulepi64_si128(x, factors, 0x11);

	return _mm_xor_si128(_mm_xor_si128(low, high), there);
}

CARRYLESS static inline __m128i load(const uint8_t *at)
{
	return _mm_loadu_si128((const __m128i_u *)at);
}

/* n is a multiple of 16, at least 64. Four remainders are carried along, for the multiplier takes
   that many at once; what they come to in the end is a message of 16 bytes with the same
   checksum. */
CARRYLESS static uint32_t update_carryless(uint32_t state, const uint8_t *at, size_t n)
{
	const __m128i ahead64 = _mm_set_epi64x(0x1c6e41596, 0x154442bd4); /* x^480, x^544 */
	const __m128i ahead16 = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0); /* x^96, x^160 */
	__m128i x[4] = { load(at), load(at + 16), load(at + 32), load(at + 48) };
	uint8_t rest[16];

	x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128((int)state));
	for (at += 64, n -= 64; n >= 64; at += 64, n -= 64) {
		x[0] = fold(x[0], ahead64, load(at));
		x[1] = fold(x[1], ahead64, load(at + 16));
		x[2] = fold(x[2], ahead64, load(at + 32));
		x[3] = fold(x[3], ahead64, load(at + 48));
	}
	x[0] = fold(x[0], ahead16, x[1]);
	x[0] = fold(x[0], ahead16, x[2]);
	x[0] = fold(x[0], ahead16, x[3]);
	for (; n; at += 16, n -= 16)
		x[0] = fold(x[0], ahead16, load(at));
	_mm_storeu_si128((__m128i_u *)rest, x[0]);
	return update(0, rest, sizeof(rest));
}

uint32_t crc32_add(uint32_t crc, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;
	size_t whole = n & ~(size_t)15;

	if (whole < 64 || !__builtin_cpu_supports("pclmul"))
		return crc32_add_portable(crc, bytes, n);
	return ~update(update_carryless(~crc, at, whole), at + whole, n - whole);
}
#else
uint32_t crc32_add(uint32_t crc, const void *bytes, size_t n)
{
	return crc32_add_portable(crc, bytes, n);
}
#endif
