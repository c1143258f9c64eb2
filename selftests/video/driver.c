// SPDX-License-Identifier: GPL-2.0-only
/*
 * An example of a V4L2 driver whose queues have their buffers from memalloc: QEMU's PCI device
 * "edu" copies pictures by DMA from one node's queue to the other's. Pictures go in by the first
 * node, an output, and come out by the second, a capture. Debian's kernels for amd64 have no
 * v4l2-mem2mem, with which it would be one node.
 */
#include <linux/memalloc_driver.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <media/v4l2-device.h>
#include <media/v4l2-ioctl.h>
#include <media/videobuf2-v4l2.h>

#include "edu/driver.h"
#include "memalloc_vb2.h"

static char *region = "memalloc";
module_param(region, charp, 0444);
MODULE_PARM_DESC(region, "name of the region that buffers come from");

/* The one format: what the device takes at a time. */
static const struct v4l2_pix_format picture = {
	.width = 64,
	.height = 48,
	.pixelformat = V4L2_PIX_FMT_GREY,
	.field = V4L2_FIELD_NONE,
	.bytesperline = 64,
	.sizeimage = 64 * 48,
};

/* A node with its queue. */
struct side {
	struct video_copier *copier;
	struct video_device video;
	struct memalloc_vb2_queue queue;
	struct mutex lock;		/* of the queue */
	struct list_head ready;		/* of frames, under copier->ready_lock */
	u32 sequence;			/* the next frame's number */
};

struct video_copier {
	struct pci_dev *pci;
	void __iomem *registers;
	struct memalloc_holder *holder;
	struct v4l2_device v4l2;
	struct work_struct work;
	bool broken;			/* has not answered; of copy_frames() alone */
	spinlock_t ready_lock;
	struct side from;
	struct side to;
};

struct frame {
	struct vb2_v4l2_buffer vb;	/* first, for videobuf2 */
	struct list_head ready;
	dma_addr_t address;
};

static struct frame *frame_of(struct vb2_buffer *vb)
{
	return container_of(to_vb2_v4l2_buffer(vb), struct frame, vb);
}

/* One of each queue, if there are both. */
static bool take_frames(struct video_copier *copier, struct frame **from, struct frame **to)
{
	bool both;

	spin_lock(&copier->ready_lock);
	both = !list_empty(&copier->from.ready) && !list_empty(&copier->to.ready);
	if (both) {
		*from = list_first_entry(&copier->from.ready, struct frame, ready);
		*to = list_first_entry(&copier->to.ready, struct frame, ready);
		list_del(&(*from)->ready);
		list_del(&(*to)->ready);
	}
	spin_unlock(&copier->ready_lock);
	return both;
}

static void finish_frame(struct side *side, struct frame *frame)
{
	frame->vb.sequence = side->sequence++;
	frame->vb.field = V4L2_FIELD_NONE;
	vb2_buffer_done(&frame->vb.vb2_buf,
			side->copier->broken ? VB2_BUF_STATE_ERROR : VB2_BUF_STATE_DONE);
}

static void copy_frames(struct work_struct *work)
{
	struct video_copier *copier = container_of(work, struct video_copier, work);
	struct frame *from, *to;

	while (take_frames(copier, &from, &to)) {
		if (!copier->broken)
			copier->broken = edu_move(copier->registers, from->address, 0,
						  picture.sizeimage, false) ||
					 edu_move(copier->registers, to->address, 0,
						  picture.sizeimage, true);
		/* It may go on, in memory that is soon somebody else's: it must reach none. */
		if (copier->broken)
			pci_clear_master(copier->pci);
		to->vb.vb2_buf.timestamp = from->vb.vb2_buf.timestamp;
		finish_frame(&copier->from, from);
		finish_frame(&copier->to, to);
	}
}

static int queue_setup(struct vb2_queue *queue, unsigned int *buffers, unsigned int *planes,
		       unsigned int sizes[], struct device *devs[])
{
	*planes = 1;
	sizes[0] = picture.sizeimage;
	return 0;
}

static int buf_prepare(struct vb2_buffer *vb)
{
	if (!V4L2_TYPE_IS_OUTPUT(vb->type))
		vb2_set_plane_payload(vb, 0, picture.sizeimage);
	return memalloc_dma_address(vb2_plane_cookie(vb, 0), &frame_of(vb)->address);
}

static void buf_queue(struct vb2_buffer *vb)
{
	struct side *side = vb2_get_drv_priv(vb->vb2_queue);

	spin_lock(&side->copier->ready_lock);
	list_add_tail(&frame_of(vb)->ready, &side->ready);
	spin_unlock(&side->copier->ready_lock);
	schedule_work(&side->copier->work);
}

/* The device has none of the queue's frames afterwards. */
static void stop_streaming(struct vb2_queue *queue)
{
	struct side *side = vb2_get_drv_priv(queue);
	struct frame *frame;

	spin_lock(&side->copier->ready_lock);
	list_for_each_entry(frame, &side->ready, ready)
		vb2_buffer_done(&frame->vb.vb2_buf, VB2_BUF_STATE_ERROR);
	INIT_LIST_HEAD(&side->ready);
	spin_unlock(&side->copier->ready_lock);
	flush_work(&side->copier->work);
	side->sequence = 0;
}

static const struct vb2_ops queue_ops = {
	.queue_setup = queue_setup,
	.buf_prepare = buf_prepare,
	.buf_queue = buf_queue,
	.stop_streaming = stop_streaming,
	MAL_VB2_WAIT_OPS
};

static int query_capability(struct file *file, void *fh, struct v4l2_capability *capability)
{
	strscpy(capability->driver, KBUILD_MODNAME, sizeof(capability->driver));
	strscpy(capability->card, "edu", sizeof(capability->card));
	return 0;
}

