/* A draw of an autoregressive flow makes the matrix products of one forward pass and no more, however many features. */
#include "../../flows/flows.h"
#include "../bench/products.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 200 };

int main(void)
{
    static const int64_t dims[] = { 1, 2, 10, 40 };
    for (int i = 0; i < 4; i++) {
        int64_t dim = dims[i];
        leat_model *m = leat_model_new(&(leat_model_opts){ .seed = 1 });
        leat_flow *f = leat_maf_new(m, &(leat_maf_opts){ .dim = dim, .transforms = 3, .hidden = { 60, 50 } });
        leat_tape *t = leat_model_tape(m, NULL);
        leat_real *x = malloc(sizeof *x * (size_t)(ROWS * dim));
        products_start();
        leat_code code = leat_flow_draw(f, t, ROWS, 1, x);
        double draw = products_stop();
        products_start();
        code = code ? code
                    : leat_flow_encode(f, t, (leat_tensor){ x, LEAT_SHAPE(ROWS, dim) }, (leat_tensor){ 0 }, x, NULL);
        double encode = products_stop();
        printf("%lld features: a draw %g, a density %g\n", (long long)dim, draw, encode);
        if (code || !(encode > 0) || !(draw <= encode)) {
            printf("a draw costs more than a density, or failed: %s\n", leat_tape_errmsg(t));
            return EXIT_FAILURE;
        }
        free(x);
        leat_model_free(m);
    }
    return EXIT_SUCCESS;
}
