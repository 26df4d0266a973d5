import { expect, it } from 'vitest';
import { Quarantine } from '../../../src/inference/pool/quarantine.ts';
import type { WorkerTask } from '../../../src/inference/pool/worker-host.ts';
import type { Variant } from '../../../src/inference/variant.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { variantOf } from '../../support/variants.ts';

const [a, b, c] = ['a', 'b', 'c'].map((key) => variantOf(key, 'a'.repeat(64))) as [
  ReturnType<typeof variantOf>,
  ReturnType<typeof variantOf>,
  ReturnType<typeof variantOf>,
];
const MINUTE = 60_000;

/** Variants that a worker was loading. */
const tasks = (...variants: readonly Variant[]): WorkerTask[] =>
  variants.map((variant) => ({ variant, pixels: null }));

/** A batch that a worker ran, a picture for each grey, of as many tenants. */
const batch = (variant: Variant, ...greys: readonly number[]): WorkerTask =>
  batchOf(variant, ...greys.map((grey) => [`tenant ${grey}`, grey] as const));

/** As above, of these tenants. */
function batchOf(variant: Variant, ...pictures: readonly (readonly [string, number])[]): WorkerTask {
  const data = Uint8Array.from(pictures.flatMap(([, grey]) => Array<number>(12).fill(grey)));
  const tenants = pictures.map(([tenant]) => tenant);
  return {
    ...{ variant, tenants },
    pixels: { name: 'images', datatype: 'UINT8', shape: [pictures.length, 2, 2, 3], data },
  };
}

function scene() {
  let now = 0;
  const lines: string[] = [];
  const logger = createLogger('error', { write: (line) => lines.push(line) });
  const quarantine = new Quarantine(logger, { clock: { now: () => now, elapsed: () => now } });
  return {
    quarantine,
    pass: (ms: number) => {
      now += ms;
    },
    logged: () => lines.map((line) => JSON.parse(line)),
    kept: () =>
      quarantine
        .list()
        .map(({ variant, tenant, leftMs }) => [variant.key, ...(tenant === null ? [] : [tenant]), leftMs]),
  };
}

it('keeps a variant from workers for a minute once three died of it within five, and says so', () => {
  const { quarantine, pass, logged, kept } = scene();
  for (let deaths = 1; deaths <= 3; deaths += 1) {
    expect(kept()).toEqual([]);
    quarantine.died('broke', tasks(a));
    expect(quarantine.isDoubtful('a')).toBe(true);
    pass(MINUTE);
  }
  expect(logged()).toMatchObject([{ model: 'a@1', variant: 'a', deaths: 3, quarantineMs: MINUTE }]);
  expect(kept()).toEqual([]); // The minute has passed.
});

it('is not moved by deaths that lie far apart', () => {
  const { quarantine, pass, kept } = scene();
  for (let deaths = 1; deaths <= 9; deaths += 1) {
    quarantine.died('broke', tasks(a));
    pass(3 * MINUTE);
  }
  expect(kept()).toEqual([]);
});

it('tries it again afterwards: one death more is enough, for twice as long, up to an hour', () => {
  const { quarantine, pass, kept } = scene();
  for (let deaths = 1; deaths <= 3; deaths += 1) quarantine.died('broke', tasks(a));
  for (const minutes of [1, 2, 4, 8, 16, 32, 60, 60]) {
    expect(kept()).toEqual([['a', minutes * MINUTE]]);
    pass(minutes * MINUTE);
    expect(quarantine.leftMs('a')).toBe(0);
    quarantine.died('broke', tasks(a));
  }
  // One that workers lived with for long begins anew.
  pass(60 * MINUTE + 11 * MINUTE);
  quarantine.died('broke', tasks(a));
  expect(kept()).toEqual([]);
});

it('blames the one variant that the deaths have in common', () => {
  const { quarantine, kept } = scene();
  quarantine.died('broke', tasks(a, b));
  quarantine.died('broke', tasks(a, c));
  quarantine.died('broke', tasks(b, a));
  expect(kept()).toEqual([['a', MINUTE]]);
});

it('blames none where there is no telling, until one of them is alone', () => {
  const { quarantine, kept } = scene();
  for (let deaths = 1; deaths <= 4; deaths += 1) quarantine.died('broke', tasks(a, b));
  expect(kept()).toEqual([]);
  quarantine.died('broke', tasks(b));
  expect(kept()).toEqual([['b', MINUTE]]);
  // Those deaths are accounted for.
  quarantine.died('broke', tasks(a));
  expect(kept()).toEqual([['b', MINUTE]]);
});

it('blames nothing for workers that others end, as long as it is answered in between', () => {
  const { quarantine, pass, kept } = scene();
  for (let deaths = 1; deaths <= 20; deaths += 1) {
    quarantine.died('gone', tasks(a));
    pass(2_000);
    quarantine.answered('a');
    expect(quarantine.isDoubtful('a')).toBe(false);
  }
  expect(kept()).toEqual([]);
  // What never comes to an answer may take too much memory, for which the system ends a worker.
  for (let deaths = 1; deaths <= 3; deaths += 1) {
    pass(1);
    quarantine.died('gone', tasks(b));
    quarantine.answered('a');
  }
  expect(kept()).toEqual([['b', MINUTE]]);
});

it('is not soothed by answers where workers break', () => {
  const { quarantine, kept } = scene();
  for (let deaths = 1; deaths <= 3; deaths += 1) {
    quarantine.died('broke', tasks(a));
    quarantine.answered('a');
  }
  expect(kept()).toEqual([['a', MINUTE]]);
});

