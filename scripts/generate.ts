/**
 * Writes the sources that are made from other sources: `npm run generate`. With `--check` it then fails if any of them
 * differs from what is committed, which is how a forgotten run is found.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { codegen } from '@graphql-codegen/core';
import * as typescript from '@graphql-codegen/typescript';
import * as typescriptOperations from '@graphql-codegen/typescript-operations';
import * as typescriptResolvers from '@graphql-codegen/typescript-resolvers';
import {
  type DocumentNode,
  type FragmentDefinitionNode,
  Kind,
  type OperationDefinitionNode,
  parse,
  print,
  stripIgnoredCharacters,
  visit,
} from 'graphql';
import { readTypeDefinitions } from '../src/graphql/type-definitions.ts';

/** Every generated folder with what fills it. */
const generators: Readonly<Record<string, () => void | Promise<void>>> = {
  'src/graphql/generated': generateResolverTypes,
  'src/client/generated': generateClientOperations,
  'client/dist': compileClient,
  'src/db/generated': generateDatabaseClient,
  'src/models/onnx/generated': () => generateMessages({ folder: 'src/models/onnx', file: 'onnx.proto' }),
  'src/inference/foreign/tensorflow-serving/generated': () =>
    generateMessages({ folder: 'src/inference/foreign/tensorflow-serving', file: '*.proto' }),
};

/** What stands behind a type of the schema where it is not the generated type itself: resolvers answer these. */
const mappers = {
  ApiKey: '../../tenants/api-keys.ts#ApiKeyRecord',
  Classification: '../../inference/request.ts#Classification as ClassifiedImage',
  ClassifyPayload: '../../inference/request.ts#ClassifyAnswer',
  CreateApiKeyPayload: '../../tenants/api-keys.ts#CreatedApiKey',
  DetectPayload: '../../inference/request.ts#DetectAnswer',
  DetectedObject: '../modules/inference/in-picture.ts#DetectedObjectInPicture',
  Detection: '../../inference/request.ts#Detection as DetectedImage',
  ImageError: '../../inference/request.ts#FailedImage',
  Model: '../../models/registry.ts#ServedModel',
  ModelVariant: '../../models/registry.ts#StoredVariant',
  Segment: '../modules/inference/in-picture.ts#SegmentInPicture',
  SegmentPayload: '../../inference/request.ts#SegmentAnswer',
  Segmentation: '../../inference/request.ts#Segmentation as SegmentedImage',
  SignInPayload: '../../tenants/sessions.ts#Session',
  Tenant: '../../tenants/types.ts#TenantRecord',
  UsagePoint: '../../metering/usage.ts#UsagePoint as BookedUsage',
  Viewer: '../../tenants/types.ts#Principal',
};

/** A folder with messages of Protocol Buffers, and the file that describes them. */
interface ProtocolBuffers {
  readonly folder: string;
  readonly file: string;
}

/** Its binary takes 90 MB, for files that change once a year: fetched where it is run, not with every install. */
const compiler = '@bufbuild/buf@1.75.0';
const checking = process.argv.includes('--check');

for (const [folder, generate] of Object.entries(generators)) {
  await generate();
  process.stdout.write(`${folder}\n`);
}
if (checking) requireCommitted(Object.keys(generators));

async function generateResolverTypes(): Promise<void> {
  const filename = 'src/graphql/generated/resolvers-types.ts';
  const text = await codegen({
    filename,
    documents: [],
    schema: readTypeDefinitions(),
    config: {
      enumsAsTypes: true,
      immutableTypes: true,
      useTypeImports: true,
      strictScalars: true,
      // An argument with a default is always there.
      avoidOptionals: { defaultValue: true },
      scalars: {
        DateTime: 'Date',
        URL: 'string',
        BigInt: { input: 'bigint', output: 'bigint | number' },
      },
      contextType: '../context.ts#GraphqlContext',
      mappers,
    },
    plugins: [{ typescript: {} }, { 'typescript-resolvers': {} }],
    pluginMap: { typescript, 'typescript-resolvers': typescriptResolvers },
  });
  mkdirSync(dirname(filename), { recursive: true });
  writeFileSync(filename, text);
}

