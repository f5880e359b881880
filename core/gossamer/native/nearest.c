/* The nearest of many points, exactly: a balanced tree of boxes; see gossamer/matting/from_mask/nearest.py.
 *
 * Node i has the children 2 i + 1 and 2 i + 2. All leaves are at one depth, and leaf j of n holds the points numbered
 * `count * j / n` up to `count * (j + 1) / n` of an order in which the tree sorts them, at most 16.
 */

#include <float.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"
#include "lanes.h"

enum { LEAF = 16, AXES = 8, FAR_APART = 64 };

/* Bring the `nth` smallest along an axis to its place: smaller ones before it, larger ones after it. */
INLINE void select_nth(const float *points, int64_t axes, int64_t axis, int32_t *order, int64_t from, int64_t to,
                       int64_t nth) {
    while (to - from > 1) {
        float pivot = points[order[from + (to - from) / 2] * axes + axis];
        int64_t i = from, j = to - 1;
        while (i <= j) {
            while (points[order[i] * axes + axis] < pivot) i++;
            while (points[order[j] * axes + axis] > pivot) j--;
            if (i > j) break;
            int32_t kept = order[i];
            order[i++] = order[j], order[j--] = kept;
        }
        if (nth <= j)
            to = j + 1;
        else if (nth >= i)
            from = i;
        else
            return;
    }
}

INLINE void grow_as(const float *points, int64_t count, int64_t axes, int64_t leaves, int32_t *order, float *boxes,
                    float *packed, int32_t *numbers) {
    for (int64_t breadth = 1, node = 0; breadth <= leaves; breadth *= 2)
        for (int64_t j = 0; j < breadth; j++, node++) {
            int64_t from = count * j / breadth, to = count * (j + 1) / breadth;
            float *low = boxes + 2 * AXES * node, *high = low + AXES;
            for (int64_t axis = 0; axis < AXES; axis++)
                low[axis] = axis < axes ? FLT_MAX : 0.0f, high[axis] = axis < axes ? -FLT_MAX : 0.0f;
            for (int64_t n = from; n < to; n++) {
                const float *point = points + order[n] * axes;
                for (int64_t axis = 0; axis < axes; axis++)
                    low[axis] = lower(low[axis], point[axis]), high[axis] = higher(high[axis], point[axis]);
            }
            if (breadth < leaves) {
                int64_t widest = 0;
                for (int64_t axis = 1; axis < axes; axis++)
                    if (high[axis] - low[axis] > high[widest] - low[widest]) widest = axis;
                select_nth(points, axes, widest, order, from, to, count * (2 * j + 1) / (2 * breadth));
                continue;
            }
            for (int64_t n = 0; n < LEAF; n++) {
                numbers[LEAF * j + n] = from + n < to ? order[from + n] : -1;
                for (int64_t axis = 0; axis < axes; axis++)
                    packed[(j * axes + axis) * LEAF + n] =
                        from + n < to ? points[order[from + n] * axes + axis] : 1e18f;
            }
        }
}

/* Sort `order`, which holds 0 to count - 1, into `leaves` leaves, and write every node's box: least and most, 8 each. */
void KERNEL(gossamer_grow)(const float *points, int64_t count, int64_t axes, int64_t leaves, int32_t *order,
                           float *boxes, float *packed, int32_t *numbers) {
    if (axes == 2) /* known to the compiler: places in a picture */
        grow_as(points, count, 2, leaves, order, boxes, packed, numbers);
    else
        grow_as(points, count, axes, leaves, order, boxes, packed, numbers);
}

INLINE float to_box(const float *box, int64_t axes, v8 query) {
    if (axes == 2) {
        float y = higher(higher(box[0] - query[0], query[0] - box[AXES]), 0.0f);
        float x = higher(higher(box[1] - query[1], query[1] - box[AXES + 1]), 0.0f);
        return y * y + x * x;
    }
    v8 away = larger(larger(load(box) - query, query - load(box + AXES)), same(0.0f));
    return total(away * away);
}

