/* What a deformable convolution sees: see gossamer/networks/architectures/deformable.py. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"
#include "lanes.h"

typedef uint32_t v8u32 __attribute__((vector_size(32)));
typedef uint16_t v8u16 __attribute__((vector_size(16)));

/* Round to bfloat16, to the nearest, of two as near to the even one. */
INLINE uint16_t short_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

INLINE v8u16 shorts_of(v8 x) {
    v8u32 bits = (v8u32)x;
    return __builtin_convertvector((bits + 0x7fff + (bits >> 16 & 1)) >> 16, v8u16);
}

/* Sample for some pixels, from `first` on, every tap of a kernel of `rows` x `columns`: bilinear, zero outside, times the
 * tap's own weight. `x` is (height, width, channels); `moves` (taps, 2, pixels) down and right; `weights` (taps, pixels),
 * of high * wide pixels. Written are (count, taps, channels), to `full` in float32 or, where that is null, to `half` in
 * bfloat16. */
void KERNEL(gossamer_deformed)(const float *x, const float *moves, const float *weights, int64_t height, int64_t width,
                               int64_t channels, int64_t rows, int64_t columns, int64_t padding, int64_t high,
                               int64_t wide, int64_t first, int64_t count, float *full, uint16_t *half) {
    int64_t pixels = high * wide, taps = rows * columns;
    for (int64_t p = first; p < first + count; p++)
        for (int64_t t = 0; t < taps; t++) {
            float y = (float)(p / wide - padding + t / columns) + moves[2 * t * pixels + p];
            float z = (float)(p % wide - padding + t % columns) + moves[(2 * t + 1) * pixels + p];
            float weight = weights[t * pixels + p];
            /* Beyond the border by a pixel and more there is nothing, however far. */
            int seen = y > -1.0f && z > -1.0f && y < (float)height && z < (float)width;
            int64_t top = seen ? (int64_t)floorf(y) : 0, left = seen ? (int64_t)floorf(z) : 0;
            float down = y - (float)top, over = z - (float)left;
            int64_t upper = most(top, 0), lower = least(top + 1, height - 1);
            int64_t nearer = most(left, 0), farther = least(left + 1, width - 1);
            float above = seen && top >= 0 ? (1.0f - down) * weight : 0.0f;
            float below = seen && top + 1 < height ? down * weight : 0.0f;
            float before = left >= 0 ? 1.0f - over : 0.0f, after = left + 1 < width ? over : 0.0f;
            if (!seen) before = after = 0.0f;
            const float *a = x + (upper * width + nearer) * channels, *b = x + (upper * width + farther) * channels;
            const float *c = x + (lower * width + nearer) * channels, *d = x + (lower * width + farther) * channels;
            float wa = above * before, wb = above * after, wc = below * before, wd = below * after;
            int64_t to = ((p - first) * taps + t) * channels, k = 0;
            for (; k + 8 <= channels; k += 8) {
                v8 sum = wa * load(a + k) + wb * load(b + k) + wc * load(c + k) + wd * load(d + k);
                if (full)
                    store(full + to + k, sum);
                else {
                    v8u16 rounded = shorts_of(sum);
                    memcpy(half + to + k, &rounded, sizeof rounded);
                }
            }
            for (; k < channels; k++) {
                float sum = wa * a[k] + wb * b[k] + wc * c[k] + wd * d[k];
                if (full)
                    full[to + k] = sum;
                else
                    half[to + k] = short_of(sum);
            }
        }
}
