/* Schedules: PyTorch's learning rates in closed form, as a factor that depends on the step alone. */
#include "../../tensor/kernels/elementary.h"
#include "../nn.h"

/* value^n by squaring: n = 13 is value^8 value^4 value. */
static double power_of(double value, int64_t n)
{
    double power = 1;
    for (; n > 0; n /= 2, value *= value)
        if (n % 2)
            power *= value;
    return power;
}

/* How far the step is on its way of `steps`, 0 .. 1. */
static double progress(const leat_schedule *s, int64_t step)
{
    return step < s->steps ? (double)step / (double)s->steps : 1;
}

static double cosine(const leat_schedule *s, double done)
{
    const double pi = 0x1.921fb54442d18p+1;
    return s->value + (1 - s->value) * ((1 + leat_cos64(pi * done)) / 2);
}

double leat_schedule_at(const leat_schedule *s, int64_t step)
{
    if (!s)
        return 1;
    step = step > 0 ? step : 0;
    switch (s->kind) {
    case LEAT_WARMUP:
        return step < s->steps ? s->value + (1 - s->value) * progress(s, step) : 1;
    case LEAT_COSINE:
        return cosine(s, progress(s, step));
    case LEAT_STEP:
        return power_of(s->value, step / (s->steps > 0 ? s->steps : 1));
    case LEAT_EXPONENTIAL:
        return power_of(s->value, step);
    case LEAT_THEN:
        return step < s->steps ? leat_schedule_at(s->first, step)
                               : leat_schedule_at(s->second, step - (s->steps > 0 ? s->steps : 0));
    case LEAT_TIMES:
        return leat_schedule_at(s->first, step) * leat_schedule_at(s->second, step);
    case LEAT_CONSTANT:
        break;
    }
    return 1;
}
