"""An image of one layer, from scratch or on top of another that is in the store already, as an OCI archive.

buildah would copy all of the other image for the two megabytes that change with every edit; here they take a second.
"""

import copy
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Image:
    """What an image is made of: its configuration, and where its layers are in a store."""

    config: Json
    layers: list[Json]


SCRATCH = Image(
    {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}, []
)


def write(archive: Path, name: str, layer: bytes, settings: Json, base: Image = SCRATCH) -> None:
    """The image `name`: `base`, then the files of `layer`, a tar; `settings` such as `Cmd` come over those of `base`.

    The layers of `base` are named and not written.
    """
    config = copy.deepcopy(base.config)
    config["config"] = {**config.get("config", {}), **settings}
    config["rootfs"]["diff_ids"].append(_digest(layer))
    config.pop("history", None)  # it would have to speak of the new layer
    content = json.dumps(config).encode()
    layers = [*base.layers, _descriptor(_LAYER, layer)]
    manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": _descriptor(_CONFIG, content), "layers": layers}
    named = json.dumps(manifest).encode()
    entry = _descriptor(_MANIFEST, named) | {"annotations": {"io.containerd.image.name": name}}
    with tarfile.open(archive, "w") as tar:
        _add(tar, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
        _add(tar, "index.json", json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
        for blob in (layer, content, named):
            _add(tar, f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob)


def read(archive: Path) -> Image:
    """The only image of an OCI archive."""
    with tarfile.open(archive) as tar:

        def blob(path: str) -> Any:
            stream = tar.extractfile(path)
            assert stream is not None, path
            return json.load(stream)

        (entry,) = blob("index.json")["manifests"]
        manifest = blob(_path(entry))
        return Image(blob(_path(manifest["config"])), manifest["layers"])


def layer_of(folder: Path, below: str) -> bytes:
    """The files of a folder as a layer that puts them into `below`, owned by root."""

    def as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return entry

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, f"{below.strip('/')}/{path.name}".lstrip("/"), filter=as_root)
    return buffer.getvalue()


def _path(descriptor: Json) -> str:
    return "blobs/" + str(descriptor["digest"]).replace(":", "/")


def _descriptor(kind: str, content: bytes) -> Json:
    return {"mediaType": kind, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
