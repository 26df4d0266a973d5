#!/usr/bin/env -S node --disable-warning=ExperimentalWarning
import { Command, CommanderError } from 'commander';
import { OperatorError } from './lib/errors.ts';

/**
 * The command line. Each command's module is loaded when it is called: a worker must not carry the database and the API
 * in its memory.
 */
const program = new Command('fovea')
  .description('Vision models as a multi-tenant GraphQL service.')
  .exitOverride()
  .showHelpAfterError();

program
  .command('start')
  .description(
    'Serve the API. Without DATABASE_URL it brings its own PostgreSQL; settings: see .env.example.',
  )
  .option('--json', 'print what a program needs as lines of JSON')
  .action(async (options) => (await import('./commands/start.ts')).start(options));

program
  .command('worker')
  .description('Run models behind the Open Inference Protocol v2; needs no database.')
  .requiredOption('--listen <address>', 'host:port or unix:path')
  .option('--artifacts <dir>', "the server's artefact store (default: artifacts in FOVEA_DATA_DIR)")
  .option('--threads <n>', 'threads of the engine (default: one a core)')
  .option(
    '--memory <size>',
    'what it may take, e.g. 4GiB (default: FOVEA_WORKER_MEMORY, else half of the machine)',
  )
  .option('--upstream <url>', 'hold no models: share a Triton, KServe or OpenVINO Model Server among tenants')
  .option('--max-batch <n>', 'with --upstream: images of a batch where it does not say', '8')
  .option('--concurrency <n>', 'with --upstream: batches that it is given at a time', '1')
  .option('--tls-cert <file>', 'serve HTTPS with this certificate (PEM, its chain below it)')
  .option('--tls-key <file>', "the certificate's key (PEM)")
  .option(
    '--providers <names>',
    'what computes, in order: cpu, webgpu, cuda, tensorrt (default: FOVEA_PROVIDERS)',
  )
  .option('--device <n>', 'which GPU, for cuda and tensorrt', '0')
  .option('--exit-with-parent', 'end when standard input closes')
  .option('--json', 'print what a program needs as lines of JSON')
  .action(async (options) => (await import('./commands/worker.ts')).worker(options));

program
  .command('providers')
  .description('Try what ONNX Runtime can compute with on this machine; exit 1 where a named one cannot.')
  .argument('[names...]', 'of cpu, webgpu, cuda, tensorrt (default: all)')
  .option('--json', 'print JSON')
  .action(async (names, options) => (await import('./commands/providers.ts')).listProviders(names, options));

program
  .command('migrate')
  .description('Bring the database to the present schema.')
  .option('--json', 'print JSON')
  .action(async (options) => (await import('./commands/migrate.ts')).migrateDatabase(options));

const tenants = program.command('tenants').description('Tenants: who may call.');
tenants
  .command('create')
  .description('Create a tenant and, with an e-mail address, its owner.')
  .requiredOption('--name <name>', "the tenant's name")
  .option('--plan <plan>', 'Free, Pro or Scale', 'Free')
  .option('--email <address>', "the owner's e-mail address; a password is made and printed")
  .option('--json', 'print JSON')
  .action(async (options) => (await import('./commands/tenants.ts')).createTenant(options));
tenants
  .command('set-plan')
  .description('Move a tenant to the newest version of a plan.')
  .requiredOption('--tenant <name>', "the tenant's name")
  .requiredOption('--plan <plan>', 'Free, Pro or Scale')
  .option('--json', 'print JSON')
  .action(async (options) => (await import('./commands/tenants.ts')).setPlan(options));
tenants
  .command('set-origins')
  .description("Say whose pages may read a tenant's answers in a browser, in place of those before.")
  .requiredOption('--name <name>', "the tenant's name")
  .requiredOption('--origins <origins>', "separated by commas, e.g. https://app.example; '': none")
  .option('--json', 'print JSON')
  .action(async (options) => (await import('./commands/tenants.ts')).setOrigins(options));

program
  .command('keys')
  .description('API keys.')
  .command('create')
  .description('Create an API key. Its secret is printed this once.')
  .requiredOption('--tenant <name>', "the tenant's name")
  .option('--scopes <scopes>', 'separated by commas', 'INFER')
  .option('--name <name>', 'what the key is for', 'command line')
  .option('--json', 'print JSON')
  .action(async (options) => (await import('./commands/keys.ts')).createKey(options));

const ledger = program.command('ledger').description('The ledger: what was booked.');
ledger
  .command('check')
  .description(
    'Recompute counters and roll-ups from events and holds, month by month (UTC); exit 1 where they differ.',
  )
  .option('--from <month>', 'the first month, as 2026-11, or a time in it')
  .option(
    '--to <month>',
    'the month before which to stop, or a time: months that begin before it are checked',
  )
  .option('--json', 'print JSON')
  .action(async (options) => (await import('./commands/ledger.ts')).checkTheLedger(options));
ledger
  .command('correct')
  .description('Give units of a billed request back, by an event that says why and by whom.')
  .argument('<request>', "the request's id, as its receipt tells it")
  .requiredOption('--tenant <name>', "the tenant's name")
  .requiredOption('--units <n>', 'how many')
  .requiredOption('--reason <text>', 'why')
  .requiredOption('--author <name>', 'who answers for it')
  .option('--json', 'print JSON')
  .action(async (request, options) =>
    (await import('./commands/ledger.ts')).correctRequest(request, options),
  );

const models = program.command('models').description('Models: what is served.');
models
  .command('import')
  .description('Check a model by its manifest, store it, and serve it; public unless --tenant is given.')
  .argument('<manifest>', 'path of the manifest (JSON)')
  .option('--tenant <name>', 'offer it to this tenant alone')
  .option('--json', 'print JSON')
  .action(async (manifest, options) => (await modelsBesideService()).importManifest(manifest, options));
models
  .command('list')
  .description('List the models, public ones and those of --tenant.')
  .option('--tenant <name>', "with this tenant's own")
  .option('--json', 'print JSON')
  .action(async (options) => (await import('./commands/models.ts')).listModels(options));
models
  .command('export')
  .description('Write every variant of a model into the model repository of another inference server.')
  .argument('<model>', 'its name, or name@version')
  .option('--triton <dir>', 'the repository of a Triton Inference Server')
  .option('--tfserving <dir>', 'the model folder of a TensorFlow Serving')
  .option('--tenant <name>', "of this tenant's own models, too")
  .option('--json', 'print JSON')
  .action(async (model, options) => (await modelsBesideService()).exportToServer(model, options));

/** Most modules are loaded at a lower priority, too: that takes a processor most of a second. */
async function modelsBesideService() {
  (await import('./commands/lower-priority.ts')).lowerPriorityBesideService();
  return import('./commands/models.ts');
}

// Whoever read what is told may be gone (a closed terminal, `| head`): no reason to end without order.
process.stdout.on('error', () => {});

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else if (error instanceof OperatorError) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error.exitCode;
  } else throw error;
}
