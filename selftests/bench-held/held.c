// SPDX-License-Identifier: GPL-2.0-only
/*
 * For how long the module's spinlocks are held. The unit is a tick of the clock, which is an
 * instruction under QEMU's -icount.
 *
 * Interrupts are off while a lock is held, so no handler counts. There is one processor, so nobody
 * waits for a lock, and all that is here changes only while interrupts are off. The module holds
 * two locks at a time at most, and gives the one back first that it took last. What a lock that is
 * given back at once measures is subtracted; not what measuring the second lock adds to the first.
 *
 * The parameter "held" has a line for each place that took a lock since the parameter was written:
 * the place, its function, how often it took the lock, and the longest hold.
 */
#include <linux/irqflags.h>
#include <linux/moduleparam.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/timex.h>

#undef spin_lock
#undef spin_unlock

static struct held_site *sites;		/* all that ever took a lock */

static struct {
	struct held_site *site;
	unsigned long flags;
	cycles_t begin;
} held[3];				/* locks that are held, the outer one first */
static unsigned int depth;		/* how many these are */

void held_lock(spinlock_t *lock, struct held_site *site)
{
	unsigned long flags;

	local_irq_save(flags);
	spin_lock(lock);
	if (WARN_ON_ONCE(depth == ARRAY_SIZE(held)))
		depth--;
	held[depth].site = site;
	held[depth].flags = flags;
	held[depth].begin = get_cycles();
	depth++;
}

void held_unlock(spinlock_t *lock)
{
	const u64 now = get_cycles();
	struct held_site *site;
	unsigned long flags;

	depth--;
	site = held[depth].site;
	flags = held[depth].flags;
	if (!site->next) {
		site->next = sites ?: site;	/* the last one in the list is its own next */
		sites = site;
	}
	site->holds++;
	site->longest = max_t(u64, site->longest, now - held[depth].begin);
	spin_unlock(lock);
	local_irq_restore(flags);
}

static struct held_site *next_site(const struct held_site *site)
{
	return site->next == site ? NULL : site->next;
}

static u64 measure_nothing(void)
{
	static DEFINE_SPINLOCK(lock);
	struct held_site nothing = { .next = &nothing };

	held_lock(&lock, &nothing);
	held_unlock(&lock);
	return nothing.longest;
}

static int get_held(char *text, const struct kernel_param *param)
{
	const u64 nothing = measure_nothing();
	const struct held_site *site;
	int length = 0;

	for (site = sites; site; site = next_site(site)) {
		if (!site->holds)
			continue;
		length += sysfs_emit_at(text, length, "%s:%u %s %llu %llu\n",
					kbasename(site->file), site->line, site->function,
					site->holds, site->longest - nothing);
	}
	return length;
}

static int set_held(const char *text, const struct kernel_param *param)
{
	struct held_site *site;
	unsigned long flags;

	local_irq_save(flags);
	for (site = sites; site; site = next_site(site)) {
		site->holds = 0;
		site->longest = 0;
	}
	local_irq_restore(flags);
	return 0;
}

static const struct kernel_param_ops held_ops = { .set = set_held, .get = get_held };
module_param_cb(held, &held_ops, NULL, 0600);
