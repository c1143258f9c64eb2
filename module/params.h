/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_PARAMS_H
#define MAL_PARAMS_H

struct mal_spec;

/* Fill in @spec from the module's parameters. -EINVAL, -EFBIG: see the log for why. */
int mal_params_get(struct mal_spec *spec);

#endif /* MAL_PARAMS_H */
