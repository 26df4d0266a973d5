import { describe, expect, it } from 'vitest';
import { Admission, type Applicant, type Place } from '../../../src/inference/scheduler/admission.ts';
import type { Variant } from '../../../src/inference/variant.ts';
import { OverloadedError } from '../../../src/lib/errors.ts';
import { paperCosts } from './paper-costs.ts';

/** Takes one place. */
const input: Variant['input'] = {
  ...{ width: 224, height: 224, fit: 'fill', resizeShort: null, align: 'center', pad: 0, tensor: 'pixels' },
};

/** An image takes 10 ms of device time, and one worker is there. */
function admissionOf(most: number) {
  const clock = { ms: 0, now: () => clock.ms, elapsed: () => clock.ms };
  const costs = paperCosts(() => ({ perImageMs: 10, perBatchMs: 0 }));
  const admission = new Admission({ most, costs, workers: () => 1, clock });
  const admit = (tenant: string, images: number, overrides: Partial<Applicant> = {}) =>
    admission.admit({
      ...{ tenant, weight: 1, variant: { key: 'v', maxBatch: 8, input }, images, fetched: 0 },
      timeoutMs: Number.POSITIVE_INFINITY,
      ...overrides,
    });
  return { admission, admit, clock };
}

function refusal(work: () => unknown): { message: string; retryAfterMs: number } {
  try {
    work();
  } catch (error) {
    if (!(error instanceof OverloadedError)) throw error;
    return { message: error.message, retryAfterMs: Number(error.extensions.retryAfterMs) };
  }
  throw new Error('it was admitted');
}

/** Images that a tenant gets in, one by one, until it is refused. */
function flood(admit: (tenant: string, images: number) => Place, tenant: string): number {
  for (let images = 0; ; images += 1) {
    try {
      admit(tenant, 1);
    } catch {
      return images;
    }
  }
}

describe('places', () => {
  it('are half of all for one flood, and leave 1/(n+1) free where n tenants flood at once', () => {
    const { admission, admit } = admissionOf(400);
    expect(flood(admit, 'flood')).toBe(200);
    const { admission: shared, admit: share } = admissionOf(400);
    const floods = ['a', 'b', 'c'];
    for (let round = 0; round < 400; round += 1) {
      for (const tenant of floods) {
        try {
          share(tenant, 1);
        } catch {}
      }
    }
    expect(400 - shared.admitted).toBeGreaterThanOrEqual(100);
    share('visitor', 32);
    expect(admission.admitted).toBe(200);
  });

  it('are at least one request for everybody, while there are so many', () => {
    const { admission, admit } = admissionOf(64);
    admit('a', 32);
    admit('b', 32);
    expect(admission.admitted).toBe(64);
    expect(refusal(() => admit('c', 1))).toEqual({
      message: 'The queue is full. Try again later.',
      retryAfterMs: 10,
    });
  });

  it('come back, once, and a refusal says when as many should have', () => {
    const { admission, admit } = admissionOf(100);
    const place = admit('a', 50);
    expect(refusal(() => admit('a', 2))).toEqual({
      message:
        'You have 50 images waiting or running, and there is no room for 2 more of yours now. Try again later.',
      retryAfterMs: 40,
    });
    place.leave(50);
    admit('a', 50);
    expect(admission.admitted).toBe(50);
    expect([...admission.shed]).toEqual([['share', 2]]);
  });

  describe('of large pictures, which take several', () => {
    /** Of 1.2 MB: five places. */
    const variant = { key: 'large', maxBatch: 8, input: { ...input, width: 640, height: 640 } };

    it('are taken by their size, and given back', () => {
      const { admission, admit } = admissionOf(1_000);
      expect(flood((tenant) => admit(tenant, 1, { variant }), 'flood')).toBe(100);
      const place = admit('visitor', 32, { variant });
      // 500 places are its own and 340 free, of which it wants 32: 224 places or 45 images too many, at half of the device.
      expect(refusal(() => admit('flood', 32)).retryAfterMs).toBeCloseTo(896, -1);
      place.leave(32);
      expect(flood(admit, 'visitor')).toBe(250);
      expect(admission.admitted).toBe(350);
    });

    it('are at least one request for everybody, too, while there are so many', () => {
      const { admission, admit } = admissionOf(320);
      admit('a', 32, { variant });
      admit('b', 32, { variant });
      expect(refusal(() => admit('c', 1, { variant })).message).toMatch(/^The queue is full/);
      expect(admission.admitted).toBe(64);
    });

    it('are half of all at most for one request, however much it takes', () => {
      const { admit } = admissionOf(200);
      const place = admit('a', 32, { variant });
      expect(refusal(() => admit('a', 1)).message).toMatch(/no room for 1 more of yours/);
      admit('b', 32, { variant });
      // One of theirs takes three places, as it is counted.
      expect(refusal(() => admit('c', 1, { variant }))).toEqual({
        message: 'The queue is full. Try again later.',
        retryAfterMs: 16,
      });
      place.leave(32);
      admit('c', 1, { variant });
    });

    it('are wanting before it is known for what only where they are for any request', () => {
      const { admission, admit } = admissionOf(400);
      for (let image = 0; image < 31; image += 1) admit('a', 1, { variant });
      admit('b', 32, { variant });
      // Its share is used up, but not what one request may have.
      admission.requireRoom({ tenant: 'a', weight: 1 });
      admit('a', 1, { variant });
      expect(refusal(() => admission.requireRoom({ tenant: 'a', weight: 1 })).message).toMatch(
        /^You have 32/,
      );
      expect(refusal(() => admit('a', 1)).message).toMatch(/^You have 32/);
    });
  });
});

