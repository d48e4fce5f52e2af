"""Deploying Batchyard, running it on one machine, and its command line.

`cli` is the command line; `cloud` packages and deploys the stack and runs the local cloud; `client`
reads and shows jobs and triggers; `agent` runs the tasks of a local cloud; `demo` and `bench` use
them all. The functions' code is `chalicelib`, which imports nothing from here.
"""
