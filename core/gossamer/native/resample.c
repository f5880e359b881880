/* Separable linear resampling, a row of the result at a time: see gossamer/arrays.py. */

#include <stdint.h>
#include <string.h>

#include "kernels.h"

enum { NUMBERS = 2048 }; /* numbers summed at a time: they stay in the first cache */

INLINE void add_row(const void *row, int64_t bytes, int64_t from, int64_t count, float weight, float *sums) {
    if (bytes == 1) {
        const uint8_t *at = (const uint8_t *)row + from;
        for (int64_t i = 0; i < count; i++) sums[i] += weight * (float)at[i];
    } else {
        const float *at = (const float *)row + from;
        for (int64_t i = 0; i < count; i++) sums[i] += weight * at[i];
    }
}

/* Write rows of `out`, (h, columns, channels) float; `middle` holds one row of the image as floats. */
void KERNEL(gossamer_resample)(const void *image, int64_t bytes, int64_t height, int64_t width, int64_t channels,
                            const int64_t *row_start, const float *row_weights, int64_t row_span,
                            const int64_t *column_start, const float *column_weights, int64_t column_span,
                            int64_t columns, float *middle, float *out, int64_t top, int64_t bottom) {
    int64_t length = width * channels;
    for (int64_t y = top; y < bottom; y++) {
        int64_t rows = row_start[y] + row_span > height ? height - row_start[y] : row_span;
        for (int64_t from = 0; from < length; from += NUMBERS) {
            int64_t count = length - from < NUMBERS ? length - from : NUMBERS;
            float sums[NUMBERS];
            memset(sums, 0, sizeof sums);
            for (int64_t k = 0; k < rows; k++) {
                const char *row = (const char *)image + (row_start[y] + k) * length * bytes;
                add_row(row, bytes, from, count, row_weights[y * row_span + k], sums);
            }
            memcpy(middle + from, sums, (size_t)count * sizeof(float));
        }
        for (int64_t x = 0; x < columns; x++) {
            int64_t start = column_start[x], taps = start + column_span > width ? width - start : column_span;
            const float *weights = column_weights + x * column_span;
            for (int64_t c = 0; c < channels; c++) {
                const float *at = middle + start * channels + c;
                float sum = 0.0f;
                for (int64_t k = 0; k < taps; k++) sum += weights[k] * at[k * channels];
                out[(y * columns + x) * channels + c] = sum;
            }
        }
    }
}
