/* Call kernels as another machine did and compare what they write: see replay.py for the file that is read.
 *
 * They are those of a library, given as the second argument.
 * All arguments travel as 64 bits. Windows takes each from the same place whatever its type, where both kinds of
 * registers hold it, as they do for a function with three dots. ARM's Linux numbers integers and reals apart.
 */

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 32 };

typedef union {
    uint64_t bits;
    double real;
    float single;
    void *place;
} Word;

#if defined(_WIN32)
#include <windows.h>
#define D(i) given[i].real
#define EIGHT(i) D(i), D(i + 1), D(i + 2), D(i + 3), D(i + 4), D(i + 5), D(i + 6), D(i + 7)
#define CALL(kind) \
    ((kind(*)(void *, ...))kernel)(given[0].place, D(1), D(2), D(3), D(4), D(5), D(6), D(7), EIGHT(8), EIGHT(16), EIGHT(24))
static HMODULE library;
static void *found(const char *name) { return (void *)GetProcAddress(library, name); }
#else
#include <dlfcn.h>
static void *library;
static void *found(const char *name) { return dlsym(library, name); }
#define I(i) whole[i].bits
#define R(i) real[i].real
#define CALL(kind)                                                                                                     \
    ((kind(*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, double, double, double,  \
              double, double, double, double, double, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,      \
              uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,                \
              uint64_t))kernel)(I(0), I(1), I(2), I(3), I(4), I(5), I(6), I(7), R(0), R(1), R(2), R(3), R(4), R(5), R(6), \
                                R(7), I(8), I(9), I(10), I(11), I(12), I(13), I(14), I(15), I(16), I(17), I(18), I(19), \
                                I(20), I(21), I(22), I(23))
#endif

static FILE *file;

static int64_t number(void) {
    int64_t value;
    if (fread(&value, sizeof value, 1, file) != 1) exit(3);
    return value;
}

static void *bytes(int64_t size) {
    char *at = malloc((size_t)size + 64);
    if (!at || fread(at, 1, (size_t)size, file) != (size_t)size) exit(3);
    return at;
}

static int close_enough(double a, double b) { return a == b || fabs(a - b) <= 2e-5 + 2e-4 * fabs(b) || a != a || b != b; }

/* How many numbers of an array are other ones; `type` is 'f', 'd' or, to be the same to the bit, 'b'. */
static int64_t wrong(char type, const char *found, const char *wanted, int64_t size) {
    int64_t count = 0, step = type == 'f' ? 4 : type == 'd' ? 8 : 1;
    for (int64_t i = 0; i < size; i += step) {
        if (!memcmp(found + i, wanted + i, (size_t)step)) continue;
        float f, g;
        double d, e;
        memcpy(&f, found + i, sizeof f), memcpy(&g, wanted + i, sizeof g);
        memcpy(&d, found + i, type == 'd' ? 8 : 1), memcpy(&e, wanted + i, type == 'd' ? 8 : 1);
        count += type == 'f' ? !close_enough(f, g) : type == 'd' ? !close_enough(d, e) : 1;
    }
    return count;
}

int main(int count, char **arguments) {
    if (count < 3 || !(file = fopen(arguments[1], "rb"))) return 2;
#if defined(_WIN32)
    library = LoadLibraryA(arguments[2]);
#else
    library = dlopen(arguments[2], RTLD_NOW);
#endif
    if (!library) return 4;
    int64_t calls = number(), failed = 0;
    for (int64_t call = 0; call < calls; call++) {
        char *name = bytes(64);
        int64_t result = number(), arity = number(), sizes[MOST] = {0};
        Word expected = {(uint64_t)number()}, given[MOST] = {{0}}, whole[MOST] = {{0}}, real[MOST] = {{0}};
        char types[MOST] = {0}, *after[MOST] = {0};
        int wholes = 0, reals = 0;
        (void)given, (void)whole, (void)real;
        for (int64_t i = 0; i < arity; i++) {
            types[i] = (char)number();
            if (types[i] == 'i' || types[i] == 's' || types[i] == 'r') {
                given[i].bits = (uint64_t)number();
            } else {
                sizes[i] = number();
                given[i].place = sizes[i] < -1 ? given[-2 - sizes[i]].place : sizes[i] < 0 ? 0 : bytes(sizes[i]);
                after[i] = sizes[i] < 0 ? 0 : bytes(sizes[i]);
            }
            if (types[i] == 's' || types[i] == 'r') real[reals++] = given[i];
            else whole[wholes++] = given[i];
        }
        void *kernel = found(name);
        if (!kernel) {
            printf("%s is not there\n", name);
            return 5;
        }
        Word returned = {0};
        if (result == 'r') returned.real = CALL(double);
        else if (result == 'i') returned.bits = CALL(uint64_t);
        else CALL(void);
        int bad = result == 'r' && !close_enough(returned.real, expected.real);
        bad |= result == 'i' && returned.bits != expected.bits;
        for (int64_t i = 0; i < arity; i++) {
            if (!after[i]) continue;
            int64_t others = wrong(types[i], given[i].place, after[i], sizes[i]);
            if (others) printf("%s: %lld numbers of argument %lld are other ones\n", name, (long long)others, (long long)i);
            bad |= others > 0;
        }
        failed += bad;
    }
    printf("%lld calls, %lld failed\n", (long long)calls, (long long)failed);
    return failed ? 1 : 0;
}
