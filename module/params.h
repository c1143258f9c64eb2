/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_PARAMS_H
#define MAL_PARAMS_H

struct mal_fit;
struct mal_region;

/* The region to be made at load. */
struct mal_params {
	unsigned long pages;
	int node;			/* NUMA_NO_NODE: any */
	const struct mal_fit *fit;
};

/* Fill in @params from the module's parameters. -EINVAL, -EFBIG: see the log for why. */
int mal_params_get(struct mal_params *params);

/* From now on, changes of parameters also change @region; NULL: no region. Sleeps. */
void mal_params_attach(struct mal_region *region);

#endif /* MAL_PARAMS_H */
