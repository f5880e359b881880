/* A subject over what is behind it, in bytes: see gossamer/video/over_bytes.py. */

#include <stdint.h>

#include "kernels.h"
#include "lanes.h"

/* `front` and `behind` are (pixels, 3); `behind` is one colour where `apart` is 0, else 3. */
void KERNEL(gossamer_over)(const float *front, const float *alpha, const float *behind, int64_t apart, int64_t pixels,
                           uint8_t *to) {
    for (int64_t i = 0; i < pixels; i++)
        for (int c = 0; c < 3; c++) {
            float under = behind[i * apart + c], mixed = under + alpha[i] * (front[3 * i + c] - under);
            to[3 * i + c] = (uint8_t)(int32_t)(higher(lower(mixed, 1.0f), 0.0f) * 255.0f + 0.5f);
        }
}
