"""The local ECS agent: runs the tasks of an emulator, as ECS's data plane does in AWS.

Owns: finding tasks in our clusters, running their containers, their log streams, and the
"ECS Task State Change" events. It must not know jobs, queues or any rule of Batch: it
uses ECS, CloudWatch Logs and SQS only, so that its clients see no difference from AWS.

Pure: `plan` (what to run), `lifecycle` (what happens next), `events` (what is reported),
`environment`, `docker_options`. With effects: `ecs`, `finder`, `supervisor`, `loop`,
`runtime` and its two kinds (`processes`, `docker_engine`), `logs`, `sender`, `journal`.
Start reading at `loop`; `wiring` puts the parts together, `__main__` is the command.
"""