static int enumerate_formats(struct file *file, void *fh, struct v4l2_fmtdesc *format)
{
	format->pixelformat = picture.pixelformat;
	return format->index ? -EINVAL : 0;
}

/* Whatever was asked for. */
static int get_format(struct file *file, void *fh, struct v4l2_format *format)
{
	format->fmt.pix = picture;
	return 0;
}

static const struct v4l2_ioctl_ops ioctl_ops = {
	.vidioc_querycap = query_capability,
	.vidioc_enum_fmt_vid_out = enumerate_formats,
	.vidioc_enum_fmt_vid_cap = enumerate_formats,
	.vidioc_g_fmt_vid_out = get_format,
	.vidioc_g_fmt_vid_cap = get_format,
	.vidioc_s_fmt_vid_out = get_format,
	.vidioc_s_fmt_vid_cap = get_format,
	.vidioc_try_fmt_vid_out = get_format,
	.vidioc_try_fmt_vid_cap = get_format,
	.vidioc_reqbufs = vb2_ioctl_reqbufs,
	.vidioc_querybuf = vb2_ioctl_querybuf,
	.vidioc_qbuf = vb2_ioctl_qbuf,
	.vidioc_dqbuf = vb2_ioctl_dqbuf,
	.vidioc_expbuf = vb2_ioctl_expbuf,
	.vidioc_streamon = vb2_ioctl_streamon,
	.vidioc_streamoff = vb2_ioctl_streamoff,
};

static const struct v4l2_file_operations file_ops = {
	.owner = THIS_MODULE,
	.open = v4l2_fh_open,
	.release = vb2_fop_release,
	.poll = vb2_fop_poll,
	.mmap = vb2_fop_mmap,
	.unlocked_ioctl = video_ioctl2,
};

static int create_side(struct video_copier *copier, struct side *side, bool out)
{
	struct vb2_queue *queue = &side->queue.vb2;
	struct video_device *video = &side->video;

	mutex_init(&side->lock);
	side->copier = copier;
	side->queue.holder = copier->holder;
	side->queue.dma_mask_bits = 32;
	queue->type = out ? V4L2_BUF_TYPE_VIDEO_OUTPUT : V4L2_BUF_TYPE_VIDEO_CAPTURE;
	queue->io_modes = VB2_MMAP | VB2_DMABUF;
	queue->drv_priv = side;
	queue->buf_struct_size = sizeof(struct frame);
	queue->ops = &queue_ops;
	queue->mem_ops = &memalloc_vb2_ops;
	queue->timestamp_flags = V4L2_BUF_FLAG_TIMESTAMP_COPY;
	queue->lock = &side->lock;
	queue->dev = &copier->pci->dev;
	strscpy(video->name, KBUILD_MODNAME, sizeof(video->name));
	video->fops = &file_ops;
	video->ioctl_ops = &ioctl_ops;
	video->release = video_device_release_empty;
	video->v4l2_dev = &copier->v4l2;
	video->vfl_dir = out ? VFL_DIR_TX : VFL_DIR_RX;
	video->device_caps = V4L2_CAP_STREAMING |
			     (out ? V4L2_CAP_VIDEO_OUTPUT : V4L2_CAP_VIDEO_CAPTURE);
	video->queue = queue;
	video->lock = &side->lock;
	return vb2_queue_init(queue) ?: video_register_device(video, VFL_TYPE_VIDEO, -1);
}

static void release(struct v4l2_device *v4l2)
{
	kfree(container_of(v4l2, struct video_copier, v4l2));
}

/* Programs may have nodes open: these have no buffers any more, but some may be mapped. */
static void destroy(struct video_copier *copier)
{
	memalloc_vb2_unregister(&copier->from.video);
	memalloc_vb2_unregister(&copier->to.video);
	memalloc_put(copier->holder);
	v4l2_device_unregister(&copier->v4l2);
	v4l2_device_put(&copier->v4l2);
}

static int video_copier_probe(struct pci_dev *pci, const struct pci_device_id *id)
{
	struct video_copier *copier = kzalloc(sizeof(*copier), GFP_KERNEL);
	int err;

	if (!copier)
		return -ENOMEM;
	copier->pci = pci;
	spin_lock_init(&copier->ready_lock);
	INIT_LIST_HEAD(&copier->from.ready);
	INIT_LIST_HEAD(&copier->to.ready);
	INIT_WORK(&copier->work, copy_frames);
	pci_set_drvdata(pci, copier);
	err = edu_enable(pci, &copier->registers) ?: v4l2_device_register(&pci->dev, &copier->v4l2);
	if (err) {
		kfree(copier);
		return err;
	}
	copier->v4l2.release = release;
	copier->holder = memalloc_get(region);
	err = PTR_ERR_OR_ZERO(copier->holder) ?: create_side(copier, &copier->from, true) ?:
						 create_side(copier, &copier->to, false);
	if (!err)
		return 0;
	destroy(copier);
	return dev_err_probe(&pci->dev, err, "there are no nodes, or no region %s\n", region);
}

static void video_copier_remove(struct pci_dev *pci)
{
	destroy(pci_get_drvdata(pci));
}

static struct pci_driver video_copier_driver = {
	.name = KBUILD_MODNAME,
	.id_table = edu_ids,
	.probe = video_copier_probe,
	.remove = video_copier_remove,
};
module_pci_driver(video_copier_driver);

MODULE_DESCRIPTION("Example: a V4L2 driver for QEMU's edu device, with its buffers from memalloc");
MODULE_LICENSE("GPL");
MEMALLOC_IMPORT_NS;
