/* Deflate (RFC 1951) for the residuals of PNG's filters: see gossamer/image/deflate.py. */

#include <stdint.h>
#include <string.h>

#include "kernels.h"

enum {
    DEFLATED = 1 << 17, STORED = 65535, /* bytes in a block of ours, at most, and in one that is stored */
    TOKENS = 1 << 14, SLOTS = 1 << 14, /* of `scratch`: a block's matches; places that were seen */
    SYMBOLS = 286, FIXED = 288, DISTANCES = 30, LENGTHS = 19, END = 256, LONGEST = 258, NEAREST = 4,
    ENTERED = 6, /* so many of a match's places, the last ones, count as seen: more are hardly ever found again */
    LITERAL_LIMIT = 14, /* bits of a code: four of them fit into a word beside the seven bits that it may hold */
    SIZE_LIMIT = 15, LENGTH_LIMIT = 7
};

/* -- words and bits ---------------------------------------------------------------------------------- */

INLINE uint64_t little(uint64_t word) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(word);
#else
    return word;
#endif
}

INLINE uint64_t word_at(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, 8);
    return little(word);
}

INLINE uint32_t half_at(const uint8_t *at) {
    uint32_t word;
    memcpy(&word, at, 4);
    return word;
}

typedef struct {
    uint8_t *at;
    uint64_t bits;
    int held;
} Writer;

INLINE void put_bits(Writer *to, uint64_t bits, int count) {
    to->bits |= bits << to->held;
    to->held += count;
}

INLINE void pass_on(Writer *to) {
    uint64_t word = little(to->bits);
    memcpy(to->at, &word, 8);
    to->at += to->held >> 3;
    to->bits >>= to->held & ~7;
    to->held &= 7;
}

/* -- codes ------------------------------------------------------------------------------------------- */

INLINE int width_of(uint32_t value) { return 31 - __builtin_clz(value); }

/* Of a match's length beyond three, and of its distance beyond one: symbol, extra bits, how many. */
INLINE int length_symbol(uint32_t length, int *extra) {
    uint32_t beyond = length - 3;
    *extra = 0;
    if (beyond < 8) return 257 + (int)beyond;
    if (length == LONGEST) return 285;
    *extra = width_of(beyond) - 2;
    return 257 + 4 * (*extra + 1) + (int)(beyond >> *extra & 3);
}

INLINE int distance_symbol(uint32_t distance, int *extra) {
    uint32_t beyond = distance - 1;
    *extra = 0;
    if (beyond < 4) return (int)beyond;
    *extra = width_of(beyond) - 1;
    return 2 * (*extra + 1) + (int)(beyond >> *extra & 1);
}

/* Sort `used` keys, in which the symbol takes the lowest nine bits, by the eighteen bits of the count above it. */
static void sort_by_count(uint32_t *keys, int used) {
    uint32_t other[SYMBOLS];
    for (int shift = 9; shift < 27; shift += 9) {
        uint16_t starts[513] = {0};
        for (int i = 0; i < used; i++) starts[(keys[i] >> shift & 511) + 1]++;
        for (int i = 0; i < 512; i++) starts[i + 1] += starts[i];
        for (int i = 0; i < used; i++) other[starts[keys[i] >> shift & 511]++] = keys[i];
        memcpy(keys, other, (size_t)used * sizeof *keys);
    }
}

/* A Huffman code's length for each symbol, none longer than `limit`: at least two symbols get one, as zlib wants.
 *
 * A. Moffat and J. Katajainen, "In-place calculation of minimum-redundancy codes" (1995). Codes that are too long are
 * cut to the limit, and what that takes too much is paid for by the longest of the shorter ones, a step at a time.
 */
