/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a program in the VM tells QEMU's plugin (plugin.c) what it does: it calls one of these
 * addresses. tools/count puts a page there in which each byte is an instruction that returns.
 *
 * No other program has code there, so that it does not matter which process runs. The program can
 * be linked as any other, and no symbol has to be found before the VM starts. A mark costs the
 * program a call and a return, and the kernel nothing.
 */
#ifndef MARKS_H
#define MARKS_H

#define MARK_ADDRESS	0x6d61726b0000ULL

enum mark {
	MARK_OPERATION,		/* the next operation begins */
	MARK_ROUND,		/* its next round begins */
	MARK_ON,		/* what follows belongs to the round */
	MARK_OFF,		/* what follows does not */
	MARKS
};

#endif /* MARKS_H */
