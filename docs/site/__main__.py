"""Builds the documentation site, and stops at the first sign of a broken link.

    python docs/site [--quick] [FOLDER]      into build/site by default; open its index.html

`--quick` leaves out the pages of the gallery to step through, which take most of the time.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Runs Sphinx, strictly and from scratch. Returns its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    out = HERE.parents[1] / "build" / "site"
    parser.add_argument("folder", nargs="?", type=Path, default=out, help="where it goes")
    parser.add_argument("--quick", action="store_true", help="without the pages of `show`")
    options = parser.parse_args()
    try:
        from sphinx.cmd.build import build_main
    except ImportError:
        print("the site needs Sphinx: pip install '.[docs]'", file=sys.stderr)
        return 2
    tag = [] if options.quick else ["-t", "pages"]
    strict = ["-q", "-E", "-W", "--keep-going", *tag]
    code = build_main([*strict, "-c", str(HERE), str(HERE.parent), str(options.folder)])
    print("failed, see above" if code else f"wrote {options.folder / 'index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
