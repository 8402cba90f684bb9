/* The inner loop of the alignment search, in C for the vector units: gcc compiles it once for each level of x86-64, and
 * the machine picks its own at load time. So one build is portable, and as fast as one with -march=native. */
#ifndef VITS_MONOTONIC_ALIGN_FORWARD_H
#define VITS_MONOTONIC_ALIGN_FORWARD_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h> /* defines __GLIBC__ where it applies: musl cannot choose a clone at load time */

#if defined(__GNUC__) && !defined(__clang__) && !defined(__INTEL_COMPILER) && defined(__x86_64__) \
    && defined(__linux__) && defined(__GLIBC__)
#define VITS_FASTEST_CLONE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define VITS_FASTEST_CLONE
#endif

/* Find for every cell of one item whether its best path comes from the token before.
 *
 *   scores    row t starts at scores + t * frame_stride; read only
 *   sums      scratch, 2 * (tokens + 1) floats: the best sums of the last frame and of this one, each behind a pad
 *   advances  out, [frames, tokens] bytes: 1 if the best path to (t, l) comes from (t - 1, l - 1), 0 if from (t - 1, l).
 *             Row 0, and cells that no path from corner to corner crosses, are left as they are.
 */
VITS_FASTEST_CLONE
static void vits_forward(const float *scores, ptrdiff_t frame_stride, ptrdiff_t frames, ptrdiff_t tokens,
                         float *sums, uint8_t *advances)
{
    float *last = sums + 1;
    float *current = sums + tokens + 2;
    last[-1] = current[-1] = -INFINITY; /* nothing is less than it, NaN included: token 0 never advances */
    last[0] = scores[0];
    for (ptrdiff_t frame = 1; frame < frames; ++frame) {
        const float *__restrict score = scores + frame * frame_stride;
        const float *__restrict from = last;
        float *__restrict to = current;
        uint8_t *__restrict advance = advances + frame * tokens;
        /* Before `first` too few frames are left to reach the last token; at `frame` the path has advanced every time. */
        const ptrdiff_t left = tokens - frames + frame;
        const ptrdiff_t first = left > 0 ? left : 0;
        const ptrdiff_t end = frame < tokens ? frame : tokens;
        for (ptrdiff_t token = first; token < end; ++token) {
            const int is_less = from[token] < from[token - 1];
            to[token] = score[token] + (is_less ? from[token - 1] : from[token]);
            advance[token] = (uint8_t)is_less;
        }
        if (frame < tokens) {
            to[frame] = score[frame] + from[frame - 1];
            advance[frame] = 1;
        }
        current = last;
        last = to;
    }
}

#endif
