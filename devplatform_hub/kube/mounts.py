"""What a profile mounts of the servers' namespace, as plain values: claims of disks, config maps and secrets."""

from typing import Any

from ..core.cluster import Mount

_READABLE = 0o444
"""Of files that nobody writes; a container's user has neither root's nor, always, the mount's group."""
Named = dict[str, dict[str, Any]]


def object_mounts(mounts: tuple[Mount, ...]) -> tuple[Named, Named]:
    """Volumes and mounts by name. The kubelet refuses to write to a mount that is read only, whoever asks."""
    volumes: Named = {}
    places: Named = {}
    for number, mount in enumerate(mounts):
        name = f"devplatform-mount-{number}"
        volumes[name] = {"name": name, **_source(mount)}
        places[name] = {"name": name, "mountPath": mount.path}
        if mount.read_only:
            places[name]["readOnly"] = True
        if mount.sub_path:
            places[name]["subPath"] = mount.sub_path
    return volumes, places


def _source(mount: Mount) -> dict[str, Any]:
    if mount.claim:
        # Only the mount is read only: a volume that is would be so for every pod that has the disk on that machine.
        return {"persistentVolumeClaim": {"claimName": mount.claim}}
    if mount.config_map:
        return {"configMap": {"name": mount.config_map, "defaultMode": _READABLE}}
    return {"secret": {"secretName": mount.secret, "defaultMode": _READABLE}}
