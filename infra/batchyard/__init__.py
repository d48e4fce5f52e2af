"""Deploying Batchyard, running it on one machine, and its command line.

`cli` lists the verbs; `template` and `package` make what is deployed, `deploy` brings it into an
account or an emulator, `local` is the cloud on one machine, `environment` tells clients where it
is. What runs inside the functions is `chalicelib`, and nothing here is imported by it.
"""
