/* PNG's row filters: see gossamer/image/png.py. */

#include <stdint.h>

#include "kernels.h"

enum { UP = 2, AVERAGE = 3, PAETH = 4 };

INLINE int16_t size_of(int16_t x) { return x < 0 ? -x : x; }

INLINE uint8_t paeth(int16_t left, int16_t above, int16_t corner) {
    int16_t to_left = size_of(above - corner), to_above = size_of(left - corner);
    int16_t to_corner = size_of(left + above - 2 * corner);
    int16_t second = to_above <= to_corner ? above : corner;
    return (uint8_t)(to_left <= to_above && to_left <= to_corner ? left : second);
}

/* Filter rows 1 to `count` of `padded`, rows of `stride` bytes that begin with one black pixel. */
void KERNEL(gossamer_filter)(const uint8_t *padded, int64_t count, int64_t stride, int64_t pixel, int64_t kind,
                             uint8_t *restrict out) {
    int64_t length = stride - pixel;
    for (int64_t y = 1; y <= count; y++) {
        const uint8_t *left = padded + y * stride, *corner = left - stride, *above = corner + pixel, *own = left + pixel;
        *out++ = (uint8_t)kind;
        if (kind == UP)
            for (int64_t i = 0; i < length; i++) out[i] = own[i] - above[i];
        else if (kind == AVERAGE)
            for (int64_t i = 0; i < length; i++) out[i] = own[i] - (uint8_t)((left[i] + above[i]) >> 1);
        else
            for (int64_t i = 0; i < length; i++) out[i] = own[i] - paeth(left[i], above[i], corner[i]);
        out += length;
    }
}