/** The types of what the client asks and is answered, and each operation's text with the fragments it spreads. */
async function generateClientOperations(): Promise<void> {
  const source = 'src/client/operations.graphql';
  const filename = 'src/client/generated/operations.ts';
  const document = parse(readFileSync(source, 'utf8'), { noLocation: true });
  const types = await codegen({
    filename,
    schema: readTypeDefinitions(),
    documents: [{ location: source, document }],
    config: {
      immutableTypes: true,
      useTypeImports: true,
      strictScalars: true,
      skipTypename: true,
      scalars: {
        DateTime: 'string',
        URL: 'string',
        BigInt: { input: 'number | string', output: 'number | string' },
      },
    },
    plugins: [{ 'typescript-operations': {} }],
    pluginMap: { 'typescript-operations': typescriptOperations },
  });
  const texts = operationsOf(document).map((operation) => {
    const name = operation.name!.value;
    const type = `${name}${operation.operation === 'query' ? 'Query' : 'Mutation'}`;
    const text = stripIgnoredCharacters(print(withFragments(operation, document)));
    return `export const ${name}: Document<${type}, ${type}Variables> = {\n  text: ${JSON.stringify(text)},\n};\n`;
  });
  mkdirSync(dirname(filename), { recursive: true });
  writeFileSync(filename, ["import type { Document } from '../transport.ts';\n", types, ...texts].join('\n'));
}

/** What the packed client holds: Node runs no TypeScript within node_modules. */
function compileClient(): void {
  rmSync('client/dist', { recursive: true, force: true });
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'src/client'], {
    stdio: 'inherit',
  });
}

function operationsOf({ definitions }: DocumentNode): OperationDefinitionNode[] {
  return definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);
}

function withFragments(operation: OperationDefinitionNode, { definitions }: DocumentNode): DocumentNode {
  const needed = new Set<FragmentDefinitionNode>();
  const gather = (node: OperationDefinitionNode | FragmentDefinitionNode) =>
    visit(node, {
      FragmentSpread({ name }) {
        const fragment = definitions.find(
          (each): each is FragmentDefinitionNode =>
            each.kind === Kind.FRAGMENT_DEFINITION && each.name.value === name.value,
        );
        if (!fragment || needed.has(fragment)) return;
        needed.add(fragment);
        gather(fragment);
      },
    });
  gather(operation);
  return { kind: Kind.DOCUMENT, definitions: [operation, ...needed] };
}

/**
 * Prisma wants to fetch a schema engine before it generates, and runs it never: naming any executable that exists spares
 * the download.
 */
function generateDatabaseClient(): void {
  execFileSync(process.execPath, ['node_modules/prisma/build/index.js', 'generate'], {
    env: { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath },
    stdio: ['ignore', 'pipe', 'pipe'], // what it says is of use where it fails, and then part of the error
  });
}

/** Where its compiler cannot be fetched, a check leaves it out, unless what it is made from has been changed. */
function generateMessages({ folder, file }: ProtocolBuffers): void {
  const compile = (...args: string[]) =>
    execFileSync('npx', ['--yes', '--fetch-retries=1', '--fetch-timeout=60000', compiler, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  try {
    compile('--version');
  } catch (error) {
    if (!checking || changedFiles([`${folder}/${file}`]) !== '') throw error;
    process.stdout.write(
      `${folder}: not checked, since ${compiler} cannot be fetched from the npm registry\n`,
    );
    return;
  }
  const plugin = {
    local: [process.execPath, 'node_modules/@bufbuild/protoc-gen-es/bin/protoc-gen-es'],
    out: `${folder}/generated`,
    opt: ['target=ts', 'import_extension=ts', 'erasable_syntax=true'],
  };
  compile('generate', folder, '--template', JSON.stringify({ version: 'v2', plugins: [plugin] }));
}

function requireCommitted(folders: readonly string[]): void {
  const changed = changedFiles(folders);
  if (changed === '') return;
  process.stderr.write(
    `Generated sources differ from what is committed: run \`npm run generate\` and commit\n${changed}`,
  );
  process.exitCode = 1;
}

function changedFiles(paths: readonly string[]): string {
  return execFileSync('git', ['status', '--porcelain', '--', ...paths], { encoding: 'utf8' });
}
