import { expect, it } from 'vitest';
import { parseWorkerAddress } from '../../src/lib/worker-address.ts';

it.each<[string, ReturnType<typeof parseWorkerAddress>]>([
  ['http://gpu-1:8000', { protocol: 'oip', url: 'http://gpu-1:8000', everyAddress: false }],
  ['https://gpu/below/', { protocol: 'oip', url: 'https://gpu/below', everyAddress: false }],
  ['dns+HTTP://Workers:8001', { protocol: 'oip', url: 'http://workers:8001', everyAddress: true }],
  ['tfserving+grpc://tf:8500', { protocol: 'tfserving-grpc', url: 'http://tf:8500', everyAddress: false }],
  ['tfserving+grpcs://tf', { protocol: 'tfserving-grpc', url: 'https://tf', everyAddress: false }],
  ['dns+tfserving+grpc://tf:8500', { protocol: 'tfserving-grpc', url: 'http://tf:8500', everyAddress: true }],
  [
    'tfserving+http://tf:8501/v',
    { protocol: 'tfserving-rest', url: 'http://tf:8501/v', everyAddress: false },
  ],
  ['tfserving+https://tf:8501', { protocol: 'tfserving-rest', url: 'https://tf:8501', everyAddress: false }],
  ['grpc://tf:8500', null],
  ['tfserving://tf:8500', null],
  ['tfserving+grpc://tf:8500/below', null],
  ['dns+http://workers:8001/below', null],
  ['dns+dns+http://workers:8001', null],
  ['http://user:secret@gpu-1:8000', null],
  ['http://gpu-1:8000/?a=b', null],
  ['gpu-1:8000', null],
])('%s', (text, address) => {
  expect(parseWorkerAddress(text)).toEqual(address);
});
