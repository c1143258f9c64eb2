/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_PARAMS_H
#define MAL_PARAMS_H

#include <linux/types.h>

struct mal_spec;

/*
 * What the module's parameters want to be made: *@count regions of *@specs, which the caller frees.
 * If they want nothing, that is one region, or none if there will be @others. -ENOMEM; -EINVAL,
 * -EFBIG: the log says which parameter is wrong.
 */
int mal_params_get(struct mal_spec **specs, unsigned int *count, bool others);

/* What a region begins with, if nothing else is said: all but its name and its pages. -EINVAL. */
int mal_params_get_defaults(struct mal_spec *spec);

#endif /* MAL_PARAMS_H */
