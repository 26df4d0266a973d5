import type { Random } from './random.ts';

export type Rgb = readonly [red: number, green: number, blue: number];

/**
 * Hues in degrees. The gaps between them are what makes a name certain: a hue in a gap is never drawn. Each range holds
 * the colour that the web calls by the same name (CSS `orange` is 39°, `purple` 300°).
 */
const hues = {
  red: [-8, 8],
  orange: [23, 40],
  yellow: [51, 63],
  green: [95, 145],
  blue: [208, 244],
  purple: [272, 305],
} as const;

export type Colour = keyof typeof hues;

export const colours = Object.keys(hues) as Colour[];

/** A strong tone of a colour; components in 0..255. Orange and yellow stay bright: dark, they are brown and olive. */
export function toneOf(colour: Colour, random: Random): Rgb {
  const [low, high] = hues[colour];
  const darkest = colour === 'orange' || colour === 'yellow' ? 0.75 : 0.5;
  return fromHsv(random.between(low, high), random.between(0.72, 1), random.between(darkest, 1));
}

/** A tint too pale to be taken for one of the colours; components in 0..255. */
export function paleTint(random: Random): Rgb {
  return fromHsv(random.between(0, 360), random.between(0, 0.18), random.between(0.05, 1));
}

/** Hue in degrees, saturation and value in 0..1. */
function fromHsv(hue: number, saturation: number, value: number): Rgb {
  const component = (n: number) => {
    const k = (n + hue / 60 + 6) % 6;
    return 255 * value * (1 - saturation * Math.max(0, Math.min(k, 4 - k, 1)));
  };
  return [component(5), component(3), component(1)];
}
