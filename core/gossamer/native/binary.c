/* Convolutions whose weights and inputs are signs: see gossamer/networks/binary_convolution.py.
 *
 * Signs are bits, 1 for what is not above zero, 32 channels a word; what differs is counted. With n signs that count,
 * the sum of their products is n - 2 popcount(a ^ b). Words are zero where there is no channel or no pixel, in the
 * inputs as in the weights, so that only pixels beyond the edge need a correction: what their weights would count.
 */

#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#include "kernels.h"

enum { LANES = 16, SPAN = 4, RUN = 256 };

typedef uint32_t v8u __attribute__((vector_size(32)));

INLINE v8u words8(const uint32_t *at) {
    v8u value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* Bits of each lane, counted. */
INLINE v8u counted(v8u x) {
    x = x - ((x >> 1) & 0x55555555u);
    x = (x & 0x33333333u) + ((x >> 2) & 0x33333333u);
    x = (x + (x >> 4)) & 0x0F0F0F0Fu;
    return (x * 0x01010101u) >> 24;
}

/* One bit place of a sum of three: what stays in `low`, what is carried is returned. */
INLINE v8u carried(v8u *low, v8u a, v8u b) {
    v8u either = *low ^ a, carry = (*low & a) | (either & b);
    *low = either ^ b;
    return carry;
}

/* What differs between a patch of `count` words and eight outputs' weights, `LANES` apart: added up in binary, counted
 * once for eight words (R. Harley's and D. Seal's way, see Muła, Kurz, Lemire 2018). */
INLINE v8u differing(const uint32_t *patch, const uint32_t *weights, int64_t count) {
    v8u ones = {0}, twos = {0}, fours = {0}, total = {0};
    int64_t k = 0;
#define WORD(n) (words8(weights + (k + n) * LANES) ^ patch[k + n])
    for (; k + 8 <= count; k += 8) {
        v8u a = carried(&ones, WORD(0), WORD(1)), b = carried(&ones, WORD(2), WORD(3));
        v8u c = carried(&twos, a, b);
        a = carried(&ones, WORD(4), WORD(5)), b = carried(&ones, WORD(6), WORD(7));
        v8u d = carried(&twos, a, b);
        total += counted(carried(&fours, c, d));
    }
    total = 8 * total;
    for (; k + 2 <= count; k += 2) {
        v8u a = carried(&ones, WORD(0), WORD(1));
        v8u zero = {0}, b = carried(&twos, a, zero);
        total += 8 * counted(carried(&fours, b, zero));
    }
    if (k < count) total += counted(WORD(0));
#undef WORD
    if (count > 1) total += counted(ones) + 2 * counted(twos) + 4 * counted(fours);
    return total;
}

#if defined(__x86_64__)
/* The same, where the processor counts the bits of sixteen words at once. */
__attribute__((target("avx512f,avx512vpopcntdq"))) static void differing_at_once(
    const uint32_t *patches, int64_t apart, const uint32_t *weights, int64_t count, int32_t *found) {
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    const uint32_t *p = patches, *q = p + apart, *r = q + apart, *s = r + apart;
    for (int64_t k = 0; k < count; k++) {
        __m512i w = _mm512_loadu_si512(weights + k * LANES);
        a = _mm512_add_epi32(a, _mm512_popcnt_epi32(_mm512_xor_si512(w, _mm512_set1_epi32((int)p[k]))));
        b = _mm512_add_epi32(b, _mm512_popcnt_epi32(_mm512_xor_si512(w, _mm512_set1_epi32((int)q[k]))));
        c = _mm512_add_epi32(c, _mm512_popcnt_epi32(_mm512_xor_si512(w, _mm512_set1_epi32((int)r[k]))));
        d = _mm512_add_epi32(d, _mm512_popcnt_epi32(_mm512_xor_si512(w, _mm512_set1_epi32((int)s[k]))));
    }
    _mm512_storeu_si512(found, a), _mm512_storeu_si512(found + LANES, b);
    _mm512_storeu_si512(found + 2 * LANES, c), _mm512_storeu_si512(found + 3 * LANES, d);
}

static int asked_at_once(void) {
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & 0xE6) != 0xE6) return 0; /* the system keeps the widest registers */
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 16 & 1) && (c >> 14 & 1);
}

/* Asked once: it costs more than a small layer. Two threads that ask at once find the same. */
static int counts_at_once(void) {
    static volatile int found = -1;
    if (found < 0) found = asked_at_once();
    return found;
}
#endif

