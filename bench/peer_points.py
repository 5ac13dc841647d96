"""What the scripts of peers read of a run of points."""
import re


def expand(names):
    """`x0..y67` written out, as the run's config.toml shortens it."""
    found = re.fullmatch(r"(\D+)(\d+)\.\.(\D+)(\d+)", names[0]) if len(names) == 1 else None
    if not found:
        return names
    axes = [found[1], found[3]] if found[1] != found[3] else [found[1]]
    return [f"{axis}{i}" for i in range(int(found[2]), int(found[4]) + 1) for axis in axes]
