/* The logits of a Llama from a v0 file of llama2.c, in plain C: what optimising compilers make of
   the usual loops, with -Ofast too.

   plain_llama model.bin ID...     prints one line of logits for each token */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static float *read_floats(FILE *file, size_t count) {
    float *numbers = malloc(count * sizeof(float));
    if (!numbers || fread(numbers, sizeof(float), count, file) != count) exit(2);
    return numbers;
}

static void norm(float *out, const float *x, const float *gain, int size) {
    float sum = 0;
    for (int i = 0; i < size; i++) sum += x[i] * x[i];
    float scale = 1.0f / sqrtf(sum / size + 1e-5f);
    for (int i = 0; i < size; i++) out[i] = gain[i] * (scale * x[i]);
}

static void times(float *out, const float *x, const float *matrix, int wide, int high) {
    for (int row = 0; row < high; row++) {
        float sum = 0;
        for (int i = 0; i < wide; i++) sum += matrix[(size_t)row * wide + i] * x[i];
        out[row] = sum;
    }
}

static void turn(float *x, int heads, int size, int position) {
    for (int head = 0; head < heads; head++)
        for (int i = 0; i < size; i += 2) {
            float angle = position * powf(10000.0f, -(float)i / size);
            float *pair = x + head * size + i, a = pair[0], b = pair[1];
            pair[0] = a * cosf(angle) - b * sinf(angle);
            pair[1] = a * sinf(angle) + b * cosf(angle);
        }
}

int main(int count, char **words) {
    FILE *file = count > 2 ? fopen(words[1], "rb") : NULL;
    int head[7];
    if (!file || fread(head, sizeof(int), 7, file) != 7) return 2;
    int d = head[0], hidden = head[1], layers = head[2], heads = head[3], kv_heads = head[4];
    int vocab = abs(head[5]), size = d / heads, kv = size * kv_heads, tokens = count - 2;
    size_t square = (size_t)d * d, narrow = (size_t)kv * d, up = (size_t)hidden * d;
    float *embedding = read_floats(file, (size_t)vocab * d);
    float *gain1 = read_floats(file, (size_t)layers * d);
    float *wq = read_floats(file, layers * square), *wk = read_floats(file, layers * narrow);
    float *wv = read_floats(file, layers * narrow), *wo = read_floats(file, layers * square);
    float *gain2 = read_floats(file, (size_t)layers * d);
    float *w1 = read_floats(file, layers * up), *w2 = read_floats(file, layers * up);
    float *w3 = read_floats(file, layers * up), *gain = read_floats(file, d);
    read_floats(file, (size_t)head[6] * size);  /* cos and sin */
    float *classifier = head[5] > 0 ? embedding : read_floats(file, (size_t)vocab * d);
    float *keys = malloc(sizeof(float) * layers * tokens * kv);
    float *values = malloc(sizeof(float) * layers * tokens * kv);
    float *x = malloc(sizeof(float) * d), *y = malloc(sizeof(float) * d);
    float *q = malloc(sizeof(float) * d), *out = malloc(sizeof(float) * d);
    float *gate = malloc(sizeof(float) * hidden), *linear = malloc(sizeof(float) * hidden);
    float *weights = malloc(sizeof(float) * tokens), *logits = malloc(sizeof(float) * vocab);
    for (int t = 0; t < tokens; t++) {
        for (int i = 0; i < d; i++) x[i] = embedding[(size_t)atoi(words[t + 2]) * d + i];
        for (int l = 0; l < layers; l++) {
            float *some_keys = keys + (size_t)l * tokens * kv;
            float *some_values = values + (size_t)l * tokens * kv;
            norm(y, x, gain1 + l * d, d);
            times(q, y, wq + l * square, d, d);
            times(some_keys + t * kv, y, wk + l * narrow, d, kv);
            times(some_values + t * kv, y, wv + l * narrow, d, kv);
            turn(q, heads, size, t);
            turn(some_keys + t * kv, kv_heads, size, t);
            for (int h = 0; h < heads; h++) {
                int shared = h / (heads / kv_heads) * size;
                float greatest = -1e30f, sum = 0;
                for (int s = 0; s <= t; s++) {
                    float score = 0;
                    for (int i = 0; i < size; i++)
                        score += q[h * size + i] * some_keys[s * kv + shared + i];
                    weights[s] = score / sqrtf(size);
                    if (weights[s] > greatest) greatest = weights[s];
                }
                for (int s = 0; s <= t; s++) sum += weights[s] = expf(weights[s] - greatest);
                for (int i = 0; i < size; i++) {
                    out[h * size + i] = 0;
                    for (int s = 0; s <= t; s++)
                        out[h * size + i] += weights[s] / sum * some_values[s * kv + shared + i];
                }
            }
            times(y, out, wo + l * square, d, d);
            for (int i = 0; i < d; i++) x[i] += y[i];
            norm(y, x, gain2 + l * d, d);
            times(gate, y, w1 + l * up, d, hidden);
            times(linear, y, w3 + l * up, d, hidden);
            for (int i = 0; i < hidden; i++)
                gate[i] *= (1.0f / (1.0f + expf(-gate[i]))) * linear[i];
            times(y, gate, w2 + l * up, hidden, d);
            for (int i = 0; i < d; i++) x[i] += y[i];
        }
        norm(y, x, gain, d);
        times(logits, y, classifier, d, vocab);
        for (int i = 0; i < vocab; i++) printf("%.9g%c", logits[i], i + 1 < vocab ? ' ' : '\n');
    }
    return 0;
}
