/*
 * The matrix products that a piece of work makes. The programs that link this have every call of leat_gemm pass through
 * here (the linker's --wrap), so what is counted is what runs: none is left out, and none is written by hand.
 */
#ifndef LEAT_BENCH_PRODUCTS_H
#define LEAT_BENCH_PRODUCTS_H

#include "../../tensor/tensor.h"

typedef struct products_kind {
    leat_gemm_args args; /* with the places of the first that was seen */
    int64_t times;
} products_kind;

/* From here on products are written down; those known already are forgotten. */
void products_start(void);

/* No longer. Gives the products' floating-point operations, in thousand millions. */
double products_stop(void);

/* What was seen between the two, each kind once. */
int products_count(void);
const products_kind *products_at(int i);

#endif
