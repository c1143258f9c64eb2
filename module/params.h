/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MAL_PARAMS_H
#define MAL_PARAMS_H

struct mal_fit;
struct mal_region;

/* What the region is to be like that is made at load. */
struct mal_params {
	unsigned long pages;
	int node;			/* NUMA_NO_NODE: any */
	const struct mal_fit *fit;
};

/* As the parameters are now. -EINVAL, -EFBIG: they make no sense, which the log explains. */
int mal_params_get(struct mal_params *params);

/* From now on parameters change @region, too; NULL: none any more. Sleeps. */
void mal_params_attach(struct mal_region *region);

#endif /* MAL_PARAMS_H */