static void code_sizes(const uint32_t *counts, int symbols, int limit, uint8_t *sizes) {
    uint32_t keys[SYMBOLS], tree[SYMBOLS], of_size[SIZE_LIMIT + 1] = {0};
    int used = 0;
    memset(sizes, 0, (size_t)symbols);
    for (int i = 0; i < symbols; i++)
        if (counts[i]) keys[used++] = counts[i] << 9 | (uint32_t)i;
    for (int i = 0; used < 2; i++)
        if (!counts[i]) keys[used++] = (uint32_t)i;
    sort_by_count(keys, used);
    for (int i = 0; i < used; i++) tree[i] = keys[i] >> 9;
    tree[0] += tree[1];
    for (int root = 0, leaf = 2, next = 1; next < used - 1; next++) { /* weights become parents */
        if (leaf >= used || tree[root] < tree[leaf]) {
            tree[next] = tree[root];
            tree[root++] = (uint32_t)next;
        } else
            tree[next] = tree[leaf++];
        if (leaf >= used || (root < next && tree[root] < tree[leaf])) {
            tree[next] += tree[root];
            tree[root++] = (uint32_t)next;
        } else
            tree[next] += tree[leaf++];
    }
    tree[used - 2] = 0;
    for (int next = used - 3; next >= 0; next--) tree[next] = tree[tree[next]] + 1; /* parents become depths */
    int root = used - 2, room = 1;
    for (int depth = 0, left = used; left > 0; depth++) { /* at each depth: inner nodes, and the rest are leaves */
        int inner = 0;
        while (root >= 0 && tree[root] == (uint32_t)depth) inner++, root--;
        of_size[depth < limit ? depth : limit] += (uint32_t)(room - inner);
        left -= room - inner;
        room = 2 * inner;
    }
    int64_t taken = 0;
    for (int size = 1; size <= limit; size++) taken += (int64_t)of_size[size] << (limit - size);
    for (; taken > (int64_t)1 << limit; taken--) {
        int size = limit - 1;
        while (of_size[size] == 0) size--;
        of_size[size]--, of_size[size + 1] += 2, of_size[limit]--;
    }
    for (int size = limit, i = 0; size > 0; size--)
        for (uint32_t k = 0; k < of_size[size]; k++) sizes[keys[i++] & 511] = (uint8_t)size;
}

/* The canonical code of these sizes: its bits, the first lowest, under its size. */
static void make_codes(const uint8_t *sizes, int symbols, uint32_t *codes) {
    uint32_t next[SIZE_LIMIT + 2] = {0}, of_size[SIZE_LIMIT + 1] = {0};
    for (int i = 0; i < symbols; i++) of_size[sizes[i]]++;
    of_size[0] = 0;
    for (int size = 1; size <= SIZE_LIMIT; size++) next[size + 1] = (next[size] + of_size[size]) << 1;
    for (int i = 0; i < symbols; i++) {
        uint32_t bits = next[sizes[i]]++;
        bits = (bits & 0x5555) << 1 | (bits >> 1 & 0x5555);
        bits = (bits & 0x3333) << 2 | (bits >> 2 & 0x3333);
        bits = (bits & 0x0f0f) << 4 | (bits >> 4 & 0x0f0f);
        bits = (bits & 0x00ff) << 8 | bits >> 8;
        codes[i] = bits >> (16 - sizes[i]) | (uint32_t)sizes[i] << 16;
    }
}

INLINE int size_in(uint32_t code) { return (int)(code >> 16); }

INLINE void put_code(Writer *to, uint32_t code) { put_bits(to, code & 0xffff, size_in(code)); }

/* -- matches ----------------------------------------------------------------------------------------- */

/* So many literals, then a match of this length, none if that is zero, from so far back. */
typedef struct {
    uint32_t literals;
    uint16_t length, distance;
} Token;

INLINE int64_t alike(const uint8_t *data, int64_t at, int64_t back, int64_t end) {
    int64_t length = 0, most = end - at < LONGEST ? end - at : LONGEST;
    for (const uint8_t *own = data + at, *other = own - back; length + 8 <= most; length += 8) {
        uint64_t unlike = word_at(own + length) ^ word_at(other + length);
        if (unlike) return length + (__builtin_ctzll(unlike) >> 3);
    }
    while (length < most && data[at + length] == data[at + length - back]) length++;
    return length;
}

/* Matches from one byte or one pixel back, from `start` on; returns where the block ends, in `count` how many.
 *
 * Beside an alpha that hardly changes, shorter ones than two pixels take more than the literals that they stand for.
 */