it('does not count a worker that did nothing', () => {
  const { quarantine, kept } = scene();
  for (let deaths = 1; deaths <= 5; deaths += 1) quarantine.died('broke', tasks());
  expect(kept()).toEqual([]);
});

it('counts workers that died of one image once, and those that died with it among others not at all', () => {
  const { quarantine, kept } = scene();
  quarantine.died('broke', [batch(a, 1, 2, 255)]);
  for (let deaths = 1; deaths <= 9; deaths += 1) quarantine.died('broke', [batch(a, 255)]);
  expect(quarantine.isDoubtful('a')).toBe(true);
  quarantine.died('broke', [batch(a, 254)]);
  quarantine.died('broke', [batch(a, 254)]);
  expect(kept()).toEqual([]);
  // That is the third.
  quarantine.died('broke', [batch(a, 253)]);
  expect(kept()).toEqual([['a', MINUTE]]);
});

it('does not take an image for what a worker died of that did something else as well', () => {
  const { quarantine, kept } = scene();
  quarantine.died('broke', [batch(a, 255), batch(a, 255)]);
  quarantine.died('broke', [batch(a, 255), ...tasks(a)]);
  expect(kept()).toEqual([]);
  quarantine.died('broke', [batch(a, 255, 255)]);
  expect(kept()).toEqual([['a', MINUTE]]);
});

/** Has workers die of `a` under an image of this tenant's, another each time, alone or beside one each of `riders`. */
function deathsUnder(quarantine: Quarantine) {
  let grey = 255;
  return (tenant: string, ...riders: readonly string[]) => {
    const images = riders.map((rider, at) => [rider, at] as const);
    quarantine.died('broke', [batchOf(a, ...images, [tenant, grey])]);
    grey -= 1;
  };
}

it("keeps it from the one tenant under whose images alone workers died, and from all once they died under another's", () => {
  const { quarantine, pass, logged, kept } = scene();
  const die = deathsUnder(quarantine);
  die('hostile', 'rider', 'other');
  for (let deaths = 1; deaths <= 2; deaths += 1) die('hostile');
  expect(kept()).toEqual([['a', 'hostile', MINUTE]]);
  expect(logged()).toMatchObject([{ variant: 'a', tenant: 'hostile', deaths: 3 }]);
  const kinds = ['hostile', 'other', null].map((tenant) => quarantine.leftMs('a', tenant));
  expect(kinds).toEqual([MINUTE, 0, 0]);
  expect(quarantine.isDoubtful('a')).toBe(false);
  // One more is enough, and takes it from nobody else either.
  pass(MINUTE);
  die('hostile');
  expect(kept()).toEqual([['a', 'hostile', 2 * MINUTE]]);
  for (let deaths = 1; deaths <= 2; deaths += 1) die('other');
  expect(quarantine.leftMs('a', 'other')).toBe(0);
  die('other');
  expect(quarantine.leftMs('a')).toBe(MINUTE);
  // Then one more is enough, be it under one tenant's alone.
  pass(MINUTE);
  die('third');
  expect(quarantine.leftMs('a')).toBe(2 * MINUTE);
  // Who is known for it takes it from nobody else thereafter either.
  pass(3 * MINUTE);
  die('hostile');
  expect(kept()).toEqual([['a', 'hostile', 4 * MINUTE]]);
});

it('keeps it from the tenant whose images alone were there each time, though never by themselves', () => {
  const { quarantine, kept } = scene();
  const die = deathsUnder(quarantine);
  for (const rider of ['one', 'two', 'three']) die('hostile', rider);
  expect(kept()).toEqual([['a', 'hostile', MINUTE]]);
});

it('is not taken from all time and again by one tenant, once it was', () => {
  const { quarantine, pass, kept } = scene();
  const die = deathsUnder(quarantine);
  for (const tenant of ['chance', 'hostile', 'hostile']) die(tenant);
  expect(kept()).toEqual([['a', MINUTE]]);
  pass(MINUTE);
  for (let deaths = 1; deaths <= 3; deaths += 1) die('hostile');
  expect(kept()).toEqual([['a', 'hostile', MINUTE]]);
});

it('has who is known answer for theirs at once, whatever else a worker died of lately', () => {
  const { quarantine, pass, kept } = scene();
  const die = deathsUnder(quarantine);
  for (let deaths = 1; deaths <= 3; deaths += 1) die('known');
  pass(MINUTE);
  for (const tenant of ['chance', 'known']) die(tenant);
  expect(kept()).toEqual([['a', 'known', 2 * MINUTE]]);
});

it('does not charge who is known with deaths that another was there for each time', () => {
  const { quarantine, pass, kept } = scene();
  const die = deathsUnder(quarantine);
  for (let deaths = 1; deaths <= 3; deaths += 1) die('known');
  pass(MINUTE);
  for (let deaths = 1; deaths <= 2; deaths += 1) die('next');
  die('next', 'known');
  expect(kept()).toEqual([['a', MINUTE]]);
});

it('keeps it from all where the same tenants ride together each time', () => {
  const { quarantine, kept } = scene();
  const die = deathsUnder(quarantine);
  for (let deaths = 1; deaths <= 3; deaths += 1) die('one', 'two', 'three');
  expect(kept()).toEqual([['a', MINUTE]]);
});

it('keeps it from all where workers died under images of several tenants, or as they loaded it', () => {
  for (const third of [batchOf(a, ['two', 3]), { variant: a, pixels: null }]) {
    const { quarantine, kept } = scene();
    for (const grey of [1, 2]) quarantine.died('broke', [batchOf(a, ['one', grey])]);
    quarantine.died('broke', [third]);
    expect(kept()).toEqual([['a', MINUTE]]);
  }
});
