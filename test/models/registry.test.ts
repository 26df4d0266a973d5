import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { announce } from '../../src/db/changes.ts';
import { type Notifications, openNotifications } from '../../src/db/notifications.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { ModelRegistry, modelCursor, type ServedModel } from '../../src/models/registry.ts';
import { type ImportScene, openImportScene } from './import-scene.ts';

let scene: ImportScene;
let notifications: Notifications;
let registry: ModelRegistry;
let alice: string;
let bob: string;

beforeAll(async () => {
  scene = await openImportScene();
  notifications = await openNotifications(scene.url, createLogger('silent'));
  registry = new ModelRegistry(scene.database, notifications);
});

afterAll(async () => {
  await notifications.close();
  await scene.close();
});

beforeEach(async () => {
  alice = await scene.createTenant(`alice ${uuidv7()}`);
  bob = await scene.createTenant(`bob ${uuidv7()}`);
});

interface Row {
  name: string;
  version?: number;
  isLive?: boolean;
  task?: string;
}

/** Rows as an import leaves them, without the import's work. */
async function store(
  tenantId: string | null,
  { name, version = 1, isLive = true, task = 'CLASSIFY' }: Row,
): Promise<string> {
  const id = uuidv7();
  const { database } = scene;
  await (tenantId === null
    ? database.asOperator
    : (work: Parameters<typeof database.asOperator>[0]) => database.asTenant(tenantId, work))(async (tx) => {
    if (isLive) await tx.model.updateMany({ where: { tenantId, name }, data: { isLive: false } });
    const model = {
      id,
      tenantId,
      name,
      version,
      task,
      manifest: {},
      labels: ['a', 'b'],
      inputWidth: 8,
      inputHeight: 8,
      isLive,
    };
    await tx.model.create({ data: model });
    const variant = {
      id: uuidv7(),
      modelId: id,
      tenantId,
      compression: 'NONE',
      artifactSha256: 'a'.repeat(64),
      sizeBytes: 10,
    };
    const input = {
      tensor: 'pixels',
      width: 8,
      height: 8,
      fit: 'fill',
      resizeShort: null,
      align: 'center',
      pad: 0,
    };
    const output = { kind: 'logits', tensor: 'scores', background: null };
    await tx.modelVariant.create({ data: { ...variant, input, output, maxBatch: 8, unitsPerImage: 1 } });
    await announce(tx, `model:${id}`);
  });
  return id;
}

const named = (models: readonly ServedModel[]) => models.map(({ name, version }) => `${name}@${version}`);

/** Notifications travel: asks until the answer is the one that must come. */
const answers = (tenantId: string, reference: string) =>
  expect.poll(async () => (await registry.resolve(tenantId, reference))?.id ?? null, {
    timeout: 5_000,
    interval: 20,
  });

describe('a tenant', () => {
  it("sees its own models and the public ones, and no other tenant's by any way", async () => {
    const own = await store(alice, { name: 'secret' });
    const open = await store(null, { name: 'open' });
    expect((await registry.resolve(alice, 'secret'))?.id).toBe(own);
    expect((await registry.resolve(alice, 'open'))?.id).toBe(open);
    expect(await registry.resolve(bob, 'secret')).toBeNull();
    expect(await registry.resolve(bob, 'secret@1')).toBeNull();
    expect(await registry.get(bob, own)).toBeNull();
    expect(await registry.get(null, own)).toBeNull();
    expect((await registry.get(bob, open))?.name).toBe('open');
    const page = await registry.list(bob, { first: 100, after: null, task: null });
    expect(named(page.rows)).not.toContain('secret@1');
    expect(named(await registry.livePublic())).not.toContain('secret@1');
    expect(named(await registry.all(alice))).toEqual(expect.arrayContaining(['secret@1', 'open@1']));
  });

  it('finds its own model before a public one of the same name, every version of it', async () => {
    const open = await store(null, { name: 'shadowed', version: 1 });
    await store(null, { name: 'shadowed', version: 2 });
    const own = await store(alice, { name: 'shadowed', version: 1 });
    await answers(alice, 'shadowed').toBe(own);
    await answers(alice, 'shadowed@1').toBe(own);
    await answers(alice, 'shadowed@2').toBeNull();
    await answers(bob, 'shadowed@1').toBe(open);
    const listed = (tenant: string) => registry.list(tenant, { first: 100, after: null, task: null });
    expect(named((await listed(alice)).rows).filter((name) => name.startsWith('shadowed'))).toEqual([
      'shadowed@1',
    ]);
    expect(named((await listed(bob)).rows)).toEqual(expect.arrayContaining(['shadowed@1', 'shadowed@2']));
  });

  it('cannot write a public model, nor for another tenant, nor hang a variant on a model that is not its own', async () => {
    const open = await store(null, { name: 'untouched' });
    const { database } = scene;
    const model = {
      name: 'x',
      version: 1,
      task: 'CLASSIFY',
      manifest: {},
      labels: [],
      inputWidth: 1,
      inputHeight: 1,
      isLive: true,
    };
    const denied = /row-level security/;
    for (const tenantId of [null, bob]) {
      const create = database.asTenant(alice, (tx) =>
        tx.model.create({ data: { id: uuidv7(), tenantId, ...model } }),
      );
      await expect(create).rejects.toThrow(denied);
    }
    const variant = {
      compression: 'INT8',
      artifactSha256: 'b'.repeat(64),
      sizeBytes: 1,
      input: {},
      output: {},
      maxBatch: 1,
      unitsPerImage: 1,
    };
    const hang = database.asTenant(alice, (tx) =>
      tx.modelVariant.create({ data: { id: uuidv7(), modelId: open, tenantId: alice, ...variant } }),
    );
    await expect(hang).rejects.toThrow(denied);
    const hidden = await database.asTenant(alice, (tx) =>
      tx.model.updateMany({ where: { id: open }, data: { isLive: false } }),
    );
    expect(hidden.count).toBe(0);
  });
});