static int64_t find_runs(const uint8_t *data, int64_t start, int64_t end, int64_t pixel, Token *tokens, int *count) {
    enum { PART = 2048, SHORT = 5, TWO_PIXELS = 8 };
    uint8_t same[PART + TWO_PIXELS], begins[PART + 8];
    const int64_t shortest = pixel == 4 ? TWO_PIXELS : SHORT;
    int64_t literal = start, next = start;
    *count = 0;
    for (int64_t part = start < pixel ? pixel : start, size; (size = end - part - shortest + 1) > 0; part += PART) {
        if (size > PART) size = PART;
        const uint8_t *own = data + part, *before = own - 1, *other = own - pixel;
        for (int64_t i = 0; i < size + shortest - 1; i++)
            same[i] = (own[i] == before[i] ? 1 : 0) | (own[i] == other[i] ? 2 : 0);
        for (int64_t i = 0; i < size; i++)
            begins[i] = same[i] & same[i + 1] & same[i + 2] & same[i + 3] & same[i + 4];
        if (shortest == TWO_PIXELS)
            for (int64_t i = 0; i < size; i++) begins[i] &= same[i + 5] & same[i + 6] & same[i + 7];
        for (int k = 0; k < 8; k++) begins[size + k] = 0;
        for (int64_t i = next > part ? next - part : 0; i < size; i++) {
            uint64_t eight = word_at(begins + i);
            if (!eight) {
                i += 7;
                continue;
            }
            i += __builtin_ctzll(eight) >> 3;
            int64_t at = part + i, back = 1, length = begins[i] & 1 ? alike(data, at, 1, end) : 0;
            if (begins[i] & 2 && pixel > 1 && length < LONGEST) {
                int64_t by_pixel = alike(data, at, pixel, end);
                if (by_pixel > length) length = by_pixel, back = pixel;
            }
            tokens[(*count)++] = (Token){(uint32_t)(at - literal), (uint16_t)length, (uint16_t)back};
            literal = next = at + length;
            if (*count == TOKENS - 1) return next;
            i += length - 1;
        }
    }
    tokens[(*count)++] = (Token){(uint32_t)(end - literal), 0, 0};
    return end;
}

INLINE uint32_t slot_of(uint32_t four) { return four * 2654435761u >> 18; }

/* Matches from up to `reach` bytes back, wherever the same four bytes were last. */
static int64_t find_matches(const uint8_t *data, int64_t start, int64_t end, int64_t reach, int32_t *seen,
                            Token *tokens, int *count) {
    int64_t literal = start, at = start;
    *count = 0;
    while (at + NEAREST <= end) {
        uint32_t four = half_at(data + at), slot = slot_of(four);
        int64_t back = at - seen[slot];
        seen[slot] = (int32_t)at;
        if (back > reach || half_at(data + at - back) != four) {
            at++;
            continue;
        }
        int64_t length = alike(data, at, back, end);
        tokens[(*count)++] = (Token){(uint32_t)(at - literal), (uint16_t)length, (uint16_t)back};
        int64_t after = at + length, stop = after < end - NEAREST + 1 ? after : end - NEAREST + 1;
        for (int64_t i = length > ENTERED ? after - ENTERED : at + 1; i < stop; i++)
            seen[slot_of(half_at(data + i))] = (int32_t)i;
        literal = at = after;
        if (*count == TOKENS - 1) return at;
    }
    tokens[(*count)++] = (Token){(uint32_t)(end - literal), 0, 0};
    return end;
}

/* -- blocks ------------------------------------------------------------------------------------------ */

/* The sizes of a block's codes, the literals' and the distances' one after the other; how its head tells them. */
typedef struct {
    uint8_t sizes[SYMBOLS + DISTANCES], length_sizes[LENGTHS];
    uint8_t said[SYMBOLS + DISTANCES], more[SYMBOLS + DISTANCES]; /* symbols, and their extra bits */
    int literals, distances, told, lengths;
} Head;

static const uint8_t order_of_lengths[LENGTHS] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

INLINE int extra_of(int symbol) { return symbol < 16 ? 0 : symbol == 16 ? 2 : symbol == 17 ? 3 : 7; }

/* Several counts of each, since one byte after another is often the same and would wait for it. */
static void count_literals(const uint8_t *data, int64_t length, uint32_t (*counts)[256]) {
    int64_t i = 0;
    for (; i + 4 <= length; i += 4)
        for (int k = 0; k < 4; k++) counts[k][data[i + k]]++;
    for (; i < length; i++) counts[i & 3][data[i]]++;
}

