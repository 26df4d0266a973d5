/**
 * The example pictures: each is the scene of its seed, named for what is in it. The first is the smallest, so that its
 * base64 still fits into a command line.
 */
export const examples = [
  { name: 'red-circle', seed: 20, width: 160, height: 120, quality: 60 },
  { name: 'yellow-ring', seed: 1, width: 192, height: 144, quality: 85 },
  { name: 'blue-star', seed: 103, width: 192, height: 144, quality: 85 },
  { name: 'green-triangle', seed: 91, width: 192, height: 144, quality: 85 },
  { name: 'purple-cross', seed: 79, width: 192, height: 144, quality: 85 },
  { name: 'orange-square', seed: 64, width: 192, height: 144, quality: 85 },
] as const;