/* Bits of a word, counted by themselves: only where a sign is 0, which hardly happens. */
INLINE int32_t ones_of(uint32_t x) {
    x = x - ((x >> 1) & 0x55555555u);
    x = (x & 0x33333333u) + ((x >> 2) & 0x33333333u);
    return (int32_t)((((x + (x >> 4)) & 0x0F0F0F0Fu) * 0x01010101u) >> 24);
}

/* Pack the signs of x + before, (channels, pixels), into (pixels, words): bit c % 32 of word c / 32 is 1 for what is not
 * above zero. `known` is 1 where it is not zero; it is written only if `known` is not null. Returns whether any is zero. */
int64_t KERNEL(gossamer_pack_signs)(const float *x, const float *before, int64_t channels, int64_t pixels, uint32_t *bits,
                                    uint32_t *known) {
    int64_t words = (channels + 31) / 32;
    uint32_t zeros = 0;
    for (int64_t start = 0; start < pixels; start += RUN) {
        int64_t count = pixels - start < RUN ? pixels - start : RUN;
        for (int64_t word = 0; word < words; word++) {
            uint32_t sign[RUN] = {0}, sure[RUN] = {0}, none = 0;
            int64_t last = channels - 32 * word < 32 ? channels - 32 * word : 32;
            for (int64_t c = 0; c < last; c++) {
                const float *row = x + (32 * word + c) * pixels + start;
                float shift = before[32 * word + c];
                if (known)
                    for (int64_t p = 0; p < count; p++) sure[p] |= (uint32_t)(row[p] + shift != 0.0f) << c;
                for (int64_t p = 0; p < count; p++) {
                    float value = row[p] + shift;
                    sign[p] |= (uint32_t)(value <= 0.0f) << c;
                    none |= (uint32_t)(value == 0.0f);
                }
            }
            zeros |= none;
            for (int64_t p = 0; p < count; p++) bits[(start + p) * words + word] = sign[p];
            if (known)
                for (int64_t p = 0; p < count; p++) known[(start + p) * words + word] = sure[p];
        }
    }
    return zeros;
}

/* Rows `first` to `last` of a convolution of signs.
 *
 * `bits` is (height, width, words), `weights` (blocks, side * side * words, LANES), blocks of LANES outputs, `beyond`
 * (blocks, side * side, LANES) what the bits of one place's weights count. `known` and `weights_known` are masks of the
 * same shapes, or null where no sign is 0. After `bits` and `known` lie SPAN pixels that may be read. out is (outputs, high, wide): sums times gain plus base, plus
 * `residual` (residuals, high, wide), whose channels repeat; then, with slope, what is negative times slope, and then
 * `after` is added; those three may be null. `room` holds (wide + SPAN) side * side words, twice where `known` is given.
 */
