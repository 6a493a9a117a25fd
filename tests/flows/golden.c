/* Trains the golden run and prints the model's hash:  golden [threads]. The instruction set is LEAT_ISA's. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "golden.h"

int main(int argc, char **argv)
{
    leat_status s = { 0 };
    uint64_t hash = golden_run(argc > 1 ? atoi(argv[1]) : 1, &s);
    if (s.code || !hash) {
        fprintf(stderr, "golden: %s\n", s.code ? s.message : "out of memory");
        return 1;
    }
    fprintf(stderr, "%s\n", leat_isa());
    printf("%016" PRIx64 "\n", hash);
    return 0;
}
