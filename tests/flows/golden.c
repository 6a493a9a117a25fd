/* Trains the golden runs and prints the models' hashes:  golden [threads]. The instruction set is LEAT_ISA's. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "golden.h"

int main(int argc, char **argv)
{
    leat_status s = { 0 };
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    uint64_t hash = golden_run(threads, &s), images = golden_images(threads, &s);
    if (s.code || !hash || !images) {
        fprintf(stderr, "golden: %s\n", s.code ? s.message : "out of memory");
        return 1;
    }
    fprintf(stderr, "%s\n", leat_isa());
    printf("%016" PRIx64 ", images %016" PRIx64 "\n", hash, images);
    return 0;
}