void KERNEL(gossamer_binary_rows)(const uint32_t *bits, const uint32_t *known, const uint32_t *weights,
                                  const uint32_t *weights_known, const int32_t *beyond, const float *gain,
                                  const float *base, const float *residual, int64_t residuals, const float *slope,
                                  const float *after, int64_t channels, int64_t height, int64_t width, int64_t side,
                                  int64_t stride, int64_t padding, int64_t outputs, int64_t high, int64_t wide,
                                  int64_t first, int64_t last, uint32_t *room, float *out) {
    int64_t words = (channels + 31) / 32, places = side * side, count = places * words;
    int64_t blocks = (outputs + LANES - 1) / LANES;
    int careful = known || weights_known, gathered = side > 1 || stride > 1;
#if defined(__x86_64__)
    int at_once = counts_at_once();
#endif
    for (int64_t y = first; y < last; y++) {
        const uint32_t *patches = bits + y * wide * words, *sure = known ? known + y * wide * words : 0;
        if (gathered) {
            uint32_t *sure_room = room + (wide + SPAN) * count;
            memset(room, 0, (size_t)((wide + SPAN) * count * (known ? 2 : 1)) * sizeof *room);
            for (int64_t place = 0; place < places; place++) {
                int64_t row = y * stride + place / side - padding, from = place % side - padding;
                if (row < 0 || row >= height) continue;
                for (int64_t x = 0; x < wide; x++) {
                    int64_t column = x * stride + from, to = x * count + place * words;
                    if (column < 0 || column >= width) continue;
                    const uint32_t *at = bits + (row * width + column) * words;
                    for (int64_t k = 0; k < words; k++) room[to + k] = at[k];
                    if (known) memcpy(sure_room + to, known + (at - bits), (size_t)words * sizeof *known);
                }
            }
            patches = room, sure = known ? sure_room : 0;
        }
        for (int64_t block = 0; block < blocks; block++) {
            const uint32_t *own = weights + block * count * LANES;
            const uint32_t *own_known = weights_known ? weights_known + block * count * LANES : 0;
            int64_t lanes = outputs - block * LANES < LANES ? outputs - block * LANES : LANES;
            for (int64_t start = 0; start < wide; start += RUN) {
                int64_t until = wide - start < RUN ? wide - start : RUN;
                int32_t sums[LANES][RUN];
                for (int64_t x = 0; x < until; x += SPAN) {
                    int32_t found[SPAN * LANES], totals[SPAN * LANES];
                    const uint32_t *patch = patches + (start + x) * count;
                    if (!careful) {
#if defined(__x86_64__)
                        if (at_once)
                            differing_at_once(patch, count, own, count, found);
                        else
#endif
                            for (int64_t p = 0; p < SPAN; p++)
                                for (int64_t half = 0; half < LANES; half += 8) {
                                    v8u differ = differing(patch + p * count, own + half, count);
                                    memcpy(found + p * LANES + half, &differ, sizeof differ);
                                }
                    }
                    for (int64_t p = 0; p < SPAN; p++) {
                        int64_t column = (start + x + p) * stride - padding, row = y * stride - padding;
                        int inside = row >= 0 && column >= 0 && row + side <= height && column + side <= width;
                        int64_t here = places;
                        int32_t *mine = found + p * LANES, *sum = totals + p * LANES;
                        if (careful) {
                            /* What is beyond the edge is known of no input: nothing of it counts. */
                            for (int64_t lane = 0; lane < LANES; lane++) {
                                int32_t total = 0;
                                for (int64_t place = 0; place < places; place++) {
                                    int64_t r = row + place / side, q = column + place % side;
                                    if (r < 0 || r >= height || q < 0 || q >= width) continue;
                                    for (int64_t k = place * words; k < (place + 1) * words; k++) {
                                        int64_t left = channels - 32 * (k - place * words);
                                        uint32_t mask = left < 32 ? ((uint32_t)1 << left) - 1 : 0xFFFFFFFFu;
                                        if (known) mask &= sure[(start + x + p) * count + k];
                                        if (own_known) mask &= own_known[k * LANES + lane];
                                        uint32_t differ = (patch[p * count + k] ^ own[k * LANES + lane]) & mask;
                                        total += ones_of(mask) - 2 * ones_of(differ);
                                    }
                                }
                                sum[lane] = total;
                            }
                            continue;
                        }
                        if (!inside)
                            for (int64_t place = 0; place < places; place++) {
                                int64_t r = row + place / side, q = column + place % side;
                                if (r >= 0 && r < height && q >= 0 && q < width) continue;
                                const int32_t *less = beyond + (block * places + place) * LANES;
                                for (int64_t lane = 0; lane < LANES; lane++) mine[lane] -= less[lane];
                                here--;
                            }
                        int32_t all = (int32_t)(here * channels);
                        for (int64_t lane = 0; lane < LANES; lane++) sum[lane] = all - 2 * mine[lane];
                    }
                    for (int64_t lane = 0; lane < lanes; lane++)
                        for (int64_t p = 0; p < SPAN && x + p < until; p++) sums[lane][x + p] = totals[p * LANES + lane];
                }
                for (int64_t lane = 0; lane < lanes; lane++) {
                    int64_t output = block * LANES + lane;
                    float *to = out + (output * high + y) * wide + start;
                    const float *beside =
                        residual ? residual + (output % residuals * high + y) * wide + start : 0;
                    float by = gain[output], plus = base[output];
                    for (int64_t x = 0; x < until; x++) to[x] = (float)sums[lane][x] * by + plus;
                    if (beside)
                        for (int64_t x = 0; x < until; x++) to[x] += beside[x];
                    if (slope) {
                        float tilt = slope[output], rise = after ? after[output] : 0.0f;
                        for (int64_t x = 0; x < until; x++)
                            to[x] = (to[x] > 0.0f ? to[x] : to[x] * tilt) + rise;
                    }
                }
            }
        }
    }
}
