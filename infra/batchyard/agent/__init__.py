"""The local ECS agent: stands where ECS's data plane stands when the cloud is an emulator.

Owns: finding tasks in our clusters, running their containers, their log streams, and the
"ECS Task State Change" events. It must not know jobs, queues or any rule of Batch: it
speaks ECS, CloudWatch Logs and SQS only, so that nothing above it can tell it from AWS.

Pure: `plan` (what to run), `lifecycle` (what happens next), `events` (what is told),
`environment`, `docker_options`. With effects: `ecs`, `finder`, `supervisor`, `loop`,
`runtime` and its two kinds (`processes`, `docker_engine`), `logs`, `sender`, `journal`.
Start reading at `loop`; `wiring` puts the parts together, `__main__` is the command.
"""