/* Count the symbols of a block; returns its extra bits. */
static int64_t count_symbols(const uint8_t *data, const Token *tokens, int count, uint32_t *literals,
                             uint32_t *distances) {
    uint32_t parts[4][256] = {{0}};
    int64_t bits = 0;
    memset(literals, 0, SYMBOLS * sizeof *literals);
    memset(distances, 0, DISTANCES * sizeof *distances);
    for (int i = 0; i < count; i++) {
        count_literals(data, tokens[i].literals, parts);
        data += tokens[i].literals + tokens[i].length;
        if (tokens[i].length == 0) continue;
        int extra, extra_distance;
        literals[length_symbol(tokens[i].length, &extra)]++;
        distances[distance_symbol(tokens[i].distance, &extra_distance)]++;
        bits += extra + extra_distance;
    }
    for (int i = 0; i < 256; i++) literals[i] = parts[0][i] + parts[1][i] + parts[2][i] + parts[3][i];
    literals[END] = 1;
    return bits;
}

/* Find code sizes for these counts, and how to tell them; returns how many bits that takes. */
static int64_t make_head(const uint32_t *literals, const uint32_t *distances, Head *head) {
    uint32_t counts[LENGTHS] = {0};
    code_sizes(literals, SYMBOLS, LITERAL_LIMIT, head->sizes);
    for (head->literals = SYMBOLS; head->sizes[head->literals - 1] == 0;) head->literals--;
    uint8_t *distance_sizes = head->sizes + head->literals;
    code_sizes(distances, DISTANCES, SIZE_LIMIT, distance_sizes);
    for (head->distances = DISTANCES; distance_sizes[head->distances - 1] == 0;) head->distances--;
    head->told = 0;
    for (int i = 0, all = head->literals + head->distances; i < all;) {
        int size = head->sizes[i], most = size ? 7 : 138, run = 1, symbol = size, more = 0;
        while (i + run < all && run < most && head->sizes[i + run] == size) run++;
        if (size && run > 3) { /* once itself, then three to six times the same */
            head->said[head->told] = (uint8_t)size, head->more[head->told++] = 0, counts[size]++, i++, run--;
            symbol = 16, more = run - 3;
        } else if (!size && run > 2)
            symbol = run > 10 ? 18 : 17, more = run - (run > 10 ? 11 : 3);
        else
            run = 1;
        head->said[head->told] = (uint8_t)symbol, head->more[head->told++] = (uint8_t)more, counts[symbol]++;
        i += run;
    }
    code_sizes(counts, LENGTHS, LENGTH_LIMIT, head->length_sizes);
    head->lengths = LENGTHS;
    while (head->lengths > 4 && head->length_sizes[order_of_lengths[head->lengths - 1]] == 0) head->lengths--;
    int64_t bits = 14 + 3 * head->lengths;
    for (int i = 0; i < LENGTHS; i++) bits += counts[i] * (int64_t)(head->length_sizes[i] + extra_of(i));
    return bits;
}

static void write_head(Writer *to, const Head *head) {
    uint32_t codes[LENGTHS];
    make_codes(head->length_sizes, LENGTHS, codes);
    put_bits(to, (uint64_t)(head->literals - 257 + ((head->distances - 1) << 5) + ((head->lengths - 4) << 10)), 14);
    pass_on(to);
    for (int i = 0; i < head->lengths; i++) {
        put_bits(to, head->length_sizes[order_of_lengths[i]], 3);
        pass_on(to);
    }
    for (int i = 0; i < head->told; i++) {
        put_code(to, codes[head->said[i]]);
        put_bits(to, head->more[i], extra_of(head->said[i]));
        pass_on(to);
    }
}

/* The symbols of a block in codes of these sizes: `literals` of them, then `distances`. */
static void write_tokens(Writer *writer, const uint8_t *data, const Token *tokens, int count, const uint8_t *sizes,
                         int literals, int distances) {
    uint32_t code[FIXED], distance_code[DISTANCES];
    Writer to = *writer;
    make_codes(sizes, literals, code);
    make_codes(sizes + literals, distances, distance_code);
    for (int i = 0; i < count; i++) {
        const uint8_t *end = data + tokens[i].literals;
        for (; data + 4 <= end; data += 4) { /* two by two, so that one need not wait for all before it */
            uint32_t a = code[data[0]], b = code[data[1]], c = code[data[2]], d = code[data[3]];
            uint32_t ab = (a & 0xffff) | (b & 0xffff) << size_in(a), cd = (c & 0xffff) | (d & 0xffff) << size_in(c);
            int first = size_in(a) + size_in(b), second = size_in(c) + size_in(d);
            put_bits(&to, ab | (uint64_t)cd << first, first + second);
            pass_on(&to);
        }
        for (; data < end; data++) put_code(&to, code[*data]);
        pass_on(&to);
        if (tokens[i].length == 0) continue;
        int extra, symbol = length_symbol(tokens[i].length, &extra);
        put_code(&to, code[symbol]);
        put_bits(&to, (tokens[i].length - 3u) & ((1u << extra) - 1), extra);
        symbol = distance_symbol(tokens[i].distance, &extra);
        put_code(&to, distance_code[symbol]);
        put_bits(&to, (tokens[i].distance - 1u) & ((1u << extra) - 1), extra);
        pass_on(&to);
        data += tokens[i].length;
    }
    put_code(&to, code[END]);
    pass_on(&to);
    *writer = to;
}

