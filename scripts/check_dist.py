"""Compare a wheel and an sdist with the tree: every file of the package is in both, nothing else.

Usage: ``python scripts/check_dist.py FOLDER``, where FOLDER holds one wheel and one sdist.
"""

import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]


def shipped(folder: Path) -> Iterator[Path]:
    """Yield the files under ``folder`` that belong to the package; links are not followed."""
    for path in folder.iterdir():
        if path.is_symlink() or path.name.startswith((".", "__pycache__", "node_modules")):
            continue
        if path.is_dir():
            yield from shipped(path)
        else:
            yield path


def in_tree(sources: dict[str, str]) -> set[str]:
    """Return the installed name of every file that the wheel's map names."""
    return {
        f"{target}/{path.relative_to(ROOT / source).as_posix()}"
        for source, target in sources.items()
        for path in shipped(ROOT / source)
    }


def in_wheel(folder: Path) -> set[str]:
    """Return the names in the wheel, without its metadata."""
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {n for n in archive.namelist() if not n.split("/")[0].endswith(".dist-info")}


def in_sdist(folder: Path, sources: dict[str, str]) -> set[str]:
    """Return the installed name of every file in the sdist that the wheel's map names."""
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = [PurePosixPath(*PurePosixPath(n).parts[1:]) for n in archive.getnames()]
    return {
        f"{target}/{name.relative_to(source)}"
        for name in names
        for source, target in sources.items()
        if name.is_relative_to(source)
    }


def main(folder: Path) -> int:
    """Print what is missing or too much; return 1 if anything is."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    sources = config["tool"]["hatch"]["build"]["targets"]["wheel"]["sources"]
    tree = in_tree(sources)
    failed = False
    for kind, names in [("wheel", in_wheel(folder)), ("sdist", in_sdist(folder, sources))]:
        missing, extra = sorted(tree - names), sorted(names - tree)
        failed |= bool(missing or extra)
        print(f"{kind}: {len(names)} files", *(f"  missing {n}" for n in missing), sep="\n")
        print(*(f"  not in the tree {n}" for n in extra), sep="\n", end="\n" if extra else "")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
