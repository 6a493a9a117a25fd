/* Private to tensor: the rounds of Philox 4x32-10 (rng.c), on n counters side by side, which compilers put into
 * vectors. */
#ifndef LEAT_PHILOX_H
#define LEAT_PHILOX_H

#include <stdint.h>

static inline __attribute__((always_inline)) void philox_rounds(uint64_t seed, int n, uint32_t *c0, uint32_t *c1,
                                                                uint32_t *c2, uint32_t *c3)
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9, k1 += 0xBB67AE85) {
        for (int i = 0; i < n; i++) {
            uint64_t p0 = (uint64_t)0xD2511F53 * c0[i], p1 = (uint64_t)0xCD9E8D57 * c2[i];
            c0[i] = (uint32_t)(p1 >> 32) ^ c1[i] ^ k0;
            c1[i] = (uint32_t)p1;
            c2[i] = (uint32_t)(p0 >> 32) ^ c3[i] ^ k1;
            c3[i] = (uint32_t)p0;
        }
    }
}

#endif