describe('time', () => {
  it('refuses what would be answered too late because of what is before it, and says when it would not be', () => {
    const { admission, admit } = admissionOf(1_000);
    for (let request = 0; request < 4; request += 1) admit('a', 10);
    admit('b', 1, { timeoutMs: 31 });
    admit('a', 1, { timeoutMs: 650 });
    // 430 ms, which may be half as much again.
    const { message, retryAfterMs } = refusal(() => admit('a', 1, { timeoutMs: 600 }));
    expect(message).toMatch(/^It would take 430 to 645 ms to answer this, and it has 600 ms\./);
    expect(retryAfterMs).toBe(30);
    expect([...admission.shed]).toEqual([['late', 1]]);
  });

  it("counts a tenant's own backlog at its share, and of the others' no more than falls to them meanwhile", () => {
    const { admit } = admissionOf(1_000);
    admit('flood', 32);
    admit('flood', 32);
    admit('flood', 32);
    // Half of the device is its own: 2 images are done when 2 of the flood's are.
    admit('visitor', 2, { timeoutMs: 62 });
    // Three quarters are.
    admit('heavy', 3, { weight: 3, timeoutMs: 100 });
    expect(refusal(() => admit('flood', 1, { timeoutMs: 1_000 })).retryAfterMs).toBeGreaterThan(100);
  });

  it('leaves alone what would be late with nothing before it: it is told that it was too late', () => {
    const { admit } = admissionOf(1_000);
    admit('a', 32);
    admit('a', 1, { timeoutMs: 1 });
  });

  it('goes by the rate at which answers are given while there is enough to do', () => {
    const { admit, clock } = admissionOf(10_000);
    // 20 ms an image: half as fast as the estimate has it.
    const places = Array.from({ length: 100 }, () => admit('a', 1));
    for (const place of places.splice(0, 50)) {
      clock.ms += 20;
      place.leave(1);
    }
    // 500 ms of estimated work are before it.
    expect(refusal(() => admit('a', 1, { timeoutMs: 1_400 })).retryAfterMs).toBeGreaterThan(50);
    admit('a', 1, { timeoutMs: 1_600 });
  });

  it('takes neither what is dropped for an answer, nor a trickle or a pause for a pace', () => {
    const { admit, clock } = admissionOf(10_000);
    for (let request = 0; request < 100; request += 1) {
      const place = admit('slow', 1);
      clock.ms += 1_000;
      place.leave(1);
    }
    const dropped = Array.from({ length: 100 }, () => admit('a', 1));
    for (const place of dropped) {
      clock.ms += 1;
      place.leave(0);
    }
    admit('a', 32);
    admit('b', 1, { timeoutMs: 30 });
    expect(refusal(() => admit('a', 1, { timeoutMs: 350 })).retryAfterMs).toBeGreaterThan(1);
  });

  it('takes what the cache answered for no pace of the device', () => {
    const { admit, clock } = admissionOf(10_000);
    const hits = Array.from({ length: 100 }, () => admit('a', 1));
    admit('b', 64);
    for (const hit of hits) {
      clock.ms += 5;
      hit.leave(0);
    }
    // 640 ms before it: at the pace of the hits, two images in 10 ms, they would be half of that.
    expect(refusal(() => admit('b', 1, { timeoutMs: 500 })).retryAfterMs).toBeGreaterThan(100);
  });

  it('counts images that have yet to be fetched once they have come', () => {
    const { admit } = admissionOf(1_000);
    const place = admit('a', 32, { fetched: 32 });
    admit('a', 1, { timeoutMs: 50 });
    for (let image = 0; image < 32; image += 1) place.arrived();
    expect(refusal(() => admit('a', 1, { timeoutMs: 50 })).retryAfterMs).toBeGreaterThan(200);
  });
});

