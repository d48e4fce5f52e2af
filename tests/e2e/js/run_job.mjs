// An ordinary program on the JavaScript SDK v3: makes an environment, a queue and a definition, runs
// one job and prints how it ended, as {job, log}. It is told where AWS is by its environment alone.
import * as batch from "@aws-sdk/client-batch";
import { CloudWatchLogsClient, GetLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";

const PATIENCE_MS = 60_000;
const [name, ...command] = process.argv.slice(2);
const client = new batch.BatchClient({});
const send = (Command, input) => client.send(new Command(input));

async function until(look, ready) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const seen = await look();
    if (ready(seen)) return seen;
    if (Date.now() > deadline) throw new Error(`waited too long: ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

await send(batch.CreateComputeEnvironmentCommand, {
  computeEnvironmentName: name,
  type: "MANAGED",
  computeResources: {
    type: "FARGATE",
    maxvCpus: 4,
    subnets: ["subnet-00000000"],
    securityGroupIds: ["sg-00000000"],
  },
});
await until(
  async () =>
    (await send(batch.DescribeComputeEnvironmentsCommand, { computeEnvironments: [name] }))
      .computeEnvironments[0].status,
  (status) => status === "VALID",
);
await send(batch.CreateJobQueueCommand, {
  jobQueueName: name,
  priority: 1,
  computeEnvironmentOrder: [{ order: 1, computeEnvironment: name }],
});
await send(batch.RegisterJobDefinitionCommand, {
  jobDefinitionName: name,
  type: "container",
  platformCapabilities: ["FARGATE"],
  containerProperties: {
    image: "busybox",
    command,
    executionRoleArn: "arn:aws:iam::000000000000:role/e2e",
    resourceRequirements: [
      { type: "VCPU", value: "0.25" },
      { type: "MEMORY", value: "512" },
    ],
  },
});
const { jobId } = await send(batch.SubmitJobCommand, {
  jobName: name,
  jobQueue: name,
  jobDefinition: name,
});
const job = await until(
  async () => (await send(batch.DescribeJobsCommand, { jobs: [jobId] })).jobs[0],
  ({ status }) => status === "SUCCEEDED" || status === "FAILED",
);
const logs = new CloudWatchLogsClient({});
const log = await until(
  async () => {
    const page = await logs.send(
      new GetLogEventsCommand({
        logGroupName: "/aws/batch/job",
        logStreamName: job.container.logStreamName,
        startFromHead: true,
      }),
    );
    return page.events.map(({ message }) => message);
  },
  (lines) => lines.length > 0,
);
console.log(JSON.stringify({ job, log }));
