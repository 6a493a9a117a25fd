/* The multilayer perceptron: a sequential of linear layers with activations between them. */
#include "../nn.h"

leat_module *leat_mlp(leat_model *m, int64_t in, const int64_t *hidden, int64_t out, leat_activation f)
{
    leat_module *net = leat_sequential(m);
    for (int i = 0; hidden && i < LEAT_MAX_HIDDEN && hidden[i]; i++) {
        leat_sequential_add(net, leat_linear_layer(m, in, hidden[i]));
        leat_sequential_add(net, leat_activation_layer(m, f));
        in = hidden[i];
    }
    leat_sequential_add(net, leat_linear_layer(m, in, out));
    return net;
}
