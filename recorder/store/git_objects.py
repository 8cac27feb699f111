"""New objects of a git repository: kept apart from it until they are on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..records import new_id
from .filesystem.disk import is_regular, sync_files, sync_folder


@contextmanager
def staging(git_dir: Path) -> Iterator[Path]:
    """Yield a new folder in the store for the objects of one command; remove it at the end."""
    import shutil

    folder = git_dir.parent / "staging" / f"git-{new_id()}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(staged: Path, git_dir: Path) -> None:
    """Sync new git objects, and then move them to the repository.

    git takes the name of a loose object for its content, so the content must be on the disk first. With the batch
    method git names objects after one sync of another file, which makes them durable on ext4 and XFS, but not on
    btrfs. `sync_files` syncs each, or the whole filesystem if they are many.
    """
    paths = [path for path in staged.glob("??/*") if is_regular(path)]
    sync_files([str(path) for path in paths])
    objects = git_dir / "objects"
    for path in paths:
        target = objects / path.parent.name / path.name
        target.parent.mkdir(exist_ok=True)
        path.replace(target)
    if paths and os.name != "nt":  # Windows cannot open a folder, and NTFS journals names
        sync_files({str(objects / path.parent.name) for path in paths})
        sync_folder(objects)


def sync_names(git_dir: Path, since: float) -> None:
    """Sync the folders that git has written to since: git syncs files, but not the folders that contain them."""
    refs = git_dir / "refs"
    objects = git_dir / "objects"
    for folder in (*objects.iterdir(), objects, refs / "snapshots", refs):
        # The coarsest timestamps of a filesystem have a granularity of two seconds.
        if folder.is_dir() and folder.stat().st_mtime >= since - 2:
            sync_folder(folder)
