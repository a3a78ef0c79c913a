"""Where a quota database may be: the user's state directory, and not on a disk that several machines share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

SHARED_DISKS = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "gfs2"}
    | {"glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "pvfs2", "smb3", "smbfs", "virtiofs"}
)
_MOUNTS = Path("/proc/self/mountinfo")
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def default_path() -> Path:
    """The database of this user on this machine."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "cjasync" / "quota.db"


def shared_disk(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """The type of the network file system that holds `path`, if that is known to be one."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    place = path.resolve()
    best, kind = -1, None
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        mounted = Path(fields[4].encode().decode("unicode_escape"))
        if (place == mounted or mounted in place.parents) and len(mounted.parts) >= best:
            best, kind = len(mounted.parts), after.split()[0]
    return kind if kind in SHARED_DISKS else None


def boot_id() -> str:
    """Names the time since this machine was started, as far as the system tells."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""
