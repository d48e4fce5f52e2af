# ruff: noqa: E501  (a table row is one line)
"""DynamoDB: the tables, the register of access patterns, and the transactions.

| pattern | method | table or index, key | consistency | bound |
|---|---|---|---|---|
| a few jobs, children or nodes by id | JobStore.find_jobs, JobStore.find_job, JobStore.find_all | jobs (root, part), batch | strong | 100 keys a read |
| the specs of jobs | JobStore.find_specs | jobs (root, spec), batch | strong | 100 keys a read |
| make a job | JobStore.submit | jobs, lanes: job, spec, ready row, edges, overlap lock | transaction | 24 actions |
| write decided moves | JobStore.commit | jobs, lanes | transaction, or one put | 100 actions |
| jobs of a queue by status | JobStore.list_by_status | by_status (queue#status) | eventual | a page |
| a queue's jobs of one status, oldest first | JobStore.list_oldest | by_status (queue#status) | eventual | a page |
| put back a ready row that is missing | JobStore.restore_ready | jobs, lanes (queue/share, rank) | transaction | 2 actions |
| change a job's tags | JobStore.put_tags | jobs (root, spec) | conditional | 1 row |
| a further task that gets a job's result | JobStore.add_task_token | jobs (root, spec) | conditional | 1 row |
| an array's children by number | JobStore.list_children | jobs (root, child#) | strong | a page |
| an array's children in a status | JobStore.find_children | jobs (root, child#), after a key | eventual | one page of 2,500 rows |
| an expired job's spec | JobStore.forget | jobs (root, spec) | - | 1 row |
| heads of a lane | LaneStore.heads | lanes (queue/share) | strong | a page |
| whether a lane holds work | LaneStore.has_work | lanes (queue/share) | strong | 1 row |
| jobs that wait for a job | LaneStore.edges | lanes (/after/job) | strong | a page |
| delete the edges of an expired job | LaneStore.forget_edges | lanes (/after/job) | - | all of one job |
| child ranges that may not have ended | LaneStore.child_ranges | lanes (/child-ranges/queue, job#number) | strong | a page |
| delete a child range that has ended | LaneStore.drop_child_range | lanes (/child-ranges/queue, job#number) | - | 1 row |
| capacity and cooling of environments | LaneStore.capacities | lanes (capacity, name), batch | strong | 100 keys |
| tasks no longer starting | JobStore.commit | lanes (capacity, name) | update | 1 row |
| read, take and give back launch permits | LaneStore.permits_full_at_us, LaneStore.take_permits, LaneStore.return_permits | lanes (/launch-permits, account) | strong, conditional | 1 row |
| correct drifted figures, write a cooling | LaneStore.correct_capacity, LaneStore.put_cooling | lanes (capacity, name) | conditional | 1 row |
| which ready rows are missing | LaneStore.missing_ready | lanes (queue/share, rank), batch | strong | 100 keys a read |
| jobs whose end a task waits for | LaneStore.expect_answer, LaneStore.unanswered, LaneStore.drop_answer | lanes (/answers/queue, job) | strong | a page |
| drop a ready row without its job | LaneStore.drop_ready | lanes (queue/share, rank) | conditional | 1 row |
| a trigger's overlap lock | OverlapLockStore.find | lanes (/overlap-locks, trigger#uid) | strong | 1 row |
| record what happened to events | FiringStore.record | lanes (/firings/trigger, time#message) | - | 1 row |
| a trigger's last firings | FiringStore.page | lanes (/firings/trigger) | eventual | a page |
| one resource | CatalogStore.find | catalog (kind, name) | strong | 1 row |
| a few resources by name | CatalogStore.find_many | catalog (kind, name), batch | strong | 100 keys a read |
| resources of a kind | CatalogStore.list_kind | catalog (kind) | strong | a page |
| a definition's newest revisions | CatalogStore.newest | catalog (job-definition, name#) | strong | a page |
| make or change a resource | CatalogStore.put, CatalogStore.put_linked | catalog | conditional | 1 row, or 8 in one transaction |
| drop a resource | CatalogStore.remove, CatalogStore.remove_linked | catalog | conditional | 1 row, or 4 in one transaction |
| gather events into bundles | BundleStore.add, BundleStore.move_on | lanes (/events/trigger, digest), (/gather/trigger, bundle#place), (/gather/trigger, head) | transaction | 100 actions |
| the open bundle of triggers | BundleStore.head, BundleStore.heads | lanes (/gather/trigger, head), batch | strong | 100 keys a read |
| the events of a bundle | BundleStore.ranks, BundleStore.items | lanes (/gather/trigger, bundle#), then (/events/trigger, digest) in batches | strong | 10,000 events |
| end a bundle, or note that it failed | BundleStore.leave, BundleStore.note_failure, BundleStore.has_failed, BundleStore.forget_failure, BundleStore.forget | lanes (/gather/trigger, head), (/gather/trigger, bundle~failed) | strong | 1 row |

There is no scan. DynamoDB's limits are part of the design: 100 actions a transaction, 400 KB an item.
"""
