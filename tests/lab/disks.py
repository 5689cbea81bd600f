"""A provisioner for tests: makes a volume for each claim of its storage classes, grows it, and takes it away.

`python -m tests.lab.disks KUBECONFIG FOLDER`. It does what a CSI driver's external-provisioner and external-resizer
do for the API server. The disks are folders on this machine (hostPath), so that a real node can mount them and
simulated pods need not.
"""

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

PROVISIONER = "devplatform.test/disks"
_AT_ONCE = 16
Json = dict[str, Any]


class Disks:
    """Watches claims and volumes, and brings each to what it asks for."""

    def __init__(self, session: aiohttp.ClientSession, server: str, folder: Path) -> None:
        self._session, self._server, self._folder = session, server, folder
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._busy: set[str] = set()
        self._classes: dict[str, Json] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until the process ends."""
        await asyncio.gather(
            self._follow("/api/v1/persistentvolumeclaims", self._claim_changed),
            self._follow("/api/v1/persistentvolumes", self._volume_changed),
        )

    async def _follow(self, path: str, changed: Any) -> None:
        while True:
            try:
                async for item in self._watch(path):
                    changed(item)
            except (TimeoutError, aiohttp.ClientError) as error:
                print(f"watching {path} again: {error!r}", file=sys.stderr, flush=True)
                await asyncio.sleep(0.2)

    async def _watch(self, path: str) -> AsyncIterator[Json]:
        listed = await self._call("GET", path)
        for item in listed["items"]:
            yield item
        query = {"watch": "1", "resourceVersion": listed["metadata"]["resourceVersion"]}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        async with self._session.get(self._server + path, params=query, timeout=timeout) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                if event["type"] != "DELETED":
                    yield event["object"]

    def _claim_changed(self, claim: Json) -> None:
        annotations = claim["metadata"].get("annotations", {})
        spec, status = claim["spec"], claim.get("status", {})
        if annotations.get("volume.kubernetes.io/storage-provisioner") != PROVISIONER:
            return
        if not spec.get("volumeName"):
            self._once(claim, self._provision)
        elif status.get("phase") == "Bound" and _asked(claim) != status.get("capacity", {}).get("storage"):
            self._once(claim, self._grow)

    def _volume_changed(self, volume: Json) -> None:
        ours = volume["metadata"].get("annotations", {}).get("pv.kubernetes.io/provisioned-by") == PROVISIONER
        policy = volume["spec"].get("persistentVolumeReclaimPolicy")
        if ours and volume.get("status", {}).get("phase") == "Released" and policy == "Delete":
            self._once(volume, self._delete)

    def _once(self, item: Json, work: Any) -> None:
        """Not twice at the same time for one object; what changes meanwhile comes with its next event."""
        uid = item["metadata"]["uid"]
        if uid in self._busy:
            return
        self._busy.add(uid)
        task = asyncio.create_task(self._do(uid, item, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, uid: str, item: Json, work: Any) -> None:
        try:
            async with self._gate:
                await work(item)
        except aiohttp.ClientError as error:
            print(f"{item['metadata']['name']}: {error!r}", file=sys.stderr, flush=True)
        finally:
            self._busy.discard(uid)

    async def _provision(self, claim: Json) -> None:
        storage_class = await self._storage_class(claim["spec"]["storageClassName"])
        node = claim["metadata"].get("annotations", {}).get("volume.kubernetes.io/selected-node")
        if storage_class["volumeBindingMode"] == "WaitForFirstConsumer" and not node:
            return
        name = f"pvc-{claim['metadata']['uid']}"
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)  # as a disk is with fsGroup: whoever the container runs as may write
        reference = {key: claim["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion")}
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
            "spec": {
                "accessModes": claim["spec"]["accessModes"],
                "capacity": {"storage": _asked(claim)},
                "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **reference},
                "persistentVolumeReclaimPolicy": storage_class["reclaimPolicy"],
                "storageClassName": claim["spec"]["storageClassName"],
                "volumeMode": "Filesystem",
                "hostPath": {"path": str(folder), "type": "DirectoryOrCreate"},
            },
        }
        await self._call("POST", "/api/v1/persistentvolumes", volume, accept=(409,))

    async def _grow(self, claim: Json) -> None:
        """As a resizer that needs no help of the node: the volume first, then what the claim says that it has."""
        size = {"storage": _asked(claim)}
        await self._call(
            "PATCH", f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}", {"spec": {"capacity": size}}
        )
        path = f"/api/v1/namespaces/{claim['metadata']['namespace']}/persistentvolumeclaims/{claim['metadata']['name']}"
        await self._call("PATCH", f"{path}/status", {"status": {"capacity": size}}, accept=(404,))

    async def _delete(self, volume: Json) -> None:
        name = volume["metadata"]["name"]
        remove = await asyncio.create_subprocess_exec("rm", "-rf", "--", str(self._folder / name))
        await remove.wait()
        await self._call("DELETE", f"/api/v1/persistentvolumes/{name}", accept=(404,))

    async def _storage_class(self, name: str) -> Json:
        if name not in self._classes:
            self._classes[name] = await self._call("GET", f"/apis/storage.k8s.io/v1/storageclasses/{name}")
        return self._classes[name]

    async def _call(self, method: str, path: str, body: Json | None = None, accept: tuple[int, ...] = ()) -> Json:
        headers = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}
        async with self._session.request(method, self._server + path, json=body, headers=headers) as answer:
            if answer.status not in accept:
                answer.raise_for_status()
            content: Json = await answer.json()
            return content


def _asked(claim: Json) -> str:
    size: str = claim["spec"]["resources"]["requests"]["storage"]
    return size


async def main(kubeconfig: Path, folder: Path) -> None:
    config = json.loads(kubeconfig.read_text("utf-8"))
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cafile=cluster["certificate-authority"])
    context.load_cert_chain(user["client-certificate"], user["client-key"])
    connector = aiohttp.TCPConnector(ssl=context, limit=_AT_ONCE + 8)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as session:
        await Disks(session, cluster["server"], folder).run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