/* Squared distances of a leaf's points; whether any is below the limit. */
INLINE int to_leaf(const float *leaf, int64_t axes, const float *query, float limit, float *out) {
    v8 near = {0}, rest = {0};
    for (int64_t axis = 0; axis < axes; axis++) {
        v8 a = load(leaf + axis * LEAF) - same(query[axis]), b = load(leaf + axis * LEAF + 8) - same(query[axis]);
        near += a * a, rest += b * b;
    }
    store(out, near), store(out + 8, rest);
    return any((near < same(limit)) | (rest < same(limit)));
}

INLINE void nearest_as(const float *points, int64_t axes, int64_t leaves, const float *boxes, const float *packed,
                       const int32_t *numbers, const float *queries, int64_t wanted, int64_t n0, int64_t n1,
                       int32_t *index, float *squared) {
    for (int64_t n = n0; n < n1; n++) {
        int32_t *found = index + n * wanted;
        float *away = squared + n * wanted, limit = FLT_MAX;
        const float *query = queries + n * axes;
        v8 place = {0};
        for (int64_t axis = 0; axis < axes; axis++) place[axis] = query[axis];
        if (n > n0) { /* the last query's are near this one, too: no more than the farthest of them is to be searched */
            limit = 0.0f;
            for (int64_t k = 0; k < wanted; k++) {
                const float *point = points + (int64_t)found[k - wanted] * axes;
                float sum = 0.0f;
                for (int64_t axis = 0; axis < axes; axis++)
                    sum += (point[axis] - query[axis]) * (point[axis] - query[axis]);
                limit = higher(limit, sum);
            }
            limit = limit * 1.0001f + FLT_MIN;
        }
        int64_t stack[FAR_APART], depth = 0, held = 0;
        float least_away[FAR_APART];
        stack[depth] = 0, least_away[depth++] = 0.0f;
        while (depth > 0) {
            int64_t node = stack[--depth];
            if (least_away[depth] >= limit) continue;
            while (node < leaves - 1) {
                int64_t left = 2 * node + 1, right = left + 1;
                float to_left = to_box(boxes + 2 * AXES * left, axes, place);
                float to_right = to_box(boxes + 2 * AXES * right, axes, place);
                int64_t farther = to_left <= to_right ? right : left;
                node = to_left <= to_right ? left : right;
                float more = higher(to_left, to_right);
                if (more < limit) stack[depth] = farther, least_away[depth++] = more;
                if (lower(to_left, to_right) >= limit) break;
            }
            if (node < leaves - 1) continue;
            int64_t leaf = node - (leaves - 1);
            float distances[LEAF];
            if (!to_leaf(packed + leaf * axes * LEAF, axes, query, limit, distances)) continue;
            for (int64_t i = 0; i < LEAF; i++) {
                if (!(distances[i] < limit) || numbers[LEAF * leaf + i] < 0) continue;
                int64_t at = held < wanted ? held++ : wanted - 1;
                for (; at > 0 && away[at - 1] > distances[i]; at--) away[at] = away[at - 1], found[at] = found[at - 1];
                away[at] = distances[i], found[at] = numbers[LEAF * leaf + i];
                if (held == wanted) limit = away[wanted - 1] < limit ? away[wanted - 1] : limit;
            }
        }
    }
}

/* The `wanted` nearest points of the queries n0 to n1, the nearest first, and their squared distances. */
void KERNEL(gossamer_nearest)(const float *points, int64_t axes, int64_t leaves, const float *boxes,
                              const float *packed, const int32_t *numbers, const float *queries, int64_t wanted,
                              int64_t n0, int64_t n1, int32_t *index, float *squared) {
    if (axes == 2) /* known to the compiler, as above */
        nearest_as(points, 2, leaves, boxes, packed, numbers, queries, wanted, n0, n1, index, squared);
    else
        nearest_as(points, axes, leaves, boxes, packed, numbers, queries, wanted, n0, n1, index, squared);
}
