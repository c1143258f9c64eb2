// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions in the memory of PCI devices: a BAR, or its beginning. The administrator sets the
 * device's driver_override to this module, so that no other driver has the device; the device is
 * bound to the driver here when its memory is first claimed. When it is unbound or unplugged, its
 * regions lose their memory, and the device goes when nobody holds that any more.
 *
 * The memory is mapped by frame: write-combined if the device says that it may be, by calling it
 * prefetchable. If the administrator says that the CPU's caches may hold it, it has pages.
 */
#include <linux/io.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/wait.h>

#include "source/source.h"

/* A device that is bound to the driver. */
struct card {
	struct list_head node;		/* in cards */
	struct pci_dev *pdev;
	struct list_head claims;
	bool leaving;			/* it takes no claims any more */
	wait_queue_head_t idle;		/* for: it has no claims */
};

/* A range of a device. */
struct claim {
	struct list_head node;		/* in card->claims */
	struct card *card;
	struct mal_range *range;
	int bar;
};

/* What the administrator asks for. */
struct wanted {
	unsigned int domain, bus, slot, function, bar;
	bool cached;
};

static DEFINE_MUTEX(pci_lock);		/* of what follows, and what is in it */
static LIST_HEAD(cards);

static int pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct card *card = kzalloc(sizeof(*card), GFP_KERNEL);
	int err;

	if (!card)
		return -ENOMEM;
	err = pci_enable_device_mem(pdev);
	if (err) {
		kfree(card);
		return err;
	}
	/* Programs that reach its registers must not have it do DMA. */
	pci_clear_master(pdev);
	card->pdev = pdev;
	INIT_LIST_HEAD(&card->claims);
	init_waitqueue_head(&card->idle);
	pci_set_drvdata(pdev, card);
	mutex_lock(&pci_lock);
	list_add(&card->node, &cards);
	mutex_unlock(&pci_lock);
	return 0;
}

/* Waits until nobody holds memory of the device. */
static void pci_remove(struct pci_dev *pdev)
{
	struct card *card = pci_get_drvdata(pdev);
	struct claim *claim;

	mutex_lock(&pci_lock);
	card->leaving = true;
	list_for_each_entry(claim, &card->claims, node)
		claim->range->lose(claim->range);
	mutex_unlock(&pci_lock);
	wait_event_idle(card->idle, list_empty(&card->claims));
	/* Who has removed the last claim has the lock, and uses the card until then. */
	mutex_lock(&pci_lock);
	list_del(&card->node);
	mutex_unlock(&pci_lock);
	pci_disable_device(pdev);
	kfree(card);
}

/* Without a table of IDs: it is bound only to devices with its name in driver_override. */
static struct pci_driver mal_pci_driver = {
	.name = KBUILD_MODNAME,
	.probe = pci_probe,
	.remove = pci_remove,
};

static DEFINE_MUTEX(driver_lock);	/* of @registered; before device locks */
static bool registered;

/* The driver is not registered before it is wanted: most machines have no such region. */
static int register_driver(void)
{
	int err = 0;

	mutex_lock(&driver_lock);
	if (!registered)
		err = pci_register_driver(&mal_pci_driver);
	registered = !err;
	mutex_unlock(&driver_lock);
	return err;
}

static void pci_stop(void)
{
	if (registered)
		pci_unregister_driver(&mal_pci_driver);
	registered = false;
}

static struct card *find_card(const struct pci_dev *pdev)
{
	struct card *card;

	lockdep_assert_held(&pci_lock);
	list_for_each_entry(card, &cards, node) {
		if (card->pdev == pdev)
			return card;
	}
	return NULL;
}

/* Whether the device is about to be unbound, which may take long. */
static bool is_leaving(const struct pci_dev *pdev)
{
	const struct card *card;
	bool leaving;

	mutex_lock(&pci_lock);
	card = find_card(pdev);
	leaving = card && card->leaving;
	mutex_unlock(&pci_lock);
	return leaving;
}

/* Have the device bound to the driver. */
static int bind_device(struct pci_dev *pdev)
{
	const struct device_driver *driver;
	bool matches;
	int err = register_driver();

	if (err)
		return err;
	if (is_leaving(pdev))
		return -ENODEV;
	/* Held while a driver is bound or unbound. */
	if (mutex_lock_killable(&pdev->dev.mutex))
		return -EINTR;
	driver = pdev->dev.driver;
	matches = pdev->dev.bus->match(&pdev->dev, &mal_pci_driver.driver);
	mutex_unlock(&pdev->dev.mutex);

	if (driver == &mal_pci_driver.driver)
		return 0;
	if (driver) {
		pci_err(pdev, "another driver has the device, not " KBUILD_MODNAME "\n");
		return -EBUSY;
	}
	if (!matches) {
		pci_err(pdev, "first write " KBUILD_MODNAME " to its driver_override in sysfs\n");
		return -EBUSY;
	}
	return device_attach(&pdev->dev) == 1 ? 0 : -ENODEV;
}

/* From now on the device waits for the claim when it goes. -ENODEV: it goes already. */
static int add_claim(struct claim *claim, struct pci_dev *pdev)
{
	int err = -ENODEV;

	mutex_lock(&pci_lock);
	claim->card = find_card(pdev);
	if (claim->card && !claim->card->leaving) {
		list_add(&claim->node, &claim->card->claims);
		err = 0;
	}
	mutex_unlock(&pci_lock);
	return err;
}

static void remove_claim(struct claim *claim)
{
	mutex_lock(&pci_lock);
	list_del(&claim->node);
	wake_up(&claim->card->idle);
	mutex_unlock(&pci_lock);
}

