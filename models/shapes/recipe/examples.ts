/**
 * The example pictures: each is the scene of its seed. The classifier's are named for what is in them; the first is the
 * smallest, so that its base64 still fits into a command line.
 */
const one = { model: 'shapes', width: 192, height: 144, quality: 85 } as const;
const several = { width: 256, height: 192, objects: 4, radius: [0.14, 0.26], quality: 85 } as const;

export const examples = [
  { ...one, name: 'red-circle', seed: 20, width: 160, height: 120, quality: 60 },
  { ...one, name: 'yellow-ring', seed: 1 },
  { ...one, name: 'blue-star', seed: 103 },
  { ...one, name: 'green-triangle', seed: 91 },
  { ...one, name: 'purple-cross', seed: 79 },
  { ...one, name: 'orange-square', seed: 64 },
  { ...several, model: 'shapes-detect', name: 'four-objects', seed: 224 },
  { ...several, model: 'shapes-segment', name: 'four-shapes', seed: 225 },
] as const;
