/*
 * Rows in a flow's units on their way into a table. A flow with a standardizer gives doubles, of which the digits beyond
 * what a float can tell of a column are rounded off, so that no row has more digits than it means; another one gives
 * leat_real.
 */
#ifndef APPS_COMMON_FLOW_ROWS_H
#define APPS_COMMON_FLOW_ROWS_H

#include "../../flows/flows.h"

/* Whether they are doubles, for leat_table_writer_opts. */
bool app_rows_are_doubles(const leat_flow *f);

/* x is [rows, columns], of which the first are the flow's; it is rounded in place. */
leat_code app_flow_rows_append(leat_table_writer *w, const leat_flow *f, leat_doubles x, leat_status *s);

/* As leat_real, [rows, columns], at most so many rows; data NULL and a status when out of memory. */
leat_tensor app_to_reals(leat_arena *a, leat_doubles x, int64_t most_rows, leat_status *s);

#endif
