#!/usr/bin/env python3
"""Archives of the original encoder show what their expected.tsv says, damaged ones do no harm."""
import os
import subprocess
import sys

from mountlib import PXAR_MOUNT, ROOT, need_fuse

need_fuse()
sys.exit(subprocess.call([sys.executable, os.path.join(ROOT, "tests/mount/check-reference"),
                          os.path.join(ROOT, "tests/reference"), PXAR_MOUNT, *sys.argv[1:]]))
