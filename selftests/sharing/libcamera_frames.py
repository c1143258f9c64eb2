# SPDX-License-Identifier: GPL-2.0-only
"""For the boot libcamera: has the camera make frames, and says where they are and what is in them.

It prints a line for each frame: who exports its dma-buf, its bytes, and how many values these have.
libcamera has allocated the frames, in its own way.
"""
import mmap
import select
import sys

import libcamera


def exporter(fd):
    """The name of the driver whose dma-buf that is."""
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as info:
        return next(line.split()[1] for line in info if line.startswith("exp_name:"))


def contents(plane):
    """The bytes of a plane."""
    length = plane.offset + plane.length
    with mmap.mmap(plane.fd, length, mmap.MAP_SHARED, mmap.PROT_READ) as memory:
        return memory[plane.offset:length]


def main():
    """Exits with 1 if libcamera has no frames, with its own message."""
    manager = libcamera.CameraManager.singleton()
    camera = manager.cameras[0]
    camera.acquire()
    config = camera.generate_configuration([libcamera.StreamRole.Viewfinder])
    camera.configure(config)
    stream = config.at(0).stream
    frames = libcamera.FrameBufferAllocator(camera)
    frames.allocate(stream)
    requests = []
    for number, frame in enumerate(frames.buffers(stream)):
        requests.append(camera.create_request(number))
        requests[-1].add_buffer(stream, frame)
    camera.start()
    for request in requests:
        camera.queue_request(request)
    done = 0
    while done < len(requests):
        if not select.select([manager.event_fd], [], [], 60)[0]:
            sys.exit("no frame within a minute")
        done += len(manager.get_ready_requests())
    camera.stop()
    for frame in frames.buffers(stream):
        pixels = b"".join(map(contents, frame.planes))
        print(exporter(frame.planes[0].fd), len(pixels), len(set(pixels)))
    camera.release()


main()