static void unmap_bar(struct mal_range *range)
{
	if (mal_range_has_pages(range))
		mal_range_unmake_pages(range);
	else
		iounmap((void __iomem *)range->mapping);
}

static int map_bar(struct mal_range *range, struct pci_dev *pdev, const struct wanted *wanted)
{
	const u64 base = pci_resource_start(pdev, wanted->bar);
	const u64 length = (u64)range->pages << PAGE_SHIFT;

	range->node = dev_to_node(&pdev->dev);
	if (wanted->cached)
		return mal_range_make_pages(range, base, length, range->node);

	range->uncached = !(pci_resource_flags(pdev, wanted->bar) & IORESOURCE_PREFETCH);
	range->mapping = (void __force *)(range->uncached ? ioremap(base, length) :
							    ioremap_wc(base, length));
	return range->mapping ? 0 : -ENOMEM;
}

/* Can the BAR hold the region? */
static int check_bar(struct pci_dev *pdev, const struct wanted *wanted, u64 length)
{
	const u64 base = pci_resource_start(pdev, wanted->bar);
	const u64 align = wanted->cached ? MAL_PAGES_ALIGN : PAGE_SIZE;

	if (!(pci_resource_flags(pdev, wanted->bar) & IORESOURCE_MEM) || !base) {
		pci_err(pdev, "BAR %u is no memory\n", wanted->bar);
		return -EINVAL;
	}
	if (length > pci_resource_len(pdev, wanted->bar)) {
		pci_err(pdev, "BAR %u has only %llu KiB\n", wanted->bar,
			(u64)pci_resource_len(pdev, wanted->bar) >> 10);
		return -EFBIG;
	}
	if (!IS_ALIGNED(base | length, align)) {
		pci_err(pdev, "BAR %u is at 0x%llx: that and the length, 0x%llx, have to be multiples of %llu KiB\n",
			wanted->bar, base, length, align >> 10);
		return -EINVAL;
	}
	return 0;
}

static int claim_bar(struct mal_range *range, struct pci_dev *pdev, const struct wanted *wanted)
{
	int err = check_bar(pdev, wanted, (u64)range->pages << PAGE_SHIFT);

	if (err)
		return err;
	if (pci_request_region(pdev, wanted->bar, KBUILD_MODNAME))
		return -EBUSY;
	err = map_bar(range, pdev, wanted);
	if (err) {
		pci_err(pdev, "BAR %u can't be mapped: %pe\n", wanted->bar, ERR_PTR(err));
		pci_release_region(pdev, wanted->bar);
		return err;
	}
	range->pfn = PHYS_PFN(pci_resource_start(pdev, wanted->bar));
	range->align = mal_range_alignment(range);
	range->memory_end = max(mal_memory_end(), range->pfn + range->pages);
	return 0;
}

static int claim_from_device(struct mal_range *range, struct pci_dev *pdev,
			     const struct wanted *wanted)
{
	struct claim *claim;
	int err = bind_device(pdev);

	if (err)
		return err;
	claim = kzalloc(sizeof(*claim), GFP_KERNEL);
	if (!claim)
		return -ENOMEM;
	claim->range = range;
	claim->bar = wanted->bar;
	range->private = claim;
	range->can_go = true;
	err = add_claim(claim, pdev);
	if (err)
		goto free_claim;
	err = claim_bar(range, pdev, wanted);
	if (err)
		goto remove_claim;
	return 0;

remove_claim:
	remove_claim(claim);
free_claim:
	kfree(claim);
	return err;
}

/* DOMAIN:BUS:DEVICE.FUNCTION/BAR, in hexadecimal digits, and perhaps /cached */
static int parse_wanted(const char *text, struct wanted *wanted)
{
	int end = 0;

	if (sscanf(text, "%8x:%2x:%2x.%1x/%1u%n", &wanted->domain, &wanted->bus, &wanted->slot,
		   &wanted->function, &wanted->bar, &end) != 5)
		return -EINVAL;
	wanted->cached = !strcmp(text + end, "/cached");
	if ((text[end] && !wanted->cached) || wanted->domain > INT_MAX ||
	    wanted->slot > 31 || wanted->function > 7 || wanted->bar >= PCI_STD_NUM_BARS)
		return -EINVAL;
	return 0;
}

static int pci_claim(struct mal_range *range, const struct mal_wish *wish)
{
	struct wanted wanted;
	struct pci_dev *pdev;
	int err = parse_wanted(wish->bar, &wanted);

	if (err) {
		pr_err("pci: '%s' is no device and BAR, such as 0000:05:00.0/2 or 0000:05:00.0/2/cached\n",
		       wish->bar);
		return err;
	}
	pdev = pci_get_domain_bus_and_slot(wanted.domain, wanted.bus,
					   PCI_DEVFN(wanted.slot, wanted.function));
	if (!pdev) {
		pr_err("pci: there is no device for %s\n", wish->bar);
		return -ENODEV;
	}
	range->pages = wish->pages;
	err = claim_from_device(range, pdev, &wanted);
	pci_dev_put(pdev);
	return err;
}

static void pci_release(struct mal_range *range)
{
	struct claim *claim = range->private;

	unmap_bar(range);
	pci_release_region(claim->card->pdev, claim->bar);
	remove_claim(claim);
	kfree(claim);
}

const struct mal_source mal_source_pci = {
	.name = "pci",
	.takes_bar = true,
	.claim = pci_claim,
	.release = pci_release,
	.stop = pci_stop,
};
