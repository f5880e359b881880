/* Where a deflate block ends, to the bit: see gossamer/image/deflate.py. */

#include <stdint.h>

#include "kernels.h"

enum { LITERALS = 288 + 138, SIZES = 19, END = 256 }; /* a repetition may reach past the last literal */

/* The next bits, lowest first; zeros past the end. */
INLINE unsigned peek(const uint8_t *block, int64_t length, int64_t position, int count) {
    unsigned bits = 0;
    for (int64_t i = position >> 3, k = 0; k < 3 && i < length; i++, k++) bits |= (unsigned)block[i] << 8 * k;
    return bits >> (position & 7) & ((1u << count) - 1);
}

INLINE unsigned reversed(unsigned code, int size) {
    unsigned out = 0;
    for (int i = 0; i < size; i++) out |= (code >> i & 1) << (size - 1 - i);
    return out;
}

/* The code of `symbol`, its first bit lowest, in the canonical Huffman code of these sizes. */
INLINE unsigned code_of(const uint8_t *sizes, int count, int symbol) {
    unsigned code = 0;
    int of_size[16] = {0};
    for (int i = 0; i < count; i++) of_size[sizes[i]]++;
    of_size[0] = 0;
    for (int size = 1; size <= sizes[symbol]; size++) code = (code + of_size[size - 1]) << 1;
    for (int i = 0; i < symbol; i++) code += sizes[i] == sizes[symbol];
    return reversed(code, sizes[symbol]);
}

/* How many bits of the last byte are left after the only block, one with codes of its own; -1 where that is hard to tell. */
int64_t KERNEL(gossamer_bits_left)(const uint8_t *block, int64_t length) {
    static const uint8_t order[SIZES] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    uint8_t sizes[SIZES] = {0}, symbols[128], literals[LITERALS] = {0};
    if (length < 4 || peek(block, length, 0, 3) != 5) return -1;
    int count = 257 + peek(block, length, 3, 5), given = 4 + peek(block, length, 13, 4), filled = 0;
    for (int i = 0; i < given; i++) sizes[order[i]] = peek(block, length, 17 + 3 * i, 3);
    for (int i = 0; i < 128; i++) symbols[i] = SIZES;
    for (int symbol = 0; symbol < SIZES; symbol++)
        if (sizes[symbol])
            for (unsigned code = code_of(sizes, SIZES, symbol); code < 128; code += 1u << sizes[symbol])
                symbols[code] = symbol;
    int64_t position = 17 + 3 * given;
    while (filled < count) {
        int symbol = symbols[peek(block, length, position, 7)], times = 1, value = symbol;
        if (symbol == SIZES || position > 8 * length) return -1;
        position += sizes[symbol];
        if (symbol >= 16) {
            int bits = symbol == 16 ? 2 : symbol == 17 ? 3 : 7;
            times = (symbol == 18 ? 11 : 3) + peek(block, length, position, bits);
            position += bits;
            value = symbol > 16 ? 0 : filled ? literals[filled - 1] : 0;
        }
        while (times--) literals[filled++] = value;
    }
    unsigned code = code_of(literals, count, END), tail = 0;
    for (int i = 0; i < 4; i++) tail |= (unsigned)block[length - 4 + i] << 8 * i;
    /* Of zeros alone it is not told from what follows it; any other code fits in one place only. */
    if (code == 0) return -1;
    for (int padding = 0; padding < 8; padding++)
        if (tail >> (32 - padding - literals[END]) == code) return padding;
    return -1;
}
