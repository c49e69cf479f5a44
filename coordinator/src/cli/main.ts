// The command line: names, flags and help. Each command is a module that is loaded when it runs, so
// that help and mistakes answer at once.
import { Command, Option } from "commander";

const EXIT_INPUT = 2;

const program = new Command("coordinator")
  .description("Merges the weights of large language models")
  .showHelpAfterError("(see: coordinator --help)")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT_INPUT));

const collect = (value: string, previous: readonly string[]): readonly string[] => [
  ...previous,
  value,
];

function recipeCommand(name: string, description: string): Command {
  return command(name, description)
    .argument("<recipe>", "YAML file")
    .addOption(
      new Option("--model <org/name=DIR>", "directory of a model the recipe names; repeatable")
        .argParser(collect)
        .default([], "none"),
    )
    .option("--seed <number>", "seed of random masks (default: 0)")
    .option("--max-shard-size <size>", "largest weight file (default: 5GB)")
    .option("--lenient", "ignore unknown keys and unused parameters, with a warning");
}

function command(name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option("--json", "one JSON object per line on standard output");
}

function withTls(target: Command): Command {
  return target
    .option("--tls-cert <file>", "PEM certificate of this program (or GRAFT_TLS_CERT)")
    .option("--tls-key <file>", "its PEM key (or GRAFT_TLS_KEY)")
    .option("--tls-ca <file>", "PEM certificate of the authority (or GRAFT_TLS_CA)");
}

function withWorker(target: Command): Command {
  return withTls(target)
    .option("--memory <size>", "bound on the worker's memory (default: 4GiB or half of RAM)")
    .option("--threads <count>", "threads that compute (default: one per core)")
    .addOption(
      new Option(
        "--worker <host:port>",
        "a running graft-worker; repeatable (default: a private one)",
      )
        .argParser(collect)
        .default([], "none"),
    )
    .option("--insecure", "allow plain connections to workers on other machines");
}

withWorker(recipeCommand("submit", "merge models as a recipe says; continues interrupted work"))
  .requiredOption("--out <dir>", "directory that the merged model appears as")
  .option("--force", "replace DIR, once the new output is verified")
  .option("--dry-run", "plan and check only; write nothing")
  .option("--no-sha256", "do not read the output back for its sha256")
  .option("--paranoid", "read the output back even where that is not needed")
  .option("--coordinator <host:port>", "give the job to this one (or GRAFT_COORDINATOR)")
  .option("--detach", "with --coordinator: return as soon as the job is acknowledged")
  .action(async (recipe, flags) => (await import("./submit.js")).submit(recipe, flags));

recipeCommand("check", "tell everything that is wrong with a recipe and its models").action(
  async (recipe, flags) => (await import("./check.js")).check(recipe, flags),
);

withWorker(recipeCommand("plan", "show what a merge would read, write, keep and ignore"))
  .option("--out <dir>", "also check the place and the disk of this output")
  .option("--force", "as for submit")
  .option("--ledger", "list every input tensor")
  .action(async (recipe, flags) => (await import("./plan.js")).plan(recipe, flags));

withWorker(command("verify", "re-check every byte of a merged model against its manifest"))
  .argument("<dir>")
  .action(async (directory, flags) => (await import("./verify.js")).verify(directory, flags));

withWorker(command("resume", "continue interrupted work"))
  .argument("<dir>", "the --out of the interrupted submit")
  .option("--coordinator <host:port>", "give the work to this one (or GRAFT_COORDINATOR)")
  .option("--detach", "with --coordinator: return as soon as the job is acknowledged")
  .action(async (directory, flags) => (await import("./resume.js")).resume(directory, flags));

command("clean", "remove the partial work of an interrupted submit")
  .argument("<dir>", "the --out of the interrupted submit")
  .action(async (directory, flags) => (await import("./clean.js")).clean(directory, flags));

withWorker(command("serve", "take jobs over the network and run them, whatever restarts"))
  .requiredOption("--state <dir>", "where jobs are kept; one coordinator at a time")
  .option("--listen <host:port>", "address to listen on (default: 127.0.0.1:7400)")
  .option("--jobs-at-once <count>", "jobs that run at the same time (default: 1)")
  .action(async (flags) => (await import("./serve.js")).serve(flags));

command("dev", "run a whole cluster on this machine, for trying things")
  .option("--workers <count>", "worker processes (default: 3)")
  .option("--state <dir>", "where jobs are kept (default: graft-dev)")
  .option("--listen <host:port>", "address to listen on (default: 127.0.0.1:7400)")
  .action(async (flags) => (await import("./dev.js")).dev(flags));

function clientCommand(name: string, description: string): Command {
  return withTls(command(name, description))
    .option(
      "--coordinator <host:port>",
      "a running coordinator (default: GRAFT_COORDINATOR or 127.0.0.1:7400)",
    )
    .option("--insecure", "allow a plain connection to another machine");
}

const JOB_HELP = "its id, or the first six or more characters of it";

clientCommand("list", "list the jobs of a coordinator").action(async (flags) =>
  (await import("./list.js")).list(flags),
);

clientCommand("watch", "follow a job to its end")
  .argument("<job>", JOB_HELP)
  .action(async (job, flags) => (await import("./watch.js")).watch(job, flags));

clientCommand("show", "show one job in full")
  .argument("<job>", JOB_HELP)
  .action(async (job, flags) => (await import("./show.js")).show(job, flags));

clientCommand("logs", "show what a job has told so far")
  .argument("<job>", JOB_HELP)
  .action(async (job, flags) => (await import("./logs.js")).logs(job, flags));

clientCommand("cancel", "end a job; nothing of it is published")
  .argument("<job>", JOB_HELP)
  .option("--keep", "leave the partial work, for resume")
  .action(async (job, flags) => (await import("./cancel.js")).cancel(job, flags));

clientCommand("workers", "list the workers that jobs run on").action(async (flags) =>
  (await import("./workers.js")).workers(flags),
);

clientCommand("drain", "take a worker out of service once its tasks are done")
  .argument("<worker>", "its address, as workers lists it")
  .action(async (worker, flags) => (await import("./drain.js")).drain(worker, flags));

const certs = program.command("certs").description("make certificates, for those who have none");

function certsCommand(name: string, description: string): Command {
  return certs
    .command(name)
    .description(description)
    .argument("<dir>", "folder of the authority and its certificates")
    .addOption(
      new Option("--host <name>", "name or address that others connect to; repeatable")
        .argParser(collect)
        .default([], "this host's name"),
    )
    .option("--days <count>", "validity (default: 365)")
    .option("--json", "one JSON object per line on standard output");
}

certsCommand("init", "make an authority and one certificate per role").action(
  async (directory, flags) => (await import("./certs.js")).certsInit(directory, flags),
);

certsCommand("issue", "make one more certificate of the same authority")
  .requiredOption("--role <role>", "coordinator, worker or client")
  .requiredOption("--name <name>", "name of the files and of the certificate")
  .action(async (directory, flags) => (await import("./certs.js")).certsIssue(directory, flags));

await program.parseAsync();
