"""Write the script that draws the page's charts: Vega, Vega-Lite and Vega-Embed, packed.

Run by `make vega` when vl-convert-python in the development lock is another one; a test holds the
two together.
"""

import gzip
import sys
from pathlib import Path

import vl_convert


def main(target: Path) -> None:
    # Without a time in it, the same script is the same file.
    target.write_bytes(gzip.compress(vl_convert.javascript_bundle().encode(), 9, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
