"""`.versions/` in the workspace: old versions as files, named `report_2024-03-15_14-30-00.ipynb`, in the same folders.

`python -m devplatform_versions.mount` shows them by a read-only FUSE mount where that is possible, else by a bounded
folder of copies. `tree` lists and reads lazily, `filesystem` is its FUSE face, `mountpoint` finds out what is possible,
`copies` is the other way.
"""
