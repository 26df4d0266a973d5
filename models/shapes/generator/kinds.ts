/**
 * Shapes as signed distance functions: how far a point lies outside the edge (negative: inside). They give smooth edges
 * and exact masks at any size and angle without a rasteriser. After Inigo Quilez, "2D distance functions"
 * (iquilezles.org/articles/distfunctions2d).
 *
 * Each shape is centred on the origin and fits into the circle of radius 1; y points down.
 */
type Distance = (x: number, y: number) => number;

const distances = {
  circle: (x, y) => length(x, y) - 1,
  square: (x, y) => box(x, y, Math.SQRT1_2, Math.SQRT1_2),
  triangle: (x, y) => polygon(triangle, x, y),
  star: (x, y) => polygon(star, x, y),
  cross: (x, y) => Math.min(box(x, y, 0.95, 0.3), box(x, y, 0.3, 0.95)),
  ring: (x, y) => Math.abs(length(x, y) - 0.78) - 0.22,
} satisfies Record<string, Distance>;

export type Kind = keyof typeof distances;

export const kinds = Object.keys(distances) as Kind[];

/** The distance from a shape whose radius is 1 to a point in units of that radius. */
export function distanceTo(kind: Kind, x: number, y: number): number {
  return distances[kind](x, y);
}

type Point = readonly [x: number, y: number];

const triangle = corners(3, () => 1);
const star = corners(10, (index) => (index % 2 === 0 ? 1 : 0.45));

function corners(count: number, radius: (index: number) => number): readonly Point[] {
  return Array.from({ length: count }, (_, index) => {
    const angle = (2 * Math.PI * index) / count - Math.PI / 2;
    return [radius(index) * Math.cos(angle), radius(index) * Math.sin(angle)] as const;
  });
}

function box(x: number, y: number, halfWidth: number, halfHeight: number): number {
  const dx = Math.abs(x) - halfWidth;
  const dy = Math.abs(y) - halfHeight;
  return length(Math.max(dx, 0), Math.max(dy, 0)) + Math.min(Math.max(dx, dy), 0);
}

/** The nearest edge gives the distance; how often a ray to the right crosses the outline gives the sign. */
function polygon(points: readonly Point[], x: number, y: number): number {
  let nearest = Number.POSITIVE_INFINITY;
  let inside = false;
  let [fromX, fromY] = points.at(-1) as Point;
  for (const [toX, toY] of points) {
    const edgeX = toX - fromX;
    const edgeY = toY - fromY;
    const along = ((x - fromX) * edgeX + (y - fromY) * edgeY) / (edgeX * edgeX + edgeY * edgeY);
    const t = Math.min(Math.max(along, 0), 1);
    const dx = x - fromX - t * edgeX;
    const dy = y - fromY - t * edgeY;
    nearest = Math.min(nearest, dx * dx + dy * dy);
    if (fromY > y !== toY > y && x < fromX + (edgeX * (y - fromY)) / edgeY) inside = !inside;
    fromX = toX;
    fromY = toY;
  }
  return (inside ? -1 : 1) * Math.sqrt(nearest);
}

/** `Math.hypot` guards against overflow and costs several times as much. */
export function length(x: number, y: number): number {
  return Math.sqrt(x * x + y * y);
}