describe('what is stored of a model never changes', () => {
  it('but which version is live', async () => {
    const id = await store(alice, { name: 'fixed' });
    const { database } = scene;
    const change = database.asTenant(alice, (tx) =>
      tx.model.update({ where: { id }, data: { labels: ['c'] } }),
    );
    await expect(change).rejects.toThrow(/permission denied/);
    const remove = database.asTenant(alice, (tx) => tx.model.delete({ where: { id } }));
    await expect(remove).rejects.toThrow(/permission denied/);
  });

  it('and a name has one live version at most, public or not', async () => {
    for (const tenantId of [null, alice]) {
      await store(tenantId, { name: 'one-live', version: 1 });
      const run = (work: Parameters<typeof scene.database.asOperator>[0]) =>
        tenantId === null ? scene.database.asOperator(work) : scene.database.asTenant(tenantId, work);
      const data = {
        tenantId,
        name: 'one-live',
        task: 'CLASSIFY',
        manifest: {},
        labels: [],
        inputWidth: 1,
        inputHeight: 1,
      };
      const second = run((tx) =>
        tx.model.create({ data: { ...data, id: uuidv7(), version: 2, isLive: true } }),
      );
      await expect(second).rejects.toThrow(/nique/);
      const same = run((tx) =>
        tx.model.create({ data: { ...data, id: uuidv7(), version: 1, isLive: false } }),
      );
      await expect(same).rejects.toThrow(/nique/);
    }
  });
});

describe('a name', () => {
  it('means the live version, name@version that very one', async () => {
    const first = await store(alice, { name: 'versions', version: 1 });
    const second = await store(alice, { name: 'versions', version: 2 });
    await answers(alice, 'versions').toBe(second);
    await answers(alice, 'versions@1').toBe(first);
    expect(await registry.resolve(alice, 'versions@3')).toBeNull();
  });

  it.each([
    '',
    '@1',
    'a@',
    'a@0',
    'a@-1',
    'a@1.5',
    'a@01',
    'a@1@1',
    'a b',
    '../a',
    'a@99999999999',
    `${'a'.repeat(65)}`,
    "a'--",
  ])('is not %j', async (reference) => {
    expect(await registry.resolve(alice, reference)).toBeNull();
  });

  it('that was unknown, or meant another model, is seen to change', async () => {
    expect(await registry.resolve(alice, 'changing')).toBeNull();
    const open = await store(null, { name: 'changing' });
    await answers(alice, 'changing').toBe(open);
    const own = await store(alice, { name: 'changing' });
    await answers(alice, 'changing').toBe(own);
    const next = await store(alice, { name: 'changing', version: 2 });
    await answers(alice, 'changing').toBe(next);
  });
});

describe('the list of models', () => {
  it('is cut into pages in the order of name and version', async () => {
    for (const name of ['page-b', 'page-a', 'page-c']) await store(alice, { name });
    await store(alice, { name: 'page-a', version: 10 });
    await store(alice, { name: 'page-a', version: 2 });
    const seen: string[] = [];
    let after: string | null = null;
    for (;;) {
      const page = await registry.list(alice, { first: 2, after, task: null });
      expect(page.totalCount).toBe(
        (await registry.list(alice, { first: 100, after: null, task: null })).rows.length,
      );
      expect(page.rows.length).toBeLessThanOrEqual(2);
      seen.push(...named(page.rows));
      if (!page.hasNextPage) break;
      after = modelCursor(page.rows.at(-1)!);
    }
    expect(new Set(seen).size).toBe(seen.length);
    const own = seen.filter((name) => name.startsWith('page-'));
    expect(own).toEqual(['page-a@1', 'page-a@2', 'page-a@10', 'page-b@1', 'page-c@1']);
  });

  it('can be narrowed to a task', async () => {
    await store(bob, { name: 'classifier' });
    await store(bob, { name: 'detector', task: 'DETECT' });
    const { rows, totalCount } = await registry.list(bob, { first: 100, after: null, task: 'DETECT' });
    expect(named(rows)).toEqual(['detector@1']);
    expect(totalCount).toBe(1);
  });

  it('refuses a cursor that it did not answer', async () => {
    for (const after of ['x', '', modelCursor({ name: '../a', version: 1 })]) {
      await expect(registry.list(alice, { first: 2, after, task: null })).rejects.toThrow('after');
    }
  });
});
