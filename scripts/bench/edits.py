"""How long after an edit of the source its mirror shows it.

    edits.py SOURCE_FILE MIRROR_FILE COUNT

Rewrites the file in place with a same-sized text and reads the mirror until it has the new one. Prints the
distribution of the delays, in microseconds from the end of the write.
"""

import os
import sys
import time

source, mirror, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
delays = []
longest = 5.0
for number in range(count):
    text = b"value = %08d\n" % number
    descriptor = os.open(source, os.O_WRONLY | os.O_CREAT)
    os.pwrite(descriptor, text, 0)
    start = time.perf_counter()
    while True:
        with open(mirror, "rb") as file:
            found = file.read()
        now = time.perf_counter()
        if found == text or now - start > longest:
            break
    delays.append((now - start) * 1e6)
    os.close(descriptor)
    # The reader's next look is from the kernel's cache again, as a server's would be.
    for _ in range(3):
        open(mirror, "rb").close()
    time.sleep(0.002)
delays.sort()
at = lambda share: delays[min(len(delays) - 1, int(len(delays) * share))]
print("edits %d p50 %.0f p90 %.0f p99 %.0f p99.9 %.0f longest %.0f" % (
    count, at(0.5), at(0.9), at(0.99), at(0.999), delays[-1]))