/* A stored block: its head's three bits, and from the next byte on its size and it. */
static void write_stored(Writer *to, const uint8_t *data, int64_t length, int last) {
    put_bits(to, (uint64_t)last, 3);
    pass_on(to);
    if (to->held) to->at++;
    to->bits = 0, to->held = 0;
    put_bits(to, (uint64_t)length | (uint64_t)(length ^ 0xffff) << 16, 32);
    pass_on(to);
    memcpy(to->at, data, (size_t)length);
    to->at += length;
}

/* Write one block in the shortest way; returns how many bits it has, which is all where there is no place to write. */
static int64_t write_block(Writer *to, const uint8_t *data, int64_t length, const Token *tokens, int count, int last) {
    uint32_t literals[SYMBOLS], distances[DISTANCES];
    uint8_t fixed_sizes[FIXED + DISTANCES];
    Head head;
    int64_t fixed = 3 + count_symbols(data, tokens, count, literals, distances);
    int64_t own = fixed + make_head(literals, distances, &head);
    for (int i = 0; i < FIXED + DISTANCES; i++)
        fixed_sizes[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : i < FIXED ? 8 : 5;
    for (int i = 0; i < SYMBOLS; i++) fixed += (int64_t)literals[i] * fixed_sizes[i];
    for (int i = 0; i < DISTANCES; i++) fixed += (int64_t)distances[i] * fixed_sizes[FIXED + i];
    for (int i = 0; i < head.literals; i++) own += (int64_t)literals[i] * head.sizes[i];
    for (int i = 0; i < head.distances; i++) own += (int64_t)distances[i] * head.sizes[head.literals + i];
    int64_t stored = 8 * length + 42 * ((length + STORED - 1) / STORED), best = own < fixed ? own : fixed;
    if (length && stored < best) best = stored;
    if (!to->at) return best;
    if (best == own) {
        put_bits(to, (uint64_t)(last | 4), 3);
        write_head(to, &head);
        write_tokens(to, data, tokens, count, head.sizes, head.literals, head.distances);
    } else if (best == fixed) {
        put_bits(to, (uint64_t)(last | 2), 3);
        write_tokens(to, data, tokens, count, fixed_sizes, FIXED, DISTANCES);
    } else
        for (int64_t done = 0; done < length; done += STORED) {
            int64_t size = length - done < STORED ? length - done : STORED;
            write_stored(to, data + done, size, last && done + size == length);
        }
    return best;
}

/* Deflate `length` bytes, fewer than 2^31, into blocks that end at a byte; returns how many bytes those have.
 *
 * Matches are looked for one byte and one pixel back, or up to `reach` bytes back where that is not zero. Without a
 * place to write, `out`, the size is told, give or take a few. `scratch` has room for TOKENS tokens and SLOTS places.
 */
int64_t KERNEL(gossamer_deflate)(const uint8_t *data, int64_t length, int64_t pixel, int64_t reach, int64_t last,
                                 uint8_t *scratch, uint8_t *out) {
    Token *tokens = (Token *)scratch;
    int32_t *seen = (int32_t *)(scratch + TOKENS * sizeof(Token));
    Writer to = {out, 0, 0};
    int64_t at = 0, bits = 0;
    if (reach)
        for (int i = 0; i < SLOTS; i++) seen[i] = -1 - (1 << 15);
    do {
        int64_t end = length - at < DEFLATED ? length : at + DEFLATED;
        int count;
        end = reach ? find_matches(data, at, end, reach, seen, tokens, &count)
                    : find_runs(data, at, end, pixel, tokens, &count);
        bits += write_block(&to, data + at, end - at, tokens, count, last && end == length);
        at = end;
    } while (at < length);
    if (!out) return (bits + 7) / 8;
    if (!last) write_stored(&to, data, 0, 0);
    return to.at + (to.held > 0) - out;
}
