// SPDX-License-Identifier: GPL-2.0-only
/* The code of the tracepoints, which the kernel's macros make of trace.h. */
#define CREATE_TRACE_POINTS
#include "trace.h"
