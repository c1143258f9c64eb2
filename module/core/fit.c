// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* The table of fits. */
#include "fit.h"

const struct mal_fit *const mal_fits[] = {
	&mal_fit_good,
	&mal_fit_first,
	&mal_fit_best,
	&mal_fit_worst,
	&mal_fit_next,
	NULL
};

const struct mal_fit *mal_fit_by_name(const char *name)
{
	const struct mal_fit *const *fit;

	for (fit = mal_fits; *fit; fit++)
		if (!strcmp((*fit)->name, name))
			return *fit;
	return NULL;
}
