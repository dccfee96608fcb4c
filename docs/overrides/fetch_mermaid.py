"""Put the diagram script beside the theme, so that a reader's browser fetches nothing elsewhere.

Run by `make docs`. Where npm cannot bring it, the documentation is built all the same, and the
theme's own way of loading the script is left as it is.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "11.17.2"
SHA256 = "581ed7d74bd9048d0e3a91363927d72ef22942d7722546b27f7cc29e35390eb8"


def main(target: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        print("there is no npm: diagrams will be drawn by a script from the web")
        return
    with tempfile.TemporaryDirectory() as work:
        command = [npm, "pack", f"mermaid@{VERSION}", "--silent", "--pack-destination", work]
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode != 0:
            print("npm brought no script: diagrams will be drawn by one from the web")
            return
        (package,) = Path(work).glob("mermaid-*.tgz")
        with tarfile.open(package) as archive:
            member = archive.extractfile("package/dist/mermaid.min.js")
            assert member is not None
            script = member.read()
    if hashlib.sha256(script).hexdigest() != SHA256:
        sys.exit(f"mermaid {VERSION} is not the file it was: compare it, then change SHA256 here")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(script)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
