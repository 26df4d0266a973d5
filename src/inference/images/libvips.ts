import sharp from 'sharp';

/*
 * libvips, set for one purpose: many small pictures from strangers. One thread a picture and no operation cache were
 * fastest, and decodes are spread over cores by `decodeImage`. Every loader but the six formats served is switched off,
 * so bytes that look like one format to us and like another to libvips still meet no other decoder.
 */
sharp.concurrency(1);
sharp.cache(false);
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: [
    'VipsForeignLoadJpeg',
    'VipsForeignLoadPng',
    'VipsForeignLoadWebp',
    'VipsForeignLoadHeif',
    'VipsForeignLoadNsgif',
    'VipsForeignLoadTiff',
  ],
});

export { sharp };