describe('room, before it is known for what', () => {
  const room = (admission: Admission, tenant: string) => () => admission.requireRoom({ tenant, weight: 1 });

  it('is there unless not even one image has a place', () => {
    const { admission, admit } = admissionOf(100);
    const place = admit('a', 49);
    refusal(() => admit('a', 2));
    room(admission, 'a')();
    admit('a', 1);
    expect(refusal(room(admission, 'a')).message).toMatch(/^You have 50 images waiting or running/);
    room(admission, 'b')();
    place.leave(49);
    room(admission, 'a')();
    expect([...admission.shed]).toEqual([['share', 3]]);
  });

  it('is not there as long as even one image would be late, as one just was; for that tenant alone', () => {
    const { admission, admit, clock } = admissionOf(10_000);
    const places = Array.from({ length: 50 }, () => admit('a', 1, { timeoutMs: 750 }));
    room(admission, 'a')();
    const { retryAfterMs } = refusal(() => admit('a', 1, { timeoutMs: 750 }));
    expect(retryAfterMs).toBe(10);
    clock.ms += 4;
    expect(refusal(room(admission, 'a')).retryAfterMs).toBe(6);
    room(admission, 'b')();
    clock.ms += 6;
    room(admission, 'a')();
    refusal(() => admit('a', 1, { timeoutMs: 750 }));
    for (const place of places) place.leave(1);
    room(admission, 'a')();
  });

  it('is there for a tenant that has shown more patience, whichever of its requests is late', () => {
    const { admission, admit } = admissionOf(10_000);
    const patient = admit('a', 1, { timeoutMs: 10_000 });
    for (let image = 1; image < 50; image += 1) admit('a', 1, { timeoutMs: 750 });
    refusal(() => admit('a', 1, { timeoutMs: 750 }));
    room(admission, 'a')();
    // Once that is answered it is forgotten.
    admit('a', 1, { timeoutMs: 10_000 });
    patient.leave(1);
    refusal(() => admit('a', 1, { timeoutMs: 750 }));
    refusal(room(admission, 'a'));
  });

  it('is there for one image where many would be late', () => {
    const { admission, admit } = admissionOf(10_000);
    admit('a', 32);
    refusal(() => admit('a', 32, { timeoutMs: 500 }));
    room(admission, 'a')();
  });
});

describe('a request that is over', () => {
  it('leaves nothing behind, though one of its pictures comes only then', () => {
    const { admit } = admissionOf(100);
    for (let request = 0; request < 50; request += 1) {
      const place = admit('fetcher', 2, { fetched: 2 });
      place.leave(0);
      place.arrived();
      place.arrived();
    }
    // 1,000 ms of images that nobody waits for would be refused as late.
    admit('fetcher', 1, { timeoutMs: 100 });
  });
});
