/* Which kernels are chosen, and what leat_cpu_info says of it. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "../../tensor/kernels/kernels.h"

static const leat_kernels *best(void)
{
    const leat_kernels *const *set = leat_kernels_all();
    while (set[1])
        set++;
    return *set;
}

Test(cpu, the_best_is_chosen)
{
    unsetenv("LEAT_ISA");
    cr_assert_eq(leat_kernels_get(), best());
    cr_assert_str_eq(leat_isa(), best()->isa);
}

Test(cpu, the_environment_chooses)
{
    setenv("LEAT_ISA", "ref", 1);
    cr_assert_str_eq(leat_isa(), "ref");
    setenv("LEAT_ISA", best()->isa, 1);
    cr_assert_str_eq(leat_isa(), "ref", "chosen once");
}

Test(cpu, an_unknown_choice_is_ignored)
{
    setenv("LEAT_ISA", "abacus", 1);
    cr_assert_eq(leat_kernels_get(), best());
}

/* Bytes of a vector; 0 for what is not known to the test. */
static int vector_bytes(const char *isa)
{
    static const struct {
        const char *isa;
        int bytes;
    } rows[] = { { "ref", sizeof(leat_real) }, { "avx2", 32 }, { "avx512", 64 }, { "neon", 16 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(isa, rows[i].isa) == 0)
            return rows[i].bytes;
    return 0;
}

static void check_info(void)
{
    leat_cpu cpu = leat_cpu_info();
    cr_assert_str_eq(cpu.isa, leat_isa());
    cr_assert_eq(cpu.lanes * (int)sizeof(leat_real), vector_bytes(cpu.isa), "%s: %d lanes", cpu.isa, cpu.lanes);
    cr_assert_eq(cpu.threads, leat_available_threads());
    int count = 0;
    for (; leat_kernels_all()[count]; count++)
        cr_assert_str_eq(cpu.isas[count], leat_kernels_all()[count]->isa);
    for (; count < 8; count++)
        cr_assert(!cpu.isas[count]);
    for (int i = 0; i < 3; i++)
        cr_assert(cpu.cache[i] == 0 || cpu.cache[i] >= 4096, "level %d: %d", i + 1, (int)cpu.cache[i]);
}

Test(cpu, info_of_the_best)
{
    unsetenv("LEAT_ISA");
    check_info();
}

Test(cpu, info_of_the_reference)
{
    setenv("LEAT_ISA", "ref", 1);
    check_info();
    cr_assert_eq(leat_cpu_info().lanes, 1);
}
